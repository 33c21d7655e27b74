"""Moves of a genetic algorithm: every child is sound, follows from the generator, and has what its name says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from osler.adapters.rdkit import evolution
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse

pytest.importorskip("rdkit")
TERFENADINE = "OC(CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1)c1ccc(cc1)C(C)(C)C"
CAFFEINE, INDOLE = "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "CN1CCN(c2ccc3[nH]ccc3c2)CC1=O"


def mol(smiles: str):
    """A molecule."""
    return parse(smiles).mol


@pytest.mark.parametrize("smiles", [TERFENADINE, CAFFEINE, INDOLE, "CC", "C1CC1", "C[C@H](N)C(=O)O", "c1ccsc1"])
def test_changed_molecules_are_sound_and_different_and_follow_from_the_generator(smiles: str):
    seen = []
    for _turn in range(2):
        rng = np.random.default_rng(1)
        made = [evolution.mutate(mol(smiles), rng) for _ in range(40)]
        seen.append([canonical(child) for child, _ in filter(None, made)])
    assert seen[0] == seen[1]
    assert len(seen[0]) >= 30
    assert all(evolution.sound(mol(text)) and "." not in text for text in seen[0])
    assert sum(text != canonical(mol(smiles)) for text in seen[0]) >= 0.9 * len(seen[0])


def test_each_change_does_what_its_name_says():
    rng, found = np.random.default_rng(3), Counter()
    parent = mol(TERFENADINE)
    for _ in range(300):
        made = evolution.mutate(parent, rng)
        if made is None:
            continue
        child, name = made
        grown = child.GetNumHeavyAtoms() - parent.GetNumHeavyAtoms()
        rings = child.GetNumBonds() - parent.GetNumBonds() - grown
        expected = {"atom added": (1, 0), "atom inserted": (1, 0), "atom deleted": (-1, 0), "atom replaced": (0, 0), "bond order changed": (0, 0),
                    "ring closed": (0, 1), "ring opened": (0, -1)}[name]  # fmt: skip
        assert (grown, rings) == expected
        found[name] += 1
    assert set(found) == set(evolution.MUTATIONS)


def test_a_molecule_without_a_ring_opens_none():
    rng = np.random.default_rng(0)
    assert all(made is None or made[1] != "ring opened" for made in (evolution.mutate(mol("CCCC"), rng) for _ in range(30)))


def test_children_have_something_of_both_parents():
    rng = np.random.default_rng(2)
    children = [evolution.cross(mol("Clc1ccc(Cl)cc1CCN1CCOCC1"), mol("FC(F)(F)C1CCC(NC(=O)c2ccco2)CC1"), rng) for _ in range(60)]
    texts = [canonical(child) for child in children if child is not None]
    assert len(texts) >= 55
    assert all(evolution.sound(mol(text)) for text in texts)
    assert any("Cl" in text and "F" in text for text in texts)
    assert len(set(texts)) > 20


def test_parents_that_cannot_be_cut_have_no_child():
    assert evolution.cross(mol("C"), mol("N"), np.random.default_rng(0)) is None


def test_parents_are_left_as_they_are():
    parent, other, rng = mol(CAFFEINE), mol(INDOLE), np.random.default_rng(5)
    before = canonical(parent), canonical(other)
    for _ in range(20):
        evolution.mutate(parent, rng)
        evolution.cross(parent, other, rng)
    assert (canonical(parent), canonical(other)) == before


@pytest.mark.parametrize(
    ("smiles", "good"),
    [(TERFENADINE, True), (CAFFEINE, True), ("CC(=O)Oc1ccccc1C(=O)O", True), ("CS(=O)(=O)c1ccccc1", True), ("C", False), ("CC.O", False),
     ("COOC", False), ("C1#CCCCC1", False), ("C1=C=CCCC1", False), ("C1CCCCCCCCC1", False), ("[CH2]C", False), ("OC(O)C", False), ("CC(N)OC", True),
     ("NC(O)C", False), ("C1=CC=C1", False), ("C1=CCC=C1", False), ("CC(F)O", False), ("C1CC1", True)],
)  # fmt: skip
def test_what_is_sound(smiles: str, good: bool):
    assert evolution.sound(mol(smiles)) is good


def test_what_rdkit_refuses_is_not_finished():
    from rdkit import Chem

    made = Chem.RWMol(Chem.MolFromSmiles("CC(C)(C)C"))
    made.AddBond(1, made.AddAtom(Chem.Atom("C")), Chem.BondType.SINGLE)
    assert evolution.finished(made) is None
