"""One door to all metrics: `score(target, prediction, groups, rng)` gives every metric of the task with its
interval and its n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from osler.evaluation import classes, intervals, metrics
from osler.tasks.base import Prediction, Target

Score = dict[str, "float | int | None"]


@dataclass(frozen=True)
class _Metric:
    """How one metric is computed, `of(weights (..., n)) -> (...)`, and which interval it gets.

    `among` (n,) bool are the rows that a share is a share of; its interval is then Wilson's. `edge(value,
    codes)` gives the interval where the bootstrap has no width (an AUROC of 1, no event at all).
    """

    of: Callable[[np.ndarray | None], np.ndarray]
    interval: str = "percentile"
    among: np.ndarray | None = None
    n: int | None = None
    edge: Callable[[float, np.ndarray], tuple[float, float]] | None = None


def score(
    target: Target,
    prediction: Prediction,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 1000,
    *,
    threshold: float = 0.5,
    names: tuple[str, ...] | None = None,
) -> dict[str, Score]:
    """Every metric of the task as {"value", "low", "high", "n"}; what is not defined here has None for its
    value.

    Args:
        target: n true values.
        prediction: n answers.
        groups: (n,) codes of the unit of independence, whole units are resampled; None: every row is its own.
        rng: draws the bootstrap.
        n_boot: replicates; beyond 10,000 rows fewer are drawn (`intervals.replicates_for`).
        threshold: binary and multilabel: a probability from here up is called positive.
        names: only these metrics; all if None.

    Raises:
        ValueError: prediction and target differ in length, or a predicted value is not finite.
    """
    if target.kind == "survival":
        from osler.evaluation.survival import score_survival

        return score_survival(target, prediction, groups, rng, n_boot)
    table = _table(target, prediction, threshold)
    if names is not None:
        table = {k: m for k, m in table.items() if k in names}
    return _with_intervals(table, len(target), groups, rng, n_boot, target.weight)


def value_only(target: Target, prediction: Prediction, *, threshold: float = 0.5) -> dict[str, float]:
    """Every metric of the task without its interval (NaN where it is not defined)."""
    if target.kind == "survival":
        from osler.evaluation.survival import score_survival

        scored = score_survival(target, prediction, None, np.random.default_rng(0), 0)
        return {k: math.nan if s["value"] is None else float(s["value"]) for k, s in scored.items()}
    table = _table(target, prediction, threshold)
    return {name: float(metric.of(target.weight)) for name, metric in table.items()}


def score_outputs(
    target: Target,
    prediction: Prediction,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 1000,
) -> dict[str, dict[str, Score]]:
    """Multiclass, multilabel: the binary scores of each class against the rest, or of each label among the
    rows assessed.
    """
    out = {}
    for code, name in enumerate(target.classes):
        y = (target.y == code).astype(np.float64) if target.kind == "multiclass" else target.y[:, code]
        seen = ~np.isnan(y)
        p = prediction.value[seen, code]
        part = Target(
            "binary",
            (name,),
            y[seen].astype(np.int64),
            classes=(f"not {name}", name),
            weight=_pick(target.weight, seen),
        )
        out[name] = score(part, Prediction(np.column_stack([1 - p, p])), _pick(groups, seen), rng, n_boot)
    return out


def _pick(values: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[rows]


def _table(target: Target, prediction: Prediction, threshold: float) -> dict[str, _Metric]:
    if len(target) != len(prediction):
        raise ValueError(f"prediction must have {len(target)} rows like the target, has {len(prediction)}")
    if not np.isfinite(prediction.value).all():
        bad = int((~np.isfinite(prediction.value).all(axis=1)).sum())
        raise ValueError(
            f"predicted values must be finite numbers, are not in {bad} of {len(prediction)} rows"
        )
    make = {
        "binary": _binary,
        "multiclass": _multiclass,
        "multilabel": _multilabel,
        "regression": _regression,
    }
    return make[target.kind](target, prediction, threshold)


def tables(
    target: Target, prediction: Prediction, threshold: float = 0.5
) -> dict[str, Callable[[np.ndarray | None], np.ndarray]]:
    """Every metric of the task as a function of weights (..., n) → (...); for paired comparisons. Not for
    survival.
    """
    return {name: metric.of for name, metric in _table(target, prediction, threshold).items()}


def _binary_metrics(y: np.ndarray, p: np.ndarray, threshold: float) -> dict[str, _Metric]:
    called, positive = p >= threshold, y == 1
    y = y.astype(np.float64)

    def auroc_edge(value: float, codes: np.ndarray) -> tuple[float, float]:
        sides = (len(np.unique(codes[side])) for side in (positive, ~positive))
        return intervals.auroc_limit(value, *sides)

    def ratio_edge(value: float, codes: np.ndarray) -> tuple[float, float]:
        low, high = intervals.poisson(float(y.sum()))
        return (low / p.sum(), high / p.sum()) if p.sum() > 0 else (math.nan, math.nan)

    def perfect_edge(value: float, codes: np.ndarray) -> tuple[float, float]:
        fewer = min(len(np.unique(codes[side])) for side in (positive, ~positive))
        return intervals.wilson(value, fewer)

    everyone = np.ones(len(y), dtype=bool)
    on = lambda metric, x: lambda w: metric(y, x, w)  # noqa: E731
    return {
        "auroc": _Metric(metrics.auroc_of(y, p), edge=auroc_edge),
        "auprc": _Metric(metrics.auprc_of(y, p), edge=perfect_edge),
        "accuracy": _Metric(on(metrics.accuracy, called), "share", everyone),
        "precision": _Metric(on(metrics.precision, called), "share", called),
        "recall": _Metric(on(metrics.recall, called), "share", positive),
        "specificity": _Metric(on(metrics.specificity, called), "share", ~positive),
        "npv": _Metric(on(metrics.npv, called), "share", ~called),
        "f1": _Metric(on(metrics.f1, called), edge=perfect_edge),
        "balanced_accuracy": _Metric(on(metrics.balanced_accuracy, called), edge=perfect_edge),
        "mcc": _Metric(on(metrics.mcc, called), edge=perfect_edge),
        "brier": _Metric(on(metrics.brier, p)),
        "log_loss": _Metric(on(metrics.log_loss, p)),
        "ece": _Metric(on(metrics.ece, p), "centred"),
        "calibration_slope": _Metric(on(metrics.calibration_slope, p)),
        "calibration_intercept": _Metric(on(metrics.calibration_intercept, p)),
        "observed_expected": _Metric(on(metrics.observed_expected, p), edge=ratio_edge),
    }


def _binary(target: Target, prediction: Prediction, threshold: float) -> dict[str, _Metric]:
    return _binary_metrics(target.y, prediction.value[:, 1], threshold)


def _multiclass(target: Target, prediction: Prediction, threshold: float) -> dict[str, _Metric]:
    k, p = len(target.classes), prediction.value
    y, called = classes.one_hot(target.y, k), classes.one_hot(prediction.value.argmax(axis=1), k)
    right = (target.y == prediction.value.argmax(axis=1)).astype(np.float64)
    mean = lambda metric, x: lambda w: classes.macro(metric, y, x, w)  # noqa: E731
    return {
        "auroc": _Metric(mean(metrics.auroc, p)),
        "auprc": _Metric(mean(metrics.auprc, p)),
        "accuracy": _Metric(lambda w: metrics.average(right, w), "share", np.ones(len(target), dtype=bool)),
        "precision": _Metric(mean(metrics.precision, called)),
        "recall": _Metric(mean(metrics.recall, called)),
        "specificity": _Metric(mean(metrics.specificity, called)),
        "f1": _Metric(mean(metrics.f1, called)),
        "balanced_accuracy": _Metric(mean(metrics.recall, called)),
        "brier": _Metric(lambda w: classes.brier(y, p, w)),
        "log_loss": _Metric(lambda w: classes.log_loss(y, p, w)),
        "ece": _Metric(lambda w: classes.ece(y, p, w), "centred"),
    }


def _multilabel(target: Target, prediction: Prediction, threshold: float) -> dict[str, _Metric]:
    y, p = target.y, prediction.value
    called = (p >= threshold).astype(np.float64)
    n = int((~np.isnan(y)).any(axis=1).sum())
    mean = lambda metric, x, how="percentile": _Metric(lambda w: classes.macro(metric, y, x, w), how, n=n)  # noqa: E731
    at = ("accuracy", "precision", "recall", "specificity", "f1")
    return {
        "auroc": mean(metrics.auroc, p),
        "auprc": mean(metrics.auprc, p),
        **{name: mean(getattr(metrics, name), called) for name in at},
        "brier": mean(metrics.brier, p),
        "log_loss": mean(metrics.log_loss, p),
        "ece": mean(metrics.ece, p, "centred"),
    }


def _regression(target: Target, prediction: Prediction, threshold: float) -> dict[str, _Metric]:
    y, p = target.y, prediction.value[:, 0]
    named = {
        "mae": metrics.mae, "rmse": metrics.rmse, "r2": metrics.r2, "pearson": metrics.pearson,
        "spearman": metrics.spearman, "calibration_slope": metrics.line_slope,
        "calibration_intercept": metrics.mean_error,
    }  # fmt: skip
    return {name: _Metric(lambda w, metric=metric: metric(y, p, w)) for name, metric in named.items()}


def _with_intervals(
    table: dict[str, _Metric],
    n: int,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int,
    weight: np.ndarray | None,
) -> dict[str, Score]:
    codes = intervals.codes(groups, n)
    replicates: dict[str, list[np.ndarray]] = {name: [] for name in table}
    if n:
        for block in intervals.bootstrap_weights(codes, n, intervals.replicates_for(n, n_boot), rng):
            block = block if weight is None else block * weight
            for name, metric in table.items():
                replicates[name].append(np.asarray(metric.of(block)))
    out = {}
    for name, metric in table.items():
        value = float(metric.of(weight)) if n else math.nan
        drawn = np.concatenate(replicates[name]) if replicates[name] else np.zeros(0)
        low, high = _interval(metric, value, drawn, codes, weight)
        n_rows = metric.n if metric.n is not None else n if metric.among is None else int(metric.among.sum())
        out[name] = {"value": _none(value), "low": _none(low), "high": _none(high), "n": n_rows}
    return out


def _interval(
    metric: _Metric, value: float, drawn: np.ndarray, codes: np.ndarray, weight: np.ndarray | None
) -> tuple[float, float]:
    if metric.interval == "share" and metric.among is not None:
        n, n_units = int(metric.among.sum()), len(np.unique(codes[metric.among]))
        if weight is not None and n == n_units and n:
            size = _kish(weight[metric.among])
            return intervals.wilson(value, size)
        return intervals.clustered_share(value, drawn, n, n_units)
    if metric.interval == "centred":
        return intervals.centred(value, drawn)
    low, high = intervals.percentile(value, drawn)
    if metric.edge is not None and len(drawn) and value in (0.0, 1.0) and not low < high:
        return metric.edge(value, codes)
    return low, high


def _kish(weight: np.ndarray) -> float:
    """How many equally weighted rows these are worth (Kish)."""
    return float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300))


def _none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
