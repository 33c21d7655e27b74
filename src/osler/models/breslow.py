"""From log hazards to survival curves: the baseline hazard of the training rows on the time grid."""

from __future__ import annotations

import numpy as np

from osler.tasks.base import Prediction, Target
from osler.tasks.survival import horizon_of, time_grid


def breslow(target: Target, log_hazard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Breslow's cumulative baseline hazard at the times of the grid.

    Args:
        target: n training rows.
        log_hazard: (n,) log hazard of each.

    Returns:
        times (t,) and cumulative hazard (t,) of a row with log hazard 0. Source: Breslow 1972, discussion of Cox.
    """
    times = time_grid(horizon_of(target))
    weight = np.ones(len(target)) if target.weight is None else target.weight
    order = np.argsort(target.y, kind="stable")
    time, event = target.y[order], target.event[order]
    hazard = (weight * np.exp(log_hazard))[order]
    at_risk = np.cumsum(hazard[::-1])[::-1][np.searchsorted(time, time, side="left")]
    steps = np.where(event, weight[order] / np.maximum(at_risk, 1e-300), 0.0)
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    return times, cumulative[np.searchsorted(time, times, side="right")]


def survival(times: np.ndarray, cumulative: np.ndarray, log_hazard: np.ndarray) -> Prediction:
    """Proportional hazards: S(t) = exp(-H0(t) exp(log hazard)) for every row (n, t)."""
    hazard = np.exp(np.clip(log_hazard, -50.0, 50.0))
    return Prediction(np.exp(-np.outer(hazard, cumulative)), times)
