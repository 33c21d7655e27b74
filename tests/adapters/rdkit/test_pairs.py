"""Surroundings of atoms, pairs of kinds by distance and cheap descriptors, against RDKit's own answers for whole molecules."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from osler.adapters.rdkit import environments, features, pairs, parts
from osler.adapters.rdkit.environments import KINDS
from osler.adapters.rdkit.standardise import Policy, is_standard, standardise
from tests.adapters.rdkit.test_features import SMILES

DRUGS = (
    "CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "NC(=N)Nc1ccc(cc1)S(=O)(=O)NC(C)=O", "c1nn[nH]n1", "c1nnn[nH]1",
    "CC(=O)n1ccc2ccccc21", "O=C(CCc1ccccc1)n1sc2ccccc2c1=O", "NC(=O)NC1CCCCC1", "O=C1CCC(CC)(c2ccncc2)C(=O)N1",
    "COC(=O)C=Cc1ccc(O)cc1", "CSC(=O)c1ccc(F)cc1Cl", "OP(O)(=O)OC", "CS(=O)(=O)Nc1ccc(Br)cc1", "C[N+](C)(C)CC(=O)[O-]",
    "N#Cc1ccc(I)cc1", "O=C=NCCN=C(N)N", "CC1=CC(=O)C=C(C)C1=O", "C1CC1C#CC=C", "CCN(CC)c1ncccn1", "ON=C(C)C(=O)NO",
)  # fmt: skip


def read(smiles=(*SMILES, *DRUGS)) -> list:
    """RDKit's molecules."""
    return [Chem.MolFromSmiles(s) for s in smiles]


def kinds(smiles: str) -> list[str]:
    """The kind of each atom of one molecule, by name."""
    return [KINDS[k] for k in environments.atoms([Chem.MolFromSmiles(smiles)]).kind]


def test_contributions_of_atoms_add_up_to_those_of_crippen():
    mols = read()
    found = environments.atoms(mols)
    n = len(mols)
    assert np.allclose(np.bincount(found.owner, found.logp, n), [Crippen.MolLogP(m) for m in mols])
    assert np.allclose(np.bincount(found.owner, found.refraction, n), [Crippen.MolMR(m) for m in mols])


def test_what_is_remembered_is_what_rdkit_says_of_each_molecule_alone():
    mols = read()
    remembered = environments.atoms(mols)
    for i, mol in enumerate(mols):
        asked = environments._asked(mol)
        own = slice(remembered.offsets[i], remembered.offsets[i + 1])
        assert remembered.kind[own].tolist() == [kind for kind, _, _ in asked]
        assert np.allclose(remembered.logp[own], [logp for _, logp, _ in asked])


def test_atoms_do_not_depend_on_their_company():
    mols = read()
    together = environments.atoms(mols)
    for i in (0, 5, len(mols) - 1):
        alone = environments.atoms([mols[i]])
        own = slice(together.offsets[i], together.offsets[i + 1])
        assert np.array_equal(alone.kind, together.kind[own])
        assert np.array_equal(alone.logp, together.logp[own])


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCN", ["in a chain", "in a chain", "base"]),
        ("CC(=O)O", ["in a chain", "in a chain", "acid", "acid"]),
        ("CC(=O)NC", ["in a chain", "in a chain", "acceptor", "amide nitrogen", "in a chain"]),
        ("Nc1ccccc1", ["donor"] + ["aromatic"] * 6),
        ("ClC1CC1S", ["halogen", "in a ring", "in a ring", "in a ring", "sulphur or phosphorus"]),
        ("C[N+](C)(C)C", ["in a chain", "positive", "in a chain", "in a chain", "in a chain"]),
        ("[O-]c1nnn[nH]1", ["negative", "aromatic", "acceptor", "acceptor", "acceptor", "acid"]),
        ("c1cc[nH]c1", ["aromatic", "aromatic", "aromatic", "donor", "aromatic"]),
    ],
)
def test_kinds_of_atoms_are_those_of_a_chemist(smiles, expected):
    assert kinds(smiles) == expected


def test_pairs_are_counted_by_hand():
    # ethanolamine N-C-C-O: base, two carbons in a chain, donor
    counts = dict(zip(pairs.PAIR_NAMES, pairs.fast([Chem.MolFromSmiles("NCCO")])["pairs"][0].tolist()))
    met = {name: count for name, count in counts.items() if count}
    assert met == {
        "base and base at 0": 1, "in a chain and in a chain at 0": 2, "donor and donor at 0": 1,
        "in a chain and base at 1": 1, "in a chain and base at 2": 1, "in a chain and in a chain at 1": 1,
        "donor and in a chain at 1": 1, "donor and in a chain at 2": 1, "donor and base at 3": 1,
    }  # fmt: skip


def brute_force(mol) -> np.ndarray:
    """Counts of pairs by RDKit's distance matrix, one pair after the other."""
    kind = [k for k, _, _ in environments._asked(mol)]
    distance = Chem.GetDistanceMatrix(mol)
    found = np.zeros((len(KINDS), len(KINDS), pairs.DISTANCES), dtype=np.int64)
    for i in range(len(kind)):
        for j in range(i, len(kind)):
            if distance[i, j] < pairs.DISTANCES:
                found[min(kind[i], kind[j]), max(kind[i], kind[j]), int(distance[i, j])] += 1
    return np.minimum(found[np.triu_indices(len(KINDS))].ravel(), 255)


def test_pairs_are_those_of_the_distance_matrix_in_small_large_and_parted_molecules():
    long = ("C" * 70 + "N" + "CO" * 40, "O" * 5 + "C" * 150 + "N", "C" * 64, "C" * 65, "CC.OCC.N")
    mols = read((*SMILES, *DRUGS, *long))
    found = pairs.fast(mols)["pairs"]
    assert found.dtype == np.uint8
    assert found.shape == (len(mols), 702)
    for row, mol in zip(found, mols):
        assert np.array_equal(row, brute_force(mol))


def test_basics_have_the_names_and_values_of_rdkit():
    mols = [m for m in read(DRUGS)]
    found = dict(zip(pairs.BASIC_NAMES, pairs.fast(mols)["basics"].T))
    known = dict(Descriptors.descList)
    compared = [name for name in found if name in known]
    assert len(compared) >= 18
    for name in compared:
        expected = [known[name](m) for m in mols]
        assert np.allclose(found[name], expected, rtol=1e-5, atol=1e-5), name
    assert np.array_equal(found["NumAmideBonds"], [rdMolDescriptors.CalcNumAmideBonds(m) for m in mols])


def test_no_molecules_and_molecules_of_one_atom_have_their_shapes():
    found = pairs.fast([])
    assert {name: part.shape for name, part in found.items()} == {
        "ecfp2": (0, 1024), "pairs": (0, 702), "basics": (0, len(pairs.BASIC_NAMES))
    }  # fmt: skip
    found = pairs.fast([Chem.MolFromSmiles("C"), Chem.MolFromSmiles("[Na+]")])
    assert found["pairs"].sum(axis=1).tolist() == [1, 1]
    assert np.isfinite(found["basics"]).all()


def test_a_molecule_with_a_dummy_atom_never_speaks_for_others():
    whole = Chem.MolFromSmiles("CCOC(=O)c1ccccc1")
    before = environments.atoms([whole])
    environments.atoms([parts.masked(whole, [0])])
    after = environments.atoms([whole])
    assert np.array_equal(before.logp, after.logp)
    environments._KNOWN.clear()
    environments.atoms([parts.masked(whole, [0])])
    assert np.array_equal(environments.atoms([whole]).logp, before.logp)


def test_the_memory_of_surroundings_is_bounded(monkeypatch):
    environments._KNOWN.clear()
    monkeypatch.setattr(environments, "MOST_KEPT", 10)
    mols = read(DRUGS)
    first = environments.atoms(mols)
    assert len(environments._KNOWN) > 10
    assert np.array_equal(environments.atoms(mols[:3]).logp, first.logp[: first.offsets[3]])
    assert len(environments._KNOWN) < 60


def test_fast_is_a_word_for_three_sets():
    assert features.known(("fast",)) == ("ecfp2", "pairs", "basics")
    assert features.known(("fast", "pairs", "erg")) == ("ecfp2", "pairs", "basics", "erg")
    names = features.names(("ecfp2", "pairs", "basics"))
    found = features.dense(["CCO", None, "no molecule"], ("ecfp2", "pairs", "basics"), Policy())
    assert found.shape == (3, len(names))
    assert names[-2:] == ["MolLogP", "MolMR"]
    assert np.isclose(found[0, -2], Crippen.MolLogP(Chem.MolFromSmiles("CCO")))
    assert np.isnan(found[1:]).all()


def test_molecules_standard_at_a_glance_are_those_that_the_policy_leaves_alone():
    policy = Policy()
    for smiles in (*SMILES, *DRUGS):
        if is_standard(smiles, "smiles", policy):
            mol, changes = standardise(Chem.MolFromSmiles(smiles), policy)
            assert changes == ()
            assert Chem.MolToSmiles(mol) == Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    assert not any(is_standard(s, "smiles", policy) for s in ("CC.O", "C[NH3+]", "CC(=O)[O-]"))
    assert all(is_standard(s, "smiles", policy) for s in ("c1ccccc1-c1ccccc1", "C[C@@H](N)O", "C[N+](=O)[O-]"))
    assert not is_standard("CCO", "smiles", Policy(tautomer="canonical"))
    assert not is_standard("InChI=1S/CH4/h1H4", "inchi", policy)


def test_a_molecule_is_read_once_while_it_is_among_the_last(monkeypatch):
    features.forget()
    first = features.read("CCOC", Policy())
    assert features.read("CCOC", Policy()) is first
    assert features.read("CCOC", Policy(salts="keep")) is not first
    monkeypatch.setattr(features, "MAX_MOLECULES", 2)
    for smiles in ("C", "CC", "CCC"):
        features.read(smiles, Policy())
    assert len(features._READ) == 2
    assert features.read("CCOC", Policy()) is not first
