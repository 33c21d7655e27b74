"""Asking whether a text is a molecule answers as reading it does, reason by reason."""

from __future__ import annotations

import gzip
import random

import pytest

pytest.importorskip("rdkit")

from osler.adapters.rdkit import readable, screen
from osler.adapters.rdkit.parse import parse
from tests.safety import fuzz_molecules

#: What is put into good molecules to spoil some of them.
_BITS = ("c", "n", "1", "=", "[H]", "[nH]", "(", ")", "Cl", "[O-]", "F", "/", "@", "[C@@H]", "[Fe]", "->", "[2H]", "$", "é", "#")


def whole(text: str) -> str:
    """The reason that reading the molecule gives."""
    return parse(text, "inchi" if text.startswith("InChI=") else "smiles").reason


def test_reasons_by_hand():
    texts = ["CCO", None, "C1CC", "C(C)(C)(C)(C)C", "c1cccc1", "*C", "CC>>CO", "", " OCC name", "InChI=1S/CH4/h1H4", "InChI=1S/nothing"]
    found = readable.reasons(texts)
    assert found[:4] == ["", "", "unclosed ring", "Explicit valence for atom # 0 C, 5, is greater than permitted"]
    assert found[4].startswith("Can't kekulize")
    assert found[5:8] == [
        "holds a wildcard atom (*): part of a polymer or a query, not a molecule", "a reaction, not one molecule", "holds no molecule",
    ]  # fmt: skip
    assert found[8:10] == ["", ""]
    assert found[10] == parse("InChI=1S/nothing", "inchi").reason != ""
    assert readable.reasons(["InChI=1S/CH4/h1H4"], "smiles")[0] != "", "declared as SMILES, an InChI is none"
    assert readable.reasons([]) == []


def test_a_thousand_spoilt_molecules_are_refused_for_the_same_reasons(mirror):
    rng = random.Random(3)
    with gzip.open(mirror / "drugs" / "chembl_smiles_100k.smi.gz", "rt") as lines:
        texts = [line.split()[0] for _, line in zip(range(1000), lines)]
    for i in range(0, len(texts), 2):
        at = rng.randrange(len(texts[i]))
        texts[i] = texts[i][:at] + rng.choice(_BITS) + texts[i][at + rng.randrange(2) :]
    found = readable.reasons(texts)
    assert found == [whole(text) for text in texts]
    assert 300 < sum(map(bool, found)) < 500


def test_broken_texts_are_refused_for_the_same_reasons():
    blocks = [fuzz_molecules.block("CCO", False)]
    cases = [fuzz_molecules.case(random.Random(i), blocks) for i in range(500)]
    texts = [text for kind, text in cases if kind == "smiles" and not screen.is_odd(text, "smiles")]
    assert len(texts) > 250
    assert readable.reasons(texts) == [whole(text) for text in texts]


def test_a_text_that_repeats_is_read_once(monkeypatch):
    asked = []
    monkeypatch.setattr(readable, "_passes", lambda text, kind: bool(asked.append(text)) or True)
    assert readable.reasons(["CCO", None, "CCO", "CCN", "CCO"]) == [""] * 5
    assert asked == ["CCO", "CCN"]


def test_few_and_many_texts_of_a_column_are_told_alike(monkeypatch):
    import polars as pl

    from osler import modalities
    from osler.cohort.column import Column
    from osler.modalities import molecule

    values = pl.Series("m", ["CCO", "C1CC", None, "NA", " CCN ", "CC.O", "CCC.CCN"])
    for options in ({}, {"mixtures": "refuse"}, {"notation": "smiles"}):
        column = Column("m", "molecule", options=options)
        few = modalities.get("molecule").reasons(values, column)
        monkeypatch.setattr(molecule, "_MANY", 3)
        assert modalities.get("molecule").reasons(values, column).to_list() == few.to_list()
        assert (few != "").sum() == (2 if options.get("mixtures") else 1)
        monkeypatch.undo()
