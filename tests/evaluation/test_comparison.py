"""Which model is better: DeLong against the formula of the paper, clusters, and paired bootstraps."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from osler.evaluation import compare as com
from osler.evaluation import metrics, survival
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


# -- two concordances ----------------------------------------------------------------------------------------


def followed(
    units: int, each: int, censoring: float, rng: np.random.Generator
) -> tuple[Target, np.ndarray, dict[str, Prediction]]:
    """`each` rows of `units` people who share a frailty, exponential times, and a sharp and a blunt risk."""
    n, groups = units * each, np.repeat(np.arange(units), each)
    x = 0.7 * np.repeat(rng.normal(size=units), each) + 0.5 * rng.normal(size=n)
    time, lost = rng.exponential(np.exp(-x)), rng.exponential(censoring, n)
    event = time <= lost
    target = Target("survival", ("t", "e"), np.minimum(time, lost), event, horizon=float(np.quantile(time[event], 0.8)))
    return target, groups, {"sharp": risky(x + 0.8 * rng.normal(size=n)), "blunt": risky(x + 1.5 * rng.normal(size=n))}


def risky(log_hazard: np.ndarray) -> Prediction:
    return Prediction(np.exp(-np.exp(log_hazard))[:, None], np.array([1.0]))


def half_width(found: dict) -> float:
    return (found["high"] - found["low"]) / 2 / stats.norm.ppf(0.975)


@pytest.mark.parametrize(("units", "each", "censoring"), [(150, 1, 3.0), (150, 1, 0.7), (70, 3, 2.0)])
def test_the_error_of_two_concordances_is_that_of_resampled_units(units: int, each: int, censoring: float):
    """Brute force: 1,000 resamples of whole units, every pair counted one by one. A factor 2 forgotten anywhere would
    give a ratio of 0.7 or 1.4; the resamples alone leave a standard error of 2 %, terms of higher order some per
    cent.
    """
    rng = np.random.default_rng(11)
    target, groups, models = followed(units, each, censoring, rng)
    found = com.compare(target, models, groups, rng, reference="blunt")["sharp"]
    t, e = target.y, target.event
    comparable = e[:, None] & ((t[:, None] < t) | ((t[:, None] == t) & ~e))
    order = {k: np.sign(p.risk[:, None] - p.risk) / 2 + 0.5 for k, p in models.items()}
    uno = np.where(t < target.horizon, survival._inverse(target, t, None) ** 2, 0.0)
    counts = np.array(
        [np.bincount(rng.integers(0, units, units), minlength=units)[groups] for _ in range(1000)], dtype=float
    )
    for metric, weight in (("c_harrell", np.ones(len(t))), ("c_uno", uno)):
        pairs = weight[:, None] * comparable
        both = pairs * (order["sharp"] - order["blunt"])
        drawn = ((counts @ both) * counts).sum(axis=1) / ((counts @ pairs) * counts).sum(axis=1)
        assert found[metric]["value"] == pytest.approx(both.sum() / pairs.sum(), abs=1e-12)
        assert half_width(found[metric]) == pytest.approx(drawn.std(), rel=0.12)


def test_the_weights_of_uno_may_be_held_still_over_resamples():
    """The censoring curve is estimated once: estimating it anew in each of 200 resamples changes the error by
    little.
    """
    rng = np.random.default_rng(12)
    target, groups, models = followed(120, 1, 1.0, rng)
    found = com.compare(target, models, groups, rng, reference="blunt")["sharp"]["c_uno"]
    drawn = []
    for _ in range(200):
        counts = np.bincount(rng.integers(0, 120, 120), minlength=120).astype(float)
        resampled = dataclasses.replace(target, weight=counts)
        drawn.append(np.subtract(*(survival.uno_c(resampled, p.risk, target.horizon).value for p in models.values())))
    assert half_width(found) == pytest.approx(np.std(drawn), rel=0.2)


def test_two_equally_good_risks_differ_at_the_nominal_level():
    """400 made-up cohorts of 100: p < 0.05 in about 5 % (99.9 % binomial band 1.9 to 9.3 %), within clusters too."""
    rng, sure = np.random.default_rng(13), 0
    for i in range(400):
        target, groups, _ = followed(100 if i % 2 else 50, 1 if i % 2 else 2, 2.0, rng)
        x = np.log(target.y)
        pair = {k: risky(-x + 2 * rng.normal(size=len(x))) for k in "ab"}
        sure += com.compare(target, pair, groups, rng)["b"]["c_harrell"]["p_value"] < 0.05
    assert 0.019 <= sure / 400 <= 0.093
