"""What a threshold does: the confusion table with its shares, and the threshold for a wanted sensitivity,
specificity or cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.errors import OptionError
from osler.evaluation import intervals, metrics


def confusion(
    y: np.ndarray,
    p: np.ndarray,
    threshold: float,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> dict[str, Any]:
    """The table at one threshold (p at or above it is called positive), as JSON values.

    Keys: threshold; tp, fp, fn, tn (counts of rows); sensitivity, specificity, ppv, npv, accuracy, called
    (each value, low, high,
    n: Wilson's interval, on the number of units where rows come in groups); f1; lr_positive and lr_negative
    (likelihood ratios).
    """
    y = np.asarray(y)
    called, positive = p >= threshold, y == 1
    tp, fp, fn, tn = (float(c) for c in metrics.counts(y, called, weights))
    codes = intervals.codes(groups, len(y))
    everyone = np.ones(len(y), dtype=bool)
    shares = {
        "sensitivity": (called, positive), "specificity": (~called, ~positive), "ppv": (positive, called),
        "npv": (~positive, ~called), "accuracy": (called == positive, everyone), "called": (called, everyone),
    }  # fmt: skip
    out: dict[str, Any] = {"threshold": float(threshold), "tp": tp, "fp": fp, "fn": fn, "tn": tn}
    for name, (hit, among) in shares.items():
        out[name] = share(hit[among], codes[among], None if weights is None else weights[among])
    sensitivity, specificity = out["sensitivity"]["value"], out["specificity"]["value"]
    out["f1"] = _none(float(metrics.f1(y, called, weights)))
    known = sensitivity is not None and specificity is not None
    out["lr_positive"] = sensitivity / (1 - specificity) if known and specificity < 1 else None
    out["lr_negative"] = (1 - sensitivity) / specificity if known and specificity > 0 else None
    return out


def share(
    hit: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float | int | None]:
    """The share of true in `hit` (n,) with Wilson's interval; clustered rows count for what they are worth.

    The variance of the share over units is the linearised one of a ratio of unit totals.
    """
    n = len(hit)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    value = float(np.average(hit, weights=w))
    _, codes = np.unique(groups, return_inverse=True)
    n_units = int(codes.max()) + 1
    size = float(w.sum() ** 2 / (w**2).sum())
    if n_units < n:
        residual = np.bincount(codes, weights=w * (hit - value))
        spread = float((residual**2).sum() / w.sum() ** 2 * n_units / max(n_units - 1, 1))
        size = min(size, max(1.0, value * (1 - value) / spread)) if spread > 0 else float(n_units)
    low, high = intervals.wilson(value, size)
    return {"value": value, "low": low, "high": high, "n": n}


def confusion_matrix(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """(k, k) int64 counts, true class by most probable class; y (n,) codes, p (n, k)."""
    k = p.shape[1]
    return np.bincount(y * k + p.argmax(axis=1), minlength=k * k).reshape(k, k)


def operating_points(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every different rule "p at or above the threshold": thresholds (m,) downwards from above all,
    sensitivity, specificity.
    """
    w = np.ones(len(y)) if weights is None else weights
    order = np.argsort(-p, kind="stable")
    last = np.flatnonzero(np.concatenate([np.diff(p[order]) != 0, [True]]))
    hits, alarms = np.cumsum((w * (y == 1))[order])[last], np.cumsum((w * (y != 1))[order])[last]
    thresholds = np.concatenate([[np.inf], p[order][last]])
    sensitivity = np.concatenate([[0.0], hits / max(hits[-1], 1e-300)])
    return thresholds, sensitivity, 1.0 - np.concatenate([[0.0], alarms / max(alarms[-1], 1e-300)])


def threshold_for(
    y: np.ndarray, p: np.ndarray, rule: str, value: float | None = None, weights: np.ndarray | None = None
) -> float:
    """The threshold that a rule asks for.

    Rules: `sensitivity` (the highest threshold that reaches `value`), `specificity` (the lowest that reaches
    it), `youden` (the greatest sensitivity + specificity - 1), `cost` (`value` = harm of a missed case over
    harm of a false alarm; the threshold is 1 / (1 + value), which needs calibrated probabilities),
    `prevalence` (the share of positives).
    Sources: Youden, Cancer 1950;3:32-35; Pauker and Kassirer, NEJM 1980;302:1109-1117 (cost).

    Raises:
        OptionError: an unknown rule, a value outside its range, or a rule that weighs both classes where one has no
            rows.
    """
    rules = ("sensitivity", "specificity", "youden", "cost", "prevalence")
    if rule not in rules:
        raise OptionError(f"threshold rule must be one of {', '.join(rules)}, was '{rule}'")
    if rule in ("sensitivity", "specificity", "cost") and value is None:
        raise OptionError(f"threshold rule '{rule}' needs a value, none was given: for example {rule}=0.9")
    if rule in ("sensitivity", "specificity") and not 0 < value <= 1:
        raise OptionError(f"wanted {rule} must be above 0 and at most 1, was {value}")
    if rule == "cost":
        if not value > 0:
            raise OptionError(f"cost ratio must be above 0, was {value}")
        return 1.0 / (1.0 + value)
    if rule == "prevalence":
        return float(np.average(y == 1, weights=weights))
    positive, weighed = np.asarray(y) == 1, np.ones(len(p)) if weights is None else weights
    if not weighed[positive].sum() > 0 or not weighed[~positive].sum() > 0:
        raise OptionError(
            f"threshold rule '{rule}' needs rows of both classes, one has none: use more rows, or a rule by cost"
        )
    thresholds, sensitivity, specificity = operating_points(np.asarray(y), p, weights)
    if rule == "sensitivity":
        return float(thresholds[np.flatnonzero(sensitivity >= value - 1e-12)[0]])
    best = (
        np.flatnonzero(specificity >= value - 1e-12)[-1]
        if rule == "specificity"
        else int(np.argmax(sensitivity + specificity))
    )
    return float(thresholds[best]) if np.isfinite(thresholds[best]) else float(np.nextafter(p.max(), np.inf))


def threshold_report(
    y: np.ndarray,
    p: np.ndarray,
    rule: str,
    value: float | None,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 500,
) -> dict[str, Any]:
    """The threshold of a rule, its 95 % interval over cluster bootstraps, and the confusion table there.

    Sensitivity and specificity at a threshold that was chosen on the same rows are hopeful; read them on a
    hold-out.
    """
    threshold = threshold_for(y, p, rule, value)
    drawn = [
        threshold_for(y[w > 0], p[w > 0], rule, value, w[w > 0])
        for block in intervals.bootstrap_weights(groups, len(y), n_boot, rng)
        for w in block
        if 0 < (w * (y == 1)).sum() < w.sum()
    ]
    low, high = intervals.percentile(threshold, np.array(drawn))
    return {
        "rule": rule,
        "wanted": value,
        "low": _none(low),
        "high": _none(high),
        **confusion(y, p, threshold, groups),
    }


def _none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
