"""Single findings of `find_leaks`: when each is made, how grave it is, and when it is not made."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.cohort.leaks import CHECK_OF, LOOK, STOP, _auroc, _judged_rates, _positive, _rank_correlation, find_leaks


def cohort(table: dict, target: str = "y", kind: str = "category", **roles: str) -> Cohort:
    """A cohort whose column `target` is asked for."""
    frame = pl.DataFrame(table)
    modality = {pl.Date: "date", pl.String: "category"}
    columns = [
        Column(
            c, kind if c == target else modality.get(t, "number"), "target" if c == target else roles.get(c, "input")
        )
        for c, t in frame.schema.items()
    ]
    return Cohort(frame, tuple(columns))


def made(table: dict, **more) -> dict[str, tuple[str, str]]:
    """Code → (severity, column)."""
    return {f.code: (f.severity, f.column) for f in find_leaks(cohort(table, **more))}


def test_auroc_by_hand_and_its_refusal_of_small_classes():
    case = np.array([0] * 20 + [1] * 10, dtype=bool)
    assert _auroc(np.arange(30), case) == 1.0
    assert _auroc(np.zeros(30), case) == 0.5
    # the ten cases hold ranks 1..10: no case is above any of the others
    assert _auroc(np.arange(30), case[::-1]) == 0.0
    assert np.isnan(_auroc(np.arange(30), np.arange(30) < 7)), "seven cases are too few"
    assert np.isnan(_auroc(np.arange(29), np.arange(29) < 10)), "29 rows are too few"


def test_auroc_and_rank_correlation_agree_with_their_libraries():
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 30, 200), rng.random(200) < 0.4
    assert _auroc(x, y) == pytest.approx(roc_auc_score(y, x))
    z = x + rng.normal(0, 5, 200)
    assert _rank_correlation(x, z) == pytest.approx(spearmanr(x, z).statistic)


def test_rates_are_learnt_on_the_other_half():
    levels, case = np.array([1, 1, 1, 1]), np.array([True, True, False, False])
    half = np.array([True, True, False, False])
    rate, _ = _judged_rates(levels, case, half)
    # half True is judged by (0 cases + base 0) / 3, half False by (2 cases + base 1) / 3
    assert rate.tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("rule", "codes"), [(">0", [0, 1, 1, -1]), (">=2", [0, 0, 1, -1]), ("<1", [1, 0, 0, -1]), ("2", [0, 0, 1, -1])]
)
def test_positive_rules(rule, codes):
    assert _positive(pl.Series([0, 1, 2, None]), rule).tolist() == codes


def test_positive_of_words():
    assert _positive(pl.Series(["ckd", " ckd", "no", None]), "ckd").tolist() == [1, 1, 0, -1]


def outcome(n: int = 400, seed: int = 0) -> tuple[np.random.Generator, np.ndarray]:
    """A generator and 0/1 in random order."""
    rng = np.random.default_rng(seed)
    return rng, (rng.random(n) < 0.3).astype(int)


def test_an_honest_strong_predictor_is_a_warning_and_a_weak_one_nothing():
    rng, y = outcome()
    strong, weak = y * 2.7 + rng.normal(0, 1, 400), y * 1.2 + rng.normal(0, 1, 400)
    assert made({"y": y, "x": strong}) == {"target-giveaway": ("warning", "x")}
    assert made({"y": y, "x": weak}) == {}
    assert 0 < LOOK < STOP < 1


def test_many_levels_do_not_look_informative_by_chance():
    rng, y = outcome()
    assert made({"y": y, "postcode": [f"z{i}" for i in rng.integers(0, 200, 400)]}) == {}


def test_levels_that_are_whole_units_do_not_tell_the_target():
    rng, label = outcome(100)
    who = np.repeat(np.arange(100), 4)
    table = {"p": who, "y": label[who], "ward": [f"w{w}" for w in who // 2], "x": rng.normal(size=100)[who]}
    assert made(table, p="unit") == {}


def test_a_relation_that_is_not_monotone_is_found():
    rng, y = outcome()
    assert made(
        {"y": y, "x": np.where(y == 1, rng.uniform(4, 6, 400), rng.choice([0, 10], 400) + rng.uniform(0, 1, 400))}
    ) == {"target-giveaway": ("stop", "x")}


def test_three_classes_must_all_be_told():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 600)
    one_class = (y == 0) * 10 + rng.normal(0, 1, 600)
    assert made({"y": y, "x": one_class}) == {}, "one class of three is told: that is what good predictors do"
    assert made({"y": y, "x": y * 10 + rng.normal(0, 1, 600)}) == {"target-giveaway": ("stop", "x")}


def test_a_number_as_target():
    rng = np.random.default_rng(1)
    y = rng.normal(size=300)
    assert made({"y": y, "x": 3 * y + 2}, kind="number") == {"target-copy": ("stop", "x")}
    assert made({"y": y, "x": y + rng.normal(0, 0.05, 300)}, kind="number") == {"target-giveaway": ("stop", "x")}
    assert made({"y": y, "x": y + rng.normal(0, 0.5, 300)}, kind="number") == {}


def test_survival_event_and_duration_are_both_asked():
    rng, event = outcome()
    days = rng.exponential(300, 400)
    frame = pl.DataFrame({"days": days, "event": event, "dead": event, "late": days * 2, "x": rng.normal(size=400)})
    roles = {"days": "duration", "event": "event"}
    found = find_leaks(Cohort(frame, tuple(Column(c, "number", roles.get(c, "input")) for c in frame.columns)))
    assert {(f.code, f.column) for f in found} == {("target-copy", "dead"), ("target-copy", "late")}


def test_missingness_is_a_warning_before_it_is_a_stop():
    rng, y = outcome(2000)
    def hidden(sure):
        return pl.Series(
            np.where(np.where(rng.random(2000) < sure, y, 1 - y) == 1, rng.normal(size=2000), np.nan)
        ).fill_nan(None)

    assert made({"y": y, "x": hidden(0.97)})["missingness-tells"] == ("stop", "x")
    assert made({"y": y, "x": hidden(0.89)})["missingness-tells"] == ("warning", "x")
    assert made({"y": y, "x": hidden(0.7)}) == {}


def test_few_rows_are_not_judged():
    y = np.array([0] * 10 + [1] * 10)
    assert made({"y": y[np.random.default_rng(0).permutation(20)], "x": np.arange(20.0)}) == {}


def test_identifiers_among_inputs():
    rng, y = outcome(60)
    running = rng.permutation(60)
    assert made({"y": y, "nr": running})["id-input"] == ("warning", "nr")
    assert made({"y": y, "code": [f"c{i}" for i in running]})["id-input"] == ("warning", "code")
    assert made({"y": y, "p": running // 2, "again": running // 2}, p="unit")["id-input"] == ("stop", "again")
    assert made({"y": y, "age": rng.integers(20, 90, 60)}) == {}


def test_one_late_date_is_a_warning_and_the_same_day_is_fine():
    _, y = outcome(200)
    asked = [dt.date(2020, 1, 1)] * 200
    for late, expected in ((0, {}), (1, {"after-time": ("warning", "seen")}), (20, {"after-time": ("stop", "seen")})):
        seen = [dt.date(2020, 1, 2)] * late + [dt.date(2020, 1, 1)] * (200 - late)
        assert made({"y": y, "asked": asked, "seen": seen}, asked="time") == expected


def test_target_mean_of_a_number_and_in_log_odds():
    rng = np.random.default_rng(4)
    ward = rng.integers(0, 12, 600)
    y = rng.normal(size=600) + ward / 4
    mean = np.array([y[ward == w].mean() for w in range(12)])[ward]
    assert made({"y": y, "ward": ward, "m": mean}, kind="number") == {"target-mean": ("stop", "m")}
    sick = (rng.random(600) < 1 / (1 + np.exp(1 - ward / 4))).astype(int)
    rate = np.array([sick[ward == w].mean() for w in range(12)])
    logit = np.log((rate + 0.01) / (1.01 - rate))[ward]
    assert made({"y": sick, "ward": ward, "woe": logit}) == {"target-mean": ("stop", "woe")}
    assert made({"y": sick, "ward": ward, "beds": rng.normal(300, 50, 12)[ward]}) == {}


def test_findings_name_rows_and_columns_but_no_values():
    rng, y = outcome()
    names = np.array(["Anna", "Berta"])[y]
    findings = find_leaks(cohort({"y": y, "who": names, "x": y + rng.normal(0, 0.1, 400)}))
    assert [f.severity for f in findings] == ["stop", "stop"]
    assert not any("Anna" in f.message + f.advice for f in findings)
    assert all(f.advice.startswith("--ignore ") for f in findings)


def test_every_code_belongs_to_a_check_and_is_in_the_docstring():
    from osler.cohort import leaks

    assert all(code in leaks.__doc__ for code in CHECK_OF)
    assert find_leaks(cohort({"x": [1.0, 2.0]}, target="none")) == []
