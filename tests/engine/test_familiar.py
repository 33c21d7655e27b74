"""Whether rows of counts look like training: similarities by hand, and the same answers from compiled and plain code."""

from __future__ import annotations

import numpy as np
import pytest

from osler.blocks import dense
from osler.engine import familiar


def block(values: np.ndarray, continuous: int = 0):
    """Counts, and some columns of numbers that do not count."""
    p = values.shape[1]
    kinds = ["count"] * (p - continuous) + ["continuous"] * continuous
    return dense(values, [str(i) for i in range(p)], present=~np.isnan(values).any(axis=1), kinds=kinds)


def test_similarity_is_that_of_the_bins_that_are_not_zero():
    values = np.array([[1.0, 2, 0, 0], [3, 0, 1, 0], [0, 0, 0, 5]])
    bits = familiar.packed(block(values))
    assert familiar.nearest(bits[:1], bits[1:]).tolist() == [1 / 3]
    assert familiar.nearest(bits, bits).tolist() == [1.0, 1.0, 1.0]
    assert familiar.nearest(bits, bits, skip_self=True).tolist() == [1 / 3, 1 / 3, 0.0]


def test_numbers_beside_the_counts_and_missing_rows_do_not_count():
    values = np.array([[1.0, 0, 7.5], [0, 1, 0.0], [np.nan, np.nan, np.nan]])
    bits = familiar.packed(block(values, continuous=1))
    assert np.bitwise_count(bits).sum(axis=1).tolist() == [1, 1, 0]


def test_many_rows_are_seen_as_few_are(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    training = rng.poisson(0.3, (300, 200)).astype(float)
    learnt = familiar.learn(block(training))
    assert familiar.is_whole(learnt)
    values = np.vstack([training[:200], rng.poisson(0.05, (400, 200)).astype(float), np.full((1, 200), np.nan), np.zeros((3, 200))])
    assert len(values) >= familiar.MANY
    compiled = familiar.seen(block(values), learnt)
    monkeypatch.setattr(familiar, "MANY", 10_000)
    plain = familiar.seen(block(values), learnt)
    np.testing.assert_array_equal(compiled, plain)
    assert compiled[:200].mean() > 0.9
    assert compiled[600]
    assert not compiled[601:].any()
    assert 0 < compiled.sum() < len(compiled)
