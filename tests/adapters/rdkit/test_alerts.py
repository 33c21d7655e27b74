"""Filters on molecules whose alerts and properties are known by hand."""

from __future__ import annotations

import pytest

from osler.adapters.rdkit import alerts
from osler.errors import OptionError

chem = pytest.importorskip("rdkit.Chem")


@pytest.mark.parametrize(("name", "smiles", "told"), [
    ("pains", "O=C1C=CC(=O)C=C1", "quinone"),
    ("pains", "O=C1NC(=S)SC1=Cc1ccccc1", "rhod"),
    ("pains", "CC(=O)Oc1ccccc1C(=O)O", ""),
    ("brenk", "CC(=O)Cl", "acid_halide"),
    ("nih", "CC(=O)Cl", "carbonyl_halide"),
    ("brenk", "c1ccccc1", ""),
])  # fmt: skip
def test_alerts_are_named(name: str, smiles: str, told: str):
    found = alerts.filters([name])[name](chem.MolFromSmiles(smiles))
    assert (told in found.lower()) if told else found == ""


def test_properties_of_aspirin():
    held = alerts.properties(
        chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"), ["weight", "donors", "acceptors", "tpsa", "atoms"]
    )
    assert held == pytest.approx({"weight": 180.16, "donors": 1, "acceptors": 4, "tpsa": 63.6, "atoms": 21}, abs=0.01)


@pytest.mark.parametrize(("rule", "smiles", "broken"), [
    ("ro5", "CC(=O)Oc1ccccc1C(=O)O", ""),
    ("ro5", "C" * 40, "weight, logp"),
    ("ro5", "C" * 20, ""),  # one limit (logP) may be broken
    ("veber", "C" * 20, "rotatable"),
    ("veber", "OCC(O)C(O)C(O)C(O)C(O)C(O)C(O)CO", "tpsa"),
    ("egan", "C" * 20, "logp"),
    ("ghose", "CC", "weight, refractivity, atoms"),
    ("ro3", "CC(=O)Oc1ccccc1C(=O)O", "acceptors"),
])  # fmt: skip
def test_rules_say_which_limits_are_broken(rule: str, smiles: str, broken: str):
    found = alerts.filters([rule])[rule](chem.MolFromSmiles(smiles))
    assert found.split(", ") == broken.split(", ") or set(broken.split(", ")) <= set(found.split(", "))
    assert bool(found) == bool(broken)


def test_an_unknown_filter_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match="pains"):
        alerts.filters(["pain"])
    assert list(alerts.filters(["PAINS", "ro5"])) == ["pains", "ro5"]
