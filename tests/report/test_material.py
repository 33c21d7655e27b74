"""What a report is written from: members read once, odd ones as empty, and what is read off them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osler.report import material as module
from osler.report.material import MEMBERS, Material, clinical, command_of, holdout_sizes, is_path
from tests.report.hand import material, nothing
from tests.report.runs import estimate, members, regression, survival, write


def test_members_are_read_with_their_reasons_and_plan(tmp_path: Path):
    m = Material.load(write(tmp_path / "run"), {"17": "yes"})
    assert m.members["facts"]["rows_used"] == 200
    assert m.plan.startswith("# Plan")
    assert m.refused == {"age: no target": 2}
    assert m.answers == {"17": "yes"}


def test_a_row_that_is_refused_twice_counts_once_and_cells_do_not_count(tmp_path: Path):
    lines = [
        "row,column,reason,action",
        "4,age,no target,row refused",
        "4,sex,second reason,row refused",
        "5,,too long,row refused",
        "6,age,impossible,cell set missing",
    ]
    m = Material.load(write(tmp_path / "run", refusals="\n".join(lines) + "\n"))
    assert m.refused == {"age: no target": 1, "row: too long": 1}


def test_what_is_too_large_or_of_another_type_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = write(tmp_path / "run")
    (run / "findings.json").write_text('{"a": 1}')
    (run / "facts.json").write_text("[" * 100_000)
    monkeypatch.setattr(module, "LARGEST", 100_000)
    m = Material.load(run)
    assert m.members["findings"] == []
    assert m.members["facts"] == {}
    (run / "scores.json").write_text(json.dumps({"chosen": "x" * 100_001}))
    assert Material.load(run).members["scores"] == {}


def test_folders_of_this_machine_do_not_reach_the_report(tmp_path: Path):
    held = members()
    held["study"] |= {"holdout": "/home/someone/secret/later.csv", "labels": "C:\\people\\labels.csv"}
    run = write(tmp_path / "run", held)
    (run / "plan.md").write_text("hold-out: 60 rows (/home/someone/secret/later.csv)\n")
    m = Material.load(run)
    assert m.members["study"]["holdout"] == "later.csv"
    assert m.members["study"]["labels"] == "labels.csv"
    assert m.plan == "hold-out: 60 rows (later.csv)\n"
    assert m.source == "heart table.csv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("later.csv", False),
        ("folder/later.csv", True),
        ("..\\later.csv", True),
        ("/x.csv", True),
        ("year>=2015", False),
        ("unit=a/b", False),
        ("0.3", False),
        ("", False),
    ],
)
def test_a_rule_is_no_path(text: str, expected: bool):
    assert is_path(text) is expected


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/a/b c/t.csv", "t.csv"),
        ("C:\\data\\t.csv", "t.csv"),
        ("t.csv?token=1", "t.csv"),
        ("postgresql://user:secret@host/db?table=t", "postgresql database"),
        ("", ""),
    ],
)
def test_a_source_is_named_without_folders_or_secrets(source: str, shown: str):
    assert nothing(study={"source": source}).source == shown


def test_a_value_deep_inside_is_found_or_defaulted():
    m = nothing(curves={"a": {"b": {"c": 0, "d": None}}, "list": [1]})
    assert m.get("curves", "a", "b", "c", default=5) == 0
    assert m.get("curves", "a", "b", "d", default=5) == 5
    assert m.get("curves", "a", "x", "c") is None
    assert m.get("curves", "list", "0", default="no") == "no"
    assert m.get("curves", "list", default={}) == {}
    assert m.get("curves", "a", default=[]) == []
    assert m.get("nowhere", "a", default=3) == 3


def test_the_outcome_is_named_by_task():
    assert material().target == "disease"
    assert material(survival(members())).target == "dead"
    assert nothing(study={"task": "survival"}).target == "the event"
    assert nothing().target == "the outcome"
    assert nothing(study={"target": ["a", "b"]}).target == "a, b"


def test_the_leading_part_is_the_hold_out_if_there_is_one():
    assert material().part == "cv"
    assert material(regression(members())).part == "holdout"
    assert nothing().part == "cv"
    assert nothing(scores={"parts": {"training": {}, "odd": 3}}).part == "training"


def test_entries_models_sites_and_cases():
    m = material()
    assert m.models == ["logistic", "news2", "baseline"]
    assert clinical(m) == ["news2"]
    assert m.entry("auroc") == estimate(0.9, 0.85, 0.94)
    assert m.entry("auroc", "baseline")["value"] == 0.5
    assert m.entry("auroc", part="site=north")["n"] == 120
    assert m.entry("nothing") == {}
    assert sorted(m.sites) == ["north", "south"]
    assert (m.cases(), m.cases("site=south"), m.cases("else")) == (200, 80, 0)


def test_sizes_of_the_hold_out():
    assert holdout_sizes(material()) is None
    assert holdout_sizes(material(regression(members()))) == (140, 60)


def test_members_that_are_lists_of_odd_things_are_filtered():
    m = nothing(facts={"columns": [1, {"name": "a"}]}, certificate={"checks": ["x", {"name": "c"}]})
    assert m.columns == [{"name": "a"}]
    assert m.checks == [{"name": "c"}]
    assert m.unit == "row"
    assert set(MEMBERS) == set(m.members)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ({}, "osler fit TABLE --out RUN"),
        ({"target": ["a b", "c"]}, "osler fit TABLE --target 'a b' --target c --out RUN"),
        ({"explain": True, "scores": False}, "osler fit TABLE --no-scores --out RUN"),
        ({"seed": 7, "coverage": 0.8, "task": "auto"}, "osler fit TABLE --seed 7 --coverage 0.8 --out RUN"),
        ({"unknown": 1, "source": "x", "positive": "$(rm)"}, "osler fit TABLE --positive '$(rm)' --out RUN"),
    ],
)
def test_the_command_holds_what_differs_from_the_defaults(study: dict[str, Any], words: str):
    assert command_of(study, "") == words
