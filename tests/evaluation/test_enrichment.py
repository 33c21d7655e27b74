"""Early recognition: by hand on rankings of a few rows, against RDKit's scoring, and by what must hold for every ranking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from osler.errors import OptionError, TargetError
from osler.evaluation import enrichment as early
from osler.evaluation.enrichment import enrichment, ranking

TEN = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
DOWN = -np.arange(10.0)


def test_by_hand():
    ranked = ranking(TEN, DOWN)
    assert early.auroc(ranked) == pytest.approx(15 / 16)
    assert early.enrichment_factor(ranked, 0.1) == pytest.approx(5.0)  # one of one, where chance has one in five
    assert early.enrichment_factor(ranked, 0.2) == pytest.approx(2.5)
    assert early.enrichment_factor(ranked, 0.01) == pytest.approx(5.0)  # the first one row
    assert early.enrichment_factor(ranked, 1.0) == pytest.approx(1.0)


def test_bedroc_by_its_own_formula():
    """Truchon and Bayly 2007, equation 36, with the ranks 1 and 3 of 10."""
    alpha, n, ranks = 20.0, 10, np.array([1, 3])
    share = 2 / n
    rie = np.exp(-alpha * ranks / n).mean() / ((1 / n) * (1 - math.exp(-alpha)) / (math.exp(alpha / n) - 1))
    expected = rie * share * math.sinh(alpha / 2) / (math.cosh(alpha / 2) - math.cosh(alpha / 2 - alpha * share)) + 1 / (
        1 - math.exp(alpha * (1 - share))
    )
    assert early.bedroc(ranking(TEN, DOWN)) == pytest.approx(expected, rel=1e-12)


def test_log_auc_by_hand():
    """Two decoys, one active: behind the first decoy the curve is 0 up to a half, then 1."""
    ranked = ranking(np.array([0, 1, 0]), np.array([3.0, 2.0, 1.0]))
    assert early.log_auc(ranked, 0.01) == pytest.approx(math.log(2) / math.log(100))
    both = ranking(np.array([0, 1]), np.array([1.0, 1.0]))
    assert early.log_auc(both, 0.001) == pytest.approx((1 - 0.001) / math.log(1000))  # the diagonal
    assert early.log_auc(both) == pytest.approx(0.1446, abs=1e-4)


@pytest.mark.parametrize("alpha", [1.0, 20.0, 160.9])
def test_rdkit_scores_the_same(rng: np.random.Generator, alpha: float):
    scoring = pytest.importorskip("rdkit.ML.Scoring.Scoring")
    for _ in range(20):
        n = int(rng.integers(20, 400))
        active = rng.random(n) < 0.1
        active[int(rng.integers(n))] = True
        active[int(rng.integers(n))] ^= active.sum() > 1
        active[np.flatnonzero(~active)[:1]] = False
        score = rng.normal(size=n) + active
        lines = [[bool(a)] for a in active[np.argsort(-score)]]
        ranked = ranking(active, score)
        assert early.bedroc(ranked, alpha) == pytest.approx(scoring.CalcBEDROC(lines, 0, alpha), rel=1e-9, abs=1e-12)
        assert early.auroc(ranked) == pytest.approx(scoring.CalcAUC(lines, 0), rel=1e-12)
        assert early.enrichment_factor(ranked, 0.05) == pytest.approx(scoring.CalcEnrichment(lines, 0, [0.05])[0], rel=1e-12)


def test_ties_are_the_mean_over_all_orders(rng: np.random.Generator):
    active = np.array([1, 0, 0, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    score = np.array([3, 3, 3, 2, 2, 2, 1, 1, 1, 1], dtype=float)
    tied = ranking(active, score)
    orders = [ranking(active, score + rng.random(10) * 1e-3) for _ in range(6000)]
    assert early.auroc(tied) == pytest.approx(roc_auc_score(active, score))
    for metric in (early.auroc, lambda r: early.enrichment_factor(r, 0.2), early.bedroc):
        found = np.array([metric(order) for order in orders])
        assert metric(tied) == pytest.approx(found.mean(), abs=4 * found.std() / math.sqrt(len(found)))


def test_best_and_worst_rankings():
    first, last = ranking(TEN, TEN.astype(float)), ranking(TEN, -TEN.astype(float))
    assert [round(metric(first), 12) for metric in (early.auroc, early.bedroc, early.log_auc)] == [1.0, 1.0, 1.0]
    assert [round(metric(last), 12) for metric in (early.auroc, early.bedroc, early.log_auc)] == [0.0, 0.0, 0.0]


def test_intervals_hold_the_value_and_narrow_with_rows(rng: np.random.Generator):
    widths = []
    for n in (60, 1500):
        active = np.arange(n) < n // 6
        score = rng.normal(size=n) + active
        found = enrichment(active, score, rng, n_boot=150)
        for one in found.values():
            assert one["low"] <= one["value"] <= one["high"]
            assert (one["n"], one["n_active"]) == (n, n // 6)
        widths.append(found["auroc"]["high"] - found["auroc"]["low"])
        assert found["auroc"]["value"] == pytest.approx(roc_auc_score(active, score))
    assert widths[1] < widths[0] / 2
    assert "low" not in enrichment(TEN, DOWN)["auroc"]


def test_an_interval_of_bedroc_covers_as_it_says():
    """Of 120 draws of 30 actives and 300 decoys, 88 to 99 % of the 95 % intervals hold the expectation."""
    rng = np.random.default_rng(3)
    active = np.arange(330) < 30
    truth = np.mean([early.bedroc(ranking(active, rng.normal(size=330) + 1.5 * active)) for _ in range(600)])
    held = []
    for _ in range(120):
        one = enrichment(active, rng.normal(size=330) + 1.5 * active, rng, n_boot=80)["bedroc_20"]
        held.append(one["low"] <= truth <= one["high"])
    assert 0.86 <= np.mean(held) <= 1.0


def test_what_has_no_ranking_is_refused():
    with pytest.raises(TargetError, match="one of them only"):
        ranking(np.ones(3), np.arange(3.0))
    with pytest.raises(OptionError, match="finite"):
        ranking(np.array([0, 1]), np.array([0.0, np.nan]))
    for ask in (lambda r: early.bedroc(r, 0.0), lambda r: early.enrichment_factor(r, 0.0), lambda r: early.log_auc(r, 1.0)):
        with pytest.raises(OptionError):
            ask(ranking(TEN, DOWN))
