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
    ("aromatic H to F", "c1ccccc1", "Fc1ccccc1"),
    ("aromatic CH to N", "Cc1ccccc1", "Cc1cccnc1"),
    ("aromatic N to CH", "c1ccncc1", "c1ccccc1"),
    ("Cl to cyano", "Clc1ccccc1", "N#Cc1ccccc1"),
    ("methyl to trifluoromethyl", "Cc1ccccc1", "FC(F)(F)c1ccccc1"),
    ("tert-butyl to 2-carboxy-2-propyl", TERFENADINE, FEXOFENADINE),
    ("acid to tetrazole", "OC(=O)c1ccccc1", "c1ccc(-c2nn[nH]n2)cc1"),
    ("ester to acid", "COC(=O)c1ccccc1", "OC(=O)c1ccccc1"),
    ("amide turned round", "CC(=O)Nc1ccccc1", "CNC(=O)c1ccccc1"),
    ("amide to sulfonamide", "CC(=O)NC", "CNS(C)(=O)=O"),
    ("piperidine CH2 to O", "CN1CCCCC1", "CN1CCOCC1"),
    ("morpholine O to NMe", "CN1CCOCC1", "CN1CCN(C)CC1"),
    ("piperazine N to CH", "CN1CCN(C)CC1", "CC1CCN(C)CC1"),
    ("fluorine beside a basic amine", "CCCN(C)C", "CC(F)CN(C)C"),
    ("amine to amide beside it", "CCN(C)C", "CC(=O)N(C)C"),
    ("chain CH2 taken out", "CCCCO", "CCCO"),
    ("alcohol to ketone", "CC(C)O", "CC(C)=O"),
    ("phenyl to 4-tetrahydropyranyl", "CCc1ccccc1", "CCC1CCOCC1"),
    ("thiophene or furan S to O", "c1ccsc1", "c1ccoc1"),
    ("methoxy to hydroxy", "COc1ccccc1", "Oc1ccccc1"),
    ("aromatic H to Cl", "c1ccccc1", "Clc1ccccc1"),
    ("aromatic H to methyl", "c1ccccc1", "Cc1ccccc1"),
    ("aromatic H to methoxy", "c1ccccc1", "COc1ccccc1"),
    ("aromatic H to hydroxy", "c1ccccc1", "Oc1ccccc1"),
    ("aromatic H to cyano", "c1ccccc1", "N#Cc1ccccc1"),
    ("aromatic H to amino", "c1ccccc1", "Nc1ccccc1"),
    ("aromatic H to carboxamide", "c1ccccc1", "NC(=O)c1ccccc1"),
    ("aromatic H to carboxylic acid", "c1ccccc1", "O=C(O)c1ccccc1"),
    ("aromatic H to trifluoromethyl", "c1ccccc1", "FC(F)(F)c1ccccc1"),
    ("aromatic H to methylsulfonyl", "c1ccccc1", "CS(=O)(=O)c1ccccc1"),
    ("furan or thiophene O to S", "c1ccoc1", "c1ccsc1"),
    ("F to H", "Fc1ccccc1", "c1ccccc1"),
    ("Cl to H", "Clc1ccccc1", "c1ccccc1"),
    ("Cl to F", "Clc1ccccc1", "Fc1ccccc1"),
    ("Cl to methyl", "Clc1ccccc1", "Cc1ccccc1"),
    ("Br to Cl", "Brc1ccccc1", "Clc1ccccc1"),
    ("methyl to H", "Cc1ccccc1", "c1ccccc1"),
    ("methyl to ethyl", "Cc1ccccc1", "CCc1ccccc1"),
    ("methyl to cyclopropyl", "Cc1ccccc1", "c1ccc(C2CC2)cc1"),
    ("methyl to hydroxymethyl", "Cc1ccccc1", "OCc1ccccc1"),
    ("ethyl to methyl", "CCc1ccccc1", "Cc1ccccc1"),
    ("isopropyl to cyclopropyl", "CC(C)c1ccccc1", "c1ccc(C2CC2)cc1"),
    ("tert-butyl to isopropyl", "CC(C)(C)c1ccccc1", "CC(C)c1ccccc1"),
    ("tert-butyl to trifluoromethyl", "CC(C)(C)c1ccccc1", "FC(F)(F)c1ccccc1"),
    ("tert-butyl to 2-hydroxy-2-propyl", "CC(C)(C)c1ccccc1", "CC(C)(O)c1ccccc1"),
    ("methoxy to difluoromethoxy", "COc1ccccc1", "FC(F)Oc1ccccc1"),
    ("hydroxy to methoxy", "Oc1ccccc1", "COc1ccccc1"),
    ("alcohol to fluoride", "OCC", "CCF"),
    ("ketone to alcohol", "CC(C)=O", "CC(C)O"),
    ("alcohol to hydrogen", "CCO", "CC"),
    ("acid to primary amide", "CC(=O)O", "CC(N)=O"),
    ("ester to amide", "COC(C)=O", "CNC(C)=O"),
    ("amide N to N-methyl", "CNC(C)=O", "CC(=O)N(C)C"),
    ("secondary amine to tertiary", "CCNCC", "CCN(C)CC"),
    ("N-methyl to NH", "CCN(C)CC", "CCNCC"),
    ("amide to amine", "CC(=O)NC", "CCNC"),
    ("morpholine O to CH2", "CN1CCOCC1", "CN1CCCCC1"),
    ("piperidine CH to N", "CC1CCN(C)CC1", "CN1CCN(C)CC1"),
    ("difluorine beside a basic amine", "CCCN(C)C", "CN(C)CC(C)(F)F"),
    ("hydroxy two atoms from an amine", "CCCN(C)C", "CC(O)CN(C)C"),
    ("chain CH2 to O", "CCCCC", "CCCOC"),
    ("chain O to CH2", "CCOCC", "CCCCC"),
    ("chain CH2 put in", "CCO", "CCCO"),
    ("phenyl to 2-thienyl", "Cc1ccccc1", "Cc1cccs1"),
    ("phenyl to cyclohexyl", "Cc1ccccc1", "CC1CCCCC1"),
    ("phenyl to tert-butyl", "Cc1ccccc1", "CC(C)(C)C"),
    ("phenyl to pyrazole", "Cc1ccccc1", "Cc1cn[nH]c1"),
    ("phenyl taken off", "CCc1ccccc1", "CC"),
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


def test_every_transform_has_a_case():
    assert {name for name, _, _ in CASES} == set(edits.TRANSFORMS)


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
