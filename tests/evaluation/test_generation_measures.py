"""Measures of generated molecules: by hand, from invariants, and beside scipy and fcd_torch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.linalg import sqrtm

from osler.evaluation.generation import (
    Drawn,
    Reference,
    count_similarity,
    fingerprint_bits,
    frechet_distance,
    internal_diversity,
    judge,
    marks,
    moments,
    nearest_similarity,
    novel_share,
    tanimoto,
    unique_share,
)  # fmt: skip

pytest.importorskip("rdkit")
BITS = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]], np.uint8)
HERE = ["CCO", "Oc1ccccc1", "CC(=O)Nc1ccccc1", "O=C(O)c1ccccc1", "C1CCNCC1"]


def test_uniqueness_counts_the_first_k():
    assert unique_share(["C", "C", "N", "O"]) == 0.75
    assert unique_share(["C", "C", "N", "O"], 2) == 0.5
    assert np.isnan(unique_share([]))


def test_novelty_counts_different_molecules_once():
    known = marks(["C", "N"])
    assert novel_share(["C", "O", "O", "S"], known) == pytest.approx(2 / 3)
    assert novel_share(["C"], known) == 0.0
    assert np.isnan(novel_share([], known))


def test_tanimoto_by_hand():
    expected = [[1.0, 1 / 3, 0.0], [1 / 3, 1.0, 1 / 3], [0.0, 1 / 3, 1.0]]
    assert np.allclose(tanimoto(BITS, BITS), expected)
    assert tanimoto(np.zeros((1, 4)), np.zeros((1, 4))).item() == 0.0


def test_diversity_leaves_out_a_molecule_with_itself():
    assert internal_diversity(BITS) == pytest.approx(1 - (1 / 3 + 1 / 3 + 0) / 3)
    assert internal_diversity(np.repeat(BITS[:1], 9, axis=0)) == pytest.approx(0.0)
    assert np.isnan(internal_diversity(BITS[:1]))


def test_nearest_similarity_by_hand():
    assert nearest_similarity(BITS[:2], BITS[2:]) == pytest.approx((0 + 1 / 3) / 2)
    assert nearest_similarity(BITS, BITS) == 1.0


def test_counts_are_compared_by_proportion():
    assert count_similarity(Counter(a=2, b=4), Counter(a=1, b=2)) == pytest.approx(1.0)
    assert count_similarity(Counter(a=1), Counter(b=1)) == 0.0
    assert count_similarity(Counter(a=3, b=4), Counter(a=1)) == pytest.approx(0.6)


def test_frechet_distance_of_numbers_is_that_of_means_and_deviations():
    a, b = (np.array([1.0]), np.array([[4.0]])), (np.array([4.0]), np.array([[9.0]]))
    assert frechet_distance(a, b) == pytest.approx(9.0 + (2 - 3) ** 2)


def test_frechet_distance_is_that_of_scipys_root(rng: np.random.Generator):
    a, b = moments(rng.normal(size=(200, 6))), moments(rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1)
    root = sqrtm(a[1] @ b[1]).real
    expected = ((a[0] - b[0]) ** 2).sum() + np.trace(a[1] + b[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)


def test_chemnet_distance_is_that_of_its_own_package():
    fcd = pytest.importorskip("fcd_torch")
    import warnings

    from osler.adapters.fcd import WIDTH, activations

    left, right = HERE * 4, ["CCN", "CCCl", "c1ccncc1", "CC(C)O"] * 5
    ours = frechet_distance(moments(activations(left)), moments(activations(right)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fcd.FCD(device="cpu", n_jobs=1)(left, right)
    assert activations(left[:2]).shape == (2, WIDTH)
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_what_is_drawn_is_read_once_per_molecule():
    drawn = Drawn.read(["OCC", "CCO", "", "C1CC", "c1ccccc1"])
    assert (drawn.n, drawn.smiles) == (5, ["CCO", "CCO", "c1ccccc1"])
    assert len(drawn.mols) == 2


def test_a_generator_that_recites_is_valid_alike_and_not_new():
    reference = Reference.of(HERE, HERE, chemnet=False)
    found = judge(Drawn.read(HERE), reference, slow=True)
    assert found["validity"]["value"] == found["unique_1k"]["value"] == 1.0
    assert found["novelty"]["value"] == 0.0
    assert [found[name]["value"] for name in ("nearest_similarity", "scaffold_similarity")] == pytest.approx([1.0, 1.0])
    assert "fcd" not in found
    assert found["validity"]["low"] < 1.0


def test_repeats_count_in_the_diversity():
    reference = Reference.of(["CO"], HERE, chemnet=False)
    many = judge(Drawn.read(["CCO"] * 99 + ["c1ccccc1"]), reference)["internal_diversity"]["value"]
    few = judge(Drawn.read(["CCO", "c1ccccc1"]), reference)["internal_diversity"]["value"]
    assert many < 0.05 < few


def test_nothing_valid_is_told_by_validity_alone():
    found = judge(Drawn.read(["C1CC", "x"]), Reference.of(["CO"], HERE, chemnet=False))
    assert found == {"validity": {"value": 0.0, "n": 2, "low": 0.0, "high": pytest.approx(0.6576, abs=1e-3)}}


def test_fingerprints_are_unpacked_bits():
    bits = fingerprint_bits(Drawn.read(["CCO", "c1ccccc1"]).mols)
    assert bits.shape == (2, 1024)
    assert set(np.unique(bits)) == {0, 1}
