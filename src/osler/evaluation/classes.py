"""Metrics over several classes or labels: the plain (macro) mean of the one-against-rest metric of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from osler.evaluation import metrics

Metric = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], np.ndarray]

#: Ratios that are 0, not undefined, for a class that is never predicted (the convention of scikit-learn's
#: macro means).
_ZERO = frozenset({metrics.precision, metrics.f1})


def macro(metric: Metric, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean over columns of a binary metric; shapes: y and p (n, k), weights (..., n), result (...).

    NaN in y marks a label that was not assessed: the row does not count for that column. A column for which
    the metric is not defined (one class only) is left out of the mean.
    """
    each = []
    for column in range(y.shape[1]):
        seen = ~np.isnan(y[:, column])
        if not seen.any():
            continue
        w = None if weights is None else np.asarray(weights)[..., seen]
        value = metric(y[seen, column], p[seen, column], w)
        each.append(np.nan_to_num(value) if metric in _ZERO else value)
    if not each:
        return np.full(np.shape(weights)[:-1] if weights is not None else (), np.nan)[()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(np.stack(each), axis=0)


def one_hot(y: np.ndarray, k: int) -> np.ndarray:
    """(n, k) float64 of 0 and 1 from class codes (n,)."""
    return (y[:, None] == np.arange(k)[None, :]).astype(np.float64)


def brier(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Brier's original multi-class score: squared distance summed over classes (0 to 2); y one-hot (n, k)."""
    return metrics.average(((p - y) ** 2).sum(axis=1), weights)


def log_loss(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean of -log(probability given to the true class); y one-hot (n, k)."""
    given = np.clip((p * y).sum(axis=1), metrics.TINY, 1.0)
    return metrics.average(-np.log(given), weights)


def ece(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Expected calibration error of the top class: how often it is right against its probability (Guo et al.,
    ICML 2017).
    """
    top = p.argmax(axis=1)
    rows = np.arange(len(p))
    return metrics.ece(y[rows, top], p[rows, top], weights)
