"""Kaplan-Meier and Nelson-Aalen: step functions of censored times, with case weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A right-continuous step function of time.

    Attributes:
        times: (g,) distinct observed times, rising.
        value: (g,) the function from each time on.
        start: its value before the first time.
        at_risk: (g,) total weight of the rows still at risk at each time.
        events: (g,) total weight of the events at each time.
    """

    times: np.ndarray
    value: np.ndarray
    start: float
    at_risk: np.ndarray
    events: np.ndarray

    def at(self, t: np.ndarray | float, left: bool = False) -> np.ndarray:
        """The value at times t (any shape); `left` takes the limit from the left, the value just before t."""
        where = np.searchsorted(self.times, t, side="left" if left else "right")
        return np.concatenate([[self.start], self.value])[where]


def _counts(
    time: np.ndarray, event: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times (g,), weight at risk (g,), weight of events (g,)."""
    weight = np.ones(len(time)) if weight is None else np.asarray(weight, dtype=np.float64)
    times, where = np.unique(time, return_inverse=True)
    at_risk = np.cumsum(np.bincount(where, weights=weight, minlength=len(times))[::-1])[::-1]
    events = np.bincount(where, weights=weight * event, minlength=len(times))
    return times, at_risk, events


def kaplan_meier(time: np.ndarray, event: np.ndarray, weight: np.ndarray | None = None) -> Curve:
    """Probability of no event until t (Kaplan & Meier 1958): product of 1 - events / at risk.

    Args:
        time: (n,) durations.
        event: (n,) bool.
        weight: (n,) case weights, or None.
    """
    times, at_risk, events = _counts(time, event, weight)
    kept = 1.0 - np.divide(events, at_risk, out=np.zeros_like(events), where=at_risk > 0)
    return Curve(times, np.cumprod(kept), 1.0, at_risk, events)


def nelson_aalen(time: np.ndarray, event: np.ndarray, weight: np.ndarray | None = None) -> Curve:
    """Cumulative hazard until t (Nelson 1972, Aalen 1978): sum of events / at risk. Arguments as in `kaplan_meier`."""
    times, at_risk, events = _counts(time, event, weight)
    steps = np.divide(events, at_risk, out=np.zeros_like(events), where=at_risk > 0)
    return Curve(times, np.cumsum(steps), 0.0, at_risk, events)


def censoring(time: np.ndarray, event: np.ndarray, weight: np.ndarray | None = None) -> Curve:
    """Kaplan-Meier of being censored, G(t): what inverse-probability-of-censoring weights divide by.

    At a tied time events come before censorings: who has an event at t was not at risk of being censored at t.
    """
    times, at_risk, events = _counts(time, event, weight)
    _, _, lost = _counts(time, ~np.asarray(event, dtype=bool), weight)
    at_risk = at_risk - events
    kept = 1.0 - np.divide(lost, at_risk, out=np.zeros_like(lost), where=at_risk > 0)
    return Curve(times, np.cumprod(kept), 1.0, at_risk, lost)


def greenwood(curve: Curve, t: float, level: float = 0.95) -> tuple[float, float]:
    """Confidence limits of a Kaplan-Meier curve at t on the log(-log) scale (Kalbfleisch & Prentice 1980).

    Returns:
        low and high; (nan, nan) where the curve is still 1 or already 0.
    """
    from statistics import NormalDist

    value = float(curve.at(t))
    if not 0.0 < value < 1.0:
        return float("nan"), float("nan")
    seen = curve.times <= t
    n, d = curve.at_risk[seen], curve.events[seen]
    variance = float(np.sum(np.divide(d, n * (n - d), out=np.zeros_like(d), where=d > 0)))
    half = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(variance) / abs(np.log(value))
    return value ** float(np.exp(half)), value ** float(np.exp(-half))
