"""How sure a number is: cluster bootstrap by independent unit, and closed forms where they are better.

The default of `osler.evaluation.scores` is the 95 % percentile interval of 1,000 cluster bootstraps: whole
units are drawn with replacement, so that ten visits of one patient count as one patient. Shares (accuracy,
recall, ...) use Wilson's interval with the sample size that the clusters are worth; a bootstrap has no width
at 0 or 1, Wilson has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

#: Coverage of every interval unless a caller asks for another.
LEVEL = 0.95

#: Cells of a block of weights: what metrics do to it then stays in the processor's cache.
_CELLS = 500_000


def codes(groups: np.ndarray | None, n: int) -> np.ndarray:
    """(n,) int64 codes 0 ... g - 1 of the units; every row its own if None."""
    return np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)


def replicates_for(n: int, n_boot: int) -> int:
    """Bootstrap replicates for n rows: `n_boot`, fewer beyond 10,000 rows (never under 200, or `n_boot` if
    that is smaller).
    """
    return min(n_boot, max(200, min(n_boot, 10_000_000 // max(n, 1))))


def bootstrap_weights(
    groups: np.ndarray | None, n: int, n_boot: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each row is drawn in each replicate: arrays (b, n) float64, blocks that together have
    `n_boot` rows.

    Units are drawn with replacement, as many as there are; all rows of a unit share its count.
    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8 (strategy 1).
    """
    group = codes(groups, n)
    n_units = int(group.max()) + 1 if n else 0
    size = max(1, _CELLS // max(n, 1))
    for start in range(0, n_boot, size):
        b = min(size, n_boot - start)
        drawn = rng.integers(0, n_units, size=(b, n_units)) + np.arange(b)[:, None] * n_units
        counts = np.bincount(drawn.ravel(), minlength=b * n_units).reshape(b, n_units)
        yield counts.astype(np.float64)[:, group]


def jackknife_weights(groups: np.ndarray | None, n: int) -> Iterator[np.ndarray]:
    """Leave one unit out: blocks (b, n) of 0 and 1, as many rows in all as there are units."""
    group = codes(groups, n)
    n_units = int(group.max()) + 1
    size = max(1, _CELLS // n)
    for start in range(0, n_units, size):
        left_out = np.arange(start, min(start + size, n_units))
        yield (group[None, :] != left_out[:, None]).astype(np.float64)


def many(
    metric: Callable[[np.ndarray], np.ndarray], blocks: Iterator[np.ndarray], weight: np.ndarray | None = None
) -> np.ndarray:
    """A metric of weights (b, n) → (b,) over all blocks; case weights (n,) multiply in."""
    return np.concatenate([metric(block if weight is None else block * weight) for block in blocks])


def percentile(value: float, replicates: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval, widened to hold the value itself; NaN if fewer than half of the replicates are
    defined.
    """
    kept = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(kept) < max(2, len(replicates) / 2):
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(min(low, value)), float(max(high, value))


def centred(value: float, replicates: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval shifted so that the replicates' median lies on the value, cut at 0.

    For distances such as ECE and ICI, which are biased upwards in every resample.
    """
    kept = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(kept) < max(2, len(replicates) / 2):
        return math.nan, math.nan
    low, middle, high = np.quantile(kept, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return float(max(0.0, value - (middle - low))), float(value + (high - middle))


def bca(
    value: float, replicates: np.ndarray, left_out: np.ndarray, level: float = LEVEL
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval; `left_out` are the leave-one-unit-out values
    (`jackknife_weights`).

    Source: Efron, Journal of the American Statistical Association 1987;82:171-185.
    """
    from scipy.special import ndtr, ndtri

    kept = replicates[np.isfinite(replicates)]
    below = (np.sum(kept < value) + 0.5 * np.sum(kept == value)) / len(kept)
    bias = ndtri(np.clip(below, 1 / (2 * len(kept)), 1 - 1 / (2 * len(kept))))
    gap = np.nanmean(left_out) - left_out[np.isfinite(left_out)]
    spread = np.sum(gap**2)
    skew = np.sum(gap**3) / (6 * spread**1.5) if spread > 0 else 0.0
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(kept, ndtr(bias + z / (1 - skew * z)))
    return float(min(low, value)), float(max(high, value))


def normal_quantile(level: float = LEVEL) -> float:
    """z of a two-sided interval: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share out of n (n may be an effective size, not whole).

    Source: Wilson, Journal of the American Statistical Association 1927;22:209-212.
    """
    if not n > 0 or not np.isfinite(share):
        return math.nan, math.nan
    z = normal_quantile(level)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def clustered_share(
    share: float, replicates: np.ndarray, n: int, n_units: int, level: float = LEVEL
) -> tuple[float, float]:
    """Wilson's interval with the number of independent rows that n clustered ones are worth.

    That number is share (1 - share) / bootstrap variance, at most n and at least 1; at a share of 0 or 1 it
    is the number of units.
    Source: the effective sample size of Korn and Graubard, Survey Methodology 1998;24:193-201.
    """
    if n_units == n:
        return wilson(share, n, level)
    spread = float(np.nanvar(replicates)) if np.isfinite(replicates).any() else 0.0
    inside = share * (1 - share)
    size = min(n, max(1.0, inside / spread)) if spread > 0 and inside > 0 else n_units
    return wilson(share, size, level)


def poisson(count: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact (Garwood) interval of a count."""
    from scipy.special import gammaincinv

    low = 0.0 if count <= 0 else float(gammaincinv(count, (1 - level) / 2))
    return low, float(gammaincinv(count + 1, (1 + level) / 2))


def auroc_limit(value: float, n_positive: int, n_negative: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of an AUROC that keeps a width at 0 and 1, where DeLong and bootstrap have none.

    Solves |theta - value| = z sqrt(V(theta)) with V of Hanley and McNeil made symmetric.
    Source: Newcombe, Statistics in Medicine 2006;25:559-573, method 5.
    """
    from scipy.optimize import brentq

    z, m, n = normal_quantile(level), n_positive, n_negative
    if m < 1 or n < 1 or not np.isfinite(value):
        return math.nan, math.nan
    half = (m + n) / 2 - 1

    def gap(theta: float) -> float:
        spread = (
            theta * (1 - theta) * (1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        )
        return (theta - value) ** 2 - z * z * spread

    low = 0.0 if value <= 0 else brentq(gap, 0.0, value - 1e-12) if gap(value - 1e-12) < 0 else value
    high = 1.0 if value >= 1 else brentq(gap, value + 1e-12, 1.0) if gap(value + 1e-12) < 0 else value
    return float(low), float(high)
