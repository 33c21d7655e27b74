"""Edits: every transform of the list makes what its name says; swaps are learned from pairs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from osler.adapters.rdkit import edits, evolution
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse

pytest.importorskip("rdkit")
TERFENADINE = "OC(CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1)c1ccc(cc1)C(C)(C)C"
FEXOFENADINE = "OC(CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1)c1ccc(cc1)C(C)(C)C(=O)O"
#: Transform, before, one molecule after.
CASES = (
    ("aromatic H to F", "c1ccccc1", "Fc1ccccc1"), ("aromatic CH to N", "Cc1ccccc1", "Cc1cccnc1"), ("aromatic N to CH", "c1ccncc1", "c1ccccc1"),
    ("Cl to cyano", "Clc1ccccc1", "N#Cc1ccccc1"), ("methyl to trifluoromethyl", "Cc1ccccc1", "FC(F)(F)c1ccccc1"),
    ("tert-butyl to 2-carboxy-2-propyl", TERFENADINE, FEXOFENADINE), ("acid to tetrazole", "OC(=O)c1ccccc1", "c1ccc(-c2nn[nH]n2)cc1"),
    ("ester to acid", "COC(=O)c1ccccc1", "OC(=O)c1ccccc1"), ("amide turned round", "CC(=O)Nc1ccccc1", "CNC(=O)c1ccccc1"),
    ("amide to sulfonamide", "CC(=O)NC", "CNS(C)(=O)=O"), ("piperidine CH2 to O", "CN1CCCCC1", "CN1CCOCC1"),
    ("morpholine O to NMe", "CN1CCOCC1", "CN1CCN(C)CC1"), ("piperazine N to CH", "CN1CCN(C)CC1", "CC1CCN(C)CC1"),
    ("fluorine beside a basic amine", "CCCN(C)C", "CC(F)CN(C)C"), ("amine to amide beside it", "CCN(C)C", "CC(=O)N(C)C"),
    ("chain CH2 taken out", "CCCCO", "CCCO"), ("alcohol to ketone", "CC(C)O", "CC(C)=O"), ("phenyl to 4-tetrahydropyranyl", "CCc1ccccc1", "CCC1CCOCC1"),
    ("thiophene or furan S to O", "c1ccsc1", "c1ccoc1"), ("methoxy to hydroxy", "COc1ccccc1", "Oc1ccccc1"),
)  # fmt: skip


def mol(smiles: str):
    """A molecule."""
    return parse(smiles).mol


def texts(found: list) -> set[str]:
    """Canonical SMILES."""
    return {canonical(one) for one in found}


@pytest.mark.parametrize(("name", "before", "after"), CASES, ids=[c[0] for c in CASES])
def test_transforms_make_what_they_say(name: str, before: str, after: str):
    found = edits.products(mol(before), name)
    assert canonical(mol(after)) in texts(found)


@pytest.mark.parametrize("name", edits.TRANSFORMS)
def test_every_transform_can_be_read_and_keeps_molecules_sound(name: str):
    assert edits.reaction(name).Validate(silent=True)[1] == 0
    for smiles in (TERFENADINE, "COc1ccc(Cl)cc1C(=O)NC1CCN(CC)CC1", "CC(C)OC(=O)c1cncs1"):
        for made in edits.products(mol(smiles), name):
            assert evolution.sound(made)
            assert canonical(made) != canonical(mol(smiles))


def test_an_edit_is_drawn_from_the_generator():
    drawn = [[edits.edit(mol(TERFENADINE), rng) for _ in range(12)] for rng in (np.random.default_rng(4), np.random.default_rng(4))]
    told = [[(canonical(m), name) for m, name in part] for part in drawn]
    assert told[0] == told[1]
    assert len({name for _, name in told[0]}) > 5
    assert edits.edit(mol("C"), np.random.default_rng(0)) is None


def test_cuts_by_hand():
    assert edits.cuts(mol("Cc1ccccc1O")) == [("*c1ccccc1C", "*O"), ("*c1ccccc1O", "*C")]
    assert edits.cuts(mol("c1ccccc1")) == []
    assert edits.cuts(mol("CCO.Cl")) == []


def test_swaps_are_learned_from_pairs_that_differ_in_one_group():
    library = [mol(s) for s in ("Cc1ccccc1", "Clc1ccccc1", "Cc1ccccn1", "Clc1ccccn1", "Oc1ccncc1")]
    swaps = edits.Swaps.learn(library, least=2)
    assert swaps.to == {"*C": (("*Cl", 2),), "*Cl": (("*C", 2),)}
    assert len(swaps) == 2
    made, told = swaps.edit(mol("CC1CCCCC1"), np.random.default_rng(0))
    assert canonical(made) == canonical(mol("ClC1CCCCC1"))
    assert told == "*C to *Cl (2 pairs)"
    assert swaps.edit(mol("c1ccccc1"), np.random.default_rng(0)) is None
    assert len(edits.Swaps.learn(library, least=3)) == 0


def test_more_pairs_make_a_swap_likelier():
    swaps = edits.Swaps({"*C": (("*Cl", 100), ("*F", 1))})
    rng = np.random.default_rng(0)
    drawn = [swaps.edit(mol("Cc1ccccc1"), rng)[1] for _ in range(60)]
    assert 40 < sum("Cl" in told for told in drawn) < 60
