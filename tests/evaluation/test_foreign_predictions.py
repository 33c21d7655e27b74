"""Anyone's predictions: which column is what, what is refused, and the numbers of every kind of question."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as peer

from osler.errors import ColumnError, TargetError
from osler.evaluation import compare
from osler.evaluation.foreign import evaluate_predictions
from osler.evaluation.found import Asked, columns_of


def table(n: int = 300, seed: int = 0, **extra) -> pl.DataFrame:
    """An outcome, a good and a noisier probability, a unit and a sex."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    p = 1 / (1 + np.exp(-x))
    return pl.DataFrame(
        {
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "outcome": (rng.random(n) < p).astype(int),
            "prob_good": p,
            "prob_noisy": 1 / (1 + np.exp(-x - 2 * rng.normal(size=n))),
            "sex": np.where(rng.random(n) < 0.5, "f", "m"),
            "age": rng.integers(20, 90, n),
            **extra,
        }
    )


@pytest.fixture(scope="module")
def found() -> dict:
    """The whole evaluation of the table."""
    return evaluate_predictions(table(), n_boot=200)


def test_columns_are_recognised_and_said(found):
    assert found["columns"]["truth"] == "outcome"
    assert list(found["columns"]["models"]) == ["prob_good", "prob_noisy"]
    assert found["columns"]["unit"] == "patient_id"
    assert found["columns"]["by"] == ["sex"]
    text = " ".join(found["notes"])
    for word in ("'outcome' was taken for the truth", "'prob_good'", "'patient_id'", "asks for '1'"):
        assert word in text


def test_scores_have_the_shape_of_a_run(found):
    part = found["scores"]["parts"]["holdout"]
    assert found["scores"]["chosen"] == "prob_good"
    frame = table()
    expected = peer.roc_auc_score(frame["outcome"], frame["prob_good"])
    assert part["prob_good"]["auroc"]["value"] == pytest.approx(expected)
    assert set(part["prob_good"]["auroc"]) == {"value", "low", "high", "n"}
    assert found["n"] == 300
    assert found["units"] == 150
    json.dumps(found, allow_nan=False)


def test_models_are_compared_on_the_same_rows(found):
    frame = table()
    codes = np.arange(300) // 2
    y, good, noisy = (frame[c].to_numpy() for c in ("outcome", "prob_good", "prob_noisy"))
    expected = compare.delong_test(y, noisy, good, codes)
    entry = found["comparison"]["prob_noisy"]["auroc"]
    assert entry["value"] == pytest.approx(expected["value"])
    assert entry["p_delong"] == pytest.approx(expected["p_value"])


def test_figures_and_subgroups_are_there(found):
    assert set(found["figures"]["prob_good"]) == {
        "roc",
        "precision_recall",
        "calibration",
        "confusion",
        "youden",
    }
    assert set(found["decision_curve"]["models"]) == {"prob_good", "prob_noisy"}
    assert {e["group"] for e in found["subgroups"]["sex"]["prob_good"]} == {"f", "m"}


def test_one_seed_gives_the_same_answer():
    first, second = (evaluate_predictions(table(80), n_boot=50) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_rows_without_truth_or_prediction_are_accounted_for():
    frame = table(100).with_columns(
        outcome=pl.when(pl.int_range(100) == 3).then(None).otherwise(pl.col("outcome")),
        prob_good=pl.when(pl.int_range(100) == 7).then(None).otherwise(pl.col("prob_good")),
    )
    found = evaluate_predictions(frame, n_boot=20)
    assert found["n"] == 98
    refused = {(r["column"], tuple(r["rows"])) for r in found["refused"]}
    assert refused == {("outcome", (4,)), ("prob_good", (8,))}


def test_scores_that_are_no_probabilities_get_discrimination_only():
    frame = table(120)
    points = frame.with_columns(score_points=pl.col("prob_good") * 20).drop("prob_noisy", "prob_good")
    found = evaluate_predictions(points, n_boot=50)
    part = found["scores"]["parts"]["holdout"]["score_points"]
    assert set(part) == {"auroc", "auprc"}
    assert part["auroc"]["value"] == pytest.approx(peer.roc_auc_score(frame["outcome"], frame["prob_good"]))
    assert any("not a probability" in n for n in found["notes"])
    assert found["decision_curve"] == {}
    assert "calibration" not in found["figures"]["score_points"]
    assert set(found["subgroups"]["sex"]["score_points"][0]["scores"]) == {"auroc", "auprc"}


def test_a_positive_class_can_be_named():
    frame = table(100).with_columns(outcome=pl.col("outcome") * pl.int_range(100).mod(3))
    found = evaluate_predictions(frame, positive=">0", n_boot=20)
    assert found["task"] == "binary"
    assert any("'>0'" in n for n in found["notes"])


def test_our_own_prediction_columns_are_understood():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 90)
    y = ["abc"[rng.choice(3, p=row)] for row in p]
    frame = pl.DataFrame(
        {"dx": y, "dx_pred": ["a"] * 90, **{f"dx_prob_{c}": p[:, i] for i, c in enumerate("abc")}}
    )
    found = evaluate_predictions(frame, n_boot=50)
    assert found["task"] == "multiclass"
    part = found["scores"]["parts"]["holdout"]["predictions"]
    assert part["auroc"]["value"] == pytest.approx(peer.roc_auc_score(y, p, multi_class="ovr"))
    assert np.sum(found["figures"]["predictions"]["confusion_matrix"]) == 90


def test_two_class_columns_use_the_positive_one():
    frame = table(80).select("outcome", pl.col("prob_good").alias("outcome_prob_1"))
    frame = frame.with_columns(outcome_prob_0=1 - pl.col("outcome_prob_1"))
    found = evaluate_predictions(frame, n_boot=20)
    expected = peer.roc_auc_score(frame["outcome"], frame["outcome_prob_1"])
    assert found["scores"]["parts"]["holdout"]["predictions"]["auroc"]["value"] == pytest.approx(expected)


def test_class_probabilities_must_add_up():
    frame = pl.DataFrame({"dx": list("abcabc"), **{f"dx_prob_{c}": [0.9] * 6 for c in "abc"}})
    with pytest.raises(TargetError, match="add up to 1"):
        evaluate_predictions(frame, n_boot=10)


def test_a_class_without_a_column_is_named():
    frame = pl.DataFrame({"dx": list("abcdabcd"), **{f"dx_prob_{c}": [0.3] * 8 for c in "abc"}})
    with pytest.raises(TargetError, match="for class 'd'"):
        evaluate_predictions(frame, n_boot=10)


def test_numbers_are_scored_as_numbers():
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    found = evaluate_predictions(pl.DataFrame({"y": y, "y_hat": y + 1}), n_boot=50)
    assert found["task"] == "regression"
    part = found["scores"]["parts"]["holdout"]["y_hat"]
    assert part["mae"]["value"] == pytest.approx(1)
    assert part["calibration_intercept"]["value"] == pytest.approx(-1)


def test_more_than_two_classes_need_a_column_each():
    frame = pl.DataFrame({"label": list("abcabc"), "prob": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    with pytest.raises(TargetError, match="one probability column per class"):
        evaluate_predictions(frame, n_boot=10)


# -- which column is what
# ------------------------------------------------------------------------------------------------


def frame_of(*names: str) -> pl.DataFrame:
    """A table of numbers with these headers."""
    rng = np.random.default_rng(0)
    return pl.DataFrame({n: rng.random(20) * 3 for n in names})


@pytest.mark.parametrize(
    ("names", "truth", "models"),
    [
        (("y", "p"), "y", ["p"]),
        (("label", "score_a", "score_b"), "label", ["score_a", "score_b"]),
        (("yTrue", "yPred"), "yTrue", ["yPred"]),
        (("y_true", "y_score", "age"), "y_true", ["y_score"]),
        (("Target", "Logistic_prob", "Forest_prob"), "Target", ["Logistic_prob", "Forest_prob"]),
        (("outcome", "risk_10y"), "outcome", ["risk_10y"]),
        (("dead", "dead_pred"), "dead", ["dead_pred"]),
    ],
)
def test_common_headers_are_recognised(names, truth, models):
    roles = columns_of(frame_of(*names), Asked())
    assert roles.y == truth
    assert list(roles.models) == models


def test_a_lone_column_between_zero_and_one_is_taken_and_said():
    frame = pl.DataFrame({"y": [0, 1, 0, 1], "model": [0.1, 0.9, 0.2, 0.7], "age": [50, 60, 70, 80]})
    roles = columns_of(frame, Asked())
    assert list(roles.models) == ["model"]
    assert any("'model'" in n for n in roles.notes)


def test_what_is_ambiguous_is_asked_with_the_candidates():
    with pytest.raises(TargetError, match=r"2 could be it \('label', 'outcome'\)"):
        columns_of(frame_of("label", "outcome", "p"), Asked())
    with pytest.raises(TargetError, match=r"no column is called y, .*'a', 'b'"):
        columns_of(frame_of("a", "b"), Asked())
    frame = pl.DataFrame({"y": [0, 1, 0], "m1": [0.1, 0.2, 0.3], "m2": [0.2, 0.3, 0.1]})
    with pytest.raises(ColumnError, match=r"2 could be them \('m1', 'm2'\)"):
        columns_of(frame, Asked())
    with pytest.raises(ColumnError, match="no column could be them"):
        columns_of(frame.select("y"), Asked())


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ColumnError, match="did you mean 'outcome'"):
        columns_of(table(10), Asked(y="outcom"))


def test_named_columns_are_taken_as_named():
    roles = columns_of(table(10), Asked(y="sex", p=("age",), unit="prob_good", by=()))
    assert (roles.y, roles.models, roles.unit, roles.by) == ("sex", {"age": ("age",)}, "prob_good", ())


def test_without_a_patient_column_the_narrow_intervals_are_said():
    roles = columns_of(frame_of("y", "p"), Asked())
    assert any("too narrow" in n for n in roles.notes)


def test_survival_is_recognised_by_its_two_columns():
    roles = columns_of(frame_of("duration", "event", "risk"), Asked())
    assert (roles.duration, roles.event, roles.y) == ("duration", "event", "")
    with pytest.raises(ColumnError, match="both a duration and an event"):
        columns_of(frame_of("months", "risk"), Asked(duration="months"))


def survivors(n: int = 200) -> pl.DataFrame:
    """Times that depend on a risk, and a second risk that knows less."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    time, censored = rng.exponential(np.exp(-x)), rng.exponential(2, size=n)
    return pl.DataFrame(
        {
            "duration": np.minimum(time, censored),
            "event": (time <= censored).astype(int),
            "risk_good": x,
            "risk_noisy": x + 2 * rng.normal(size=n),
        }
    )


def test_risks_of_survival_get_their_concordance_and_its_difference():
    from lifelines.utils import concordance_index

    frame = survivors()
    found = evaluate_predictions(frame, n_boot=50)
    part = found["scores"]["parts"]["holdout"]
    assert set(part["risk_good"]) == {"c_harrell", "c_uno"}
    expected = {c: concordance_index(frame["duration"], -frame[c], frame["event"]) for c in part}
    for name, value in expected.items():
        assert part[name]["c_harrell"]["value"] == pytest.approx(value)
    difference = found["comparison"]["risk_noisy"]["c_harrell"]
    assert difference["value"] == pytest.approx(expected["risk_noisy"] - expected["risk_good"])
    assert difference["high"] < 0
    assert difference["p_value"] < 0.05
    assert any("only concordance" in n for n in found["notes"])
    json.dumps(found, allow_nan=False)


def test_the_difference_of_two_concordances_has_its_bootstrap_width():
    from lifelines.utils import concordance_index

    frame = survivors(120)
    entry = evaluate_predictions(frame, n_boot=20)["comparison"]["risk_noisy"]["c_harrell"]
    rng, drawn = np.random.default_rng(1), []
    for _ in range(200):
        part = frame[rng.integers(0, 120, 120)]
        both = [
            concordance_index(part["duration"], -part[c], part["event"]) for c in ("risk_noisy", "risk_good")
        ]
        drawn.append(both[0] - both[1])
    assert entry["high"] - entry["low"] == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.2)


def test_a_file_is_read(tmp_path):
    table(80).write_csv(tmp_path / "predictions.csv")
    found = evaluate_predictions(tmp_path / "predictions.csv", n_boot=20)
    again = evaluate_predictions(table(80), n_boot=20)
    assert found["columns"] == again["columns"]
    first, second = (f["scores"]["parts"]["holdout"]["prob_good"]["brier"]["value"] for f in (found, again))
    assert first == pytest.approx(second)


def test_survival_rows_without_time_are_accounted_for():
    frame = survivors().with_columns(
        duration=pl.when(pl.int_range(200) == 5).then(None).otherwise(pl.col("duration"))
    )
    found = evaluate_predictions(frame, n_boot=20)
    assert found["n"] == 199
    assert found["refused"][0]["rows"] == [6]
