"""Would acting on the model do more good than treating everyone or no one: net benefit over thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from osler.evaluation import intervals

#: Thresholds of the curve unless others are given: 1 % to 99 %.
THRESHOLDS = np.round(np.arange(0.01, 1.0, 0.01), 2)


def net_benefit(
    y: np.ndarray, p: np.ndarray, thresholds: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """(..., m) true positives per person minus false positives per person times the odds of the threshold.

    Source: Vickers and Elkin, Medical Decision Making 2006;26:565-574. y (n,) of 0 and 1, p (n,), weights
    (..., n).
    """
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    called = p[:, None] >= thresholds[None, :]
    true, false = w @ (called * (y == 1)[:, None]), w @ (called * (y != 1)[:, None])
    return (true - false * (thresholds / (1 - thresholds))) / w.sum(axis=-1)[..., None]


def decision_curve(
    y: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 500,
    thresholds: np.ndarray = THRESHOLDS,
) -> dict[str, Any]:
    """Net benefit of each model (name → p (n,)), of treating all and of treating none, as JSON values.

    Keys: thresholds (m); all: net_benefit; models: name → net_benefit, low, high (95 %, pointwise), gain
    (over the better of all and none) with gain_low and gain_high, useful (the thresholds where gain_low is
    above 0, as ranges), avoided (treatments avoided per 100 people against treating all, at the same number
    of cases found).
    """
    y = np.asarray(y)
    everyone = np.full(len(y), np.inf)
    default = np.maximum(net_benefit(y, everyone, thresholds), 0.0)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in predictions}
    gains: dict[str, list[np.ndarray]] = {name: [] for name in predictions}
    n_boot = intervals.replicates_for(len(y), n_boot)
    for block in intervals.bootstrap_weights(groups, len(y), n_boot, rng):
        floor = np.maximum(net_benefit(y, everyone, thresholds, block), 0.0)
        for name, p in predictions.items():
            value = net_benefit(y, p, thresholds, block)
            drawn[name].append(value)
            gains[name].append(value - floor)
    treat_all = net_benefit(y, everyone, thresholds)
    out: dict[str, Any] = {
        "thresholds": thresholds.tolist(),
        "all": treat_all.tolist(),
        "n": len(y),
        "models": {},
    }
    for name, p in predictions.items():
        value = net_benefit(y, p, thresholds)
        low, high = np.quantile(np.concatenate(drawn[name]), [0.025, 0.975], axis=0)
        gain_low, gain_high = np.quantile(np.concatenate(gains[name]), [0.025, 0.975], axis=0)
        out["models"][name] = {
            "net_benefit": value.tolist(),
            "low": np.minimum(low, value).tolist(),
            "high": np.maximum(high, value).tolist(),
            "gain": (value - default).tolist(),
            "gain_low": gain_low.tolist(),
            "gain_high": gain_high.tolist(),
            "useful": ranges(thresholds, gain_low > 0),
            "avoided": (100 * (value - treat_all) / (thresholds / (1 - thresholds))).tolist(),
        }
    return out


def ranges(thresholds: np.ndarray, mask: np.ndarray) -> list[list[float]]:
    """The runs of true in `mask` as [first, last] thresholds."""
    edges = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return [
        [float(thresholds[a]), float(thresholds[b - 1])]
        for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1))
    ]
