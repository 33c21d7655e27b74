"""The page of an optimisation, from files written by hand: from lead to best, the front to scale, everything that was asked."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from osler.report import optimising

pytest.importorskip("rdkit")
SVG = "{http://www.w3.org/2000/svg}"
HEAD = "place,smiles,score,unmet,herg_cautious,herg,sa,qed,similarity,round,method,change,parent"
ROWS = (
    "1,CCCCc1ccccc1,-0.9,0,0.9,0.8,1.2,0.5,1.0,0,start,lead,", "2,CCCCc1ccccn1,-0.5,0,0.5,0.4,1.5,0.6,0.7,1,edits,aromatic CH to N,CCCCc1ccccc1",
    "3,CCCOc1ccccn1,-0.3,0,0.3,0.2,1.7,0.7,0.4,1,genetic,atom replaced,CCCCc1ccccn1", "4,CCC,-0.1,1,0.1,0.0,1.1,0.4,0.1,1,genetic,crossover,CCC",
)  # fmt: skip


def facts() -> dict[str, Any]:
    """optimise.json by hand."""
    lead = {"smiles": "CCCCc1ccccc1", "herg": 0.8, "herg_cautious": 0.9, "similarity": 1.0, "sa": 1.2, "qed": 0.5, "unmet": 0, "change": "lead"}
    return {
        "aims": [{"column": "herg", "sign": -1, "worst": None, "best": None}], "conditions": ["logd<=3.2", "herg_in_domain=true"],
        "axes": ["herg_cautious", "similarity"], "lead": lead, "best": lead | {"smiles": "CCCOc1ccccn1", "herg": 0.2, "herg_cautious": 0.3, "similarity": 0.4},
        "scored": 4, "budget": 4, "rounds": 2, "meet_every_condition": 3, "front": 3, "ran_dry": False, "caution": {"herg": "the worse end"},
        "best_so_far": [[1, -0.9], [2, -0.5], [3, -0.3]], "scored_by_method": {"start": 1, "edits": 1, "genetic": 2},
        "passed_over": {"too hard to make": 17}, "scored_sha256": "ab12", "options": {"run": ["runs/<x>"], "seed": 0},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the engine writes."""
    (tmp_path / "optimise.json").write_text(json.dumps(facts()))
    for name, rows in (("scored", ROWS), ("best", (ROWS[2], ROWS[1], ROWS[0], ROWS[3])), ("front", ROWS[:3])):
        (tmp_path / f"{name}.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return tmp_path


def test_the_page_goes_from_the_lead_to_the_best(folder: Path):
    optimising.build(folder)
    text = (folder / "report.html").read_text()
    assert re.findall(r'class="figure">([^<]+)<', text) == ["0.80 → 0.20", "0.40", "4 of 4", "3"]
    assert "cautious value 0.90 → 0.30" in text
    assert "<strong>the lead</strong>" in text
    assert "1. atom replaced" in text
    assert text.count('class="molecule"') == 5


def test_everything_that_was_asked_and_done_is_there(folder: Path):
    optimising.build(folder)
    text = (folder / "report.html").read_text()
    for part in ("logd&lt;=3.2", "small herg", "caution: herg", "passed over: too hard to make", ">17<", "ab12", "runs/&lt;x&gt;", "Measure before you believe"):
        assert part in text
    assert "ran dry" not in text


def test_the_front_is_to_scale_and_the_lead_is_marked(folder: Path):
    optimising.build(folder)
    tree = ElementTree.parse(folder / "front.svg").getroot()
    dots = [c for c in tree.iter(f"{SVG}circle") if c.get("r") == "2"]
    assert [c.get("class") for c in dots] == ["f1", "f1", "f1", "f4"]
    x, y = ([float(c.get(key)) for c in dots] for key in ("cx", "cy"))
    assert (x[0] - x[1]) / (x[1] - x[2]) == pytest.approx((1.0 - 0.7) / (0.7 - 0.4), rel=2e-3)
    assert (y[1] - y[0]) / (y[2] - y[1]) == pytest.approx((0.9 - 0.5) / (0.5 - 0.3), rel=2e-3)
    assert len([c for c in tree.iter(f"{SVG}circle") if c.get("r") == "3.5"]) == 3
    assert any(p.get("class") == "over" for p in tree.iter(f"{SVG}path"))
    assert "4 molecules scored, 3 meet every condition, 3 are on the front" in tree.find(f"{SVG}desc").text


def test_the_path_rises_in_steps():
    figure = optimising.path(facts())
    line = re.search(r'd="(M[^"]+)" class="line', str(figure.body)).group(1)
    heights = [float(point.split()[1]) for point in line[1:].split("L")]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) == 6
    assert optimising.path(facts() | {"best_so_far": [[1, 0.5]]}) is None


def test_without_a_lead_only_the_best_is_told(folder: Path):
    told = facts() | {"lead": None, "axes": ["herg_cautious", "sa"], "ran_dry": True}
    (folder / "optimise.json").write_text(json.dumps(told))
    optimising.build(folder)
    text = (folder / "report.html").read_text()
    assert re.findall(r'class="figure">([^<]+)<', text)[0] == "0.20"
    assert "the lead</strong>" not in text
    assert "ran dry" in text
    assert 'class="over"' not in (folder / "front.svg").read_text()


def test_nothing_scored_has_no_front():
    assert optimising.front(facts(), {"scored": [], "front": [], "best": []}) is None


@pytest.mark.parametrize(("column", "words"), [("sa", "Synthetic accessibility (1 is easy)"), ("x_pred_cautious", "x_pred, the cautious value")])
def test_objectives_in_words(column: str, words: str):
    assert optimising.words_of(column) == words
