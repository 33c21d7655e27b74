"""The page of a generator's run: what stands at the top, drawn molecules, curves to scale, a collapse that cannot be overlooked."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from osler.report import generation, molecules

pytest.importorskip("rdkit")
SVG = "{http://www.w3.org/2000/svg}"


def measured(step: int, valid: float, fcd: float | None = None) -> dict[str, Any]:
    """One point of the curves."""
    measures: dict[str, Any] = {"validity": {"value": valid, "n": 100, "low": 0.5, "high": 0.9}, "unique_1k": {"value": 0.5, "n": 80}}
    return {"step": step, "losses": {"loss": 1.0}, "measures": measures | ({"fcd": {"value": fcd, "n": 80}} if fcd else {})}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The files of a finished run, by hand."""
    example = {"smiles": "CCOc1ccccc1", "times": 1, "sa": 1.23, "qed": 0.567, "logp": 2.1, "weight": 122.2}
    check = {"name": "held-out scaffolds", "verdict": "clean", "n": 0, "detail": "none of 7 was trained on"}
    parts = {
        "study": {"library": "my<lib>.smi", "options": {"model": "generator_gru", "width": 8}},
        "curves": {"curves": [measured(10, 0.25, 30.0), measured(20, 0.75, 10.0)], "status": "finished", "message": ""},
        "scores": {"drawn": 1000, "measures": {**measured(20, 0.8, 9.25)["measures"], "novelty": {"value": 0.9, "n": 70}}},
        "certificate": {"verdict": "clean", "checks": [check]}, "examples": [example] * 30,
    }  # fmt: skip
    for name, value in parts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return tmp_path


def page_of(run: Path) -> str:
    """The written page."""
    generation.build(run)
    return (run / "report.html").read_text()


def test_the_page_says_what_a_chemist_asks_first(run: Path):
    text = page_of(run)
    assert re.findall(r'class="figure">([^<]+)<', text) == ["80.0 %", "90.0 %", "9.2"]
    assert "0.500 to 0.900" in text
    assert "my&lt;lib&gt;.smi" in text
    assert "No held-out scaffold was trained on" in text


def test_at_most_twelve_molecules_are_drawn_with_their_properties(run: Path):
    text = page_of(run)
    assert text.count('class="molecule"') == 12
    assert text.count("QED 0.57 · SA 1.2") == 12
    assert "logP 2.1 · Da 122" in text
    assert "drawn 1 times" not in text


def test_a_collapse_stands_at_the_top_with_what_was_drawn_most(run: Path):
    curves = json.loads((run / "curves.json").read_text()) | {"status": "collapsed", "message": "the share was 0.004"}
    (run / "curves.json").write_text(json.dumps(curves))
    (run / "examples.json").write_text(json.dumps([{"smiles": "CC", "times": 412}]))
    (run / "scores.json").unlink()
    (run / "certificate.json").unlink()
    text = page_of(run)
    assert text.index("the generator collapsed") < text.index("the share was 0.004") < text.index("75.0 %")
    assert "drawn 412 times" in text
    assert "held-out scaffold was" not in text


def test_curves_are_to_scale(run: Path):
    generation.build(run)
    tree = ElementTree.parse(run / "figures" / "curves.svg").getroot()
    line = next(p for p in tree.iter(f"{SVG}path") if p.get("d", "").startswith("M") and p.find(f"{SVG}title") is not None)
    (x1, y1), (x2, y2) = [tuple(map(float, point.split())) for point in line.get("d")[1:].split("L")]
    assert (x1 - 56) / (x2 - 56) == pytest.approx(0.5)
    assert (310 - y2) / (310 - y1) == pytest.approx(3.0, rel=1e-2)
    assert "From 30.0 to 10.0." in (run / "figures" / "distance.svg").read_text()


def test_a_distance_measured_once_is_no_curve():
    assert generation.distance({"curves": [measured(1, 1.0, 5.0)]}) is None
    assert generation.shares({"curves": []}) is None


def test_a_picture_has_the_molecules_lines_and_no_style_of_its_own():
    text = str(molecules.picture("Oc1ccc(Br)cc1", "a phenol"))
    tree = ElementTree.fromstring(text)
    assert tree.find("title").text == "a phenol"
    assert "currentColor" in text
    assert "style=" not in text
    assert {e.tag for e in tree.iter()} == {"svg", "title", "path"}
    assert len([p for p in tree.iter("path") if p.get("fill") == "none"]) >= 8


def test_what_is_no_molecule_is_an_empty_frame():
    tree = ElementTree.fromstring(str(molecules.picture("C1CC", "")))
    assert [e.tag for e in tree.iter()] == ["svg", "title"]
    assert tree.find("title").text == "C1CC"


def test_lines_under_a_molecule_are_escaped():
    text = str(molecules.gallery([("C", ["a<b", None])]))
    assert "a&lt;b" in text
    assert text.startswith('<div class="molecules">')
