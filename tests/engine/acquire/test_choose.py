"""Worth and batches: by hand, and expected improvement against drawing."""

from __future__ import annotations

import numpy as np
import pytest

from osler.adapters.tanimoto.search import similarities
from osler.engine.acquire import choose
from osler.engine.acquire.spread import Belief
from osler.errors import OptionError

BELIEF = Belief(np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 0.0]), "made")


def test_worth_by_hand():
    assert choose.worth("mean", BELIEF).tolist() == [1.0, 2.0, 3.0]
    assert choose.worth("mean", BELIEF, sign=-1).tolist() == [-1.0, -2.0, -3.0]
    assert choose.worth("spread", BELIEF).tolist() == [2.0, 0.5, 0.0]
    assert choose.worth("ucb", BELIEF, kappa=2.0).tolist() == [5.0, 3.0, 3.0]
    assert choose.worth("ucb", BELIEF, kappa=2.0, sign=-1).tolist() == [3.0, -1.0, -3.0]
    assert choose.worth("ei", BELIEF, best=2.5)[2] == 0.5
    assert choose.worth("ei", BELIEF, best=3.5)[2] == 0.0
    assert choose.worth("ei", BELIEF, best=1.0)[0] == pytest.approx(2.0 / np.sqrt(2 * np.pi))


def test_expected_improvement_is_what_draws_improve(rng: np.random.Generator):
    mean, spread, best = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.3, 2.0]), 0.7
    draws = mean + spread * rng.normal(size=(200_000, 3))
    assert choose.expected_improvement(mean, spread, best) == pytest.approx(np.maximum(draws - best, 0).mean(axis=0), abs=0.01)
    smaller = choose.worth("ei", Belief(-mean, spread, ""), best=-best, sign=-1)
    assert smaller == pytest.approx(choose.expected_improvement(mean, spread, best))


def test_a_batch_without_diversity_is_the_most_worthwhile(rng: np.random.Generator):
    value, bits = rng.normal(size=50), rng.integers(0, 2**63, (50, 2), dtype=np.uint64)
    found = choose.batch(value, bits, 5, 0.0)
    assert found.rows.tolist() == np.argsort(-value)[:5].tolist()
    assert found.rank.tolist() == [1, 2, 3, 4, 5]


def test_diversity_passes_over_a_twin():
    bits = np.array([[0b1111], [0b1111], [0b11110000]], dtype=np.uint64)
    value = np.array([1.0, 0.95, 0.6])
    assert choose.batch(value, bits, 2, 0.0).rows.tolist() == [0, 1]
    found = choose.batch(value, bits, 2, 0.6)
    assert found.rows.tolist() == [0, 2]
    assert found.rank.tolist() == [1, 3]
    assert found.nearest.tolist() == [0.0, 0.0]


def test_more_diversity_gives_less_like_batches_of_less_worth(rng: np.random.Generator):
    families = np.repeat(rng.integers(0, 2**63, (40, 2), dtype=np.uint64), 10, axis=0)
    bits = families ^ (np.uint64(1) << rng.integers(0, 63, (400, 2), dtype=np.uint64))
    value = np.repeat(rng.normal(size=40), 10) + rng.normal(size=400) / 10
    batches = [choose.batch(value, bits, 12, d).rows for d in (0.0, 0.5, 1.0)]
    near = [np.mean([np.sort(similarities(bits[b], row))[-2] for row in bits[b]]) for b in batches]
    assert near[0] > near[1] > near[2]
    assert value[batches[0]].mean() > value[batches[1]].mean() > value[batches[2]].mean()
    assert all(len(set(b.tolist())) == 12 for b in batches)


def test_a_batch_larger_than_the_pool_is_the_pool():
    assert sorted(choose.batch(np.zeros(3), np.zeros((3, 1), np.uint64), 9, 0.5).rows.tolist()) == [0, 1, 2]


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(OptionError, match="ucb"):
        choose.worth("ucbb", BELIEF)
    with pytest.raises(OptionError, match="--table"):
        choose.worth("ei", BELIEF)
    for size, diversity in ((0, 0.3), (1, 1.5), (1, -0.1)):
        with pytest.raises(OptionError):
            choose.batch(np.zeros(3), np.zeros((3, 1), np.uint64), size, diversity)
