"""Whatever is drawn, no atom ends with more bonds than it has room for, and the molecule is in one part."""

from __future__ import annotations

import numpy as np
import pytest

from osler.adapters.rdkit import dense
from osler.adapters.rdkit.parse import parse
from osler.models.neural.generation.valence import bounded

pytest.importorskip("rdkit")
ROOM = np.array(dense.VALENCE)


def symmetric(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scores of bonds that are the same in both directions."""
    drawn = rng.normal(size=(n, n, 4))
    return drawn + drawn.transpose(1, 0, 2)


@pytest.mark.parametrize("seed", range(25))
def test_any_noise_becomes_one_molecule(seed: int):
    rng = np.random.default_rng(seed)
    atoms, scores = rng.integers(0, 10, 14), symmetric(rng, 14)
    kinds, bonds = bounded(atoms, scores, scores.argmax(-1), ROOM)
    assert np.array_equal(bonds, bonds.T)
    assert (bonds.sum(1) <= ROOM[kinds]).all()
    assert not bonds[kinds == 0].any()
    assert (kinds[kinds > 0] == atoms[kinds > 0]).all()
    assert "." not in dense.to_smiles(kinds, bonds)


def test_a_drawn_bond_is_kept_with_its_order():
    scores = np.zeros((3, 3, 4))
    for i, j, order in ((0, 1, 1), (1, 2, 2)):
        scores[i, j, order] = scores[j, i, order] = 5.0
    kinds, bonds = bounded(np.array([1, 1, 3]), scores, scores.argmax(-1), ROOM)
    assert dense.to_smiles(kinds, bonds) == "CC=O"


def test_an_order_that_is_too_high_is_lowered_to_the_room_that_is_left():
    scores = np.zeros((2, 2, 4))
    scores[0, 1, 3] = scores[1, 0, 3] = 5.0
    kinds, bonds = bounded(np.array([1, 3]), scores, scores.argmax(-1), ROOM)
    assert dense.to_smiles(kinds, bonds) == "C=O"


def test_atoms_that_no_bond_can_reach_are_left_out():
    kinds, _ = bounded(np.array([4, 4, 4]), np.zeros((3, 3, 4)), np.zeros((3, 3), int), ROOM)
    assert (kinds > 0).sum() == 2  # three fluorines: two join, the third has nowhere to go


@pytest.mark.parametrize("smiles", ["c1ccccc1O", "CC(=O)Nc1ccc(F)cc1", "C#CCN", "CS(=O)(=O)c1ccccc1", "Clc1ccc(Br)s1"])
def test_a_molecule_goes_through_dense_arrays_and_back(smiles: str):
    atoms, bonds = dense.to_arrays(parse(smiles).mol, 20)
    assert parse(dense.to_smiles(atoms, bonds)).mol.GetNumAtoms() == parse(smiles).mol.GetNumAtoms()
    assert dense.to_smiles(atoms, bonds) == dense.to_smiles(*dense.to_arrays(parse(dense.to_smiles(atoms, bonds)).mol, 20))


@pytest.mark.parametrize("smiles", ["CC[NH3+]", "[13CH4]", "C[Si](C)C", "CC.O", "CCCCC"])
def test_what_dense_arrays_cannot_hold_is_none(smiles: str):
    assert dense.to_arrays(parse(smiles).mol, 4) is None
