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


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("generator_gru", "A language model of molecules"),
        ("generator_gan", "A language model of molecules against a critic"),
        ("generator_graph_gan", "Graphs of molecules against a graph critic"),
        ("something_else", "something_else"),
    ],
)
def test_the_title_says_what_the_generator_is(run: Path, model: str, title: str):
    study = {"library": "x.smi", "options": {"model": model}}
    (run / "study.json").write_text(json.dumps(study))
    assert f"<h1>{title}</h1>" in page_of(run)


def test_a_violated_certificate_is_said_in_words_and_colour(run: Path):
    check = {"name": "held-out scaffolds", "verdict": "violated", "n": 3, "detail": "3 of 7 were trained on"}
    (run / "certificate.json").write_text(json.dumps({"verdict": "violated", "checks": [check]}))
    text = page_of(run)
    assert 'class="seal violated"' in text
    assert "The certificate is violated" in text
    assert 'class="mark violated"' in text
    assert "3 of 7 were trained on" in text


def test_every_option_is_shown_behind_a_summary(run: Path):
    text = page_of(run)
    assert "<summary>All options</summary>" in text
    assert re.search(r"width</th><td[^>]*>8<", text)


def test_molecules_that_came_often_are_said_to(run: Path):
    one = {"smiles": "CCO", "times": 1234, "qed": 0.5}
    (run / "examples.json").write_text(json.dumps([one]))
    text = page_of(run)
    assert "drawn 1,234 times" in text
    assert "none chosen by hand" in text


def test_a_page_without_examples_or_curves_still_stands(run: Path):
    (run / "examples.json").unlink()
    (run / "curves.json").write_text(json.dumps({"curves": [], "status": "finished", "message": ""}))
    text = page_of(run)
    assert "What it draws" not in text
    assert "On the way" not in text
    assert "Scores" in text


def test_nothing_on_the_page_is_fetched_or_runs(run: Path):
    text = page_of(run)
    assert "default-src &#x27;none&#x27;" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


@pytest.mark.parametrize("smiles", ["CCO", "O=C(O)c1ccccc1", "C[N+](C)(C)C", "[Na+].[Cl-]", "C1CC1", "FC(F)(F)I", "N[C@@H](C)C(=O)O"])
def test_many_kinds_of_molecules_are_drawn(smiles: str):
    tree = ElementTree.fromstring(str(molecules.picture(smiles)))
    assert len(list(tree.iter("path"))) >= 1
    assert tree.get("viewBox") == "0 0 300 210"
    assert tree.get("role") == "img"


@pytest.mark.parametrize(("atom", "colour"), [("O", "#d8433a"), ("N", "#3b6fe0"), ("Cl", "#2f9a2f"), ("S", "#a08a00")])
def test_elements_keep_their_colour_in_an_ink_that_can_be_read(atom: str, colour: str):
    text = str(molecules.picture(f"CC{atom}"))
    assert colour in text
    assert "#000000" not in text


def test_sizes_are_as_asked():
    tree = ElementTree.fromstring(str(molecules.picture("CCO", size=(120, 80))))
    assert (tree.get("width"), tree.get("height")) == ("120", "80")
