"""The first screen: every sentence and figure follows from the numbers, and is left out where there are none."""

from __future__ import annotations

from typing import Any

import pytest

from osler.report import summary
from tests.report.hand import material, nothing
from tests.report.runs import KINDS, Dom, classes, estimate, members, regression, survival


def said(held: dict[str, Any], questions: int = 0) -> list[str]:
    """The sentences of a run."""
    return [str(s) for s in summary.sentences(material(held), questions)]


@pytest.mark.parametrize(
    ("kind", "title", "question"),
    [
        ("binary", "Predicting disease", "whether disease is >0, for 200 cases in heart table.csv?"),
        ("multiclass", "Predicting disease", "which class of disease a case has, for 200 cases"),
        ("regression", "Predicting disease", "the value of disease, for"),
        ("survival", "Predicting the time to dead", "when the event (dead) happens, for"),
    ],
)
def test_title_and_question_by_task(kind: str, title: str, question: str):
    m = material(KINDS[kind](members()))
    assert summary.title(m) == title
    assert summary.question(m).startswith("Can 2 predictors tell ")
    assert question in summary.question(m)


def test_the_positive_class_is_the_last_one_where_no_rule_was_given():
    held = members()
    held["study"]["positive"] = ""
    assert "whether disease is yes" in summary.question(material(held))
    held["facts"]["classes"] = {}
    assert "whether disease is positive" in summary.question(material(held))
    held["study"]["source"] = ""
    assert summary.question(material(held)).endswith("for 200 cases?")


def test_the_kicker_says_what_kind_of_study_it_is():
    assert summary.kicker(material()) == (
        "Prediction model: development with internal validation · outcome: yes or no · Osler 0.1.0"
    )
    assert "development and hold-out evaluation · outcome: a number" in summary.kicker(material(regression(members())))
    assert "outcome: unknown" in summary.kicker(nothing())


def test_a_run_without_scores_says_so():
    made = summary.summary(nothing(), 5)
    assert Dom(made).text == "This run holds no scores: there is nothing to summarise."


def test_four_figures_stand_on_the_first_screen():
    made = Dom(summary.summary(material(), 0))
    cells = [a for a in made.named("p") if a.get("class") == "figure"]
    assert len(cells) == 4
    for text in (
        "AUROC 0.90 95% interval 0.85 to 0.94, cross-validation, n 200; baseline 0.50",
        "Calibration slope 1.02 95% interval 0.80 to 1.30, cross-validation, n 200",
        "AUROC at sites left out 0.70 to 0.80 lowest and highest of 2 sites",
        "Leakage certificate ✓ clean 4 checks; unit of independence: row",
    ):
        assert text in made.text


def test_the_figures_of_a_regression_have_its_unit():
    made = Dom(summary.summary(material(regression(members())), 0)).text
    assert "Mean absolute error 44.1 95% interval 40.2 to 48.3, hold-out, n 200; baseline 66.0" in made
    assert "R² 0.48" in made
    assert "at sites left out" not in made


def test_how_good_is_said_by_task():
    assert any("the model ranks about 90 the right way round. Model: logistic." in s for s in said(members()))
    assert any("had the higher predicted risk in about 70." in s for s in said(survival(members())))
    told = said(regression(members()))
    assert any("kept apart until the end: a prediction is off by 44.1 (40.2 to 48.3) on average" in s for s in told)
    held = classes(members())
    held["scores"]["parts"]["cv"] = {"logistic": {"accuracy": estimate(0.7, 0.6, 0.8)}}
    assert any("accuracy is 0.700 (0.600 to 0.800). Model" in s for s in said(held))


@pytest.mark.parametrize(
    ("own", "base", "word"),
    [
        ((0.7, 0.51, 0.9), 0.5, "That is clearly better than"),
        ((0.7, 0.49, 0.9), 0.5, "That is not clearly better than"),
        ((0.3, 0.2, 0.4), 0.5, "That is not clearly better than"),
    ],
)
def test_better_means_that_the_interval_lies_above_the_baseline(own: tuple[float, ...], base: float, word: str):
    held = members()
    cv = held["scores"]["parts"]["cv"]
    cv["logistic"]["auroc"], cv["baseline"]["auroc"] = estimate(*own), estimate(base, base, base)
    assert any(s.startswith(word) for s in said(held))


@pytest.mark.parametrize(("high", "word"), [(65.9, "clearly better"), (66.1, "not clearly better")])
def test_a_smaller_error_is_better(high: float, word: str):
    held = regression(members())
    held["scores"]["parts"]["holdout"]["logistic"]["mae"]["high"] = high
    assert any(s.startswith(f"That is {word}") and "66.0 (60.0 to 72.0)" in s for s in said(held))


def test_no_interval_or_no_baseline_means_no_comparison():
    held = members()
    held["scores"]["parts"]["cv"]["logistic"]["auroc"]["low"] = None
    assert not any("clearly better" in s for s in said(held))
    held = members()
    del held["scores"]["parts"]["cv"]["baseline"]
    assert not any("clearly better" in s for s in said(held))


def test_absent_clinical_scores_are_told_where_they_could_be():
    held = members()
    del held["scores"]["parts"]["cv"]["news2"]
    assert any(s.startswith("No score that clinicians already use was compared") for s in said(held))
    assert not any("clinicians" in s for s in said(regression(members())))


def test_outcomes_seen_per_hundred_expected():
    held = members()
    held["scores"]["parts"]["cv"]["logistic"]["observed_expected"] = estimate(0.876, 0.8, 0.95)
    assert any(s.endswith("for every 100 expected outcomes 88 were seen (80 to 95).") for s in said(held))
    held["scores"]["parts"]["cv"]["logistic"]["observed_expected"]["low"] = None
    assert any("88 were seen (– to 95)" in s for s in said(held))
    del held["scores"]["parts"]["cv"]["logistic"]["calibration_slope"]
    assert not any("Predictions are" in s for s in said(held))


def test_where_nothing_else_was_tested_that_is_said():
    held = members()
    held["scores"]["parts"] = {"cv": held["scores"]["parts"]["cv"]}
    assert "No other hospital was tested: how it does elsewhere is not known." in said(held)
    assert not any("hospital" in s for s in said(regression(members())))
    held = members()
    for site in ("site=north", "site=south"):
        held["scores"]["parts"][site]["logistic"]["auroc"]["value"] = None
    assert not any("site it never saw" in s or "hospital" in s for s in said(held))


def test_what_is_missing_is_told_to_the_end():
    told = said(members(), 1)
    assert told[-1] == "1 question of the TRIPOD+AI checklist can only be answered by you (answers.yaml)."
    assert told[-2].startswith("The data cannot tell apart a and b")
    assert told[-3] == "Often not measured: sex (40.0%)."
    assert told[-4] == "200 people are enough for 4 candidate parameters."
    held = members()
    for entry in held["facts"]["columns"]:
        entry["summary"] = {}
    held["facts"]["rank"] = {"logistic": {"unclear": []}, "odd": 3}
    held["curves"]["sample_size"] = {}
    told = said(held)
    assert not any("Often not measured" in s or "cannot tell apart" in s or "answers.yaml" in s for s in told)


def test_a_column_with_exactly_three_tenths_missing_is_not_often_missing():
    held = members()
    held["facts"]["columns"][1]["summary"]["missing"] = 60
    assert not any("Often not measured" in s for s in said(held))
    held["facts"]["columns"][1]["summary"]["missing"] = 61
    assert "Often not measured: sex (30.5%)." in said(held)
