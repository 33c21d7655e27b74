"""Every table: its cells say what the run says, small counts are hidden, and what is absent leaves no table."""

from __future__ import annotations

import math
from typing import Any

import pytest

from osler.report import tables
from tests.report.hand import material, nothing, rows
from tests.report.runs import Dom, dangers, estimate, members, regression, survival


def text(markup: object) -> str:
    """What a reader sees."""
    return Dom(str(markup)).text


def test_nothing_makes_no_table():
    empty = nothing()
    for make in (
        tables.thresholds,
        tables.columns,
        tables.table_one,
        tables.findings,
        tables.sample_size,
        tables.coverage,
    ):
        assert make(empty) is None, make.__name__
    for make in (tables.all_scores, tables.comparison, tables.confusion, tables.drift):
        assert make(empty, "cv") is None, make.__name__
    assert tables.scores(empty, "cv", "Models") is None
    assert "holds no certificate" in tables.certificate(empty)


@pytest.mark.parametrize(
    ("verdict", "shown", "class_"),
    [
        ("clean", "✓ clean", "mark clean"),
        ("violated", "✕ violated", "mark violated"),
        ("not applicable", "– not applicable", "mark not-applicable"),
        ("<b>", "? unknown", "mark unknown"),
    ],
)
def test_a_verdict_is_a_symbol_a_word_and_a_class(verdict: str, shown: str, class_: str):
    assert tables.mark(verdict) == f'<span class="{class_}">{shown}</span>'


def test_the_certificate_counts_its_checks():
    made = tables.certificate(material())
    assert rows(made) == [
        ["Check", "Verdict", "Found", "Detail"],
        ["unit overlap", "? unknown", "0", "no unit was declared"],
        ["fitted states", "✓ clean", "0", "as split"],
        ["time order", "– not applicable", "0", ""],
        ["split membership", "✓ clean", "0", ""],
    ]
    said = text(made)
    assert "Not proven, because it could not be checked: unit overlap." in said
    assert "Unit of independence: row. 4 checks, 1 without an answer. 1 fitted state traced" in said
    assert "Nothing was found on both sides of any split" in said


@pytest.mark.parametrize(
    ("verdict", "said"),
    [("violated", "must not be used as they are"), ("unknown", "could not be established"), ("odd", "could not be")],
)
def test_the_seal_says_what_a_verdict_means(verdict: str, said: str):
    held = members()
    held["certificate"] |= {"verdict": verdict, "checks": []}
    made = tables.certificate(material(held))
    assert said in text(made)
    assert "Not proven" not in text(made)
    assert "<details open=" in made


def test_models_stand_with_the_chosen_first_and_the_baseline_last():
    made = tables.scores(material(), "cv", "Models")
    assert made is not None
    head, *body = rows(made)
    assert head == ["Model", "n", "AUROC", "Calibration slope", "Brier score"]
    assert body == [
        ["logistic (chosen)", "200", "0.900 0.850 to 0.940", "1.02 0.80 to 1.30", "0.120 0.100 to 0.150"],
        ["news2 (clinical score)", "200", "0.700 0.600 to 0.800", "–", "–"],
        ["baseline (same for everyone)", "200", "0.500 0.500 to 0.500", "–", "0.250 0.240 to 0.260"],
    ]
    assert "AUROC: chance that a case with the outcome" in text(made)


def test_a_site_with_few_cases_hides_their_number():
    held = members()
    held["scores"]["parts"]["site=north"]["logistic"]["auroc"]["n"] = 7
    made = tables.scores(material(held), "site=north", "Models at north")
    assert made is not None
    assert rows(made)[1][1] == "<10"


def test_measures_that_are_asked_for_are_shown_and_unknown_tasks_show_the_first_four():
    made = tables.scores(material(), "cv", "Models", metrics=["observed_expected"])
    assert made is not None
    assert rows(made)[0] == ["Model", "n", "Observed / expected"]
    held = members()
    held["facts"]["task"] = held["study"]["task"] = "ranking"
    made = tables.scores(material(held), "cv", "Models")
    assert made is not None
    assert rows(made)[0][2:] == ["AUROC", "Calibration slope", "Brier score", "Observed / expected"]


def test_every_measure_stands_beside_the_baseline():
    made = tables.all_scores(material(), "cv")
    assert made is not None
    assert rows(made)[1:] == [
        ["AUROC", "200", "0.900 (0.850 to 0.940)", "0.500 (0.500 to 0.500)"],
        ["Calibration slope", "200", "1.02 (0.80 to 1.30)", "–"],
        ["Brier score", "200", "0.120 (0.100 to 0.150)", "0.250 (0.240 to 0.260)"],
        ["Observed / expected", "200", "1.00 (0.90 to 1.10)", "–"],
    ]


def test_differences_have_their_p_value():
    made = tables.comparison(material(), "cv")
    assert made is not None
    assert rows(made) == [["Model", "AUROC"], ["news2", "−0.200 −0.300 to −0.100, p < 0.001"]]
    held = members()
    held["curves"]["parts"]["cv"]["compare"] = {"tree": {"odd one": {**estimate(0.01, -0.02, 0.04), "p_value": 0.04}}}
    made = tables.comparison(material(held), "cv")
    assert made is not None
    assert rows(made) == [["Model", "odd one"], ["tree", "0.010 −0.020 to 0.040, p 0.040"]]


def test_thresholds_hide_both_of_two_counts_with_a_known_sum():
    made = tables.thresholds(material())
    assert made is not None
    assert rows(made)[1] == [
        "Chosen",
        "0.500",
        "hidden",
        "20",
        "<10",
        "80",
        "95.5% 90.0 to 99.0",
        "80.0% 70.0 to 90.0",
        "83.0% 75.0 to 90.0",
        "95.0% 90.0 to 98.0",
    ]
    held = members()
    held["curves"]["thresholds"]["chosen"] |= {"low": 0.4, "high": 0.625}
    assert rows(tables.thresholds(material(held)))[1][1] == "0.500 0.400 to 0.625"
    held = members()
    point = held["curves"]["thresholds"].pop("chosen")
    held["curves"]["thresholds"] = {"youden": {**point, "fn": 10, "tp": 90}, "own <rule>": {**point, "ppv": None}}
    made = tables.thresholds(material(held))
    assert made is not None
    assert [r[0] for r in rows(made)[1:]] == ["Youden index", "own <rule>"]
    assert rows(made)[1][2:6] == ["90", "20", "10", "80"]
    assert rows(made)[2][8] == "–"
    assert "own &lt;rule&gt;" in made


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("0.90 (0.88 to 0.92)", "0.90<small>0.88 to 0.92</small>"),
        ("–", "–"),
        ("0.9 (no interval)", "0.9<small>no interval</small>"),
        ("<5 (x)", "&lt;5<small>x</small>"),
    ],
)
def test_an_interval_goes_below_its_value(given: str, shown: str):
    assert tables.stacked(given) == shown


def test_a_confusion_table_hides_small_cells_and_needs_its_classes():
    held = members()
    held["facts"]["classes"] = {"a": 90, "b": 60}
    held["curves"]["parts"]["cv"]["confusion_matrix"] = [[80, 10], [9, 51]]
    made = tables.confusion(material(held), "cv")
    assert made is not None
    assert rows(made) == [["", "called a", "called b"], ["is a", "80", "10"], ["is b", "<10", "51"]]
    held["facts"]["classes"] = {"a": 90}
    assert tables.confusion(material(held), "cv") is None


def test_columns_have_summaries_and_hidden_counts():
    made = tables.columns(material())
    assert made is not None
    assert rows(made)[1:] == [
        ["age", "input", "number", "years", "54 [47.5 to 61]", "<10", "numbers"],
        ["sex", "input", "boolean", "", "<10 yes", "80 (40.0%)", ""],
        ["ward", "input", "category", "", "east 196; west <10", "0 (0.0%)", ""],
    ]


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({}, "–"),
        ({"median": -1234.5, "q1": None, "q3": math.nan}, "−1,234 [– to –]"),
        ({"n": 100, "missing": 20, "yes": 40}, "40 yes (50.0%)"),
        ({"n": 100, "missing": 20, "yes": 75}, "75 yes"),
        (
            {"levels": 9, "counts": {f"k{i}": 20 for i in range(9)}},
            "; ".join(f"k{i} 20" for i in range(6)) + "; 3 more",
        ),
        ({"levels": 1200}, "1,200 levels"),
        ({"median": True}, "–"),
    ],
)
def test_a_summary_in_a_few_words(summary: dict[str, Any], said: str):
    assert tables.summarised(summary) == said


def test_units_may_stand_in_the_options_of_a_column():
    held = members()
    held["facts"]["columns"] = [{"name": "dose", "options": {"quantity_unit": "mg"}, "summary": None}]
    made = tables.columns(material(held))
    assert made is not None
    assert rows(made)[1] == ["dose", "", "", "mg", "–", "–", ""]


def test_table_one_names_a_variable_once():
    held = members()
    held["facts"]["table_one"] = [
        {
            "group": "",
            "columns": ["variable", "level", "statistic", "all", "p"],
            "rows": [["sex", "f", "n", "80", "0.1"], ["sex", "m", "n", "120", ""]],
            "notes": ["a note"],
        },
        {"group": "x", "rows": []},
        "odd",
    ]
    made = tables.table_one(material(held))
    assert made is not None
    assert rows(made) == [
        ["Variable", "Level", "Statistic", "all", "p value"],
        ["sex", "f", "n", "80", "0.1"],
        ["", "m", "n", "120", ""],
    ]
    assert "a note." in text(made)
    assert "Table one: who is in it" in text(made)
    assert ", by" not in text(made)


def test_findings_stand_worst_first():
    held = members()
    held["findings"] += [
        {"severity": "stop", "message": "<b>", "advice": "leave it"},
        {"severity": "odd", "message": "m"},
        3,
    ]
    made = tables.findings(material(held))
    assert made is not None
    assert [r[0] for r in rows(made)[1:]] == ["✕ stop", "! warning", "· note", "· note"]
    assert [r[2] for r in rows(made)[1:]] == ["leave it", "ask whether one person was entered twice", "–", "–"]
    assert dangers(Dom(made)) == []
    assert "&lt;b&gt;" in made


def test_row_accounting_adds_up_in_words():
    made = tables.refusals(material(refused={"age: no target": 2, "row: too long": 1}))
    assert "203 rows read = 200 used + 3 refused." in text(made)
    assert "impossible: 2." in text(made)
    assert rows(made) == [["Reason", "Rows"], ["age: no target", "2"], ["row: too long", "1"]]
    assert rows(tables.refusals(nothing())) == []
    assert "– rows read = – used + 0 refused" in text(tables.refusals(nothing()))


def test_sample_size_lists_its_criteria_and_events_per_parameter():
    made = tables.sample_size(material())
    assert made is not None
    assert rows(made)[1:] == [["shrinkage", "90"], ["optimism", "150"]]
    # 100 of the rarer outcome for 4 parameters
    assert "There are 25.0 cases with the rarer outcome per candidate parameter (4 of them)." in text(made)
    assert "performance seen out of fold" in text(made)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (survival(members()), "There are 20.0 events per candidate parameter (4 of them)."),
        (
            {"facts": {"task": "regression", "rows_used": 30}, "curves": {"sample_size": {"parameters": 4}}},
            "There are 7.5 cases",
        ),
        ({"facts": {"task": "survival"}, "curves": {"sample_size": {"parameters": 3}}}, "There are 0.0 cases per"),
        ({"curves": {"sample_size": {"message": "enough"}}}, "enough"),
    ],
)
def test_sample_size_of_other_tasks(held: dict[str, Any], said: str):
    assert said in text(tables.sample_size(material(held)))


def test_coverage_in_a_sentence():
    said = text(tables.coverage(material()))
    assert (
        "Conformal prediction sets with a wanted coverage of 90% held the truth in 91.0% (87.0 to 95.0) of 200" in said
    )
    assert said.endswith("1.20 answers per case on average.")
    said = text(tables.coverage(material(regression(members()))))
    assert "prediction intervals" in said
    assert said.endswith("mean width 180.")
    assert tables.coverage(nothing(curves={"coverage": {"value": math.nan}})) is None


def test_drift_shows_what_moved_most_first_and_no_more_than_asked():
    entry = {"missing_before": None, "missing_after": 0.126}
    columns = {f"c{i}": {"psi": i / 100, "verdict": "stable", **entry} for i in range(5)}
    columns |= {"lost": {"psi": None, "verdict": "new <kind>", **entry}, "odd": "x"}
    held = {"curves": {"drift": {"site=A": {"columns": columns}}}}
    made = tables.drift(material(held), "site=A", most=3)
    assert made is not None
    assert rows(made)[1:] == [[f"c{i}", "✓ stable", f"0.0{i}", "–", "13%"] for i in (4, 3, 2)]
    assert "Predictors at A against" in text(made)
    assert "The 3 least different are not shown." in text(made)
    assert "reaches AUROC –; 0.5" in text(made)
    everything = tables.drift(material(held), "site=A")
    assert everything is not None
    assert rows(everything)[-1][1:3] in (["new <kind>", "–"], ["✓ stable", "0.00"])
    assert "new &lt;kind&gt;" in everything
