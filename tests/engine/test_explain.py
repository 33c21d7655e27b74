"""The verbs explain and counterfactuals, explanation.json, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.cli import main
from osler.engine.counterfactuals import counterfactuals
from osler.engine.explain import explain, explain_rows
from osler.engine.fit import fit
from osler.engine.predict import predict, rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.errors import ColumnError, InternalError, OptionError, PredictorError


def why(cohort: osler.Cohort) -> np.ndarray:
    """(n, p) attribution columns."""
    return cohort.table.select(pl.col("^why:.*$")).to_numpy()


def test_attributions_add_up_to_the_answer_of_predict(run: Run, clinic_csv: Path):
    explained = explain(run, clinic_csv)
    assert explained.table["why_adds_up"].all()
    p = predict(run, clinic_csv).table["died_prob_yes"].to_numpy()
    total = explained.table["why_base"].to_numpy() + why(explained).sum(axis=1)
    scale = explained.table["why_scale"][0]
    got = 1 / (1 + np.exp(-total)) if scale == "log-odds" else total
    np.testing.assert_allclose(got, p, atol=1e-6)
    assert [c.name for c in explained.role("prediction")][:3] == ["why:age", "why:creatinine", "why:ward"]


@pytest.mark.parametrize("scale", ["log-odds", "probability"])
def test_kernel_shap_is_a_second_way_to_the_same_numbers(run: Run, clinic_csv: Path, scale: str):
    pytest.importorskip("shap")
    rows = [1, 5, 9]
    first = explain(run, clinic_csv, rows=rows, scale=scale)
    second = explain(run, clinic_csv, rows=rows, scale=scale, method="kernel")
    np.testing.assert_allclose(why(first), why(second), atol=1e-6)


def test_lime_reports_its_fit(run: Run, clinic_csv: Path):
    explained = explain(run, clinic_csv, rows=[2, 3], method="lime")
    assert explained.table["why_fit"].is_between(0.0, 1.0).all()
    again = explain(run, clinic_csv, rows=[3], method="lime")
    np.testing.assert_array_equal(why(explained)[1], why(again)[0])


def test_rows_come_in_the_order_asked_for(run: Run, clinic_csv: Path):
    every = explain(run, clinic_csv)
    some = explain(run, clinic_csv, rows=[7, 2])
    assert some.rows.tolist() == [7, 2]
    np.testing.assert_allclose(why(some), why(every)[[6, 1]], atol=1e-12)


def test_service_rows(run: Run, clinic_csv: Path):
    cohort = rows_cohort(run.predictor, pl.read_csv(clinic_csv).head(5).to_dicts())
    answers = explain_rows(run.predictor, cohort)
    assert len(answers) == 5
    for answer in answers:
        assert set(answer["attributions"]) == {"age", "creatinine", "ward"}
        assert answer["base"] + sum(answer["attributions"].values()) == pytest.approx(answer["prediction"], abs=1e-6)
        assert answer["adds_up"] is True
    assert json.loads(json.dumps(answers, allow_nan=False)) == answers
    assert explain_rows(run.predictor, cohort.take(np.empty(0, dtype=np.int64))) == []


def test_wrong_questions_are_refused(run: Run, clinic_csv: Path):
    with pytest.raises(OptionError, match="row number of the table"):
        explain(run, clinic_csv, rows=[0])
    with pytest.raises(OptionError, match="method must be shapley"):
        explain(run, clinic_csv, method="shaply")
    with pytest.raises(OptionError, match="scale must be one that the task binary has"):
        explain(run, clinic_csv, scale="mean")
    with pytest.raises(OptionError, match="positive class"):
        explain(run, clinic_csv, output="no")


def test_a_sum_that_does_not_hold_is_an_error(run: Run, clinic_csv: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.explanation import shapley

    closed = shapley._closed

    def wrong(*args, **kwargs):
        values, way, base = closed(*args, **kwargs) or (None, "", None)
        return None if values is None else (values + 1e-4, way, base)

    monkeypatch.setattr(shapley, "_closed", wrong)
    monkeypatch.setattr(shapley, "enumerate_sets", lambda game, p: np.ones(p))
    with pytest.raises(InternalError, match="add up to the prediction"):
        explain(run, clinic_csv, rows=[1])


def test_a_predictor_of_an_earlier_release_loads_and_says_what_it_lacks(run: Run, clinic_csv: Path, tmp_path: Path):
    import shutil

    from osler.engine.predictor import seal

    copy = tmp_path / "old"
    shutil.copytree(run.folder / "predictor", copy)
    body = json.loads((copy / "predictor.json").read_text())
    del body["background"]
    (copy / "predictor.json").write_text(json.dumps(body))
    seal(copy)
    old = Predictor.load(copy)
    assert len(predict(old, clinic_csv)) == 180
    with pytest.raises(PredictorError, match="fit it again"):
        explain(old, clinic_csv)


@pytest.mark.parametrize(
    "broken", [{"weights": [1.0]}, {"weights": 3}, {"weights": [0.5, 0.5], "columns": {"age": [["x"], [1]]}}]
)
def test_a_malformed_background_is_a_typed_refusal(run: Run, clinic_csv: Path, broken: dict):
    with pytest.raises(PredictorError, match="fit it again"):
        explain(replace(run.predictor, background=broken), clinic_csv, rows=[1])


def test_wide_tables_keep_the_strongest_attributions(tmp_path: Path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 230))
    frame = pl.DataFrame({f"g{j}": X[:, j] for j in range(230)})
    frame = frame.with_columns(ill=pl.Series(np.where(X[:, 3] + 0.9 * rng.normal(size=80) > 0, "yes", "no")))
    made = fit(
        osler.read(frame, target="ill"),
        tmp_path / "wide",
        model="elastic",
        folds=2,
        repeats=1,
        boot=20,
        workers=1,
        silent=True,
    )
    found = made.json("explanation.json")
    assert found["importance"] == {}
    assert "more columns than" in found["reason"]
    assert len(found["attribution"]) == 50
    assert next(iter(found["attribution"])) == "g3"
    assert "g3" in found["effects"]
    assert len(found["effects"]) <= 8


def test_no_patients_value_is_in_background_or_explanation(run: Run, clinic_csv: Path):
    """Measured to three digits or more, a person's value would be found as it stands."""
    background = json.dumps(run.predictor.background)
    assert min(run.predictor.background["units"]) >= 5
    creatinine = pl.read_csv(clinic_csv)["creatinine"].drop_nulls()
    kept = {row[0] for row in run.predictor.background["columns"]["creatinine"]}
    assert kept.isdisjoint(creatinine.to_list())
    assert "P0" not in background
    effects = run.json("explanation.json")["effects"]
    assert all(n >= 10 for effect in effects.values() for n in effect["n"])
    grid = effects["creatinine"]["grid"]
    assert (creatinine <= grid[0]).sum() >= 5
    assert (creatinine >= grid[-1]).sum() >= 5


def test_explanation_json(run: Run):
    found = run.json("explanation.json")
    assert set(found["effects"]) == {"age", "creatinine", "ward"}
    assert next(iter(found["attribution"])) == max(found["attribution"], key=lambda c: found["attribution"][c]["value"])
    assert found["attribution_of"]["adds_up"] is True
    assert found["effects_of"]["scale"] == "probability"
    assert found["effects_of"]["output"] == "yes"
    for effect in found["effects"].values():
        points = effect["grid" if effect["kind"] == "number" else "levels"]
        assert len(points) == len(effect["value"]) == len(effect["low"]) == len(effect["high"]) == len(effect["n"])
    dependence = found["effects"]["age"]["dependence"]
    assert len(dependence) == len(found["effects"]["age"]["grid"])
    assert all(0.0 < p < 1.0 for p in dependence)
    age = found["effects"]["age"]["value"]
    assert age[-1] > age[0]  # the made-up clinic: older patients die more often
    ward = found["effects"]["ward"]
    assert max(zip(ward["value"], ward["levels"]))[1] == "south"


@pytest.fixture(scope="module")
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run, pl.DataFrame]:
    """A small run of another task."""
    rng = np.random.default_rng(0)
    n = 150
    x, dose, arm = rng.normal(size=n), rng.normal(10, 2, n), rng.choice(["a", "b"], n)
    signal = x + 0.3 * (dose - 10) + (arm == "b")
    time = rng.exponential(np.exp(-signal))
    frame = pl.DataFrame({"x": x, "dose": dose, "arm": arm})
    options = {"target": "y", "model": "logistic"}
    if request.param == "regression":
        frame = frame.with_columns(y=pl.Series(signal + 0.2 * rng.normal(size=n)))
        options = {"target": "y", "model": "forest:n_trees=20"}
    elif request.param == "multiclass":
        frame = frame.with_columns(y=pl.Series(np.array(["lo", "mid", "hi"])[np.digitize(signal, [-0.3, 1.2])]))
    else:
        frame = frame.with_columns(days=pl.Series(np.minimum(time, 2) + 0.01), event=pl.Series((time < 2).astype(int)))
        options = {"duration": "days", "event": "event", "model": "cox"}
    folder = tmp_path_factory.mktemp(request.param)
    frame.write_csv(folder / "table.csv")
    run = fit(folder / "table.csv", folder / "run", folds=3, repeats=1, boot=20, workers=1, silent=True, **options)
    return request.param, run, frame


@pytest.mark.parametrize("other", ["regression", "multiclass", "survival"], indirect=True)
def test_other_tasks_add_up(other: tuple[str, Run, pl.DataFrame]):
    task, run, frame = other
    explained = explain(run, osler.read(frame))
    assert explained.table["why_adds_up"].all()
    answered = predict(run, osler.read(frame)).table
    total = explained.table["why_base"].to_numpy() + why(explained).sum(axis=1)
    if task == "regression":
        np.testing.assert_allclose(total, answered["y_pred"].to_numpy(), atol=1e-6)
    elif task == "survival":
        np.testing.assert_allclose(1 - np.exp(-np.exp(total)), answered["event_pred"].to_numpy(), atol=1e-6)
    else:
        assert explained.table["why_output"].to_list() == answered["y_pred"].to_list()
        chosen = [answered[f"y_prob_{c}"][i] for i, c in enumerate(answered["y_pred"])]
        np.testing.assert_allclose(1 / (1 + np.exp(-total)), chosen, atol=1e-6)
        fixed = explain(run, osler.read(frame), rows=[1, 2], output="hi")
        assert fixed.table["why_output"].to_list() == ["hi", "hi"]
    assert run.json("explanation.json")["attribution_of"]["adds_up"] is True
    assert set(run.json("explanation.json")["effects"]) == {"x", "dose", "arm"}


def test_counterfactuals_cross_the_wanted_value_by_the_predictors_own_word(run: Run, clinic_csv: Path):
    frame = pl.read_csv(clinic_csv)
    p = predict(run, clinic_csv).table["died_prob_yes"].to_numpy()
    known = frame["creatinine"].is_not_null().to_numpy()
    row = int(np.flatnonzero(known & (p > 0.55))[0]) + 1
    found = counterfactuals(run, clinic_csv, row, 0.45)
    assert found["prediction"] == pytest.approx(p[row - 1])
    assert found["answers"]
    for answer in found["answers"]:
        changed = frame[row - 1].to_dicts()[0]
        for move in answer["changes"]:
            assert changed[move["column"]] == move["from"]
            changed[move["column"]] = move["to"]
        assert "age" not in {m["column"] for m in answer["changes"]}
        again = run.predictor.predict(rows_cohort(run.predictor, [changed])).table["died_prob_yes"][0]
        assert again == pytest.approx(answer["prediction"], abs=1e-9)
        assert again <= 0.45
    assert found["held"]["age"] == "a person's age cannot be changed"
    assert counterfactuals(run, clinic_csv, row, 0.45) == found


def test_counterfactual_limits_and_the_answer_none(run: Run, clinic_csv: Path):
    fixed = {"age": "fixed", "creatinine": "fixed", "ward": "fixed"}
    none = counterfactuals(run, clinic_csv, 1, 0.01, limits=fixed)
    assert none["answers"] == []
    assert none["message"] == "nothing is left that may change"
    never = counterfactuals(run, clinic_csv, 1, 0.0)
    assert never["answers"] == []
    assert never["message"].startswith("there is no such change: ")
    with pytest.raises(ColumnError, match="did you mean 'creatinine'"):
        counterfactuals(run, clinic_csv, 1, 0.5, limits={"creatinin": "up"})
    with pytest.raises(OptionError, match="up, down, fixed or free"):
        counterfactuals(run, clinic_csv, 1, 0.5, limits={"creatinine": "sideways"})
    with pytest.raises(OptionError, match="between 0 and 1"):
        counterfactuals(run, clinic_csv, 1, 20.0)


def test_counterfactuals_move_only_as_allowed(run: Run, clinic_csv: Path):
    found = counterfactuals(run, clinic_csv, 5, 0.1, limits={"age": "up", "creatinine": "down"}, answers=9)
    for answer in found["answers"]:
        for move in answer["changes"]:
            if move["column"] == "age":
                assert move["to"] > move["from"]
            if move["column"] == "creatinine":
                assert move["to"] < move["from"]


def test_command_one_row_many_rows_and_file(run: Run, clinic_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = str(run.folder)
    assert main(["explain", folder, str(clinic_csv), "--row", "3"]) == 0
    said = capsys.readouterr().out
    assert "adds up to the prediction" in said
    assert "creatinine" in said
    assert main(["explain", folder, str(clinic_csv), "--out", str(tmp_path / "why.csv")]) == 0
    assert "180 rows explained, 180 add up" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "why.csv")["why_adds_up"].all()
    assert main(["explain", folder, str(clinic_csv)]) == 0
    assert "why:age" in capsys.readouterr().out


def test_command_counterfactual(run: Run, clinic_csv: Path, capsys: pytest.CaptureFixture):
    base = ["explain", str(run.folder), str(clinic_csv)]
    assert main([*base, "--row", "1", "--counterfactual", "--want", "0.0"]) == 1
    assert "there is no such change" in capsys.readouterr().out
    assert main([*base, "--counterfactual", "--want", "0.2"]) == 2
    assert "--row" in capsys.readouterr().err
    assert main([*base, "--want", "0.2"]) == 2
    assert main([*base, "--row", "1", "--counterfactual", "--want", "0.2", "--limit", "age"]) == 2
