"""Little's test of "missing completely at random" for columns of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST_COLUMNS = 50


def littles_test(x: np.ndarray) -> dict[str, Any]:
    """The statistic d2, its degrees of freedom and p (Little, JASA 1988, equation 2.1) of x (n, p) with
    NaN.

    The means of the rows with each pattern are compared with the maximum-likelihood mean and covariance of
    all rows (EM). A small p says that what is missing depends on what is seen. Without missing cells, or
    with fewer than two columns, a word says why there is no test.
    """
    from scipy import stats

    x = x[:, (~np.isnan(x)).any(axis=0)] if x.size else x
    if x.shape[1] > _MOST_COLUMNS:
        x = x[:, np.argsort(-np.isnan(x).sum(axis=0), kind="stable")[:_MOST_COLUMNS]]
    spread = np.nanstd(x, axis=0) if x.size else np.empty(0)
    x = x[:, spread > 0]
    x = x[(~np.isnan(x)).any(axis=1)]
    if x.shape[1] < 2 or not np.isnan(x).any() or len(x) <= x.shape[1] + 1:
        return {"note": "no test: it needs two columns of numbers, missing cells, and more rows than columns"}
    z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    patterns, which = np.unique(np.isnan(z), axis=0, return_inverse=True)
    which = which.ravel()
    mean, covariance = em_normal(z, patterns, which)
    statistic, degrees = 0.0, -z.shape[1]
    for k, gone in enumerate(patterns):
        seen = ~gone
        rows = z[which == k][:, seen]
        apart = rows.mean(axis=0) - mean[seen]
        statistic += len(rows) * float(apart @ np.linalg.pinv(covariance[np.ix_(seen, seen)]) @ apart)
        degrees += int(seen.sum())
    if degrees < 1:
        return {"note": "no test: every row has the same pattern"}
    p = float(stats.chi2.sf(statistic, degrees))
    return {
        "d2": round(statistic, 4),
        "df": degrees,
        "p": round(p, 6),
        "columns": int(z.shape[1]),
        "patterns": len(patterns),
    }


def em_normal(
    z: np.ndarray, patterns: np.ndarray, which: np.ndarray, steps: int = 200, tolerance: float = 1e-7
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood mean (p,) and covariance (p, p) of normal rows z (n, p) with NaN (Dempster, Laird,
    Rubin 1977).

    Args:
        patterns: (m, p) bool, the distinct patterns of missing cells.
        which: (n,) the pattern of each row.
    """
    n, p = z.shape
    mean, covariance = np.zeros(p), np.eye(p)
    for _ in range(steps):
        filled, spare = z.copy(), np.zeros((p, p))
        for k, gone in enumerate(patterns):
            seen, rows = ~gone, np.flatnonzero(which == k)
            if not gone.any():
                continue
            slope = np.linalg.pinv(covariance[np.ix_(seen, seen)]) @ covariance[np.ix_(seen, gone)]
            filled[np.ix_(rows, gone)] = mean[gone] + (z[np.ix_(rows, seen)] - mean[seen]) @ slope
            spare[np.ix_(gone, gone)] += len(rows) * (
                covariance[np.ix_(gone, gone)] - covariance[np.ix_(gone, seen)] @ slope
            )
        new = filled.mean(axis=0)
        around = filled - new
        moved = (around.T @ around + spare) / n
        change = max(np.abs(new - mean).max(), np.abs(moved - covariance).max())
        mean, covariance = new, moved
        if change < tolerance:
            break
    return mean, covariance
