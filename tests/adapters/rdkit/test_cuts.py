"""Cuts of molecules: by hand, and labels that do not depend on how a molecule was written."""

from __future__ import annotations

import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from osler.adapters.rdkit.cuts import cuts, heavy, without


def all_cuts(smiles: str, most: int = 1) -> set[tuple[str, str, int]]:
    """The cuts of a molecule as plain tuples."""
    return {(c.kept, c.changed, c.size) for c in cuts(Chem.MolFromSmiles(smiles), most)}


def test_the_methyl_of_toluene_is_the_one_small_part():
    assert all_cuts("Cc1ccccc1") == {("c1ccc([*:1])cc1", "C[*:1]", 1)}


def test_parts_beyond_a_third_of_the_molecule_are_not_exchanged():
    found = all_cuts("COc1ccc(F)cc1")  # nine heavy atoms: OMe, Me and F, but not the ring
    assert {(changed, size) for _, changed, size in found} == {("C[*:1]", 1), ("CO[*:1]", 2), ("F[*:1]", 1)}


def test_a_middle_has_the_same_labels_however_it_is_written():
    ways = ["Cc1ccc(C(=O)NCc2ccccc2)cc1", "c1ccccc1CNC(=O)c1ccc(C)cc1", "O=C(NCc1ccccc1)c1ccc(cc1)C"]
    found = [all_cuts(w, 2) for w in ways]
    assert found[0] == found[1] == found[2]
    middles = {changed for kept, changed, _ in found[0] if "." in kept}
    assert any(m.count("*") == 2 and "N" in m for m in middles)


def test_turned_linkers_are_different_parts_of_the_same_rest():
    amide, turned = (all_cuts(s, 2) for s in ("Cc1ccc(C(=O)Nc2ccccc2)cc1", "Cc1ccc(NC(=O)c2ccccc2)cc1"))
    by_rest = {kept: changed for kept, changed, _ in amide if "." in kept and heavy(changed) == 3}
    other = {kept: changed for kept, changed, _ in turned if "." in kept and heavy(changed) == 3}
    shared = set(by_rest) & set(other)
    assert shared and all(by_rest[k] != other[k] for k in shared)


def test_with_equal_ends_a_linker_has_one_name():
    one, other = (all_cuts(s, 2) for s in ("c1ccccc1C(=O)Nc1ccccc1", "c1ccccc1NC(=O)c1ccccc1"))
    assert one == other


def test_a_hydrogen_in_place_of_a_part():
    assert without("c1ccc([*:1])cc1") == "c1ccccc1"
    assert without("O=C(O)[*:1]") == "O=CO"
    assert without("c1ccc(") == ""


@pytest.mark.parametrize(("smiles", "n"), [
    ("C[*:1]", 1), ("FC(F)(F)[*:1]", 4), ("[O-][N+](=O)[*:1]", 3), ("Clc1ccc([*:1])cc1", 7), ("[H][*:1]", 0), ("[*:1]O[*:2]", 1),
    ("[2H]C([2H])[*:1]", 1), ("[Na+]", 1), ("Brc1c[nH]c([*:1])c1", 6), ("C[Si](C)(C)[*:1]", 4),
])  # fmt: skip
def test_heavy_atoms_of_a_fragment(smiles: str, n: int):
    assert heavy(smiles) == n


def test_a_peptide_of_many_bonds_is_left_out():
    assert all_cuts("NC" + "C(=O)NC(C)" * 20 + "C(=O)O") == set()
