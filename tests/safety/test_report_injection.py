"""Hostile names in a table must be shown and never act: 500 payloads through every door that reaches a report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from osler.report.build import build
from tests.report.runs import Dom, dangers, estimate, members, write

PAYLOADS = [
    json.loads(line) for line in (Path(__file__).parent / "payloads.txt").read_text(encoding="utf-8").splitlines()
]
BATCH = 50


def poisoned(payloads: list[str]) -> dict[str, Any]:
    """A run whose columns, categories, classes, sites, files, findings and versions are the payloads."""
    held = members()
    first, second, third = payloads[:3]
    held["study"] |= {
        "target": [first],
        "source": f"/data/{second}.csv",
        "positive": third,
        "site": second,
        "holdout": third,
        "model": payloads[:4],
    }
    held["facts"] |= {"inputs": payloads, "classes": {first: 90, second: 110}, "card": {"target": [first]}, "study_digest": third,
                      "rank": {"logistic": {"unclear": [first], "sentences": [f"the data cannot tell apart {first} and {second}"]}}, "ensemble_weights": {first: 1.0}}  # fmt: skip
    held["facts"]["columns"] = [
        {"name": p, "modality": "category", "role": "input", "unit": p, "reason": p, "options": {"quantity_unit": p},
         "summary": {"n": 200, "missing": 100, "levels": 2, "counts": {p: 150, "b": 50}}}
        for p in payloads
    ]  # fmt: skip
    held["facts"]["table_one"] = [
        {"group": first, "columns": ["variable", *payloads[:5]], "rows": [[p] * 6 for p in payloads], "notes": [second]}
    ]
    own = {"auroc": estimate(0.9, 0.85, 0.94)}
    models = {"logistic": own, first: own, "baseline": own}
    held["scores"]["parts"] = {"cv": models, **{f"site={p}": {"logistic": own} for p in payloads}}
    curve = {"specificity": [1.0, 0.0], "sensitivity": [0.0, 1.0]}
    cv = held["curves"]["parts"]["cv"]
    by_class = {"slope": estimate(1, 0, 2), "curve": cv["calibration"]["curve"]}
    cv |= {
        "roc": {"logistic": curve, first: curve},
        "roc_by_class": {p: curve for p in payloads[:5]},
        "calibration_by_class": {p: by_class if k < 3 else {"hidden": p} for k, p in enumerate(payloads)},
        "compare": {first: {"auroc": estimate(0, -1, 1)}},
    }
    level = {"hidden": "", "n": 50, "scores": own}
    held["curves"]["subgroups"] = {p: [{"group": p, **level}, {"group": "x", "hidden": p}] for p in payloads}
    held["curves"]["sample_size"]["message"] = first
    held["certificate"]["unit"] = first
    held["certificate"]["checks"] = [
        {"name": p, "verdict": p if i else "unknown", "n": 1, "detail": p} for i, p in enumerate(payloads)
    ]
    held["findings"] = [
        {"code": p, "severity": "warning", "column": p, "n": 1, "message": p, "advice": p} for p in payloads
    ]
    held["explanation"] = {"importance": {p: estimate(0.1, 0.05, 0.2) for p in payloads}, "reason": first}
    held["environment"]["libraries"] = {p: p for p in payloads[:5]}
    held["cohort"] = {"lineage": [{"name": p} for p in payloads]}
    return held


def refused(payloads: list[str]) -> str:
    """A ledger with the payloads as column and reason."""
    cells = [p.replace('"', '""').replace("\x00", "") for p in payloads]
    return "row,column,reason,action\n" + "".join(f'{i},"{c}","{c}",row refused\n' for i, c in enumerate(cells))


def test_there_are_500_different_payloads():
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 500
    assert any(dangers(Dom(p)) for p in PAYLOADS)


@pytest.mark.parametrize("start", range(0, 500, BATCH))
def test_payloads_are_shown_and_do_nothing(tmp_path: Path, start: int):
    payloads = PAYLOADS[start : start + BATCH]
    run = write(tmp_path / "run", poisoned(payloads), refused(payloads))
    (run / "plan.md").write_text("\n".join(payloads), encoding="utf-8")
    answers = {"3a": payloads[0], "17": payloads[1], "card.owner": payloads[2], "26": payloads[3]}
    (run / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    written = build(run)
    for path in written:
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".html", ".svg"):
            assert dangers(Dom(text)) == [], path.name
        if path.suffix == ".svg":
            assert text.count("<svg") == 1
            assert text.endswith("</svg>")
    page = (run / "report.html").read_text(encoding="utf-8")
    dom = Dom(page)
    assert len(dom.named("h1")) == 1
    assert len(dom.named("main")) == 1
    assert len(dom.named("html")) == 1
    assert all(shown(p) in dom.text for p in payloads)


def shown(payload: str) -> str:
    """How a payload reads on the page: as it is, with invisible characters replaced and blanks collapsed."""
    return " ".join(payload.replace("\x00", "\ufffd").replace("\u202e", "\ufffd").split())


def test_the_card_shows_payloads_and_does_nothing(tmp_path: Path):
    run = write(tmp_path / "run", poisoned(PAYLOADS[::10]))
    build(run)
    card = (run / "card.md").read_text(encoding="utf-8")
    assert re.search(r"<[a-zA-Z/!]", card) is None
    assert re.search(r"(?<!\\)\]\(", card) is None
    assert "://" not in card


def test_spreadsheet_formulas_are_defused(tmp_path: Path):
    held = members()
    held["study"]["target"] = held["facts"]["card"]["target"] = ["=cmd|' /C calc'!A0"]
    run = write(tmp_path / "run", held)
    (run / "answers.json").write_text(json.dumps({"3a": '=HYPERLINK("x")', "17": "@SUM(A1)"}), encoding="utf-8")
    build(run)
    import csv

    cells = [c for row in csv.reader((run / "tripod.csv").open(encoding="utf-8")) for c in row]
    assert '\'=HYPERLINK("x")' in cells
    assert "'@SUM(A1)" in cells
    assert not [c for c in cells if c[:1] in ("=", "+", "-", "@", "\t")]


def test_no_folder_of_the_user_is_shown(tmp_path: Path):
    run = write(tmp_path / "someone-private" / "run")
    build(run)
    for path in run.rglob("*"):
        if path.suffix in (".html", ".md", ".csv", ".svg") and path.name not in ("refusals.csv", "plan.md"):
            text = path.read_text(encoding="utf-8")
            assert "/home/someone" not in text, path.name
            assert "someone-private" not in text, path.name
    assert "heart table.csv" in (run / "report.html").read_text(encoding="utf-8")
