"""What a run says about each sub-item: the sentences hold the run's own numbers, and nothing where it knows nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from osler.report import tripod
from osler.report.items import CARD_QUESTIONS, ITEMS, PROBAST_QUESTIONS, questions
from osler.report.tripod_texts import AUTO
from tests.report.hand import material, nothing
from tests.report.runs import KINDS, classes, members, regression, survival


def told(key: str, held: dict[str, Any] | None = None, **more: Any) -> str:
    """The text of one sub-item."""
    return AUTO[key](material(held, **more))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("1", "of a prediction model for disease with leave-one-site-out evaluation (200 cases)."),
        ("2", "Draft: Predicting disease. Judged on 200 cases"),
        ("4", "Development with internal validation of a model for disease (task: binary)."),
        ("5a", f"File heart table.csv. SHA-256 of the data: {'ab' * 32}."),
        ("5b", "No column of the prediction time was declared."),
        ("6a", "Column hospital names the site: 2 sites (north and south)."),
        ("6b", "Of 203 rows read, 3 were refused."),
        ("7", "Steps: read. Cells set missing because their value is impossible: 2; 2 findings of the quality checks"),
        ("8a", "Outcome column: disease. Classes: no (100) and yes (100). Positive: >0."),
        ("9a", "2 predictors, every column that was not given another role or left out: age and sex."),
        ("9b", "age (number), sex (boolean) and ward (category). Predictors recorded after the prediction time: not"),
        ("10", "Cases needed by criterion (Riley and others, BMJ 2020;368:m441): shrinkage 90 and optimism 150."),
        ("11", "Missing: sex 40.0% and age <10 cells."),
        ("12a", "5-fold cross-validation, repeated 1 time, whole units together (unit: row); 2 sites left out"),
        ("12c", "Models: logistic; penalties and stopping chosen inside each training part, no other tuning;"),
        ("12d", "Every one of 2 sites was left out of training once"),
        ("12e", "AUROC, Calibration slope, Brier score and Observed / expected, each with a 95.0% interval"),
        ("13", "None: no resampling and no class weights"),
        ("14", "Performance was measured by sex, with small groups hidden."),
        ("15", "Output: a probability. Calls are made from 0.500 on (rule: 0.5)."),
        ("18f", "Reproduce with: osler fit 'heart table.csv' --target disease"),
        ("20a", "203 rows read, 3 refused, 200 used (Outcome column: disease."),
        ("20b", "Table one by disease, and the table of columns"),
        ("21", "at north, left out of training: 120 cases and at south, left out of training: 80 cases."),
        ("23a", "logistic, cross-validation: AUROC 0.900 (0.850 to 0.940), Calibration slope 1.02 (0.80 to 1.30)"),
        ("23b", "north: AUROC 0.800 (0.700 to 0.900) and south: AUROC 0.700 (0.600 to 0.800)."),
        ("26", "Found here: unit overlap: unknown, no unit was declared."),
    ],
)  # fmt: skip
def test_a_binary_run_with_sites(key: str, text: str):
    assert text in told(key)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("1", "Development and hold-out evaluation of a prediction model for disease (200 cases)."),
        ("4", "Development and evaluation on a hold-out of a model for disease"),
        ("12a", "hold-out of 60 rows (0.3), looked at once."),
        ("15", "Output: a number with an interval."),
        (
            "16",
            "Development 140 rows, hold-out 60 rows (0.3); the same columns and outcome definition. Table one stands",
        ),
        ("21", "hold-out: 200 cases"),
        ("23a", "logistic, hold-out: Mean absolute error 44.1 (40.2 to 48.3) and R² 0.480 (0.400 to 0.550)."),
    ],
)
def test_a_regression_with_a_hold_out(key: str, text: str):
    assert text in told(key, regression(members()))


def test_a_survival_run_names_its_horizon_and_events():
    held = survival(members())
    assert "Duration: time; event: dead; horizon 5; 80 events." in told("8a", held)
    assert "a survival curve, and the probability of the event by 5" in told("15", held)
    assert told("21", held).endswith(" Events: 80.")
    assert "no formula for this task" in told("10", held)
    assert told("12d", held) == ""
    assert told("23b", held) == ""


def test_classes_of_a_run_with_three():
    held = classes(members())
    assert "a (90), b (60) and c (50)" in told("8a", held)
    assert told("21", held).endswith("a: 90, b: 60 and c: 50.")
    assert "a probability per class." in told("15", held)


def test_the_prediction_time_has_its_first_and_last_day():
    held = members()
    column = {"name": "seen", "role": "time", "summary": {"first": "2015-01-02", "last": "2019-12-30"}}
    held["facts"]["columns"].append(column)
    assert told("5b", held) == "The prediction time is column seen from 2015-01-02 to 2019-12-30."
    column["summary"] = None
    assert told("5b", held) == "The prediction time is column seen."


def test_choices_of_the_study_are_told():
    held = members()
    held["study"] |= {"imbalance": "balanced", "tune": 30, "input": ["age"], "level": 0.9}
    assert told("13", held).startswith("Class weights (balanced) in training")
    assert "30 trials of tuning per model inside each training part" in told("12c", held)
    assert "2 predictors, named by the user" in told("9a", held)
    assert "90.0% interval" in told("12e", held)


def test_reasons_of_refusals_are_counted():
    assert told("6b", refused={"age: no target": 2, "row: <b>": 1}) == (
        "Of 203 rows read, 3 were refused: age: no target (2) and row: <b> (1)."
    )


def test_a_table_that_a_program_handed_over_has_no_file():
    held = members()
    held["study"]["source"] = ""
    assert told("5a", held).startswith("The table was handed over by a program. SHA-256")
    held["study"]["source_sha256"] = ""
    assert told("5a", held) == "The table was handed over by a program. "


def test_all_checks_clean_leaves_only_what_was_not_tested():
    held = members()
    held["certificate"]["checks"] = [{"name": "a", "verdict": "clean", "detail": ""}]
    assert told("26", held) == "Every check of the certificate that applies is clean."
    held["scores"]["parts"] = {"cv": held["scores"]["parts"]["cv"]}
    assert told("26", held).endswith("Internal validation only: no other time or place.")


def test_no_missing_cell_is_said():
    held = members()
    for column in held["facts"]["columns"]:
        column["summary"]["missing"] = 0
    assert told("11", held).startswith("No cell is missing.")


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_is_one_line_of_a_report(kind: str):
    m = material(KINDS[kind](members()))
    for key, make in AUTO.items():
        text = make(m)
        assert "None" not in text.replace("None: no", "").replace("None was", ""), key
        assert "nan" not in text.split(), key
        assert "\n" not in text, key


def test_an_empty_run_crashes_nowhere():
    assert all(isinstance(make(nothing()), str) for make in AUTO.values())


def test_an_answer_beats_what_the_run_says_and_what_does_not_apply():
    filled = {f.item.key: f for f in tripod.fill(material(answers={"24": "Recalibrated in 2025", "3a": "Because"}))}
    assert (filled["24"].status, filled["24"].answer) == ("answered", "Recalibrated in 2025")
    assert (filled["3a"].status, filled["3a"].text) == ("answered", "")
    assert filled["3b"].status == "ask"
    assert filled["12f"].text == "The model was not updated."


def test_no_cell_of_the_csv_is_a_formula():
    filled = tripod.fill(material(answers={"3a": "=HYPERLINK(1)", "3b": "+1", "17": "@x", "18a": "a\n=b"}))
    found = {r["item"]: r for r in csv.DictReader(io.StringIO(tripod.to_csv(filled)))}
    assert found["3a"]["answer"] == "'=HYPERLINK(1)"
    assert found["3b"]["answer"] == "'+1"
    assert found["17"]["answer"] == "'@x"
    assert found["18a"]["answer"] == "a\n=b"
    assert len(found) == 52


def test_counts_of_the_json_are_those_of_the_list():
    filled = tripod.fill(material(answers={"17": "yes"}))
    held = tripod.to_json(filled)
    assert held["format"] == "osler.tripod/1"
    assert held["counts"]["ask"] == tripod.open_questions(filled)
    assert sum(held["counts"].values()) == len(held["items"]) == 52
    assert held["items"][0]["item"] == "1"


def test_questions_are_those_of_the_three_lists():
    assert set(questions()) == {i.key for i in ITEMS if i.question} | set(CARD_QUESTIONS) | set(PROBAST_QUESTIONS)
    assert all(text.endswith("?") or "?" in text for text in questions().values())
    assert [i.item for i in ITEMS] == sorted(i.item for i in ITEMS)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("binary", "Subgroups, calibration and decision curves: in this report."),
        ("regression", "Observed against predicted: in this report."),
        ("survival", "Calibration and curves of risk groups: in this report."),
        ("multiclass", "Calibration: in this report."),
    ],
)
def test_only_pictures_that_are_there_are_promised(kind: str, shown: str):
    assert told("23a", KINDS[kind](members())).endswith(shown)
    assert "in this report" not in AUTO["23a"](nothing())
