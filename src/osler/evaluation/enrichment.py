"""How early a ranking finds what is active: AUROC, enrichment factors, BEDROC and logAUC, with bootstrap intervals.

Rows with equal scores have no order among themselves: each stands for all orders, so that every row of a tie counts the tie's
share of actives (the expectation over orders; for logAUC, the straight line through the tie).

Sources: J.-F. Truchon, C. I. Bayly, Evaluating virtual screening methods: good and bad metrics for the "early recognition" problem,
J Chem Inf Model 47:488 (2007), for BEDROC and the enrichment factor; M. M. Mysinger, B. K. Shoichet, J Chem Inf Model 50:1561 (2010), for
logAUC.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from osler.errors import OptionError, TargetError
from osler.evaluation.intervals import LEVEL, percentile

#: Where the axis of logAUC begins: a thousandth of the decoys.
FIRST = 0.001


def ranking(active: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(n,) share of actives among the rows of the same score, from the place of the highest score to that of the lowest.

    Args:
        active: (n,) bool or 0/1. score: (n,) finite.

    Raises:
        TargetError: no active or no decoy. OptionError: a score that is not finite, or another length.
    """
    active, score = np.asarray(active).astype(bool), np.asarray(score, dtype=np.float64)
    if active.shape != score.shape or not np.isfinite(score).all():
        raise OptionError(f"scores must be finite numbers, one for each of {len(active)} rows, they are not")
    if active.all() or not active.any():
        raise TargetError("a ranking must hold actives and decoys, it holds one of them only", "target-constant")
    order = np.argsort(-score, kind="stable")
    tie = np.cumsum(np.diff(score[order], prepend=score[order[0]]) != 0)
    held = np.bincount(tie)
    return (np.bincount(tie, weights=active[order]) / held)[tie]


def auroc(ranked: np.ndarray) -> float:
    """Chance that an active stands before a decoy, equal scores half."""
    hits, misses = _curve(ranked)
    return float(np.sum(np.diff(misses) * (hits[1:] + hits[:-1]) / 2))


def enrichment_factor(ranked: np.ndarray, share: float = 0.01) -> float:
    """Actives in the first `share` of rows over those that chance would put there; the first ceil(share n) rows count.

    Raises:
        OptionError: a share that is not above 0 and at most 1.
    """
    if not 0.0 < share <= 1.0:
        raise OptionError(f"share of rows must be above 0 and at most 1, was {share:g}")
    first = math.ceil(share * len(ranked) - 1e-9)
    return float(ranked[:first].mean() / ranked.mean())


def bedroc(ranked: np.ndarray, alpha: float = 20.0) -> float:
    """Boltzmann-enhanced discrimination: 1 where all actives come first, 0 where they come last; with alpha 20, four fifths of
    it come from the first 8 % of rows.

    Raises:
        OptionError: alpha is not above 0.
    """
    if not alpha > 0.0:
        raise OptionError(f"alpha must be above 0, was {alpha:g}")
    n, n_active = len(ranked), float(ranked.sum())
    step = alpha / n
    total = float(np.exp(-step * np.arange(1, n + 1)) @ ranked)
    best = _geometric(step, n_active)
    worst = best * math.exp(-step * (n - n_active))
    return (total - worst) / (best - worst)


def log_auc(ranked: np.ndarray, first: float = FIRST) -> float:
    """Area under the ROC over the logarithm of the share of decoys, from `first` to 1, as a share of the most possible.

    Chance gives 0.1446 with the default `first`.

    Raises:
        OptionError: `first` is not between 0 and 1.
    """
    if not 0.0 < first < 1.0:
        raise OptionError(f"the first share of decoys must be between 0 and 1, was {first:g}")
    hits, misses = _curve(ranked)
    left, right = misses[:-1], misses[1:]
    slope = np.divide(np.diff(hits), right - left, out=np.zeros(len(left)), where=right > left)
    low = np.maximum(left, first)
    inside = right > low
    at_zero = hits[:-1] - slope * left
    area = slope[inside] * (right - low)[inside] + at_zero[inside] * np.log(right[inside] / low[inside])
    return float(area.sum() / math.log(1.0 / first))


#: What `enrichment` computes.
METRICS: dict[str, Callable[[np.ndarray], float]] = {
    "auroc": auroc, "ef_1_percent": enrichment_factor, "bedroc_20": bedroc, "log_auc": log_auc,
}  # fmt: skip


def enrichment(
    active: np.ndarray, score: np.ndarray, rng: np.random.Generator | None = None, n_boot: int = 1000, level: float = LEVEL
) -> dict[str, dict[str, float]]:
    """Every metric of `METRICS` as {"value", "low", "high", "n", "n_active"}.

    Intervals are percentiles of resamples that draw actives and decoys apart, with replacement; without `rng` there are none.

    Args:
        active: (n,) bool or 0/1. score: (n,), larger is more likely active.
    """
    ranked = ranking(active, score)
    values = {name: metric(ranked) for name, metric in METRICS.items()}
    out = {name: {"value": v, "n": float(len(score)), "n_active": float(ranked.sum())} for name, v in values.items()}
    if rng is None:
        return out
    replicates = {name: np.empty(n_boot) for name in METRICS}
    for b in range(n_boot):
        drawn = _resample(active, score, rng)
        for name, metric in METRICS.items():
            replicates[name][b] = metric(drawn)
    for name, one in out.items():
        one["low"], one["high"] = percentile(one["value"], replicates[name], level)
    return out


def _resample(active: np.ndarray, score: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Actives and decoys drawn with replacement, ranked."""
    groups = [np.flatnonzero(np.asarray(active).astype(bool) == side) for side in (True, False)]
    rows = np.concatenate([group[rng.integers(0, len(group), len(group))] for group in groups])
    return ranking(np.asarray(active)[rows], np.asarray(score)[rows])


def _curve(ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of actives and share of decoys seen (n + 1,), from 0 to 1, after each place."""
    hits = np.concatenate([[0.0], np.cumsum(ranked)])
    misses = np.concatenate([[0.0], np.cumsum(1.0 - ranked)])
    return hits / hits[-1], misses / misses[-1]


def _geometric(step: float, n: float) -> float:
    """Sum of exp(-step r) over r = 1 ... n."""
    return -math.expm1(-step * n) / math.expm1(step)
