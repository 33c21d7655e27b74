"""Regression and multilabel targets, plain values of columns, and which question a cohort asks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler import tasks
from osler.cohort import Cohort, Column
from osler.errors import TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target
from osler.tasks.infer import infer_kind_and_reason


def cohort_of(roles: dict[str, str], modality: dict[str, str] | None = None, **values) -> Cohort:
    """Columns from keyword lists with the given roles."""
    frame = pl.DataFrame(values, strict=False)
    kinds = modality or {}
    columns = (Column(n, kinds.get(n, "number"), role=roles.get(n, "input")) for n in frame.columns)
    return Cohort(frame, tuple(columns))


# -- regression
# --------------------------------------------------------------------------------------------------


def test_a_number_target_is_read_as_float():
    target = tasks.get("regression").target_of(cohort_of({"t": "target"}, t=[1, 2, 4]))
    assert target.y.tolist() == [1.0, 2.0, 4.0]
    assert target.y.dtype == np.float64
    assert target.n_outputs == 1


def test_text_infinity_and_missing_are_not_usable_numbers():
    cohort = cohort_of({"t": "target"}, t=["1.5", " 2 ", "n/a", "inf", None])
    assert tasks.get("regression").usable(cohort).tolist() == [True, True, False, False, False]


def test_a_constant_number_and_words_are_refused():
    with pytest.raises(TargetError, match="must vary") as caught:
        tasks.get("regression").check(cohort_of({"t": "target"}, t=[3.0, 3.0, 3.0]))
    assert caught.value.code == "target-constant"
    with pytest.raises(TargetError, match="must hold numbers"):
        tasks.get("regression").check(cohort_of({"t": "target"}, t=["a", "b", "c"]))


def test_one_unit_is_too_few():
    cohort = cohort_of({"t": "target", "u": "unit"}, t=[1.0, 2.0, 3.0], u=["a", "a", "a"])
    with pytest.raises(TargetError, match="at least 2 independent units, is known for 1"):
        tasks.get("regression").check(cohort)


def test_target_of_with_gaps_names_the_rows():
    with pytest.raises(TargetError, match="rows 2, 3"):
        tasks.get("regression").target_of(cohort_of({"t": "target"}, t=[1.0, None, float("nan")]))


def test_the_baseline_of_a_number_is_its_mean_and_loss_is_squared():
    task = tasks.get("regression")
    target = Target("regression", ("t",), np.array([1.0, 2.0, 6.0]), weight=np.array([2.0, 1.0, 1.0]))
    assert task.baseline(target)["mean"] == pytest.approx(2.5)
    prediction = task.predict_baseline({"mean": 3.0}, 3)
    assert prediction.value.shape == (3, 1)
    assert task.loss(target, prediction).tolist() == [4.0, 1.0, 9.0]


# -- multilabel
# ----------------------------------------------------------------------------------------------------


def labels() -> Cohort:
    """Two labels, one of them with a gap."""
    return cohort_of(
        {"a": "target", "b": "target"},
        {"a": "category", "b": "boolean"},
        a=["yes", "no", "yes", "no", None],
        b=[True, None, False, True, None],
    )


def test_labels_keep_their_gaps_and_an_empty_row_is_not_usable():
    task, cohort = tasks.get("multilabel"), labels()
    assert task.usable(cohort).tolist() == [True, True, True, True, False]
    target = task.target_of(cohort.where(task.usable(cohort)))
    assert target.classes == ("a", "b")
    np.testing.assert_array_equal(target.y, [[1, 1], [0, np.nan], [1, 0], [0, 1]])


def test_like_fixes_the_order_of_labels():
    task = tasks.get("multilabel")
    like = Target("multilabel", ("b", "a"), np.zeros((1, 2)), classes=("b", "a"))
    target = task.target_of(labels().where(np.array([True, False, True, False, False])), like)
    np.testing.assert_array_equal(target.y, [[1, 1], [0, 1]])


def test_one_label_is_not_a_multilabel_question():
    with pytest.raises(TargetError, match="at least two target columns"):
        tasks.get("multilabel").check(cohort_of({"a": "target"}, a=[0, 1, 0, 1]))


def test_a_constant_label_is_refused_but_read_elsewhere():
    cohort = cohort_of({"a": "target", "b": "target"}, a=[0, 1, 0, 1], b=[1, 1, 1, 1])
    with pytest.raises(TargetError, match="'b'"):
        tasks.get("multilabel").check(cohort)
    like = Target("multilabel", ("a", "b"), np.zeros((1, 2)), classes=("a", "b"))
    assert tasks.get("multilabel").target_of(cohort, like).y[:, 1].tolist() == [1, 1, 1, 1]


def test_a_label_that_is_never_seen_is_all_missing():
    cohort = cohort_of({"a": "target", "b": "target"}, a=[0, 1, 0, 1], b=[None, None, None, None])
    like = Target("multilabel", ("a", "b"), np.zeros((1, 2)), classes=("a", "b"))
    assert np.isnan(tasks.get("multilabel").target_of(cohort, like).y[:, 1]).all()


def test_a_settled_label_keeps_its_positive_class_where_the_shares_turn():
    from osler.tasks.classification import settled

    roles, kinds = {"a": "target", "b": "target"}, {"a": "category", "b": "category"}
    first = settled(cohort_of(roles, kinds, a=["x", "x", "z"], b=["no", "yes", "no"]))
    assert first.column("a").options["positive"] == "z"
    assert first.column("b").options["positive"] == "yes"
    elsewhere = Cohort(pl.DataFrame({"a": ["z", "z", "x"], "b": ["no", "no", None]}), first.columns)
    task = tasks.get("multilabel")
    np.testing.assert_array_equal(task.target_of(elsewhere).y, [[1, 0], [1, 0], [0, np.nan]])
    alone = Cohort(pl.DataFrame({"a": ["x", "x"], "b": ["no", "no"]}), first.columns)
    np.testing.assert_array_equal(task.target_of(alone).y, [[0, 0], [0, 0]])


def test_settling_leaves_what_is_declared_or_has_more_values():
    from osler.tasks.classification import settled

    cohort = cohort_of({"t": "target"}, t=[0, 1, 2]).declare(columns={"t": {"options": {"positive": ">0"}}})
    assert settled(cohort) == cohort
    many = cohort_of({"t": "target"}, t=[0, 1, 2])
    assert settled(many).column("t").options == {}


def test_multilabel_baseline_and_loss_leave_gaps_out():
    task = tasks.get("multilabel")
    y = np.array([[1, np.nan], [0, 1], [1, 0], [0, 0]], dtype=float)
    target = Target("multilabel", ("a", "b"), y, classes=("a", "b"))
    assert task.baseline(target)["shares"] == pytest.approx([0.5, 1 / 3])
    p = np.full((4, 2), 0.25)
    loss = task.loss(target, Prediction(p))
    assert loss[0] == pytest.approx(-np.log(0.25))
    assert loss[1] == pytest.approx((-np.log(0.75) - np.log(0.25)) / 2)


# -- plain values
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [(1, "1"), (1.0, "1"), ("1.0", "1"), (" x ", "x"), (True, "true"), (1.5, "1.5"), (-2.0, "-2")],
)
def test_the_same_label_however_it_is_stored(value, name):
    assert reading.label(value) == name


def test_a_comparison_is_parsed_or_not():
    rule = reading.Comparison.parse(" >= -1.5 ")
    assert rule is not None
    assert rule(np.array([-2.0, -1.5, np.nan, 3.0])).tolist() == [False, True, False, True]
    assert reading.Comparison.parse("yes") is None
    assert reading.Comparison.parse("> x") is None


def test_words_for_yes_and_no_do_not_overlap():
    assert not reading.YES & reading.NO


def test_row_list_shortens():
    cohort = cohort_of({}, x=list(range(9)))
    assert reading.row_list(cohort, np.ones(9, dtype=bool)) == "rows 1, 2, 3, 4, 5 and 4 more"
    assert reading.row_list(cohort, np.arange(9) == 3) == "row 4"


# -- which question
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "modality", "kind"),
    [
        ([True, False, True], "boolean", "binary"),
        ([0, 1, 1], "number", "binary"),
        (["a", "b", "a"], "category", "binary"),
        (["a", "b", "c"], "category", "multiclass"),
        ([1.5, 2.5, 3.5], "number", "regression"),
        ([0, 1, 2, 3], "number", "regression"),
    ],
)
def test_the_kind_of_question_follows_the_target(values, modality, kind):
    cohort = cohort_of({"t": "target"}, {"t": modality}, t=values)
    assert tasks.infer_kind(cohort) == kind
    assert "'t'" in infer_kind_and_reason(cohort)[1]


def test_a_declared_positive_class_asks_for_binary():
    cohort = cohort_of({"t": "target"}, t=[0, 1, 2]).declare(columns={"t": {"options": {"positive": ">0"}}})
    assert tasks.infer_kind(cohort) == "binary"


def test_duration_and_event_ask_for_survival_and_several_targets_for_multilabel():
    assert tasks.infer_kind(cohort_of({"d": "duration", "e": "event"}, d=[1, 2], e=[0, 1])) == "survival"
    assert tasks.infer_kind(cohort_of({"a": "target", "b": "target"}, a=[0, 1], b=[1, 0])) == "multilabel"


def test_a_text_or_a_category_of_many_levels_must_be_asked_for():
    many = cohort_of({"t": "target"}, {"t": "category"}, t=[f"l{i}" for i in range(21)])
    with pytest.raises(TargetError, match="at most 20 levels") as caught:
        tasks.infer_kind(many)
    assert caught.value.code == "target-class"
    text = cohort_of({"t": "target"}, {"t": "text"}, t=["one", "two", "three"])
    with pytest.raises(TargetError) as caught:
        tasks.infer_kind(text)
    assert caught.value.code == "column-kind"


def test_no_target_is_said():
    with pytest.raises(TargetError, match="must be declared"):
        tasks.infer_kind(cohort_of({}, x=[1, 2]))
