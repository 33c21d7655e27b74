"""Pieces, alternating bonds and properties: by hand, or RDKit's published values."""

from __future__ import annotations

import numpy as np
import pytest

from osler.adapters.rdkit import fragments
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.properties import NAMES, properties

pytest.importorskip("rdkit")


def mol(smiles: str):
    """A molecule."""
    return parse(smiles).mol


@pytest.mark.parametrize("smiles", ["c1ccc2[nH]ccc2c1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "C[C@H](N)c1ccsc1", "C1CC1"])
def test_alternating_bonds_are_another_spelling_of_the_same_molecule(smiles: str):
    text = fragments.alternating(smiles)
    assert not set(text) & set("cnos")
    assert fragments.canonical(mol(text)) == fragments.canonical(mol(smiles))


def test_pieces_of_an_amide_are_acid_and_amine():
    pieces = fragments.brics(mol("CC(=O)Nc1ccccc1"))
    assert len(pieces) == 3
    assert sum(mol(piece.replace("*", "[H]")) is not None for piece in pieces) == 3
    assert fragments.brics(mol("CCO")) == ["CCO"]


def test_scaffolds_are_counted_and_chains_left_out():
    mols = [mol(s) for s in ("Cc1ccccc1", "Oc1ccccc1", "CCO", "C1CCCCC1")]
    assert fragments.scaffold_counts(mols) == {"c1ccccc1": 2, "C1CCCCC1": 1}


def test_properties_of_aspirin():
    found = dict(zip(NAMES, properties([mol("CC(=O)Oc1ccccc1C(=O)O")])[0]))
    assert found["weight"] == pytest.approx(180.16, abs=0.01)
    assert found["qed"] == pytest.approx(0.55, abs=0.01)  # Bickerton 2012, as RDKit computes it
    assert found["sa"] == pytest.approx(1.58, abs=0.05)  # Ertl 2009: 1.58
    assert found["logp"] == pytest.approx(1.31, abs=0.01)


def test_no_molecules_have_no_properties():
    assert properties([]).shape == (0, 4)
    assert np.isfinite(properties([mol("C")])).all()
