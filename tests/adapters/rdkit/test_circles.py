"""Morgan counts of radius 1 for many molecules at once against RDKit's generator, molecule by molecule."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from osler.adapters.rdkit import circles, environments, features, pairs
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.standardise import Policy
from tests.adapters.rdkit.test_features import SMILES

#: Two atoms, one atom, equal ends, charges, isotopes, parts, rings, a dative bond, four bonds in one.
ODD = ("CO", "C", "CC", "[Na+]", "[13CH3]O", "CO.OC.[Cl-].C", "C1CC1", "O=[N+]([O-])c1ccccc1", "CN->[Pt]", "[O-][N+]#N", "C$C")


def by_rdkit(mols) -> np.ndarray:
    """RDKit's own counts, 255 for more."""
    generator = GetMorganGenerator(radius=1, fpSize=1024)
    return np.minimum([generator.GetCountFingerprintAsNumPy(mol) for mol in mols], 255)


def test_counts_are_those_of_rdkit_also_for_odd_molecules():
    mols = [Chem.MolFromSmiles(s) for s in (*SMILES, *ODD, "C" * 300)]
    found = pairs.fast(mols)["ecfp2"]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, by_rdkit(mols))


def test_bonds_that_are_not_usual_are_told():
    mols = [Chem.MolFromSmiles(s) for s in ("CC", "CN->[Pt]", "c1ccccc1", "C$C")]
    assert environments.atoms(mols).plain.tolist() == [True, False, True, False]


def test_two_atoms_by_hand():
    # ethane: two equal atoms (radius 0) and one surrounding (the second has the same bond); a lone atom has only itself
    found = circles.counts(environments.atoms([Chem.MolFromSmiles("CC"), Chem.MolFromSmiles("C")]), 64)
    assert [sorted(row[row > 0].tolist()) for row in found] == [[1, 2], [1]]


@pytest.mark.skipif("OSLER_DATA_MIRROR" not in os.environ, reason="the ChEMBL sample is not here")
def test_counts_of_real_molecules_are_those_of_rdkit():
    path = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "chembl_smiles_100k.smi.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1::50]
    mols = [mol for mol in (parse(line.split(" ")[0]).mol for line in lines) if mol is not None]
    assert len(mols) > 1900
    np.testing.assert_array_equal(pairs.fast(mols)["ecfp2"], by_rdkit(mols))


@pytest.mark.parametrize("ahead", [("ecfp2", "pairs", "basics"), ("ecfp", "maccs")])
def test_rows_worked_out_ahead_are_the_same_rows(ahead, monkeypatch):
    monkeypatch.setattr(features, "_BATCH", 3)
    texts = ["CCO", None, "c1ccccc1-c1ccccc1", "no molecule", "CCO", "CC(=O)[O-].[Na+]", "CN", "CCO"]
    features.forget()
    plain = features.dense(texts, ahead, Policy(), "smiles")
    features.forget()
    with features.passing(ahead):
        told = features.facts(texts, Policy(), "smiles")
        assert not features._READ
        assert set(features._AHEAD) == {(text, "smiles " + Policy().words) for text in texts if text and text != "no molecule"}
        np.testing.assert_array_equal(features.dense(texts, ahead, Policy(), "smiles"), plain)
        np.testing.assert_array_equal(features.dense(texts, ahead[:1], Policy(), "smiles"), plain[:, : features.WIDTH[ahead[0]]])
    assert not features._AHEAD
    assert told == features.facts(texts, Policy(), "smiles")


def test_rows_ahead_are_bounded(monkeypatch):
    monkeypatch.setattr(features, "MOST_AHEAD", 4)
    monkeypatch.setattr(features, "_BATCH", 2)
    with features.passing(("maccs",)):
        features.facts(["C" * n for n in range(1, 12)], Policy(), "smiles")
        assert 0 < len(features._AHEAD) <= 4
