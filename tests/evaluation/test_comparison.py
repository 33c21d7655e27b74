"""Which model is better: DeLong against the formula of the paper, clusters, and paired bootstraps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from osler.evaluation import compare as com
from osler.evaluation import metrics
from osler.tasks.base import Prediction, Target


def placements(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V10 (n1,) and V01 (n0,) of DeLong 1988, equation 6, pair by pair."""
    pos, neg = p[y == 1], p[y != 1]
    kernel = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in neg] for a in pos])
    return kernel.mean(axis=1), kernel.mean(axis=0)


@pytest.fixture
def two(rng):
    """60 rows, two scores with ties, correlated."""
    x = rng.normal(size=60)
    y = (rng.random(60) < 1 / (1 + np.exp(-2 * x))).astype(int)
    return y, np.round(x + rng.normal(size=60), 1), np.round(x + rng.normal(size=60), 1)


def test_delong_is_the_formula_of_the_paper(two):
    y, first, second = two
    area, covariance = com.delong(y, np.column_stack([first, second]))
    v10, v01 = zip(*(placements(y, p) for p in (first, second)))
    expected = np.cov(np.array(v10)) / y.sum() + np.cov(np.array(v01)) / (len(y) - y.sum())
    assert area == pytest.approx([v.mean() for v in v10])
    np.testing.assert_allclose(covariance, expected, atol=1e-14)


def test_delong_test_by_its_definition(two):
    y, first, second = two
    found = com.delong_test(y, first, second)
    area, c = com.delong(y, np.column_stack([first, second]))
    error = np.sqrt(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    assert found["value"] == pytest.approx(area[0] - area[1])
    assert found["z"] == pytest.approx(found["value"] / error)
    assert found["p_value"] == pytest.approx(2 * stats.norm.sf(abs(found["z"])))
    assert found["low"] == pytest.approx(found["value"] - 1.959964 * error, abs=1e-6)
    swapped = com.delong_test(y, second, first)
    assert swapped["value"] == pytest.approx(-found["value"])
    assert swapped["p_value"] == pytest.approx(found["p_value"])


def test_a_score_against_itself_is_no_different(two):
    y, first, _ = two
    found = com.delong_test(y, first, first * 3 + 1)
    assert found["value"] == 0
    assert found["p_value"] == 1
    assert found["z"] == 0


def test_perfect_against_reversed_is_certain():
    y = np.array([0, 0, 1, 1])
    found = com.delong_test(y, y.astype(float), -y.astype(float))
    assert found["value"] == 1
    assert found["p_value"] == 0
    assert found["z"] is None


def test_units_of_one_row_are_no_clusters(two):
    y, first, second = two
    p = np.column_stack([first, second])
    np.testing.assert_allclose(com.delong(y, p, np.arange(60)[::-1])[1], com.delong(y, p)[1])


def test_clustered_variance_is_obuchowskis_formula(two, rng):
    y, first, _ = two
    groups = rng.integers(0, 20, 60)
    _, covariance = com.delong(y, first, groups)
    v10, v01 = placements(y, first)
    area, m, n = v10.mean(), len(v10), len(v01)
    g1, g0 = groups[y == 1], groups[y != 1]
    names = np.unique(groups)
    a = np.array([(v10[g1 == g] - area).sum() for g in names])
    b = np.array([(v01[g0 == g] - area).sum() for g in names])
    i10, i01, i = len(np.unique(g1)), len(np.unique(g0)), len(names)
    s10 = i10 / ((i10 - 1) * m) * (a**2).sum()
    s01 = i01 / ((i01 - 1) * n) * (b**2).sum()
    s11 = i / (i - 1) * (a * b).sum()
    assert covariance[0, 0] == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n))


def test_copies_in_clusters_do_not_add_information(two):
    y, first, _ = two
    groups = np.repeat(np.arange(60), 5)
    alone = com.delong(y, first)[1][0, 0]
    assert com.delong(np.repeat(y, 5), np.repeat(first, 5), groups)[1][0, 0] == pytest.approx(alone, rel=0.05)
    assert com.delong(np.repeat(y, 5), np.repeat(first, 5))[1][0, 0] < 0.3 * alone


def test_the_interval_of_one_auroc_stays_inside(two):
    y, first, _ = two
    value, low, high = com.delong_interval(y, first)
    assert 0 < low < value < high < 1
    assert value == pytest.approx(metrics.auroc(y, first))
    perfect = com.delong_interval(y, y.astype(float))
    assert perfect[0] == perfect[2] == 1
    assert perfect[1] < 0.99


def test_delong_needs_both_classes():
    with pytest.raises(ValueError, match="both classes"):
        com.delong(np.ones(5), np.arange(5.0))


def test_delong_keeps_its_level_when_models_are_equally_good():
    rng, rejected = np.random.default_rng(4), 0
    for _ in range(400):
        x = rng.normal(size=100)
        y = (rng.random(100) < 1 / (1 + np.exp(-x))).astype(int)
        scores = x + rng.normal(size=100), x + rng.normal(size=100)
        rejected += com.delong_test(y, *scores)["p_value"] < 0.05
    assert 0.025 < rejected / 400 < 0.085


def binary(y: np.ndarray, p: np.ndarray) -> Prediction:
    """A binary prediction."""
    return Prediction(np.column_stack([1 - p, p]))


def test_bootstrap_and_delong_agree(rng):
    x = rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-x))).astype(int)
    first, second = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-(x + rng.normal(size=400))))
    target = Target("binary", ("t",), y, classes=("n", "p"))
    models = {"noisy": binary(y, second), "clean": binary(y, first)}
    found = com.compare(target, models, None, rng, reference="noisy", n_boot=2000)["clean"]["auroc"]
    exact = com.delong_test(y, first, second)
    assert found["value"] == pytest.approx(exact["value"])
    assert found["low"] == pytest.approx(exact["low"], abs=0.01)
    assert found["high"] == pytest.approx(exact["high"], abs=0.01)
    assert found["p_delong"] == pytest.approx(exact["p_value"])


def test_all_models_are_compared_with_the_first_on_every_metric(rng):
    y = rng.integers(0, 2, 80)
    models = {name: binary(y, rng.random(80)) for name in "abc"}
    target = Target("binary", ("t",), y, classes=("n", "p"))
    found = com.compare(target, models, None, rng, n_boot=50)
    assert list(found) == ["b", "c"]
    for metric, name in itertools.product(("auroc", "brier", "f1"), found):
        entry = found[name][metric]
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert 0 < entry["p_value"] <= 1


def test_a_model_against_its_copy_has_p_one(rng):
    y = rng.integers(0, 2, 60)
    p = rng.random(60)
    target = Target("binary", ("t",), y, classes=("n", "p"))
    found = com.compare(target, {"a": binary(y, p), "b": binary(y, p)}, None, rng, n_boot=50)["b"]["brier"]
    assert (found["value"], found["low"], found["high"], found["p_value"]) == (0, 0, 0, 1)


def test_numbers_are_compared_too(rng):
    y = rng.normal(size=200)
    target = Target("regression", ("t",), y)
    models = {"near": Prediction((y + 0.1)[:, None]), "far": Prediction((y + rng.normal(size=200))[:, None])}
    found = com.compare(target, models, None, rng, n_boot=200)["far"]["mae"]
    assert found["low"] > 0.3
    assert found["p_value"] < 0.02


def test_paired_bootstrap_of_two_functions(rng):
    y, p = rng.normal(size=100), rng.normal(size=100)
    q = p + 0.5 * (y - p)
    found = com.paired_bootstrap(
        lambda w: metrics.rmse(y, p, w), lambda w: metrics.rmse(y, q, w), 100, None, rng, 200
    )
    assert found["value"] == pytest.approx(metrics.rmse(y, p) / 2)
    assert found["low"] > 0


def test_an_unknown_reference_is_an_error(rng):
    target = Target("binary", ("t",), np.array([0, 1]), classes=("n", "p"))
    with pytest.raises(KeyError):
        com.compare(target, {"a": binary(target.y, np.array([0.1, 0.2]))}, None, rng, reference="z", n_boot=5)
