"""Several SMILES of one molecule: all of them it, always the same ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

chem = pytest.importorskip("rdkit.Chem")

from osler.adapters.rdkit.spellings import spellings

IBUPROFEN = "CC(C)Cc1ccc(C(C)C(=O)O)cc1"


def test_every_spelling_is_the_molecule_and_the_first_is_the_given_one():
    found = spellings(IBUPROFEN, 8)
    assert len(found) == 8
    assert found[0] == IBUPROFEN
    assert {chem.CanonSmiles(s) for s in found} == {IBUPROFEN}
    assert len(set(found)) > 4


def test_stereo_is_kept_in_every_spelling():
    nicotine = chem.CanonSmiles("CN1CCC[C@H]1c1cccnc1")
    assert {chem.CanonSmiles(s) for s in spellings(nicotine, 12)} == {nicotine}


def test_one_spelling_is_the_text_itself_and_an_atom_has_only_one():
    assert spellings(IBUPROFEN, 1) == (IBUPROFEN,)
    assert spellings("C", 3) == ("C", "C", "C")


def test_another_process_draws_the_same():
    code = f"from osler.adapters.rdkit.spellings import spellings; print(*spellings({IBUPROFEN!r}, 6))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert tuple(told) == spellings(IBUPROFEN, 6)
