"""Molecules without some of their atoms and bonds: counts by hand, and what must hold of any molecule."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from osler.adapters.rdkit import features, fingerprints, parts

CASES = ("CCO", "Oc1ccccc1", "C[C@H](N)C(=O)O", "c1cc[nH]c1", "[Na+].[Cl-]", "CC#N", "C1CC1C(=O)Nc1ccccc1", "[2H]C([2H])O")


def none_left_out(mol: Chem.Mol) -> np.ndarray:
    """(1, v + e) a mask that leaves nothing out."""
    return np.zeros((1, mol.GetNumAtoms() + mol.GetNumBonds()), dtype=bool)


@pytest.mark.parametrize("smiles", CASES)
def test_with_nothing_left_out_the_numbers_are_those_of_the_molecule(smiles: str):
    mol, names = Chem.MolFromSmiles(smiles), tuple(features.WIDTH)
    whole = np.hstack(features.computed([mol], names))
    np.testing.assert_allclose(parts.numbers_without(mol, names, none_left_out(mol)), whole, rtol=1e-6)


def test_environments_of_ethanol_by_hand():
    # six environments: the atoms C1, C2 and O3, then C1-C2 around the methyl, C1-C2-O3 around the middle, C2-O3 around
    # the oxygen; those of radius 2 hold the bonds of one that is there already
    mol = Chem.MolFromSmiles("CCO")
    masks = np.vstack([none_left_out(mol), np.eye(5, dtype=bool)])
    counted = parts.numbers_without(mol, ("ecfp",), masks).sum(axis=1)
    assert counted.tolist() == [6, 3, 2, 3, 4, 4]
    # without C1: C2, O3 and O3-C2 stay; without C2: C1, O3; without C1-C2: three atoms and O3-C2


def test_leaving_everything_out_leaves_no_environment():
    mol = Chem.MolFromSmiles("Oc1ccccc1")
    assert parts.numbers_without(mol, ("ecfp", "ecfp6"), ~none_left_out(mol)).sum() == 0


@pytest.mark.parametrize("smiles", CASES)
def test_more_left_out_never_raises_a_count_of_environments(smiles: str):
    mol = Chem.MolFromSmiles(smiles)
    n = mol.GetNumAtoms() + mol.GetNumBonds()
    order = np.random.default_rng(0).permutation(n)
    masks = np.argsort(order)[None, :] < np.arange(n + 1)[:, None]
    found = parts.numbers_without(mol, ("ecfp",), masks)
    assert (np.diff(found, axis=0) <= 0).all()


def test_a_masked_copy_has_dummies_and_the_same_bonds():
    mol = Chem.MolFromSmiles("c1cc[nH]c1")
    copy = parts.masked(mol, [3])
    assert [a.GetAtomicNum() for a in copy.GetAtoms()] == [6, 6, 6, 0, 6]
    assert copy.GetNumBonds() == mol.GetNumBonds() and copy.GetAtomWithIdx(3).GetTotalNumHs() == 0
    assert mol.GetAtomWithIdx(3).GetAtomicNum() == 7


def test_texts_have_wildcards_for_atoms_and_none_for_bonds():
    mol = Chem.MolFromSmiles("CCO")
    assert parts.texts_without(mol, np.eye(5, dtype=bool)) == ["*CO", "C*O", "*CC", "CCO", "CCO"]


def test_atoms_are_named_in_the_order_of_the_text():
    mol = Chem.MolFromSmiles("OC(=O)CCl")
    smiles, order = parts.spelled(mol)
    assert smiles == Chem.CanonSmiles("OC(=O)CCl")
    again = Chem.MolFromSmiles(smiles)
    assert [mol.GetAtomWithIdx(i).GetSymbol() for i in order] == [a.GetSymbol() for a in again.GetAtoms()]
    assert parts.names(mol, order) == tuple(f"{a.GetSymbol()}{i}" for i, a in enumerate(again.GetAtoms(), 1))
    assert parts.ends(mol) == ((0, 1), (1, 2), (1, 3), (3, 4))


def test_a_feature_that_cannot_be_computed_of_a_copy_is_taken_for_the_molecule(monkeypatch: pytest.MonkeyPatch):
    mol, real = Chem.MolFromSmiles("CCO"), fingerprints.counts

    def counts(mols, kinds):
        if any(a.GetAtomicNum() == 0 for one in mols for a in one.GetAtoms()):
            raise ValueError("cannot be computed")
        return real(mols, kinds)

    monkeypatch.setattr(parts.fingerprints, "counts", counts)
    found = parts.numbers_without(mol, ("maccs",), np.eye(5, dtype=bool))
    np.testing.assert_array_equal(found, np.repeat(real([mol], ("maccs",))["maccs"], 5, axis=0))
