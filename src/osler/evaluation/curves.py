"""Points of the ROC and precision-recall curves, thin enough to draw."""

from __future__ import annotations

import numpy as np

from osler.evaluation import intervals
from osler.evaluation.confusion import operating_points

_POINTS = 200


def roc_curve(
    y: np.ndarray,
    p: np.ndarray,
    groups: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
    n_boot: int = 200,
) -> dict[str, list[float]]:
    """The ROC curve at about 200 points, with a pointwise 95 % band of sensitivity over cluster bootstraps if
    a generator is given.

    Keys: false_positive_rate, sensitivity, threshold; and low, high, read off at `at` (101 false positive
    rates).
    """
    thresholds, sensitivity, specificity = operating_points(y, p)
    kept = _thin(len(thresholds))
    finite = np.where(np.isfinite(thresholds), thresholds, np.max(p))
    out = {
        "false_positive_rate": (1 - specificity)[kept].tolist(), "sensitivity": sensitivity[kept].tolist(),
        "threshold": finite[kept].tolist(),
    }  # fmt: skip
    if rng is None:
        return out
    at, drawn = np.linspace(0, 1, 101), []
    for block in intervals.bootstrap_weights(groups, len(y), n_boot, rng):
        for weights in block:
            if 0 < (weights * (y == 1)).sum() < weights.sum():
                _, hit, right = operating_points(y, p, weights)
                drawn.append(np.interp(at, 1 - right, hit))
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    return {**out, "at": at.tolist(), "low": low.tolist(), "high": high.tolist()}


def precision_recall_curve(y: np.ndarray, p: np.ndarray) -> dict[str, list[float]]:
    """Recall and precision at about 200 thresholds, from the highest down."""
    thresholds, recall, specificity = operating_points(y, p)
    n1, n0 = float((y == 1).sum()), float((y != 1).sum())
    true, false = recall * n1, (1 - specificity) * n0
    kept = _thin(len(thresholds) - 1) + 1
    return {
        "recall": recall[kept].tolist(),
        "precision": (true / np.maximum(true + false, 1e-300))[kept].tolist(),
        "threshold": thresholds[kept].tolist(),
    }


def _thin(n: int) -> np.ndarray:
    return np.unique(np.round(np.linspace(0, n - 1, min(n, _POINTS))).astype(int))
