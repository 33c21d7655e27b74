"""Cox's partial likelihood with Efron's ties: value, gradient and Hessian in a few vector operations.

Risk sets come from one sort by falling time and cumulative sums, so a pass costs O(n p + events p^2). Case weights
follow the survival package of R: a tied set of deaths counts with the mean of its weights.

Sources: Cox 1972 (J R Stat Soc B 34:187), Efron 1977 (JASA 72:557), Therneau & Grambsch 2000, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RiskSets:
    """Who is at risk when somebody has an event; built once per set of rows by `risk_sets`.

    Attributes:
        order: (n,) positions by falling time.
        weight: (n,) case weights in that order.
        dead: (d,) positions in that order of the rows with an event, times falling.
        starts: (g,) where each distinct event time begins among `dead`.
        ends: (g,) how many rows (in that order) are at risk at each distinct event time.
        seen: (n,) how many of the distinct event times, counted from the latest, are later than the row's time.
        group: (d,) distinct event time of each term of the likelihood (one term per event).
        share: (d,) Efron's share l / d of the tied deaths that is taken out of the risk set of this term.
        term_weight: (d,) mean weight of the tied deaths.
    """

    order: np.ndarray
    weight: np.ndarray
    dead: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    seen: np.ndarray
    group: np.ndarray
    share: np.ndarray
    term_weight: np.ndarray


def risk_sets(time: np.ndarray, event: np.ndarray, weight: np.ndarray | None = None) -> RiskSets:
    """Sort rows into risk sets.

    Args:
        time: (n,) durations.
        event: (n,) bool.
        weight: (n,) case weights, or None for ones.
    """
    order = np.argsort(-time, kind="stable")
    falling, happened = -time[order], event[order]
    w = np.ones(len(time)) if weight is None else np.asarray(weight, dtype=np.float64)[order]
    dead = np.flatnonzero(happened)
    distinct, starts, counts = np.unique(falling[dead], return_index=True, return_counts=True)
    ends = np.searchsorted(falling, distinct, side="right")
    seen = np.searchsorted(distinct, falling, side="left")
    group = np.repeat(np.arange(len(distinct)), counts)
    share = (np.arange(len(dead)) - starts[group]) / counts[group] if len(dead) else np.zeros(0)
    total = np.add.reduceat(w[dead], starts) if len(dead) else np.zeros(0)
    return RiskSets(order, w, dead, starts, ends, seen, group, share, (total / counts)[group] if len(dead) else total)


def _terms(sets: RiskSets, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted hazards (n,) in sorted order, and the risk-set total of every term (d,)."""
    hazard = sets.weight * np.exp(eta)
    at_risk = np.cumsum(hazard)[sets.ends - 1]
    tied = np.add.reduceat(hazard[sets.dead], sets.starts)
    return hazard, at_risk[sets.group] - sets.share * tied[sets.group]


def log_likelihood(sets: RiskSets, log_hazard: np.ndarray) -> float:
    """Efron's log partial likelihood of log hazards (n,); 0 without events."""
    if not len(sets.dead):
        return 0.0
    eta = log_hazard[sets.order]
    eta = eta - eta.max()
    _, total = _terms(sets, eta)
    return float(sets.weight[sets.dead] @ eta[sets.dead] - sets.term_weight @ np.log(total))


def row_derivatives(sets: RiskSets, log_hazard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First derivative and (negated, diagonal) second derivative of the log likelihood by each row's log hazard.

    Returns:
        (n,) gradient: weight x (event - expected events), i.e. martingale residuals; (n,) curvature, not negative.
    """
    n = len(sets.order)
    gradient, curvature = np.zeros(n), np.zeros(n)
    if not len(sets.dead):
        return gradient, curvature
    eta = log_hazard[sets.order]
    hazard, total = _terms(sets, eta - eta.max())
    expected, squared = _expected(sets, hazard, total)
    slope = -expected
    slope[sets.dead] += sets.weight[sets.dead]
    gradient[sets.order] = slope
    curvature[sets.order] = np.maximum(expected - squared, 0.0)
    return gradient, curvature


def _expected(sets: RiskSets, hazard: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) sum over terms of the row's probability of being the one, and of its square."""
    kept = 1.0 - sets.share

    def summed(at: np.ndarray, tied_at: np.ndarray) -> np.ndarray:
        per_time = np.add.reduceat(at, sets.starts)
        until = np.concatenate([np.cumsum(per_time[::-1])[::-1], [0.0]])[sets.seen]
        until[sets.dead] += np.add.reduceat(tied_at - at, sets.starts)[sets.group]
        return until

    first = sets.term_weight / total
    second = sets.term_weight / total**2
    return hazard * summed(first, kept * first), hazard**2 * summed(second, kept**2 * second)


def derivatives(sets: RiskSets, x: np.ndarray, beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Log likelihood, gradient (p,) and negated Hessian (p, p) at coefficients `beta`.

    Args:
        x: (n, p) predictors, rows in `sets.order`.
        beta: (p,) coefficients.
    """
    eta = x @ beta
    eta = eta - eta.max()
    hazard, total = _terms(sets, eta)
    expected, _ = _expected(sets, hazard, total)
    value = float(sets.weight[sets.dead] @ eta[sets.dead] - sets.term_weight @ np.log(total))
    slope = -expected
    slope[sets.dead] += sets.weight[sets.dead]
    moved = hazard[:, None] * x
    at_risk = np.cumsum(moved, axis=0)[sets.ends - 1]
    tied = np.add.reduceat(moved[sets.dead], sets.starts, axis=0)
    mean = (at_risk[sets.group] - sets.share[:, None] * tied[sets.group]) / total[:, None]
    hessian = (x * expected[:, None]).T @ x - (mean * sets.term_weight[:, None]).T @ mean
    return value, x.T @ slope, hessian
