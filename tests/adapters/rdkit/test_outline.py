"""The shapes of a molecule: as many as it has bonds and letters, where its atoms lie."""

from __future__ import annotations

import pytest

pytest.importorskip("rdkit")

from osler.adapters.rdkit.outline import outline


def test_a_chain_has_one_line_per_bond_and_letters_for_its_oxygen():
    found = outline("CCO", (300, 200))
    assert found.bonds == ((0, 1), (1, 2)) and len(found.places) == 3
    assert len(found.lines) == 3  # two bonds and the corner where they meet
    assert len(found.letters) == 2 and found.wedges == () and found.notes == ()  # O and H


def test_atoms_lie_inside_the_picture_in_the_order_of_the_text():
    found = outline("Clc1ccccc1Br", (300, 200))
    assert all(0 <= x <= 300 and 0 <= y <= 200 for x, y in found.places)
    (x1, y1), (x2, y2) = found.places[:2]
    assert ((x1 - x2) ** 2 + (y1 - y2) ** 2) ** 0.5 == pytest.approx(found.step, rel=0.05)
    first = found.letters[0].split()  # "Cl" is written over its atom
    assert float(first[1]) == pytest.approx(x1, abs=12) and float(first[2]) == pytest.approx(y1, abs=12)


def test_stereo_is_a_wedge_and_notes_are_told_apart():
    one, other = outline("C[C@H](N)C(=O)O"), outline("C[C@@H](N)C(=O)O")
    assert bool(one.wedges) != bool(other.wedges)  # a full wedge in one, hashes (lines) in the other
    found = outline("CCO", notes=(2,))
    assert len(found.notes) == 1 and len(found.letters) == 2


def test_path_data_holds_numbers_and_five_commands_only():
    for smiles in ("O=C(N[C@@H]1CCN(C1)S(=O)(=O)c1ccccc1)[n+]1ccccc1", "*C(=O)N*"):
        found = outline(smiles)
        for data in (*found.lines, *found.wedges, *found.letters):
            assert data.startswith("M") and set(data) <= set("MLQCZ0123456789.,- ")


def test_a_joint_ends_in_a_wave():
    assert any("C" in data for data in outline("*CC").lines)
    assert not any("C" in data for data in outline("CCC").lines)


def test_a_large_molecule_is_drawn_smaller_and_one_atom_is_drawn():
    assert outline("C" * 60).step < outline("CCC").step
    assert outline("[Na+]").step == 24.0 and len(outline("[Na+]").letters) == 3
    assert len(outline("[2H]C([2H])O").places) == 4  # hydrogens with a place of their own stay


def test_what_is_no_molecule_has_no_outline():
    assert outline("C1CC") is None and outline("") is None
