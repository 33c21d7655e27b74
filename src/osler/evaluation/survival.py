"""How good survival curves are: concordance, time-dependent AUROC, Brier score and calibration at a horizon.

Censoring is dealt with by inverse-probability-of-censoring weights: a row counts 1 / G at the time at which its state
is known, G being the Kaplan-Meier curve of being censored. As in scikit-survival (whose numbers these functions
reproduce), G is taken at that time itself. G comes from the evaluated rows unless `censored_by` gives others (the
training rows).

Sources: Graf et al. 1999 (Stat Med 18:2529) for the Brier score; Uno et al. 2007 (JASA 102:527) and Hung & Chiang 2010
(Can J Stat 38:8) for the AUROC; Crowson, Atkinson & Therneau 2016 (Stat Methods Med Res 25:1692) for calibration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from osler.evaluation import intervals, metrics
from osler.evaluation.concordance import Concordance, concordance
from osler.models.cox import ridge_path
from osler.models.partial_likelihood import derivatives, risk_sets
from osler.tasks.base import Prediction, Target
from osler.tasks.kaplan_meier import censoring, greenwood, kaplan_meier
from osler.tasks.survival import horizon_of

Score = dict[str, "float | int | None"]


# -- discrimination ------------------------------------------------------------------------------------------


def harrell_c(target: Target, risk: np.ndarray) -> Concordance:
    """Harrell's C of risks (n,), higher meaning earlier."""
    return concordance(target.y, target.event, risk, target.weight)


def uno_c(
    target: Target, risk: np.ndarray, until: float | None = None, censored_by: Target | None = None
) -> Concordance:
    """Uno's C of risks (n,): pairs whose event comes before `until` (None: whenever), weighed by 1 / G^2."""
    weight = _inverse(target, target.y, censored_by) ** 2
    if until is not None:
        weight = np.where(target.y < until, weight, 0.0)
    return concordance(target.y, target.event, risk, target.weight, weight)


def auroc_at(target: Target, risk: np.ndarray, time: float, censored_by: Target | None = None) -> float:
    """Cumulative/dynamic AUROC: who has the event by `time` against who is still without; NaN without one side."""
    return float(_auroc(target, risk, time, censored_by)(_case(target)))


def _auroc(
    target: Target, risk: np.ndarray, time: float, censored_by: Target | None
) -> Callable[[np.ndarray], np.ndarray]:
    had = target.event & (target.y <= time)
    known = np.where(had, _inverse(target, target.y, censored_by), np.where(target.y > time, 1.0, 0.0))
    return lambda w: metrics.auroc(had, risk, w * known)


def _case(target: Target) -> np.ndarray:
    return np.ones(len(target)) if target.weight is None else target.weight


def _inverse(target: Target, at: np.ndarray, censored_by: Target | None) -> np.ndarray:
    """1 / G(at). Where the last of all were censored at that very time (follow-up ends for everybody on one day), 1 /
    G just before it; 0 where nobody could have been followed so long.
    """
    by = target if censored_by is None else censored_by
    curve = censoring(by.y, by.event, by.weight)
    g = curve.at(at)
    g = np.where(g > 0, g, curve.at(at, left=True))
    return np.divide(1.0, g, out=np.zeros_like(g), where=g > 0)


# -- Brier ---------------------------------------------------------------------------------------------------


def brier_rows(
    target: Target, prediction: Prediction, times: np.ndarray, censored_by: Target | None = None
) -> np.ndarray:
    """(n, t) weighted squared errors at each time; their mean over rows is the Brier score (Graf 1999)."""
    curve = curve_at(prediction, times)
    had = target.event[:, None] & (target.y[:, None] <= times)
    later = target.y[:, None] > times
    at_event = _inverse(target, target.y, censored_by)[:, None]
    at_time = _inverse(target, np.asarray(times, dtype=np.float64), censored_by)
    return np.where(had, curve**2 * at_event, 0.0) + np.where(later, (1.0 - curve) ** 2 * at_time, 0.0)


def brier(target: Target, prediction: Prediction, times: np.ndarray, censored_by: Target | None = None) -> np.ndarray:
    """(t,) Brier score at each time."""
    return np.average(brier_rows(target, prediction, times, censored_by), axis=0, weights=target.weight)


def integrated_brier(
    target: Target, prediction: Prediction, times: np.ndarray, censored_by: Target | None = None
) -> float:
    """Brier score averaged over the span of `times` (at least two) by the trapezium rule."""
    return float(_over_time(brier(target, prediction, times, censored_by), times))


def _over_time(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(...,) mean of values (..., t) over the span of times."""
    return np.trapezoid(values, times, axis=-1) / (times[-1] - times[0])


def curve_at(prediction: Prediction, times: np.ndarray) -> np.ndarray:
    """(n, t) probability of no event until each time; 1 before the first time of the prediction."""
    at = np.searchsorted(prediction.times, times, side="right") - 1
    return np.where(at >= 0, prediction.value[:, np.maximum(at, 0)], 1.0)


# -- calibration ---------------------------------------------------------------------------------------------


def calibration_at(target: Target, prediction: Prediction, horizon: float, bins: int = 10) -> dict[str, Any]:
    """Observed (Kaplan-Meier) against predicted probability of an event until `horizon`.

    Returns:
        JSON: `horizon`; `bins` by equal numbers of rising predicted probability, each with n, events, mean predicted,
        observed, low and high (Greenwood); `observed_expected`, `slope` and `intercept` as in `score_survival`.
    """
    p = prediction.event_probability(horizon)
    order = np.argsort(p, kind="stable")
    rows = []
    for part in np.array_split(order, max(1, min(bins, len(order) // 10))):
        one = target.take(part)
        curve = kaplan_meier(one.y, one.event, one.weight)
        low, high = greenwood(curve, horizon)
        rows.append({
            "n": len(part), "events": int((one.event & (one.y <= horizon)).sum()),
            "predicted": float(np.average(p[part], weights=one.weight)), "observed": 1.0 - float(curve.at(horizon)),
            "low": _none(1.0 - high), "high": _none(1.0 - low),
        })  # fmt: skip
    slope, _ = calibration_slope(target, p, horizon)
    case = _case(target)
    return {
        "horizon": float(horizon), "bins": rows,
        "observed_expected": _none(_observed_expected(target, p, horizon)(case)), "slope": _none(slope),
        "intercept": _none(_intercept(target, prediction, horizon)(case)),
    }  # fmt: skip


def calibration_slope(target: Target, p: np.ndarray, horizon: float) -> tuple[float, float]:
    """Slope of Cox's regression of the event until `horizon` on log(-log(1 - p)), and its standard error.

    1 is right, less than 1 means predictions too extreme. NaN without events or with equal predictions.

    Args:
        p: (n,) predicted probability of an event until `horizon`.
    """
    x = np.log(-np.log1p(-np.clip(p, 1e-9, 1 - 1e-9)))[:, None]
    sets = risk_sets(np.minimum(target.y, horizon), target.event & (target.y <= horizon), target.weight)
    if not len(sets.dead) or np.ptp(x) < 1e-12:
        return math.nan, math.nan
    slope = ridge_path(sets, x, [0.0])[0]
    _, _, hessian = derivatives(sets, x[sets.order], slope)
    return float(slope[0]), float(1.0 / np.sqrt(max(hessian[0, 0], 1e-300)))


def _observed_expected(target: Target, p: np.ndarray, horizon: float) -> Callable[[np.ndarray], np.ndarray]:
    """Weights (..., n) → observed (1 - Kaplan-Meier) / mean predicted probability at the horizon."""
    order = np.argsort(target.y, kind="stable")
    time, event = target.y[order], target.event[order]
    starts = np.flatnonzero(np.diff(time, prepend=-np.inf))
    until = time[starts] <= horizon

    def of(w: np.ndarray) -> np.ndarray:
        sorted_w = w[..., order]
        at_risk = np.cumsum(sorted_w[..., ::-1], axis=-1)[..., ::-1][..., starts]
        dead = np.add.reduceat(sorted_w * event, starts, axis=-1)
        share = np.divide(dead, at_risk, out=np.zeros_like(dead), where=at_risk > 0)
        observed = 1.0 - np.prod(np.where(until, 1.0 - share, 1.0), axis=-1)
        expected = (w * p).sum(axis=-1) / w.sum(axis=-1)
        return np.divide(observed, expected, out=np.full_like(observed, np.nan), where=expected > 0)

    return of


def _intercept(target: Target, prediction: Prediction, horizon: float) -> Callable[[np.ndarray], np.ndarray]:
    """Weights (..., n) → log of events until the horizon / events expected over each row's own follow-up."""
    at = np.searchsorted(prediction.times, np.minimum(target.y, horizon), side="right") - 1
    seen = prediction.value[np.arange(len(target)), np.maximum(at, 0)]
    expected = np.where(at >= 0, -np.log(np.clip(seen, 1e-12, 1.0)), 0.0)
    happened = (target.event & (target.y <= horizon)).astype(np.float64)

    def of(w: np.ndarray) -> np.ndarray:
        o, e = w @ happened, w @ expected
        defined = (o > 0) & (e > 0)
        return np.log(np.divide(o, e, out=np.ones_like(o), where=defined), out=np.full_like(o, np.nan), where=defined)

    return of


# -- all of it -----------------------------------------------------------------------------------------------


def score_survival(
    target: Target, prediction: Prediction, groups: np.ndarray | None, rng: np.random.Generator, n_boot: int = 1000
) -> dict[str, Score]:
    """Every survival metric as {"value", "low", "high", "n"}, None where it is not defined.

    `c_harrell` and `c_uno` (pairs before the horizon) get infinitesimal-jackknife intervals over units,
    `calibration_slope` Wald's, all others the cluster bootstrap with the censoring weights held fixed. `ibs` averages
    the Brier score over the prediction's times up to the horizon; `auroc`, `brier` and `observed_expected` are at the
    horizon; `calibration_intercept` is the log of observed over expected events over everybody's own follow-up.

    Args:
        groups: (n,) codes of the unit of independence; None: every row is its own.
        n_boot: bootstrap replicates; 0 gives no intervals.
    """
    n, horizon = len(target), horizon_of(target)
    if n != len(prediction):
        raise ValueError(f"prediction must have {n} rows like the target, has {len(prediction)}")
    p, risk = prediction.event_probability(horizon), prediction.risk
    level = (lambda c: c.interval(groups)) if n_boot else (lambda c: (math.nan, math.nan))
    concordances = {"c_harrell": harrell_c(target, risk), "c_uno": uno_c(target, risk, horizon)}
    out = {name: _entry(c.value, level(c), n) for name, c in concordances.items()}
    functions = _weighted(target, prediction, p, horizon)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in functions}
    case = _case(target)
    for block in intervals.bootstrap_weights(groups, n, intervals.replicates_for(n, n_boot), rng):
        for name, of in functions.items():
            drawn[name].append(of(block * case))
    for name, of in functions.items():
        value = float(of(case))
        limits = intervals.percentile(value, np.concatenate(drawn[name])) if n_boot else (math.nan, math.nan)
        out[name] = _entry(value, limits, n)
    slope, error = calibration_slope(target, p, horizon)
    half = intervals.normal_quantile() * error if n_boot else math.nan
    out["calibration_slope"] = _entry(slope, (slope - half, slope + half), n)
    names = (
        "c_harrell",
        "c_uno",
        "ibs",
        "auroc",
        "brier",
        "calibration_slope",
        "calibration_intercept",
        "observed_expected",
    )
    return {name: out[name] for name in names}


def _weighted(
    target: Target, prediction: Prediction, p: np.ndarray, horizon: float
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The metrics that are functions of row weights (..., n)."""
    times = prediction.times[prediction.times <= horizon]
    at_horizon = brier_rows(target, prediction, np.array([horizon]))[:, 0]
    whole = (
        _over_time(brier_rows(target, prediction, times), times) if len(times) > 1 else np.full(len(target), np.nan)
    )
    return {
        "ibs": lambda w: (w @ whole) / w.sum(axis=-1),
        "auroc": _auroc(target, p, horizon, None),
        "brier": lambda w: (w @ at_horizon) / w.sum(axis=-1),
        "calibration_intercept": _intercept(target, prediction, horizon),
        "observed_expected": _observed_expected(target, p, horizon),
    }


def _entry(value: float, limits: tuple[float, float], n: int) -> Score:
    return {"value": _none(value), "low": _none(limits[0]), "high": _none(limits[1]), "n": n}


def _none(value: float | np.ndarray) -> float | None:
    return float(value) if np.isfinite(value) else None
