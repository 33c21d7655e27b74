"""The parts of the cluster test: what a table without clusters looks like, the comparison with it,
numbering, stability."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osler.instruments import clusters
from osler.instruments.cluster import ClusterOptions


def test_a_normal_reference_keeps_the_covariance(rng):
    x = rng.normal(size=(4000, 3)) @ np.array([[1.0, 0.8, 0], [0, 0.6, 0], [0, 0, 2]])
    drawn = clusters._without_clusters(x, [(i, i + 1, False) for i in range(3)], "normal", rng)
    assert np.cov(drawn.T) == pytest.approx(np.cov(x.T), abs=0.25)
    assert drawn.mean(axis=0) == pytest.approx(x.mean(axis=0), abs=0.15)


def test_a_uniform_reference_fills_the_box_of_the_axes(rng):
    x = rng.normal(size=(2000, 2)) * [3, 1]
    drawn = clusters._without_clusters(x, [(0, 1, False), (1, 2, False)], "uniform", rng)
    assert np.abs(drawn).max() <= np.abs(x).max() * 1.05
    assert stats.kurtosis(drawn[:, 0]) == pytest.approx(-1.2, abs=0.15)


def test_a_reference_keeps_the_shares_of_classes_and_breaks_their_ties(rng):
    truth = rng.integers(0, 2, 1000)
    x = np.stack([truth, truth], axis=1).astype(float)
    drawn = clusters._without_clusters(x, [(0, 1, True), (1, 2, True)], "normal", rng)
    assert drawn.sum(axis=0).tolist() == x.sum(axis=0).tolist()
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1


def test_the_indicators_of_one_class_stay_together(rng):
    x = np.eye(3)[rng.integers(0, 3, 90)]
    drawn = clusters._without_clusters(x, [(0, 3, True)], "uniform", rng)
    assert (drawn.sum(axis=1) == 1).all()


def test_above_is_a_prediction_interval(rng):
    """One more draw of the same distribution is called above in about 5 % of cases at level 0.05."""
    called = [clusters._above(float(rng.normal()), rng.normal(size=20)) < 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(called) < 0.065
    assert clusters._above(1.0, np.zeros(5)) == 0.0
    assert clusters._above(0.0, np.zeros(5)) == 1.0


def test_the_largest_cluster_is_number_one(rng):
    x = np.concatenate(
        [rng.normal(0, 0.1, (10, 2)), rng.normal(9, 0.1, (40, 2)), rng.normal(-9, 0.1, (20, 2))]
    )
    labels = clusters.assign(x, 3, "kmeans", rng)
    assert set(labels[10:50].tolist()) == {1}
    assert set(labels[50:].tolist()) == {2}
    assert set(labels[:10].tolist()) == {3}


def test_noise_of_hdbscan_is_zero(rng):
    x = np.concatenate([rng.normal(0, 0.1, (50, 2)), rng.normal(9, 0.1, (50, 2)), [[100.0, -100.0]]])
    labels = clusters.assign(x, 2, "hdbscan", rng)
    assert labels[-1] == 0
    assert labels.max() == 2


def test_best_jaccard_by_hand():
    """A cluster of rows 0 to 3; found again as {0, 1, 2} and {3, 4, 5}: 3/4 and 1/6."""
    cluster = np.array([True, True, True, True, False, False])
    assert clusters._best_jaccard(cluster, np.array([1, 1, 1, 2, 2, 2])) == pytest.approx(0.75)
    assert clusters._best_jaccard(np.zeros(6, dtype=bool), np.ones(6, dtype=int)) == 0.0
    assert clusters._best_jaccard(cluster, np.zeros(6, dtype=int)) == 0.0


def test_stability_resamples_whole_patients(rng, monkeypatch):
    """Rows of a patient are drawn together: with two rows each, no sample holds one without the other."""
    unit = np.repeat(np.arange(30), 2)
    x = np.stack([unit, np.tile([0, 1], 30)], axis=1).astype(float)
    drawn = []

    def seen(part, k, method, generator):
        drawn.append(part[:, 0])
        return np.ones(len(part), dtype=np.int64)

    monkeypatch.setattr(clusters, "assign", seen)
    got = clusters.stability(x, np.ones(60, dtype=np.int64), unit, 2, ClusterOptions(resamples=5), rng)
    assert got == [1.0]
    for part in drawn:
        assert len(part) == 30
        assert set(np.unique(part, return_counts=True)[1].tolist()) == {2}


def test_the_users_k_is_taken_without_a_test(rng):
    choice = clusters.choose(rng.normal(size=(50, 2)), {"columns": []}, ClusterOptions(k=4), rng)
    assert choice.k == 4
    assert "no test" in choice.facts["chosen_by"]


def test_silhouette_of_a_lone_row_is_zero():
    distance = np.abs(np.arange(3.0)[:, None] - np.arange(3.0)[None])
    assert clusters.silhouette(distance, np.array([0, 0, 1])) == pytest.approx((0.5 + 0.0 + 0.0) / 3)


def test_bic_prefers_one_component_for_one_population(rng):
    x = rng.normal(size=(200, 2))
    assert clusters._mixture(x, 1, 0, 1)[1] < clusters._mixture(x, 3, 0, 1)[1]
