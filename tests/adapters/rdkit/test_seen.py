"""Which molecules are on an encoder's list: salts, charges and stereo do not hide one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

Chem = pytest.importorskip("rdkit.Chem")

from osler.adapters.rdkit import seen
from osler.errors import LimitError

MOLS = [Chem.MolFromSmiles(s) for s in ("C[C@H](N)C(=O)O", "CCO", "c1ccccc1C(=O)O", "CCN(CC)CC")] + [None]


def test_lines_are_smiles_or_inchikeys(tmp_path: Path):
    listed = tmp_path / "pretraining.txt"
    listed.write_text(
        "smiles\n\nOC(=O)c1ccccc1 benzoic acid\nnot a molecule\nQNAYBMKLOCPYGJ-UHFFFAOYSA-N\nC1CC\nCCCCCC\n"
    )
    assert seen.list_in(tmp_path) == listed
    assert seen.seen(MOLS, listed) == [True, False, True, False, False]


def test_a_salt_an_ion_and_a_mirror_image_are_the_same_molecule(tmp_path: Path):
    listed = tmp_path / "pretraining.smi.gz"
    with gzip.open(listed, "wt") as file:
        file.write("C[C@@H]([NH3+])C(=O)[O-]\nCC[NH+](CC)CC.[Cl-]\n[Na+].[O-]C(=O)c1ccccc1\n")
    assert seen.list_in(tmp_path) == listed
    assert seen.seen(MOLS, listed) == [True, False, True, True, False]


def test_the_same_molecule_twice_is_found_twice(tmp_path: Path):
    (tmp_path / "pretraining.smi").write_text("OCC\r\n")
    assert seen.seen([MOLS[1], MOLS[0], MOLS[1]], tmp_path / "pretraining.smi") == [True, False, True]


def test_no_list_and_a_list_without_end(tmp_path: Path, monkeypatch):
    assert seen.list_in(tmp_path) is None
    (tmp_path / "pretraining.txt").write_text("C\n" * 5)
    monkeypatch.setattr(seen, "MAX_LINES", 4)
    with pytest.raises(LimitError, match="at most 4 lines"):
        seen.seen(MOLS, tmp_path / "pretraining.txt")
