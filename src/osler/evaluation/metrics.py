"""Numbers that say how good predictions are: plain functions of arrays.

Every metric takes `weights` of shape (..., n) and returns shape (...): None or (n,) gives one number, (b, n)
gives b numbers at once, which is how a bootstrap of 1,000 replicates costs one pass. A weight of 2 is the
same as the row twice. What is not defined (one class only, nothing predicted positive) is NaN.

Binary metrics take y (n,) of 0 and 1 and p (n,), the probability (or any score) of class 1; regression
metrics y and p (n,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Probabilities are kept this far from 0 and 1 where a log is taken (log loss).
TINY = 1e-15
#: Probabilities are kept this far from 0 and 1 before a logit is taken (calibration slope and intercept).
NEAR = 1e-6
#: Newton's method has arrived once its step is shorter than this: its error is then about the square of the step.
NEWTON_STEP = 1e-6


def _w(weights: np.ndarray | None, n: int) -> np.ndarray:
    return np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, np.asarray(top) / np.asarray(bottom), np.nan)[()]


def _ties(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions that sort p upwards, and where each run of equal values starts in that order."""
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    return order, np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))


# -- discrimination
# ------------------------------------------------------------------------------------------------


def auroc(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the ROC curve: the chance that a positive row scores above a negative one, ties count half.

    Source: Hanley and McNeil, Radiology 1982;143:29-36.
    """
    return auroc_of(y, p)(weights)


def auroc_of(y: np.ndarray, p: np.ndarray) -> Callable[[np.ndarray | None], np.ndarray]:
    """`auroc` as a function of weights (..., n): p is sorted once for all of them."""
    order, starts = _ties(p)
    return lambda weights: _auroc(y[order], starts, _w(weights, len(order))[..., order])


def _auroc(y: np.ndarray, starts: np.ndarray, w: np.ndarray) -> np.ndarray:
    positive = w * y
    negative = w - positive
    if len(starts) < len(y):
        positive, negative = (np.add.reduceat(x, starts, axis=-1) for x in (positive, negative))
    below = np.cumsum(negative, axis=-1) - 0.5 * negative
    return _ratio((positive * below).sum(axis=-1), positive.sum(axis=-1) * negative.sum(axis=-1))


def auprc(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the precision-recall curve as average precision (a step function, no interpolation).

    Source: Davis and Goadrich, ICML 2006. The value of a useless score is the share of positives.
    """
    return auprc_of(y, p)(weights)


def auprc_of(y: np.ndarray, p: np.ndarray) -> Callable[[np.ndarray | None], np.ndarray]:
    """`auprc` as a function of weights (..., n): p is sorted once for all of them."""
    order, starts = _ties(-np.asarray(p, dtype=np.float64))
    return lambda weights: _auprc(y[order], starts, _w(weights, len(order))[..., order])


def _auprc(y: np.ndarray, starts: np.ndarray, w: np.ndarray) -> np.ndarray:
    positive = np.add.reduceat(w * y, starts, axis=-1)
    called = np.cumsum(np.add.reduceat(w, starts, axis=-1), axis=-1)
    precision = np.nan_to_num(_ratio(np.cumsum(positive, axis=-1), called))
    return _ratio((positive * precision).sum(axis=-1), positive.sum(axis=-1))


# -- at a threshold
# ------------------------------------------------------------------------------------------------


def counts(
    y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives, false negatives, true negatives (each (...)); `called` (n,) bool says
    "positive".
    """
    w = _w(weights, len(y))
    positive, called = y.astype(np.float64), np.asarray(called, dtype=np.float64)
    cells = np.stack(
        [positive * called, (1 - positive) * called, positive * (1 - called), (1 - positive) * (1 - called)],
        axis=1,
    )
    table = w @ cells
    return table[..., 0], table[..., 1], table[..., 2], table[..., 3]


def accuracy(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of rows called right."""
    tp, fp, fn, tn = counts(y, called, weights)
    return _ratio(tp + tn, tp + fp + fn + tn)


def precision(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of positives among the called (positive predictive value)."""
    tp, fp, _, _ = counts(y, called, weights)
    return _ratio(tp, tp + fp)


def recall(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of called among the positives (sensitivity)."""
    tp, _, fn, _ = counts(y, called, weights)
    return _ratio(tp, tp + fn)


def specificity(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of not called among the negatives."""
    _, fp, _, tn = counts(y, called, weights)
    return _ratio(tn, tn + fp)


def npv(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of negatives among the not called (negative predictive value)."""
    _, _, fn, tn = counts(y, called, weights)
    return _ratio(tn, tn + fn)


def f1(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
    tp, fp, fn, _ = counts(y, called, weights)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def balanced_accuracy(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean of recall and specificity."""
    return (recall(y, called, weights) + specificity(y, called, weights)) / 2


def mcc(y: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Matthews correlation coefficient of called and true."""
    tp, fp, fn, tn = counts(y, called, weights)
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


# -- probabilities
# -------------------------------------------------------------------------------------------------


def average(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Weighted mean of per-row values (n,)."""
    w = _w(weights, len(values))
    return _ratio(w @ values, w.sum(axis=-1))


def brier(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean squared distance of probability and outcome (Brier, Monthly Weather Review 1950;78:1-3)."""
    return average((p - y) ** 2, weights)


def log_loss(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean of -log(probability given to what happened), natural log, p kept within 1e-15 of 0 and 1."""
    p = np.clip(p, TINY, 1 - TINY)
    return average(-np.where(y == 1, np.log(p), np.log1p(-p)), weights)


def ece(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None, bins: int = 10) -> np.ndarray:
    """Expected calibration error: mean gap of predicted and observed share over bins of equal mass.

    Bins are cut at quantiles of p, equal values stay together. It is above 0 by chance alone, most in small
    data.
    Source: Naeini, Cooper and Hauskrecht, AAAI 2015; Nixon et al., CVPR workshops 2019 (equal mass).
    """
    w = _w(weights, len(y))
    member = mass_bins(p, bins)
    gaps = w @ ((y - p)[:, None] * member)
    return _ratio(np.abs(gaps).sum(axis=-1), w.sum(axis=-1))


def mass_bins(p: np.ndarray, bins: int) -> np.ndarray:
    """(n, k) of 0 and 1: membership in k <= `bins` bins of about equal mass; equal values are never
    divided.
    """
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    index = np.searchsorted(edges, p, side="left")
    return (index[:, None] == np.unique(index)[None, :]).astype(np.float64)


def logit(p: np.ndarray) -> np.ndarray:
    """Log odds, p kept within 1e-6 of 0 and 1."""
    p = np.clip(p, NEAR, 1 - NEAR)
    return np.log(p) - np.log1p(-p)


def recalibration_line(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood a and b (each (...)) of logit P(y) = a + b logit(p); NaN where the classes are
    separated.

    Source: Cox, Biometrika 1958;45:562-565; Newton's method, all replicates at once.
    """
    w, x = _w(weights, len(y)), logit(p)
    single = w.ndim == 1
    w = np.atleast_2d(w)
    share = np.clip(_ratio(w @ y, w.sum(axis=1)), 1e-9, 1 - 1e-9)
    cold = np.log(share / (1 - share)), np.zeros(len(w))
    start = recalibration_line(y, p) if len(w) > 1 else (np.nan, np.nan)
    if np.isfinite(start).all():
        a, b = _newton(y, x, w, np.full(len(w), start[0]), np.full(len(w), start[1]))
        lost = np.flatnonzero(np.isnan(b))  # too far from that start, or without an answer
        a[lost], b[lost] = _newton(y, x, w[lost], cold[0][lost], cold[1][lost])
    else:
        a, b = _newton(y, x, w, *cold)
    return (a[0], b[0]) if single else (a, b)


def _newton(
    y: np.ndarray, x: np.ndarray, w: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """a and b (r,) of `recalibration_line` from starts a and b (r,) under weights w (r, n); NaN where Newton's method
    finds none.
    """
    done = np.zeros(len(w), dtype=bool)
    powers = np.column_stack([np.ones_like(x), x, x * x])
    for _ in range(40):
        live = np.flatnonzero(~done)
        if not len(live):
            break
        shared = (a[live] == a[live[0]]).all() and (b[live] == b[live[0]]).all()
        at = live[:1] if shared else live
        q = 1.0 / (1.0 + np.exp(-np.clip(a[at, None] + b[at, None] * x, -500, 500)))
        seen = w if len(live) == len(w) else w[live]
        if shared:  # one curve for all: both sums are products with the weights
            slopes, curves = (y - q[0])[:, None] * powers[:, :2], (q[0] * (1 - q[0]))[:, None] * powers
            (g0, g1), (h0, h1, h2) = (seen @ slopes).T, (seen @ curves).T
        else:
            (g0, g1), (h0, h1, h2) = ((seen * (y - q)) @ powers[:, :2]).T, ((seen * q * (1 - q)) @ powers).T
        with np.errstate(divide="ignore", invalid="ignore"):
            det = h0 * h2 - h1 * h1
            step_a, step_b = (h2 * g0 - h1 * g1) / det, (h0 * g1 - h1 * g0) / det
        bad = ~(np.isfinite(step_a) & np.isfinite(step_b)) | (det <= 1e-12 * np.maximum(h0 * h2, 1e-300))
        a[live], b[live] = np.where(bad, np.nan, a[live] + step_a), np.where(bad, np.nan, b[live] + step_b)
        small = np.abs(step_a) + np.abs(step_b) < NEWTON_STEP * (1 + np.abs(a[live]) + np.abs(b[live]))
        done[live] = bad | small | (np.abs(b[live]) > 1e4)
    fitted = done & (np.abs(b) < 1e4)
    return np.where(fitted, a, np.nan), np.where(fitted, b, np.nan)


def calibration_slope(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """b of `recalibration_line`: 1 is right, below 1 the predictions are too extreme (overfitting)."""
    return recalibration_line(y, p, weights)[1]


def calibration_intercept(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Calibration in the large: a of logit P(y) = a + logit(p), the slope held at 1; 0 is right, below 0
    predictions are too high.

    Source: Van Calster et al., BMC Medicine 2019;17:230.
    """
    w, x = _w(weights, len(y)), logit(p)
    observed = w @ y
    start = float(calibration_intercept(y, p)) if w.ndim > 1 else 0.0
    a = np.full(w.shape[:-1], start if np.isfinite(start) else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for turn in range(50):
            at = a.ravel()[0] if turn == 0 and a.size else a[..., None]
            q = 1.0 / (1.0 + np.exp(-np.clip(at + x, -500, 500)))
            curve = q * (1 - q)
            expected, slope = (w @ q, w @ curve) if q.ndim == 1 else ((w * q).sum(axis=-1), (w * curve).sum(axis=-1))
            step = np.clip((observed - expected) / slope, -2, 2)
            a = a + step
            if np.all(~np.isfinite(step) | (np.abs(step) < NEWTON_STEP)):
                break
    total = w.sum(axis=-1)
    return np.where((observed > 0) & (observed < total), a, np.nan)[()]


def observed_expected(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Events seen over events predicted: 1 is right, above 1 the predictions are too low."""
    w = _w(weights, len(y))
    return _ratio(w @ y, w @ p)


# -- a number
# --------------------------------------------------------------------------------------------------------


def mae(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean absolute error, unit of the target."""
    return average(np.abs(y - p), weights)


def rmse(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Root of the mean squared error, unit of the target."""
    return np.sqrt(average((y - p) ** 2, weights))


def _moments(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted variances of x and y and their covariance; x and y of shape (n,) or like w."""
    total = w.sum(axis=-1, keepdims=True)
    x = x - (w * x).sum(axis=-1, keepdims=True) / total
    y = y - (w * y).sum(axis=-1, keepdims=True) / total
    return (w * x * x).sum(axis=-1), (w * y * y).sum(axis=-1), (w * x * y).sum(axis=-1)


def r2(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """1 - squared error over the spread of y around its own mean; below 0 is worse than that mean."""
    w = _w(weights, len(y))
    spread = _moments(y, y, w)[0]
    return 1 - _ratio(w @ (y - p) ** 2, spread)


def pearson(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Pearson's correlation of true and predicted."""
    vy, vp, c = _moments(y, p, _w(weights, len(y)))
    return _ratio(c, np.sqrt(vy * vp))


def _ranks(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted mid-ranks, shape of w."""
    order, starts = _ties(x)
    mass = np.add.reduceat(w[..., order], starts, axis=-1)
    middle = np.cumsum(mass, axis=-1) - 0.5 * mass
    run = np.cumsum(np.isin(np.arange(len(x)), starts)) - 1
    ranks = np.empty(w.shape)
    ranks[..., order] = middle[..., run]
    return ranks


def mid_ranks(x: np.ndarray) -> np.ndarray:
    """(n,) how many values lie below each plus half of those equal to it (0.5 to n - 0.5)."""
    return _ranks(np.asarray(x), np.ones(len(x)))


def spearman(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rank correlation, ties at their mid-rank."""
    w = _w(weights, len(y))
    vy, vp, c = _moments(_ranks(y, w), _ranks(p, w), w)
    return _ratio(c, np.sqrt(vy * vp))


def line_slope(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Least-squares slope of true on predicted numbers: 1 is right, below 1 the predictions are too
    extreme.
    """
    _, vp, c = _moments(y, p, _w(weights, len(y)))
    return _ratio(c, vp)


def mean_error(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean of true minus predicted (calibration in the large of a number), unit of the target."""
    return average(y - p, weights)
