"""Target columns as labels, numbers and codes: what each stored value means, and refusals that name no patient."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler import tasks
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import OslerError, TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target
from osler.tasks.classification import class_order, positive_class, settled
from osler.tasks.infer import infer_kind
from osler.tasks.kaplan_meier import censoring, greenwood, kaplan_meier, nelson_aalen

NAN = float("nan")


def asked(values: list, modality: str = "category", **fields) -> Cohort:
    table = pl.DataFrame({"t": values, "unit": [f"u{i}" for i in range(len(values))]}, strict=False)
    return Cohort(table, (Column("t", modality, "target", **fields), Column("unit", "category", "unit")))


# -- labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), ("1", "1"), ("1.0", "1"), (" a ", "a"), (True, "true"), (False, "false"), (-3.0, "-3"), ("-3.0", "-3"),
     (0.5, "0.5"), (0.1234567, "0.1234567"), (1e20, "100000000000000000000"), ("1.50", "1.50"), ("", "")],
)  # fmt: skip
def test_one_value_has_one_label(value: object, text: str) -> None:
    assert reading.label(value) == text


def test_numbers_that_differ_in_a_late_digit_are_different_labels() -> None:
    assert reading.label(0.1234567) != reading.label(0.1234568)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_labels_of_numbers_lose_nothing(value: float) -> None:
    assert float(reading.label(value)) == value


@pytest.mark.parametrize(
    ("values", "fields", "found"),
    [
        (["a", " a ", "", None, "b"], {}, ["a", "a", None, None, "b"]),
        ([1.0, NAN, None, 2.0], {}, ["1", None, None, "2"]),
        ([1, 2, 9], {"coding": {"1": "yes", "2": "no"}}, ["yes", "no", "9"]),
        ([1, 2, 9], {"coding": {"1.0": "yes"}, "options": {"missing_codes": [9.0]}}, ["yes", "2", None]),
        ([True, False, None], {}, ["true", "false", None]),
    ],
)
def test_labels_of_a_column(values: list, fields: dict, found: list) -> None:
    cohort = asked(values, **fields)
    assert reading.labels(cohort, cohort.column("t")).tolist() == found
    assert reading.is_missing(cohort, cohort.column("t")).tolist() == [v is None for v in found]


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        ([" 1.5", "x", None, "inf"], {}, [1.5, NAN, NAN, NAN]),
        ([1, 999, None], {"missing_codes": [999, "x", None]}, [1.0, NAN, NAN]),
        ([float("inf"), 2.0], {}, [NAN, 2.0]),
        ([True, False], {}, [1.0, 0.0]),
    ],
)
def test_numbers_of_a_column(values: list, options: dict, found: list) -> None:
    cohort = asked(values, "number", options=options)
    np.testing.assert_array_equal(reading.numbers(cohort, cohort.column("t")), found)


@pytest.mark.parametrize(
    ("text", "names", "called"),
    [
        (">0", ("<=0", ">0"), [False, False, True, False]),
        (">= 0", ("<0", ">=0"), [False, True, True, False]),
        ("<1", (">=1", "<1"), [True, True, False, False]),
        ("<=-1", (">-1", "<=-1"), [True, False, False, False]),
        ("=1", ("!=1", "==1"), [False, False, True, False]),
        ("!=1.0", ("==1", "!=1"), [True, True, False, False]),
    ],
)
def test_comparisons(text: str, names: tuple[str, str], called: list[bool]) -> None:
    rule = reading.Comparison.parse(text)
    assert rule.names == names
    assert rule(np.array([-1.0, 0.0, 1.0, NAN])).tolist() == called
    assert reading.Comparison.parse(rule.names[1]).names == names


@pytest.mark.parametrize("text", ["yes", ">", "1", "> x", ">1 2", "=>1", ""])
def test_other_texts_are_no_comparison(text: str) -> None:
    assert reading.Comparison.parse(text) is None


# -- which class is positive ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "fields", "classes", "why"),
    [
        (["yes", "no", "no"], {}, ("no", "yes"), "means yes"),
        (["alive", "dead", "dead"], {}, ("alive", "dead"), "means yes"),
        (["healthy", "sepsis", "sepsis"], {}, ("healthy", "sepsis"), "means no"),
        ([0, 1, 1], {}, ("0", "1"), "means yes"),
        ([1, 2, 2], {}, ("2", "1"), "means yes"),
        ([3, 7, 7], {}, ("3", "7"), "larger"),
        (["b", "a", "a"], {}, ("a", "b"), "rarer"),
        (["b", "a", "b", "a"], {}, ("a", "b"), "later in sort order"),
        ([1, 2, 2], {"coding": {"1": "left", "2": "right"}}, ("left", "right"), "larger"),
        (["a", "b", "c"], {"options": {"positive": "b"}}, ("not b", "b"), "declared"),
        (["a", "b"], {"options": {"positive": "a"}}, ("b", "a"), "declared"),
        ([1, 2], {"coding": {"1": "x", "2": "y"}, "options": {"positive": "1"}}, ("y", "x"), "declared"),
        ([0, 1, 4], {"options": {"positive": ">0"}}, ("<=0", ">0"), "declared"),
        ([True, False], {}, ("false", "true"), "means yes"),
    ],
)
def test_the_positive_class(values: list, fields: dict, classes: tuple[str, str], why: str) -> None:
    found, reason = positive_class(asked(values, **fields))
    assert found == classes
    assert why in reason


@pytest.mark.parametrize(
    ("values", "options", "code"),
    [
        ([None, None], {}, "target-constant"),
        (["a", "a"], {}, "target-constant"),
        (["a", "b", "c"], {}, "target-class"),
        (["a", "b"], {"positive": "z"}, "target-class"),
    ],
)
def test_targets_without_two_classes(values: list, options: dict, code: str) -> None:
    with pytest.raises(TargetError) as error:
        positive_class(asked(values, options=options))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("names", "coding", "order"),
    [
        ({"10", "9", "1"}, {}, ("1", "9", "10")),
        ({"b", "a", "10"}, {}, ("10", "a", "b")),
        ({"mild", "severe", "none"}, {"0": "none", "1": "mild", "2": "severe"}, ("none", "mild", "severe")),
        ({"mild", "other"}, {"0": "none", "1": "mild"}, ("mild", "other")),
    ],
)
def test_order_of_classes(names: set[str], coding: dict, order: tuple[str, ...]) -> None:
    assert class_order(names, Column("t", "category", coding=coding)) == order


def test_a_settled_class_stays_positive_where_another_is_rarer() -> None:
    first = settled(asked(["p"] * 7 + ["q"] * 3))
    assert first.column("t").options["positive"] == "q"
    there = Cohort(asked(["p"] * 2 + ["q"] * 8).table, first.columns)
    assert positive_class(there)[0] == ("p", "q")
    assert positive_class(asked(["p"] * 2 + ["q"] * 8))[0] == ("q", "p")
    assert settled(first).columns == first.columns


# -- kinds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "modality", "options", "kind"),
    [
        ([0, 1, 1], "boolean", {}, "binary"),
        (["a", "b"], "category", {}, "binary"),
        (["a", "b", "c"], "category", {}, "multiclass"),
        ([1.5, 2.5, 3.5], "number", {}, "regression"),
        ([1, 2, 2], "number", {}, "binary"),
        ([0, 1, 2], "number", {"positive": ">0"}, "binary"),
    ],
)
def test_the_kind_of_a_target(values: list, modality: str, options: dict, kind: str) -> None:
    assert infer_kind(asked(values, modality, options=options)) == kind


@pytest.mark.parametrize(
    ("values", "modality", "code"),
    [([f"c{i}" for i in range(21)], "category", "target-class"), (["one note", "two", "three"], "text", "column-kind")],
)
def test_kinds_that_cannot_be_told(values: list, modality: str, code: str) -> None:
    with pytest.raises(TargetError) as error:
        infer_kind(asked(values, modality))
    assert error.value.code == code
    assert values[0] not in error.value.message


def test_an_undeclared_target_is_refused() -> None:
    cohort = asked(["a", "b"]).declare(columns={"t": {"role": "input"}})
    with pytest.raises(TargetError) as error:
        infer_kind(cohort)
    assert error.value.code == "target-absent"


# -- every task ----------------------------------------------------------------------------------------------

GOOD = {
    "binary": asked(["yes", "no"] * 4, "boolean"),
    "multiclass": asked(["a", "b", "c"] * 3),
    "regression": asked([1.0, 2.0, 4.0, 8.0], "number"),
}
BAD = {
    "binary": asked(["yes", None, "no", "Ann Smith", "yes", "no"], options={"positive": "yes"}),
    "multiclass": asked(["a", None, "b", "c"]),
    "regression": asked(["1", "Ann Smith", None, "2"], "number"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_the_baseline_is_the_training_average(kind: str) -> None:
    task = tasks.get(kind)
    task.check(GOOD[kind])
    target = task.target_of(GOOD[kind])
    answer = task.predict_baseline(task.baseline(target), len(target))
    assert np.ptp(answer.value, axis=0).max() == 0
    if kind == "regression":
        assert answer.value[0, 0] == pytest.approx(target.y.mean())
    else:
        np.testing.assert_allclose(answer.value[0], np.bincount(target.y) / len(target))
    doubled = Target(kind, target.names, np.tile(target.y, 2), classes=target.classes)
    weighed = Target(kind, target.names, target.y, classes=target.classes, weight=np.full(len(target), 2.0))
    for other in (doubled, weighed):
        again = task.predict_baseline(task.baseline(other), 1)
        np.testing.assert_allclose(again.value[0], answer.value[0])


@pytest.mark.parametrize("kind", GOOD)
def test_no_constant_answer_loses_less_than_the_baseline(kind: str) -> None:
    task = tasks.get(kind)
    target = task.target_of(GOOD[kind])
    best = task.predict_baseline(task.baseline(target), len(target))
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = best.value[0] + rng.normal(0, 0.1, best.value.shape[1])
        if kind != "regression":
            other = np.abs(other) / np.abs(other).sum()
        answer = Prediction(np.tile(other, (len(target), 1)))
        assert task.loss(target, answer).mean() >= task.loss(target, best).mean()


@pytest.mark.parametrize("kind", BAD)
def test_rows_without_a_target_are_named_by_number_only(kind: str) -> None:
    task = tasks.get(kind)
    usable = task.usable(BAD[kind])
    assert not usable.all()
    with pytest.raises(TargetError) as error:
        task.target_of(BAD[kind])
    assert "Ann" not in error.value.message
    assert "2" in error.value.message
    task.target_of(BAD[kind].where(usable))


@pytest.mark.parametrize("kind", GOOD)
def test_one_unit_is_not_enough(kind: str) -> None:
    cohort = GOOD[kind]
    alone = cohort.with_column(pl.Series(["same"] * len(cohort)), Column("unit", "category", "unit"))
    with pytest.raises(OslerError) as error:
        tasks.get(kind).check(alone)
    assert error.value.code in ("target-rows", "target-class")


@pytest.mark.parametrize(
    "weight", [[1.0, None, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
)
def test_a_row_without_a_weight_is_not_used(weight: list) -> None:
    cohort = GOOD["binary"].with_column(pl.Series(weight), Column("w", "number", "weight"))
    assert tasks.get("binary").usable(cohort).tolist() == [True, False] + [True] * 6


# -- targets and predictions ---------------------------------------------------------------------------------


def test_strata_of_each_kind() -> None:
    assert Target("binary", ("t",), np.array([0, 1])).strata.tolist() == [0, 1]
    assert Target("survival", ("d", "e"), np.array([1.0, 2.0]), np.array([True, False])).strata.tolist() == [1, 0]
    assert Target("multilabel", ("a", "b"), np.zeros((2, 2))).strata.tolist() == [0, 0]
    strata = Target("regression", ("t",), np.arange(100.0)).strata
    assert np.bincount(strata).tolist() == [20, 20, 20, 20, 20]


@pytest.mark.parametrize(("horizon", "p"), [(0.5, 0.0), (1.0, 0.2), (1.5, 0.2), (2.0, 0.5), (99.0, 0.5)])
def test_event_probability_is_a_step_function(horizon: float, p: float) -> None:
    answer = Prediction(np.array([[0.8, 0.5]]), np.array([1.0, 2.0]))
    assert answer.event_probability(horizon)[0] == pytest.approx(p)
    with pytest.raises(ValueError, match="survival"):
        Prediction(np.array([[0.8, 0.2]])).event_probability(horizon)


@given(st.lists(st.integers(0, 4), max_size=6))
def test_rows_of_a_target_and_its_prediction(rows: list[int]) -> None:
    at = np.array(rows, dtype=np.int64)
    target = Target("survival", ("d", "e"), np.arange(5.0), np.arange(5) > 2, weight=np.arange(5.0))
    part = target.take(at)
    assert (part.y.tolist(), part.event.tolist(), part.weight.tolist()) == (
        [float(r) for r in rows],
        [r > 2 for r in rows],
        [float(r) for r in rows],
    )
    answer = Prediction(np.arange(10.0).reshape(5, 2), np.array([1.0, 2.0]))
    joined = Prediction.concat([answer.take(at), answer])
    np.testing.assert_array_equal(joined.value, np.concatenate([answer.value[at], answer.value]))
    assert joined.times is answer.times


# -- step functions of censored times ------------------------------------------------------------------------


def test_curves_by_hand() -> None:
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False, True])
    km = kaplan_meier(time, event)
    assert km.value.tolist() == pytest.approx([0.8, 0.6, 0.6, 0.0])
    assert km.at(np.array([0.5, 1.0, 2.5, 9.0])).tolist() == pytest.approx([1.0, 0.8, 0.6, 0.0])
    assert km.at(2.0, left=True) == pytest.approx(0.8)
    assert nelson_aalen(time, event).value.tolist() == pytest.approx([0.2, 0.45, 0.45, 1.45])
    assert censoring(time, event).value.tolist() == pytest.approx([1.0, 2 / 3, 1 / 3, 1 / 3])
    assert all(np.isnan(greenwood(km, 0.5)))
    low, high = greenwood(km, 2.0)
    assert low < 0.6 < high


@given(st.integers(0, 1000), st.integers(2, 30))
def test_a_weight_is_how_often_a_person_is_there(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    time, event, weight = rng.integers(1, 8, n).astype(float), rng.random(n) < 0.5, rng.integers(1, 4, n)
    often = np.repeat(np.arange(n), weight)
    for curve in (kaplan_meier, nelson_aalen, censoring):
        one, other = curve(time, event, weight.astype(float)), curve(time[often], event[often])
        np.testing.assert_allclose(one.value, other.value, atol=1e-12)
        order = rng.permutation(n)
        np.testing.assert_allclose(curve(time[order], event[order], weight[order]).value, one.value)
    falling = kaplan_meier(time, event).value
    assert (np.diff(falling) <= 1e-12).all()
    assert (falling >= -1e-12).all()
