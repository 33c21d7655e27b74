"""Which class is positive, what is refused, and what a class target looks like."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler import tasks
from osler.cohort import Cohort, Column
from osler.errors import CODES, TargetError
from osler.tasks.base import Prediction, Target
from osler.tasks.classification import positive_class


def table(values: list, modality: str = "category", **column) -> Cohort:
    """A cohort with one target column and an input."""
    frame = pl.DataFrame({"x": np.arange(len(values), dtype=float), "t": values}, strict=False)
    return Cohort(frame, (Column("x", "number"), Column("t", modality, role="target", **column)))


@pytest.mark.parametrize(
    ("values", "positive", "why"),
    [
        (["no", "yes", "no", "yes"], "yes", "means yes"),
        (["NO", "Yes", "NO", "Yes"], "Yes", "means yes"),
        (["alive", "dead", "alive", "dead"], "dead", "means yes"),
        (["benign", "malignant", "benign", "malignant"], "malignant", "means yes"),
        (["control", "als", "control", "als"], "als", "'control' means no"),
        (["0", "1", "0", "1"], "1", "means yes"),
        ([2, 4, 2, 4], "4", "larger of two numbers"),
        (["blue", "red", "red", "red"], "blue", "rarer"),
        (["blue", "red", "blue", "red"], "red", "later in sort order"),
        ([True, False, True, False], "true", "means yes"),
    ],
)
def test_the_positive_class_follows_the_written_rule(values, positive, why):
    (negative, found), reason = positive_class(table(values))
    assert found == positive
    assert negative != positive
    assert why in reason


def test_codes_mark_the_positive_rows():
    target = tasks.get("binary").target_of(table(["dead", "alive", "dead", "alive", "alive"]))
    assert target.y.tolist() == [1, 0, 1, 0, 0]
    assert target.y.dtype == np.int64
    assert target.classes == ("alive", "dead")


def test_a_declared_coding_gives_the_names():
    cohort = table([1, 2, 1, 2], coding={"1": "survived", "2": "died"})
    target = tasks.get("binary").target_of(cohort)
    assert target.classes == ("survived", "died")
    assert target.y.tolist() == [0, 1, 0, 1]


def test_a_coding_without_words_for_yes_uses_the_larger_stored_number():
    target = tasks.get("binary").target_of(table([1, 2, 1, 2, 1], coding={"1": "zeta", "2": "alpha"}))
    assert target.classes == ("zeta", "alpha")


@pytest.mark.parametrize(
    ("rule", "expected", "names"),
    [
        (">0", [0, 1, 1, 1, 0], ("<=0", ">0")),
        (">=2", [0, 0, 1, 1, 0], ("<2", ">=2")),
        ("<1", [1, 0, 0, 0, 1], (">=1", "<1")),
        ("=3", [0, 0, 0, 1, 0], ("!=3", "==3")),
    ],
)
def test_a_comparison_turns_a_number_into_yes_or_no(rule, expected, names):
    target = tasks.get("binary").target_of(table([0, 1, 2, 3, 0], "number", options={"positive": rule}))
    assert target.y.tolist() == expected
    assert target.classes == names


def test_a_declared_class_stands_against_all_others():
    cohort = table(["a", "b", "c", "b"], options={"positive": "b"})
    target = tasks.get("binary").target_of(cohort)
    assert target.y.tolist() == [0, 1, 0, 1]
    assert target.classes == ("not b", "b")


def test_a_declared_class_that_no_row_has_is_refused():
    with pytest.raises(TargetError, match="is in no row"):
        tasks.get("binary").check(table(["a", "b"], options={"positive": "z"}))


def test_an_external_table_is_read_in_the_terms_of_the_first():
    first = tasks.get("binary").target_of(table(["no", "yes", "no", "yes"]))
    other = table(["YES", "no", "maybe", None])
    task = tasks.get("binary")
    assert task.usable(other, first).tolist() == [True, True, False, False]
    assert task.target_of(other.where(task.usable(other, first)), first).y.tolist() == [1, 0]
    assert sorted(task.problems(other, first)) == [
        "target is a class that the model does not know",
        "target is missing",
    ]


def test_an_external_number_keeps_the_comparison():
    first = tasks.get("binary").target_of(table([0, 1, 2, 3], "number", options={"positive": ">0"}))
    assert tasks.get("binary").target_of(table([0, 4, 0], "number"), first).y.tolist() == [0, 1, 0]


def test_true_and_false_are_one_and_zero_elsewhere():
    first = tasks.get("binary").target_of(table([True, False, True, False], "boolean"))
    assert tasks.get("binary").target_of(table([1, 0, 1], "number"), first).y.tolist() == [1, 0, 1]


def test_an_unknown_class_in_target_of_names_rows_and_not_values():
    first = tasks.get("multiclass").target_of(table(["a", "b", "c"]))
    with pytest.raises(TargetError, match="row 2") as caught:
        tasks.get("multiclass").target_of(table(["a", "secret-value"]), first)
    assert "secret-value" not in caught.value.message


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([None, None, None], "target-constant"),
        (["yes", "yes", "yes"], "target-constant"),
        (["a", "b", "c", "a"], "target-class"),
        (["no", "no", "no", "yes"], "target-class"),
    ],
)
def test_a_binary_target_that_cannot_be_learnt_is_refused(values, code):
    with pytest.raises(TargetError) as caught:
        tasks.get("binary").check(table(values))
    assert caught.value.code == code
    assert caught.value.code in CODES
    assert "'t'" in caught.value.message


def test_no_target_and_two_targets_are_refused():
    frame = pl.DataFrame({"a": [0, 1], "b": [0, 1]})
    none = Cohort(frame, (Column("a", "number"), Column("b", "number")))
    with pytest.raises(TargetError, match="must be declared") as caught:
        tasks.get("binary").check(none)
    assert caught.value.code == "target-absent"
    two = none.declare(target=["a", "b"])
    with pytest.raises(TargetError, match="multilabel"):
        tasks.get("binary").check(two)


def test_a_class_of_one_patient_with_many_rows_is_refused():
    frame = pl.DataFrame({"who": [1, 1, 1, 2, 3, 4], "t": ["yes", "yes", "yes", "no", "no", "no"]})
    cohort = Cohort(frame, (Column("who", "category", role="unit"), Column("t", "category", role="target")))
    with pytest.raises(TargetError, match="independent units, has 1"):
        tasks.get("binary").check(cohort)


def test_multiclass_classes_are_ordered_as_numbers_or_as_the_coding():
    assert tasks.get("multiclass").target_of(table(["10", "9", "2"])).classes == ("2", "9", "10")
    coded = table([1, 2, 3], coding={"2": "mild", "1": "none", "3": "severe"})
    assert tasks.get("multiclass").target_of(coded).classes == ("mild", "none", "severe")
    assert tasks.get("multiclass").target_of(table(["b", "a", "c"])).classes == ("a", "b", "c")


def test_too_many_classes_are_taken_for_an_identifier():
    values = [f"id{i // 2}" for i in range(402)]
    with pytest.raises(TargetError, match="identifier"):
        tasks.get("multiclass").check(table(values))


def test_missing_codes_are_missing():
    cohort = table(["1", "2", "-9", "2"], options={"missing_codes": [-9]})
    assert tasks.get("multiclass").usable(cohort).tolist() == [True, True, False, True]


def test_case_weights_are_read_and_bad_ones_refused():
    frame = pl.DataFrame({"t": ["no", "yes", "no", "yes"], "w": [1.0, 2.0, -1.0, None]})
    cohort = Cohort(frame, (Column("t", "category", role="target"), Column("w", "number", role="weight")))
    task = tasks.get("binary")
    assert task.usable(cohort).tolist() == [True, True, False, False]
    assert task.target_of(cohort.where(task.usable(cohort))).weight.tolist() == [1.0, 2.0]


def test_the_baseline_is_the_class_shares():
    task = tasks.get("multiclass")
    target = task.target_of(table(["a", "a", "b", "c"]))
    baseline = task.baseline(target)
    assert baseline["shares"] == [0.5, 0.25, 0.25]
    assert task.predict_baseline(baseline, 2).value.tolist() == [[0.5, 0.25, 0.25]] * 2


def test_the_weighted_baseline_counts_weights():
    target = Target("binary", ("t",), np.array([0, 1]), classes=("n", "p"), weight=np.array([3.0, 1.0]))
    assert tasks.get("binary").baseline(target)["shares"] == [0.75, 0.25]


def test_loss_is_minus_log_of_what_happened():
    target = Target("binary", ("t",), np.array([1, 0]), classes=("n", "p"))
    loss = tasks.get("binary").loss(target, Prediction(np.array([[0.2, 0.8], [0.2, 0.8]])))
    assert loss == pytest.approx([-np.log(0.8), -np.log(0.2)])
    certain = tasks.get("binary").loss(target, Prediction(np.array([[1.0, 0.0], [1.0, 0.0]])))
    assert np.isfinite(certain).all()


def test_describe_says_what_is_positive_and_why():
    text = tasks.get("binary").describe(table(["no", "yes", None, "no"]))
    assert text == "'t' asks for 'yes' against 'no' ('yes' means yes): 1 of 3 rows"


def test_primary_metric_is_one_of_the_metrics_and_has_a_direction():
    for kind in ("binary", "multiclass", "multilabel", "regression"):
        task = tasks.get(kind)
        assert task.primary in task.metrics
        assert task.bigger_is_better is False
        assert task.kind == kind


def test_the_cleveland_heart_table_is_asked_as_any_disease(mirror):
    frame = pl.read_csv(mirror / "clinical" / "heart_cleveland.csv.gz", infer_schema_length=None)
    name = next(c for c in ("num", "target", "goal") if c in frame.columns)
    column = Column(name, "number", role="target", options={"positive": ">0"})
    cohort = Cohort(frame.select(name), (column,))
    task = tasks.get("binary")
    task.check(cohort)
    target = task.target_of(cohort)
    # Detrano et al., American Journal of Cardiology 1989;64:304-310: 303 patients, 139 with disease
    assert (len(target), int(target.y.sum())) == (303, 139)
    assert target.classes == ("<=0", ">0")
    with pytest.raises(TargetError, match="declare its option 'positive'"):
        task.check(Cohort(frame.select(name), (Column(name, "number", role="target"),)))
