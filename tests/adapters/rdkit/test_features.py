"""Fingerprints, descriptors, graphs and kept rows, against RDKit's own functions and against each other."""

from __future__ import annotations

import random

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem, DataStructs, RDLogger
from rdkit.Avalon import pyAvalonTools
from rdkit.Chem import Descriptors, rdFingerprintGenerator, rdMolDescriptors, rdReducedGraphs

from osler.adapters.rdkit import descriptors, features, fingerprints, graphs
from osler.adapters.rdkit.standardise import Policy
from osler.errors import OptionError

SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "CCN(CC)CC.Cl", "C", "C1CC1C", "CC12CC1C2", "C12C3C4C1C5C2C3C45",
    "OS(=O)(=O)O", "C[Si](C)(C)C", "[2H]C", "[CH3]", "BrCC(I)=C", "[NH3]->[Pt](Cl)Cl", "O=[As](O)O", "[Na+].[Cl-]",
    "F/C=C\\F", "C[N+](C)(C)CC(=O)[O-]", "c1ccc2c(c1)[nH]c1ccccc12", "[H][H]", "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "C1CC11CC1", "S1C=CN=C1N", "OP(O)(=O)OC", "N#CC#N", "CC(C)(C)C(C)(C)C", "[Se]1cccc1",
)  # fmt: skip


def mols() -> list:
    """RDKit's molecules of `SMILES`."""
    return [Chem.MolFromSmiles(s) for s in SMILES]


def as_array(fingerprint, width: int) -> np.ndarray:
    """RDKit's fingerprint as numbers."""
    out = np.zeros(width, dtype=np.int64)
    DataStructs.ConvertToNumpyArray(fingerprint, out)
    return out


def test_counts_are_those_of_rdkit():
    given = mols()
    found = fingerprints.counts(given, ("ecfp", "ecfp6", "avalon", "erg", "maccs"))
    for radius, name in ((2, "ecfp"), (3, "ecfp6")):
        morgan = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=1024)
        assert np.array_equal(found[name], np.minimum([morgan.GetCountFingerprintAsNumPy(m) for m in given], 255))
    avalon = [as_array(pyAvalonTools.GetAvalonCountFP(m, 1024), 1024) for m in given]
    assert np.array_equal(found["avalon"], np.minimum(avalon, 255))
    erg = np.array([rdReducedGraphs.GetErGFingerprint(m) for m in given])
    assert np.array_equal(found["erg"], erg.astype(np.float32))
    maccs = [as_array(rdMolDescriptors.GetMACCSKeysFingerprint(m), 167) for m in given]
    assert np.array_equal(found["maccs"], maccs)
    assert {k: v.dtype for k, v in found.items() if k != "erg"} == dict.fromkeys(set(found) - {"erg"}, np.uint8)


@pytest.mark.parametrize(("kind", "words"), [("ecfp", 32), ("ecfp6", 32), ("avalon", 32), ("maccs", 3)])
def test_packed_bits_give_the_tanimoto_similarity_of_rdkit(kind, words):
    given = mols()[:8]
    packed = fingerprints.bits(given, kind)
    assert packed.shape == (8, words)
    assert packed.dtype == np.uint64
    make = {
        "ecfp": rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint,
        "ecfp6": rdFingerprintGenerator.GetMorganGenerator(radius=3, fpSize=2048).GetFingerprint,
        "avalon": lambda m: pyAvalonTools.GetAvalonFP(m, 2048),
        "maccs": rdMolDescriptors.GetMACCSKeysFingerprint,
    }[kind]
    peer = [make(m) for m in given]
    for i in range(8):
        both = np.bitwise_count(packed[i] & packed).sum(axis=1)
        either = np.bitwise_count(packed[i] | packed).sum(axis=1)
        expected = DataStructs.BulkTanimotoSimilarity(peer[i], peer)
        ours = np.where(either > 0, both / np.maximum(either, 1), expected)
        assert np.allclose(ours, expected)


def test_wrong_fingerprints_are_refused():
    with pytest.raises(OptionError, match="did you mean 'ecfp'"):
        fingerprints.counts(mols(), ("ecf",))
    with pytest.raises(OptionError, match="multiple of 64, was 100"):
        fingerprints.bits(mols(), "ecfp", 100)
    with pytest.raises(OptionError, match="was 'erg'"):
        fingerprints.bits(mols(), "erg")


@pytest.mark.parametrize("name", [n for n in descriptors.NAMES if n in dict(Descriptors.descList)])
def test_descriptors_are_those_of_rdkit(name):
    peer = dict(Descriptors.descList)[name]
    expected = np.nan_to_num([peer(m) for m in mols()], nan=0.0, posinf=0.0, neginf=0.0)
    found = TABLE[:, descriptors.NAMES.index(name)]
    assert np.allclose(found, expected, rtol=2e-6, atol=2e-5)


TABLE = descriptors.describe(mols())


def test_descriptors_are_finite_and_complete():
    assert TABLE.shape == (len(SMILES), len(descriptors.NAMES))
    assert TABLE.dtype == np.float32
    assert np.isfinite(TABLE).all()
    assert len(set(descriptors.NAMES)) == len(descriptors.NAMES)
    assert len(set(descriptors.NAMES) & set(dict(Descriptors.descList))) >= 100
    assert descriptors.describe([]).shape == (0, len(descriptors.NAMES))
    mqn = np.array([rdMolDescriptors.MQNs_(m) for m in mols()])
    assert np.array_equal(TABLE[:, -42:], mqn)


def test_rows_do_not_depend_on_their_neighbours():
    given = mols()
    for i in (0, 3, 12, 20):
        assert np.array_equal(descriptors.describe([given[i]])[0], TABLE[i])


def test_kept_rows_are_the_computed_ones_and_stay_within_their_bound(monkeypatch):
    features.forget()
    kinds = ("ecfp", "descriptors")
    texts = [*SMILES, None, "C1CC", SMILES[0]]
    first = features.dense(texts, kinds, Policy())
    assert np.isnan(first[-3]).all()
    assert np.isnan(first[-2]).all()
    assert np.array_equal(first[-1], first[0])
    assert not np.isnan(first[: len(SMILES)]).any()
    again = features.dense(texts[::-1], kinds, Policy())[::-1]
    assert np.array_equal(first, again, equal_nan=True)
    monkeypatch.setattr(features, "MAX_BYTES", 20_000)
    squeezed = features.dense(texts, kinds, Policy())
    assert np.array_equal(first, squeezed, equal_nan=True)
    features.dense(["CCCCO"], kinds, Policy())
    assert features._held <= 20_000
    features.forget()
    assert features._held == 0


def test_a_policy_has_its_own_rows():
    salt = ["CCN(CC)CC.Cl"]
    plain, whole = Policy(), Policy(salts="keep", mixtures="keep")
    assert not np.array_equal(features.dense(salt, ("ecfp",), plain), features.dense(salt, ("ecfp",), whole))
    assert np.array_equal(features.dense(salt, ("ecfp",), plain), features.dense(["CCN(CC)CC"], ("ecfp",), plain))


def test_names_of_features():
    assert features.names(("maccs", "descriptors"))[166:168] == ["maccs 166", "MolWt"]
    assert features.known(["ecfp", "ecfp"]) == ("ecfp",)
    with pytest.raises(OptionError, match="did you mean 'avalon'"):
        features.known(["avalo"])
    with pytest.raises(OptionError, match="there were none"):
        features.known([])


def test_graph_of_ethanol_by_hand():
    found = graphs.graphs([Chem.MolFromSmiles("CCO"), None, Chem.MolFromSmiles("[Na+].[Cl-]")])
    assert found["node_offsets"].tolist() == [0, 3, 3, 5]
    assert found["edge_offsets"].tolist() == [0, 4, 4, 4]
    assert found["edges"].tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    name = graphs.NODE_NAMES.index
    nodes = found["nodes"]
    assert nodes[:3, name("element 6")].tolist() == [1, 1, 0]
    assert nodes[:3, name("hydrogens 3")].tolist() == [1, 0, 0]
    assert nodes[:3, name("degree 2")].tolist() == [0, 1, 0]
    assert nodes[3:, name("element other")].tolist() == [1, 0]
    assert nodes[3:, name("charge 1")].tolist() == [1, 0]
    assert nodes[2, name("mass")] == pytest.approx(0.15999, abs=1e-4)
    assert found["edge_values"][:, graphs.EDGE_NAMES.index("bond single")].tolist() == [1, 1, 1, 1]


def test_edges_come_in_pairs_of_opposite_directions():
    found = graphs.graphs(mols())
    edges, values = found["edges"], found["edge_values"]
    reverse = np.arange(edges.shape[1]) ^ 1
    assert np.array_equal(edges[:, reverse], edges[::-1])
    assert np.array_equal(values[reverse], values)
    bonds = [m.GetNumBonds() for m in mols()]
    assert np.diff(found["edge_offsets"]).tolist() == [2 * b for b in bonds]
    owner = np.repeat(np.arange(len(SMILES)), np.diff(found["node_offsets"]))
    assert np.array_equal(owner[edges[0]], np.repeat(np.arange(len(SMILES)), [2 * b for b in bonds]))


def test_one_hot_groups_hold_one_each():
    found = graphs.graphs(mols())
    for names, values in ((graphs.NODE_NAMES, found["nodes"]), (graphs.EDGE_NAMES, found["edge_values"])):
        for group in {n.split()[0] for n in names if " " in n and not n.startswith("in ")}:
            places = [i for i, n in enumerate(names) if n.startswith(f"{group} ")]
            assert (values[:, places].sum(axis=1) == 1).all(), group


def test_the_graph_does_not_depend_on_the_order_of_atoms():
    rng = random.Random(2)
    for mol in mols()[:10]:
        order = list(range(mol.GetNumAtoms()))
        rng.shuffle(order)
        a, b = graphs.graphs([mol]), graphs.graphs([Chem.RenumberAtoms(mol, order)])
        plain = [i for i, n in enumerate(graphs.NODE_NAMES) if not n.startswith("chirality")]
        assert np.array_equal(a["nodes"][order][:, plain], b["nodes"][:, plain])
        assert sorted(map(tuple, a["edge_values"])) == sorted(map(tuple, b["edge_values"]))


def test_computing_says_nothing_about_molecules(capfd):
    RDLogger.EnableLog("rdApp.*")
    features.forget()
    features.dense(SMILES, ("ecfp", "avalon", "erg", "maccs", "descriptors"), Policy())
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_kept_identities_are_those_of_the_molecules_and_gaps_have_none():
    from osler.adapters.rdkit import features, identity
    from osler.adapters.rdkit.standardise import Policy

    texts = ["CCO", None, "no molecule", "OCC", "CC(=O)[O-].[Na+]", "CC(=O)O"]
    features.forget()
    first, again = (features.identities(texts, Policy(salts="keep", mixtures="keep", charges="keep")) for _ in range(2))
    assert first == again and list(first) == list(identity.SENSES)
    assert all(keys[1] is None and keys[2] is None for keys in first.values())
    assert first["smiles"][0] == first["smiles"][3] == "CCO"
    assert first["smiles"][4] != first["smiles"][5] and first["parent"][4] == first["parent"][5]
