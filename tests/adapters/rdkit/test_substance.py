"""Standardising, sameness, scaffolds, clusters and drawings of molecules, by known examples."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.ML.Cluster import Butina

from osler.adapters.rdkit import draw, fingerprints, identity, scaffolds
from osler.adapters.rdkit.standardise import CHARGE, ISOTOPE, PART, SALT, STEREO, TAUTOMER, Policy, parent, standardise
from osler.errors import OptionError


def mol(smiles: str):
    """RDKit's molecule."""
    return Chem.MolFromSmiles(smiles)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Oc1ccccc1C(=O)O", ()),
        ("CC(=O)[O-].[Na+]", "CC(=O)O", (SALT, CHARGE)),
        ("CCN.Cl", "CCN", (SALT,)),
        ("[Cl].CC(C)NCC(O)COc1cccc2ccccc12", "CC(C)NCC(O)COc1cccc2ccccc12", (SALT,)),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", ()),
        ("[Na+].[Cl-]", "[Cl-].[Na+]", ()),
        ("CC(C)C[NH3+].OC(=O)C(=O)O", "CC(C)CN", (SALT, CHARGE)),
        ("CCN.CCN.OS(=O)(=O)O", "CCN", (SALT, PART)),
        ("CCCCCCCC.c1ccc2ccccc2c1", "c1ccc2ccccc2c1", (PART,)),
        ("[O-][N+](=O)c1ccccc1", "O=[N+]([O-])c1ccccc1", ()),
        ("N[C@@H](C)C(=O)O.Cl", "C[C@H](N)C(=O)O", (SALT,)),
    ],
)
def test_default_policy(before, after, changes):
    given = mol(before)
    found, words = standardise(given, Policy())
    assert Chem.MolToSmiles(found) == Chem.CanonSmiles(after)
    assert words == changes
    assert Chem.MolToSmiles(given) == Chem.CanonSmiles(before)
    again, none = standardise(found, Policy())
    assert (Chem.MolToSmiles(again), none) == (Chem.MolToSmiles(found), ())


@pytest.mark.parametrize(
    ("policy", "before", "after", "changes"),
    [
        (Policy(tautomer="canonical"), "Oc1ccccn1", "O=c1cccc[nH]1", (TAUTOMER,)),
        (Policy(stereo="drop"), "N[C@@H](C)C(=O)O", "CC(N)C(=O)O", (STEREO,)),
        (Policy(stereo="drop"), "F/C=C/F", "FC=CF", (STEREO,)),
        (Policy(isotopes="drop"), "[13CH3]C", "CC", (ISOTOPE,)),
        (Policy(isotopes="drop"), "[2H]OC", "CO", (ISOTOPE,)),
        (Policy(salts="keep", mixtures="keep"), "CCN.Cl", "CCN.Cl", ()),
        (Policy(charges="keep"), "CC(=O)[O-].[Na+]", "CC(=O)[O-]", (SALT,)),
        (Policy(mixtures="keep"), "CCCCC.c1ccccc1C", "CCCCC.Cc1ccccc1", ()),
    ],
)
def test_other_policies(policy, before, after, changes):
    found, words = standardise(mol(before), policy)
    assert (Chem.MolToSmiles(found), words) == (Chem.CanonSmiles(after), changes)


def test_mixtures_may_be_refused():
    assert standardise(mol("CCCCC.c1ccccc1C"), Policy(mixtures="refuse")) == (None, ())
    assert standardise(mol("CCCCCN.Cl"), Policy(mixtures="refuse"))[1] == (SALT,)


def test_a_policy_says_what_it_may_be():
    with pytest.raises(OptionError, match="salts of molecules must be strip or keep, was 'remove'"):
        Policy(salts="remove")


def same(a: str, b: str) -> set[str]:
    """The senses in which two molecules are the same."""
    found = identity.identities([mol(a), mol(b)])
    return {sense for sense, (x, y) in found.items() if x == y}


@pytest.mark.parametrize(
    ("a", "b", "senses"),
    [
        ("OCC", "CCO", set(identity.SENSES)),
        ("CC(=O)O", "CC(=O)[O-].[Na+]", set(identity.SENSES) - {"smiles"}),
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", {"connectivity", "fingerprint"}),
        ("Oc1ccccn1", "O=c1cccc[nH]1", {"tautomer", "connectivity"}),
        ("CCCCCCCCCC", "CCCCCCCCCCC", set()),
        ("CCO", "CCN", set()),
    ],
)
def test_senses_of_being_the_same(a, b, senses):
    assert same(a, b) == senses


def test_identities_of_nothing():
    assert identity.identities([None]) == {sense: [None] for sense in identity.SENSES}
    assert Chem.MolToSmiles(parent(mol("CC(=O)[O-].[K+]"))) == "CC(=O)O"


def test_scaffolds():
    propranolol = mol("CC(C)NCC(O)COc1cccc2ccccc12")
    assert scaffolds.scaffold(propranolol) == "c1ccc2ccccc2c1"
    assert scaffolds.scaffold(propranolol, generic=True) == "C1CCC2CCCCC2C1"
    assert scaffolds.scaffold(mol("CC(O)CN")) == "CC(O)CN"
    assert scaffolds.scaffold(mol("C[C@H](O)CN")) == scaffolds.scaffold(mol("CC(O)CN"))
    assert scaffolds.scaffolds([None, mol("c1ccccc1CC1CC1")]) == [None, "c1ccc(CC2CC2)cc1"]
    imatinib = mol("Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1")
    assert scaffolds.scaffold(imatinib) == MurckoScaffold.MurckoScaffoldSmiles(mol=imatinib)


def chains() -> list:
    """Forty molecules of a few families."""
    cores = ("c1ccccc1", "C1CCNCC1", "c1ccncc1", "C1CCOC1")
    return [mol("C" * k + core) for core in cores for k in range(10)]


def test_clusters_are_butinas():
    given = chains()
    packed = fingerprints.bits(given)
    ones = np.bitwise_count(packed).sum(axis=1).astype(int)
    both = np.bitwise_count(packed[:, None] & packed[None]).sum(axis=2).astype(int)
    similar = both / (ones[:, None] + ones[None] - both)
    for radius in (0.2, 0.35, 0.6):
        codes = scaffolds.butina(packed, radius)
        peer = Butina.ClusterData([1 - similar[i, j] for i in range(40) for j in range(i)], 40, radius, isDistData=True)
        assert codes.max() + 1 == len(peer)
        assert np.bincount(codes).max() == max(len(c) for c in peer)
        for code in range(codes.max() + 1):
            members = np.flatnonzero(codes == code)
            assert (1 - similar[members][:, members] <= radius + 1e-9).all(axis=1).any(), "a centre within the radius"


def test_later_molecules_join_the_nearest_centre_or_found_one(monkeypatch):
    packed = fingerprints.bits(chains())
    monkeypatch.setattr(scaffolds, "EXACT", 20)
    codes = scaffolds.butina(np.vstack([packed, packed[:5]]))
    assert (codes >= 0).all()
    assert np.array_equal(codes[:20], scaffolds.butina(packed[:20]))
    assert np.array_equal(np.unique(codes), np.arange(codes.max() + 1))
    assert codes[40] == codes[0]
    assert len(scaffolds.butina(packed[:0])) == 0


def colours(text: str) -> list[str]:
    """Fill colours of discs, in order."""
    return re.findall(r"<ellipse[^>]*fill:(#[0-9A-F]{6})", text)


def test_a_drawing_is_whole_and_fetches_nothing():
    text = draw.svg(mol("CC(=O)Oc1ccccc1C(=O)O"), (320, 200))
    root = ElementTree.fromstring(text)
    assert (root.attrib["width"], root.attrib["height"]) == ("320px", "200px")
    assert set(re.findall(r'https?://[^\s"\']+', text)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.rdkit.org/xml",
    }  # fmt: skip
    assert not re.search(r"<(image|script|style|use)\b|href=|url\(", text)


def test_weights_are_discs_with_a_legend():
    aspirin = mol("CC(=O)Oc1ccccc1C(=O)O")
    weights = np.linspace(-1, 1, 13)
    text = draw.svg(aspirin, atom_weights=weights, bond_weights=[0.5] * 13, legend=("less <b>", "more"))
    ElementTree.fromstring(text)
    assert "less &lt;b&gt;" in text
    assert len(colours(text)) == 12
    assert len(colours(draw.svg(aspirin))) == 0
    rising = colours(draw.svg(aspirin, atom_weights=np.arange(13)))
    depth = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in rising]
    assert all(a >= b for a, b in pairwise(depth))
    assert colours(draw.svg(aspirin, atom_weights=np.zeros(13))) == []
    with pytest.raises(ValueError, match="must be 13, one per atom, were 2"):
        draw.svg(aspirin, atom_weights=[1, 2])
