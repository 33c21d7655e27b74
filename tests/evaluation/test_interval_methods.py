"""Intervals: closed forms against published values and peers, the cluster bootstrap against what it must
do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from osler.evaluation import intervals, metrics


def test_wilson_agrees_with_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for hits, n in ((0, 10), (3, 10), (81, 263), (15, 148), (20, 20)):
        expected = proportion_confint(hits, n, method="wilson")
        assert intervals.wilson(hits / n, n) == pytest.approx(expected, abs=1e-10)


def test_wilson_gives_newcombes_published_values():
    # Newcombe, Statistics in Medicine 1998;17:857-872, table I, method 3
    assert intervals.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert intervals.wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert intervals.wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert intervals.wilson(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_of_nothing_is_undefined():
    assert all(math.isnan(v) for v in intervals.wilson(0.5, 0))
    assert all(math.isnan(v) for v in intervals.wilson(float("nan"), 5))


def test_poisson_limits_are_exact():
    low, high = intervals.poisson(0)
    assert (low, high) == pytest.approx((0, -math.log(0.025)))
    low, high = intervals.poisson(10)
    assert stats.poisson.sf(9, low) == pytest.approx(0.025)
    assert stats.poisson.cdf(10, high) == pytest.approx(0.025)


def test_a_perfect_auroc_keeps_a_width():
    low, high = intervals.auroc_limit(1.0, 20, 20)
    assert high == 1.0
    assert 0.8 < low < 0.95
    assert intervals.auroc_limit(1.0, 200, 200)[0] > low
    mirrored = intervals.auroc_limit(0.0, 20, 20)
    assert mirrored == pytest.approx((0.0, 1 - low), abs=1e-9)


def test_auroc_limit_is_close_to_hanley_and_mcneil_in_the_middle():
    n1 = n0 = 100
    value = 0.75
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + (n1 - 1) * (q1 - value**2) + (n0 - 1) * (q2 - value**2)
    half = 1.96 * math.sqrt(variance / (n1 * n0))
    assert intervals.auroc_limit(value, n1, n0) == pytest.approx((value - half, value + half), abs=0.012)


def test_bootstrap_weights_keep_units_together_and_draw_as_many(rng):
    groups = np.array([7, 7, 7, 3, 3, 9])
    blocks = np.concatenate(list(intervals.bootstrap_weights(groups, 6, 500, rng)))
    assert blocks.shape == (500, 6)
    assert (blocks[:, 0] == blocks[:, 1]).all()
    assert (blocks[:, 0] == blocks[:, 2]).all()
    assert (blocks[:, 3] == blocks[:, 4]).all()
    assert (blocks[:, 0] + blocks[:, 3] + blocks[:, 5] == 3).all()
    assert blocks[:, 5].mean() == pytest.approx(1, abs=0.1)


def test_blocks_do_not_change_the_draws(monkeypatch):
    whole = np.concatenate(list(intervals.bootstrap_weights(None, 40, 30, np.random.default_rng(5))))
    monkeypatch.setattr(intervals, "_CELLS", 200)
    parts = list(intervals.bootstrap_weights(None, 40, 30, np.random.default_rng(5)))
    assert len(parts) == 6
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_bootstrap_of_a_mean_has_the_textbook_width(rng):
    x = rng.normal(size=400)
    blocks = intervals.bootstrap_weights(None, 400, 4000, rng)
    drawn = intervals.many(lambda w: metrics.average(x, w), blocks)
    low, high = intervals.percentile(x.mean(), drawn)
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.06)


def test_repeated_rows_of_one_unit_do_not_narrow_the_interval(rng):
    x = rng.normal(size=100)
    repeated, groups = np.repeat(x, 9), np.repeat(np.arange(100), 9)
    width = []
    for values, codes in ((x, None), (repeated, groups), (repeated, None)):
        blocks = intervals.bootstrap_weights(codes, len(values), 2000, np.random.default_rng(1))
        drawn = intervals.many(lambda w, v=values: metrics.average(v, w), blocks)
        low, high = intervals.percentile(values.mean(), drawn)
        width.append(high - low)
    assert width[1] == pytest.approx(width[0], rel=1e-9)
    assert width[2] == pytest.approx(width[0] / 3, rel=0.1)


def test_jackknife_leaves_out_one_unit_at_a_time():
    blocks = np.concatenate(list(intervals.jackknife_weights(np.array([0, 0, 1, 2]), 4)))
    assert blocks.tolist() == [[0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]]


def test_bca_agrees_with_scipy():
    x = np.random.default_rng(3).exponential(size=60)
    expected = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="BCa", random_state=np.random.default_rng(0)
    ).confidence_interval
    rng = np.random.default_rng(1)
    drawn = intervals.many(
        lambda w: metrics.average(x, w), intervals.bootstrap_weights(None, 60, 20_000, rng)
    )
    left_out = intervals.many(lambda w: metrics.average(x, w), intervals.jackknife_weights(None, 60))
    assert intervals.bca(x.mean(), drawn, left_out) == pytest.approx(tuple(expected), abs=0.015)


def test_percentile_is_undefined_when_most_replicates_are():
    drawn = np.array([0.5, np.nan, np.nan, np.nan])
    assert all(math.isnan(v) for v in intervals.percentile(0.5, drawn))
    assert intervals.percentile(0.9, np.array([0.1, 0.2, 0.3])) == pytest.approx((0.105, 0.9))


def test_centred_puts_the_replicates_around_the_value():
    drawn = np.linspace(0.2, 0.4, 1001)
    assert intervals.centred(0.1, drawn) == pytest.approx((0.005, 0.195))
    assert intervals.centred(0.01, drawn)[0] == 0.0


def test_clustered_share_is_wilson_for_rows_of_their_own_and_wider_in_clusters():
    own = intervals.clustered_share(0.3, np.array([0.2, 0.4]), 100, 100)
    assert own == intervals.wilson(0.3, 100)
    drawn = np.random.default_rng(0).normal(0.3, 0.1, 5000)
    low, high = intervals.clustered_share(0.3, drawn, 100, 20)
    assert high - low == pytest.approx(np.diff(intervals.wilson(0.3, 21))[0], rel=0.05)
    certain = intervals.clustered_share(1.0, np.ones(10), 100, 20)
    assert certain == intervals.wilson(1.0, 20)


def test_large_tables_get_fewer_replicates_but_never_too_few():
    assert intervals.replicates_for(1_000, 1000) == 1000
    assert intervals.replicates_for(100_000, 1000) == 200
    assert intervals.replicates_for(20_000, 1000) == 500
    assert intervals.replicates_for(10**7, 50) == 50
