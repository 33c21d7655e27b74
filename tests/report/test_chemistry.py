"""The section on molecules: what it shows of a run's examples, and what it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rdkit")

from osler.report.charts import Figure
from osler.report.chemistry import changes, section
from osler.report.markup import join
from osler.report.material import Material
from tests.report.test_attribution import ethanol


def example(row: int, measured: float, predicted: float | None, **told: Any) -> dict[str, Any]:
    """A row of a report's examples."""
    return {"row": row, "measured": measured, "predicted": predicted, "told": ethanol(**told)}


def held(**changed: Any) -> dict[str, Any]:
    """What `explanation.json` holds of molecules."""
    pairs = {
        "molecules": 1200, "pairs": 40, "exchanges": 5, "rare": 30,
        "changes": [
            {"before": "[H][*:1]", "after": "F[*:1]", "n": 7, "pairs": 8, "mean": 0.5, "low": 0.2, "high": 0.8, "predicted": 0.3,
             "predicted_low": 0.1, "predicted_high": 0.5},
            {"before": "O([*:1])[*:2]", "after": "C([*:1])[*:2]", "n": 2, "pairs": 2, "mean": 0.4, "low": None, "high": None,
             "predicted": 0.1, "predicted_low": None, "predicted_high": None},
        ],
    }  # fmt: skip
    cliff = {"lower": example(3, 0.0, 1.0), "higher": example(4, 3.0, 1.5), "before": "[H][*:1]", "after": "F[*:1]", "change": 3.0}
    return {
        "mistakes": [example(1, 2.0, -1.0, values=[0.2, 0.0, -2.0]), example(2, 0.5, 1.0)], "typical": [example(5, 1.0, None)],
        "cliffs": [cliff], "pairs": pairs, "column": "smiles", "n": 1200, "positive": "", **changed,
    }  # fmt: skip


def made(molecules: dict[str, Any]) -> tuple[str, list[Figure]]:
    """The section as text, and the pictures that it draws."""
    members = {"explanation": {"molecules": molecules}, "facts": {"card": {"target": ["logD"]}}, "study": {}}
    drawn: list[Figure] = []
    return str(join(section(Material(Path("run"), members), drawn))), drawn


def test_every_example_is_drawn_with_its_values():
    text, drawn = made(held())
    assert [f.name for f in drawn] == [
        "molecule-mistakes-1", "molecule-mistakes-2", "molecule-typical-1", "molecule-cliff-1-lower", "molecule-cliff-1-higher",
    ]  # fmt: skip
    assert "logD measured 2.00, predicted −1.00 (off by −3.00)" in text
    assert ">logD measured 1.00<" in text  # a row that no fold held out has no prediction
    assert all(word in text for word in ("Worst mistakes", "Typical molecules", "Activity cliffs", "What one exchange does"))
    assert "+3.00 by exchanging one part" in text
    assert "--examples 0" in text and "the saved predictor keeps none of them" in text


def test_the_nearest_other_molecule_stands_beside_a_mistake():
    near = {"row": 9, "smiles": "CCN", "similarity": 0.5, "measured": 1.25, "predicted": 1.0, "same": False}
    text, _ = made(held(mistakes=[example(1, 2.0, -1.0) | {"near": near}]))
    assert "nearest measured: row 9 (similarity 0.50), 1.25" in text
    text, _ = made(held(mistakes=[example(1, 1.0, 0.1) | {"near": near}, example(2, 0.0, 1.0) | {"near": None}], positive="toxic"))
    assert text.count("nearest measured") == 1 and "(similarity 0.50), toxic" in text


def test_molecules_of_a_group_share_one_scale():
    text, drawn = made(held())
    assert "raises +2.00" in text  # the largest of both mistakes
    assert 'class="low5"' in str(drawn[0].body) and 'class="low5"' not in str(drawn[1].body)
    assert all("<rect" not in str(f.body) for f in drawn)


def test_exchanges_are_a_table_with_intervals_and_the_models_change():
    text = str(changes(held(), "logD"))
    assert "Change of logD" in text and "+0.50" in text and "+0.20 to +0.80" in text and "+0.30" in text
    assert "Among 1,200 molecules 40 pairs" in text and "30 have fewer" in text
    assert ">H</span>" in text and text.count("<svg") == 3
    assert changes({"pairs": {"changes": []}}, "logD") is None


def test_classes_are_told_as_classes():
    text, _ = made(held(positive="toxic", mistakes=[example(1, 1.0, 0.07), example(2, 0.0, 0.9)]))
    assert "measured toxic, predicted 7%" in text and "measured not toxic, predicted 90%" in text
    assert "Change of the share of toxic" in text


def test_a_run_without_examples_has_no_section():
    assert made({}) == ("", [])
    assert made(held(mistakes=[], typical=[], cliffs=[], pairs={}))[0] == ""


def test_a_molecule_that_cannot_be_drawn_is_left_out():
    text, drawn = made(held(mistakes=[example(1, 2.0, 1.0, smiles="C1CC")], typical=[], cliffs=[], pairs={}))
    assert drawn == [] and "Worst mistakes" not in text
