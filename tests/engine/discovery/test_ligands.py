"""What ligands say of a query, against similarities worked out by hand and against RDKit's."""

from __future__ import annotations

import numpy as np
import pytest

from osler.engine.discovery import ligands
from osler.engine.discovery.ligands import LEAST, POWER, Reference, best_first, scores, significance, unpacked
from tests.engine.discovery.families import known


def _bits(*rows: list[int]) -> np.ndarray:
    """Rows of one word with these bits set."""
    return np.array([[sum(1 << b for b in row)] for row in rows], dtype=np.uint64)


#: Similarities to the query {0, 1, 2, 3}: 1, 1/2, 1/3, 0.
BITS = _bits([0, 1, 2, 3], [0, 1], [0, 1, 8, 9], [20, 21])
QUERY = _bits([0, 1, 2, 3])[0]


def _reference(molecule: list[int], target: list[int], k: int) -> Reference:
    return Reference(BITS, np.array(molecule), np.array(target), k, np.random.default_rng(0))


def test_similarities_by_hand():
    found = _reference([0, 1, 2, 3], [0, 0, 1, 1], 3)
    assert found.similarities(QUERY).tolist() == pytest.approx([1.0, 0.5, 1 / 3, 0.0])
    assert found.sizes.tolist() == [2, 2, 0]


def test_votes_and_nearest_by_hand():
    found = _reference([1, 0, 3, 2], [0, 0, 1, 1], 3).evidence(QUERY)
    assert found.votes.tolist() == pytest.approx([1 + 0.5**POWER, (1 / 3) ** POWER, 0.0])
    assert found.similarity.tolist() == pytest.approx([1.0, 1 / 3, 0.0])
    assert found.nearest.tolist() == [0, 2, -1]


def test_of_equally_near_ligands_the_earlier_pair_is_named():
    found = _reference([1, 1, 0, 0], [0, 1, 0, 1], 2).evidence(QUERY)
    assert found.nearest.tolist() == [0, 0]


def test_fragments_by_hand():
    found = _reference([0, 1, 2, 3], [0, 0, 1, 1], 2).evidence(QUERY)
    # bits 0 and 1: three of four molecules, two of two ligands of target 0; bits 2 and 3: one molecule, a ligand of 0
    expected = 2 * np.log(3 / (3 * 0.5 + 1)) + 2 * np.log(2 / (1 * 0.5 + 1))
    assert found.bayes[0] == pytest.approx(expected)
    expected = 2 * np.log(2 / (3 * 0.5 + 1)) + 2 * np.log(1 / (1 * 0.5 + 1))
    assert found.bayes[1] == pytest.approx(expected)


def test_a_target_without_ligands_cannot_be_ranked():
    reference = _reference([0, 1, 2], [0, 0, 1], 3)
    found = reference.evidence(QUERY)
    for method in ligands.METHODS:
        score = scores(found, reference.sizes, method)
        assert score[2] == -np.inf
        assert np.isfinite(score[:2]).all()
    assert found.p[2] == 1.0


def test_popularity_ignores_the_query():
    reference = _reference([0, 1, 2], [0, 0, 1], 2)
    for query in BITS:
        assert scores(reference.evidence(query), reference.sizes, "popularity").tolist() == [2.0, 1.0]


def test_significance_falls_with_z_and_is_one_without_any_likeness():
    z = np.array([-5.0, 0.0, 3.0, 10.0, 1000.0, 4.0])
    p = significance(z, np.array([1.0, 1, 1, 1, 1, 0]))
    assert (np.diff(p[:4]) < 0).all()
    assert p[1] == pytest.approx(1 - np.exp(-np.exp(-0.5772156649)))  # the extreme-value distribution at its mean
    assert p[4] >= 0
    assert p[5] == 1.0


def test_random_sets_are_rarely_significant():
    """Sets of ligands drawn at random from all families: about a share p of them has a p value below p."""
    reference = known()
    rng = np.random.default_rng(3)
    n, k = len(reference), 60
    molecule = rng.integers(n, size=(k, 8))
    pairs = np.unique(np.stack([molecule.ravel(), np.repeat(np.arange(k), 8)], axis=1), axis=0)
    random_sets = Reference(reference.bits, pairs[:, 0], pairs[:, 1], k, np.random.default_rng(1))
    values = np.concatenate([random_sets.evidence(reference.bits[i]).p for i in range(0, n, 8)])
    assert (values < 0.01).mean() < 0.05
    own = Reference(reference.bits, reference.molecule, reference.target, 4, np.random.default_rng(1))
    assert own.evidence(reference.bits[0]).p[reference.target[0]] < 0.01


def test_similarities_are_rdkits():
    pytest.importorskip("rdkit")
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.DataStructs import BulkTanimotoSimilarity

    found = known()
    make = GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    peers = [make(Chem.MolFromSmiles(s)) for s in found.smiles]
    ours = Reference(found.bits, found.molecule, found.target, 4, np.random.default_rng(0)).similarities(found.bits[5])
    assert ours.tolist() == pytest.approx(BulkTanimotoSimilarity(peers[5], peers))


def test_unpacked_bits_are_in_their_places():
    assert np.flatnonzero(unpacked(_bits([0, 5, 63]))[0]).tolist() == [0, 5, 63]


def test_order_of_equal_scores():
    assert best_first(np.array([1.0, 2.0, 1.0, 1.0]), np.array([0.1, 0.0, 0.3, 0.1])).tolist() == [1, 2, 0, 3]
    assert LEAST < 1
