"""What is printed: numbers with intervals, tables of scores, predictions of anyone's model, instruments."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from osler import tasks
from osler.cli import show
from osler.cli.show_foreign import show_foreign
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.instruments import Findings
from osler.report import words


def console(width: int = 100) -> Console:
    """A console that writes to memory."""
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def printed(where: Console) -> list[str]:
    """Its lines without trailing spaces."""
    return [line.rstrip() for line in where.file.getvalue().splitlines()]


def entry(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A score."""
    return {"value": value, "low": low, "high": high, "n": 10}


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (entry(0.91249, 0.8751, 0.9449), "0.912 (0.88-0.94)"),
        (entry(-0.047, -0.061, -0.034), "-0.047 (-0.06 to -0.03)"),
        (entry(0.01, -0.01, 0.03), "0.010 (-0.01 to 0.03)"),
        (entry(0.5), "0.500"),
        (entry(None), "-"),
        (None, "-"),
        ({}, "-"),
    ],
)
def test_a_number_has_its_interval(score: dict[str, Any] | None, text: str):
    assert show.number(score) == text


def test_scores_are_a_table_per_part_and_the_chosen_model_has_a_star():
    scores = {
        "chosen": "tree",
        "parts": {
            "cv": {"tree": {"auroc": entry(0.8, 0.7, 0.9)}, "baseline": {"auroc": entry(0.5, 0.4, 0.6)}},
            "site=[A]": {"tree": {"auroc": entry(0.75, 0.6, 0.85)}},
        },
    }
    where = console()
    show.show_scores(scores, "binary", where)
    lines = printed(where)
    assert lines[0] == "cv"
    assert lines[2].split() == ["tree", "*", "0.800", "(0.70-0.90)"]
    assert lines[3].split() == ["baseline", "0.500", "(0.40-0.60)"]
    assert "site=[A]" in lines


def test_metrics_that_do_not_fit_are_left_out_whole():
    by_model = {"tree": {name: entry(0.5, 0.4, 0.6) for name in show.SHOWN["binary"]}}
    narrow, wide = console(60), console(160)
    show.show_scores({"chosen": "tree", "parts": {"cv": by_model}}, "binary", narrow)
    show.show_scores({"chosen": "tree", "parts": {"cv": by_model}}, "binary", wide)
    assert all(len(line) <= 60 for line in printed(narrow))
    assert "auprc" not in printed(narrow)[1]
    assert printed(wide)[1].split()[:3] == ["model", "auroc", "brier"]
    assert "calibration intercept" in printed(wide)[1]


@pytest.fixture
def foreign() -> dict[str, Any]:
    """What the evaluation of two models' predictions returns, small."""
    scores = {"auroc": entry(0.9, 0.8, 0.95), "brier": entry(0.1, 0.08, 0.12)}
    level = {"group": "F", "hidden": "", "n": 80, "scores": {"auroc": entry(0.88, 0.8, 0.93)}}
    hidden = {"group": "M", "hidden": "fewer than 10", "n": None, "scores": {}}
    differences = {
        "auroc": {**entry(-0.05, -0.08, -0.02), "p_value": 0.01, "p_delong": 0.0004},
        "brier": {**entry(0.01, -0.01, 0.03), "p_value": 0.25},
    }
    refused = [
        {"column": "a", "reason": "the truth is missing", "rows": [3]},
        {"column": "b", "reason": "no number", "rows": [4, 5]},
    ]
    return {
        "task": "binary", "notes": ["'y' was taken for the truth"], "n": 100, "units": 90,
        "refused": refused,
        "scores": {"chosen": "a", "parts": {"holdout": {"a": scores, "b[red]": scores}}},
        "comparison": {"b[red]": differences},
        "subgroups": {"sex": {"a": [level, hidden], "b[red]": [level, hidden]}},
    }  # fmt: skip


def test_predictions_of_others_are_shown_with_differences_and_groups(foreign: dict[str, Any]):
    where = console()
    show_foreign(foreign, where)
    lines = printed(where)
    assert lines[:4] == [
        "'y' was taken for the truth.",
        "100 rows scored, 90 units",
        "1 row left out: the truth is missing",
        "2 rows left out: no number",
    ]
    text = "\n".join(lines)
    assert "*" not in text, "no model of theirs is chosen by us"
    difference = next(line for line in lines if line.startswith("b[red]") and "to" in line)
    assert difference.split() == [
        "b[red]",
        "-0.050",
        "(-0.08",
        "to",
        "-0.02)",
        "<0.001",
        "0.010",
        "(-0.01",
        "to",
        "0.03)",
        "0.250",
    ]
    assert next(line for line in lines if line.startswith("F ")).split()[:3] == ["F", "80", "0.880"]
    assert next(line for line in lines if line.startswith("M ")).count("hidden: few") == 2


def test_one_model_has_no_table_of_differences(foreign: dict[str, Any]):
    where = console()
    show_foreign({**foreign, "comparison": {}, "subgroups": {}}, where)
    assert not any("difference" in line for line in printed(where))


@dataclass(frozen=True)
class External:
    """What `osler.engine.external.evaluate` returns, small."""

    scores: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


def test_external_validation_names_repairs_apart(capsys: pytest.CaptureFixture[str]):
    parts = {
        part: {"tree": {"auroc": entry(0.8, 0.7, 0.9), "brier": entry(0.1, 0.05, 0.2)}}
        for part in ("holdout", "holdout_recalibrated")
    }
    facts = {
        "rows": 50,
        "shared": ["age", "sex"],
        "message": "not in this table: [b]lactate",
        "refit": "not needed",
        "recalibration_rows": 25,
    }
    show.show_external(External({"chosen": "tree", "parts": parts}, facts))
    out = capsys.readouterr().out
    assert "50 rows; predictors shared: 2; not in this table: [b]lactate" in out
    assert "recalibration learnt on 25 rows" in out
    assert "holdout recalibrated" in out


def test_instruments_print_facts_and_the_head_of_the_table(capsys: pytest.CaptureFixture[str], tmp_path):
    table = pl.DataFrame(
        {"_row": list(range(1, 31)), "name": ["[bold]x"] * 30, "x": [1.23456789] * 29 + [None]}
    )
    found = Findings(Cohort(table, (Column("name", "category"), Column("x", "number"))), {"k_chosen": 2})
    show.show_findings(found, tmp_path / "found.csv")
    out = capsys.readouterr().out
    assert "k chosen: 2" in out
    assert out.count("[bold]x") == 20
    assert "1.235" in out
    assert "_row" not in out
    assert (tmp_path / "found.csv").is_file()


def test_every_kind_of_question_has_its_measures_on_the_terminal_and_in_the_report():
    assert set(show.SHOWN) == set(words.LEADING) == set(tasks.INDEX)
    for task, names in show.SHOWN.items():
        where = console()
        row = {name: entry(0.5, 0.4, 0.6) for name in names}
        show.show_scores({"chosen": "m", "parts": {"cv": {"m": row}}}, task, where)
        assert "0.500 (0.40-0.60)" in " ".join(printed(where))
