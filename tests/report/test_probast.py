"""Risk of bias: every pre-answer follows from its evidence, and without evidence nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from osler.report.probast import ANSWERS, judge
from tests.report.hand import material, nothing
from tests.report.runs import classes, estimate, members, regression, survival

SOURCE = "Is the source of the data fit for the intended use?"
INCLUDED = "Were all eligible people analysed, and were exclusions proper?"
TIMELY = "Are all predictors known at the time of prediction?"
INDEPENDENT = "Was the outcome determined without the predictors in it?"
ENOUGH = "Were there enough people and events?"
MISSING = "Were missing data handled properly?"
OPTIMISM = "Were over-fitting and optimism accounted for?"
CALIBRATED = "Was calibration assessed beside discrimination?"
APART = "Was the model evaluated on people, places or times that were kept apart?"


def answers(held: dict[str, Any] | None = None, **more: Any) -> dict[str, tuple[str, str]]:
    """Question → answer and evidence."""
    return {j.question: (j.answer, j.evidence) for j in judge(material(held, **more))}


def check(name: str, verdict: str) -> dict[str, Any]:
    """A check of a certificate."""
    return {"name": name, "verdict": verdict, "n": 0, "detail": ""}


def test_twelve_questions_in_the_order_of_the_domains():
    judged = judge(nothing())
    assert [j.domain for j in judged] == [
        "Participants and data", "Participants and data", "Predictors", "Predictors", "Outcome", *["Analysis"] * 7,
    ]  # fmt: skip
    assert len({j.question for j in judged}) == 12
    assert {j.answer for j in judged} <= set(ANSWERS)
    assert all(j.evidence for j in judged)


def test_the_source_is_what_the_user_says():
    assert answers()[SOURCE] == ("cannot tell", "asked in answers.yaml (probast.source)")
    assert answers(answers={"probast.source": "a cohort"})[SOURCE] == ("probably yes", "answered: a cohort")


@pytest.mark.parametrize(
    ("refused", "answer"), [(0, "yes"), (10, "probably yes"), (11, "probably no"), (200, "probably no")]
)
def test_few_rows_may_be_refused(refused: int, answer: str):
    held = members()
    held["facts"] |= {"rows_read": 200, "rows_refused": refused}
    assert answers(held)[INCLUDED] == (answer, f"participant flow: {refused} of 200 rows refused")


def test_without_row_accounting_nobody_can_tell():
    assert {j.question: j.answer for j in judge(nothing())}[INCLUDED] == "cannot tell"


@pytest.mark.parametrize(
    ("verdict", "time", "answer"),
    [
        ("clean", "date", "yes"),
        ("clean", "", "cannot tell"),
        ("violated", "", "no"),
        ("unknown", "date", "cannot tell"),
        ("not applicable", "date", "cannot tell"),
    ],
)
def test_predictors_are_timely_only_where_a_time_was_declared(verdict: str, time: str, answer: str):
    held = members()
    held["study"]["time"] = time
    held["certificate"]["checks"] = [check("predictors after the prediction time", verdict)]
    assert answers(held)[TIMELY][0] == answer


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        (("clean", "clean"), "probably yes"),
        (("clean", "unknown"), "cannot tell"),
        (("unknown", "violated"), "no"),
        (("not applicable",), "cannot tell"),
        ((), "cannot tell"),
    ],
)
def test_the_worst_check_decides(verdicts: tuple[str, ...], answer: str):
    held = members()
    names = ("target among inputs", "giveaway predictors")
    held["certificate"]["checks"] = [check(n, v) for n, v in zip(names, verdicts)]
    got, evidence = answers(held)[INDEPENDENT]
    assert got == answer
    for name, verdict in zip(names, verdicts):
        assert f"{name}: {verdict}" in evidence


@pytest.mark.parametrize(("n", "answer"), [(149, "probably no"), (150, "yes"), (151, "yes")])
def test_enough_is_the_largest_criterion(n: int, answer: str):
    held = members()
    held["curves"]["sample_size"]["n"] = n
    assert answers(held)[ENOUGH][0] == answer


@pytest.mark.parametrize(
    ("events", "answer"), [(80, "probably yes"), (79, "cannot tell"), (40, "cannot tell"), (39, "probably no")]
)
def test_events_per_parameter_decide_where_there_is_no_formula(events: int, answer: str):
    held = survival(members())
    held["facts"]["events"] = events
    assert answers(held)[ENOUGH] == (answer, f"sample size: {events / 4:.1f} events per candidate parameter")


def test_a_task_without_a_formula_cannot_tell():
    held = classes(members())
    assert answers(held)[ENOUGH] == ("cannot tell", "sample size: no formula for this task")


def test_missing_cells_are_counted_by_predictor():
    held = members()
    got, evidence = answers(held)[MISSING]
    assert got == "cannot tell"
    assert evidence.startswith("columns: 2 predictors with missing cells")
    held["certificate"]["checks"].append(check("missingness gives the target away", "clean"))
    assert answers(held)[MISSING][0] == "probably yes"
    for column in held["facts"]["columns"]:
        column["summary"]["missing"] = 0
    assert answers(held)[MISSING] == ("yes", "columns: no predictor has a missing cell")


def test_optimism_needs_clean_splits_and_states():
    held = members()
    assert answers(held)[OPTIMISM][0] == "yes"
    held["certificate"]["checks"][1]["verdict"] = "violated"
    assert answers(held)[OPTIMISM][0] == "no"


def test_calibration_is_there_or_not():
    assert answers()[CALIBRATED][0] == "yes"
    held = members()
    held["scores"]["parts"]["cv"]["logistic"] = {"auroc": estimate(0.9, 0.8, 1.0)}
    assert answers(held)[CALIBRATED][0] == "no"
    held["scores"]["parts"]["cv"]["logistic"] = {"ece": estimate(0.01, 0.0, 0.02)}
    assert answers(held)[CALIBRATED][0] == "yes"
    assert {j.question: j.answer for j in judge(nothing())}[CALIBRATED] == "cannot tell"


def test_other_people_and_places():
    assert answers()[APART] == ("probably yes", "sites left out in turn")
    held = members()
    held["scores"]["parts"] = {"cv": held["scores"]["parts"]["cv"]}
    assert answers(held)[APART][0] == "no"
    held = regression(members())
    held["certificate"]["checks"].append(check("hold-out kept apart", "clean"))
    assert answers(held)[APART] == ("yes", "certificate: hold-out kept apart: clean")
