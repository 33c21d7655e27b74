"""Is one model better than another on the same rows: DeLong's test and paired cluster bootstraps for any
metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from osler.evaluation import intervals, scores
from osler.tasks.base import Prediction, Target


def _midranks(x: np.ndarray) -> np.ndarray:
    order = np.argsort(x, kind="stable")
    ranked = x[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    ends = np.concatenate([starts[1:], [len(x)]])
    ranks = np.empty(len(x))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def delong(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """AUROCs (m,) of the columns of p (n, m) and their covariance (m, m), without resampling.

    Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837-845; the ranks of Sun and Xu, IEEE
    Signal Processing Letters 2014;21:1389-1393; for rows in groups Obuchowski, Biometrics 1997;53:567-578.

    Raises:
        ValueError: one class has no rows.
    """
    p = p[:, None] if p.ndim == 1 else p
    positive, negative = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    n1, n0 = len(positive), len(negative)
    if not n1 or not n0:
        raise ValueError("DeLong's variance needs rows of both classes")
    v1, v0 = np.empty((n1, p.shape[1])), np.empty((n0, p.shape[1]))
    for column in range(p.shape[1]):
        ranks = _midranks(p[:, column])
        v1[:, column] = (ranks[positive] - _midranks(p[positive, column])) / n0
        v0[:, column] = 1 - (ranks[negative] - _midranks(p[negative, column])) / n1
    area = v1.mean(axis=0)
    if groups is None or len(np.unique(groups)) == len(y):
        s1 = (v1 - area).T @ (v1 - area) / max(n1 - 1, 1)
        s0 = (v0 - area).T @ (v0 - area) / max(n0 - 1, 1)
        return area, s1 / n1 + s0 / n0
    return area, _clustered(v1 - area, v0 - area, groups[positive], groups[negative])


def _clustered(v1: np.ndarray, v0: np.ndarray, groups1: np.ndarray, groups0: np.ndarray) -> np.ndarray:
    """Obuchowski's covariance: placements summed within a unit before their products are taken."""
    names, codes = np.unique(np.concatenate([groups1, groups0]), return_inverse=True)
    n1, n0, n_units = len(groups1), len(groups0), len(names)
    sums = []
    for values, code in ((v1, codes[:n1]), (v0, codes[n1:])):
        total = np.zeros((n_units, values.shape[1]))
        np.add.at(total, code, values)
        sums.append(total)
    with1, with0 = len(np.unique(groups1)), len(np.unique(groups0))
    s1 = sums[0].T @ sums[0] * with1 / max((with1 - 1) * n1, 1)
    s0 = sums[1].T @ sums[1] * with0 / max((with0 - 1) * n0, 1)
    both = sums[0].T @ sums[1] * n_units / max(n_units - 1, 1)
    return s1 / n1 + s0 / n0 + (both + both.T) / (n1 * n0)


def delong_interval(
    y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None, level: float = intervals.LEVEL
) -> tuple[float, float, float]:
    """AUROC with DeLong's interval on the logit scale (kept inside 0 to 1); Newcombe's where it has no
    width.
    """
    area, covariance = delong(y, p, groups)
    value, spread = float(area[0]), float(covariance[0, 0])
    codes = intervals.codes(groups, len(y))
    if not 0 < value < 1 or spread <= 0:
        return value, *intervals.auroc_limit(
            value, len(np.unique(codes[y == 1])), len(np.unique(codes[y != 1])), level
        )
    centre, half = (
        np.log(value / (1 - value)),
        intervals.normal_quantile(level) * np.sqrt(spread) / (value * (1 - value)),
    )
    low, high = 1 / (1 + np.exp(-(centre + np.array([-half, half]))))
    return value, float(low), float(high)


def delong_test(
    y: np.ndarray, first: np.ndarray, second: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, float | int | None]:
    """Paired difference of two AUROCs: value (first - second), low, high (95 %), z, p_value (two-sided),
    n.
    """
    from scipy.special import ndtr

    area, covariance = delong(y, np.column_stack([first, second]), groups)
    value = float(area[0] - area[1])
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    z = value / error if error > 1e-12 else (0.0 if abs(value) < 1e-12 else np.sign(value) * np.inf)
    half = intervals.normal_quantile() * error
    finite = float(z) if np.isfinite(z) else None
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "z": finite,
        "p_value": float(2 * ndtr(-abs(z))),
        "n": len(y),
    }


def paired_bootstrap(
    first: Callable[[np.ndarray | None], np.ndarray],
    second: Callable[[np.ndarray | None], np.ndarray],
    n: int,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 1000,
) -> dict[str, float | int | None]:
    """Difference of two metrics of weights (..., n) on the same resamples: value, low, high (95 %), p_value,
    n.

    The p-value is twice the smaller share of differences on one side of 0, with one added above and below.
    """
    blocks = intervals.bootstrap_weights(groups, n, intervals.replicates_for(n, n_boot), rng)
    drawn = np.concatenate([np.asarray(first(block)) - np.asarray(second(block)) for block in blocks])
    value = float(first(None)) - float(second(None))
    return _difference(value, drawn, n)


def _difference(value: float, drawn: np.ndarray, n: int) -> dict[str, float | int | None]:
    low, high = intervals.percentile(value, drawn)
    kept = drawn[np.isfinite(drawn)]
    side = min((kept <= 0).sum(), (kept >= 0).sum())
    p_value = float(min(1.0, 2 * (side + 1) / (len(kept) + 1))) if len(kept) else None
    finite = [float(v) if np.isfinite(v) else None for v in (value, low, high)]
    return {"value": finite[0], "low": finite[1], "high": finite[2], "p_value": p_value, "n": n}


def compare(
    target: Target,
    predictions: Mapping[str, Prediction],
    groups: np.ndarray | None,
    rng: np.random.Generator,
    *,
    reference: str | None = None,
    n_boot: int = 1000,
    threshold: float = 0.5,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every model against a reference (the first by default): model → metric → difference (model - reference)
    with interval.

    All models see the same resamples. A binary AUROC also has DeLong's p-value as `p_delong`. Not for
    survival.

    Raises:
        KeyError: the reference is not among the predictions.
    """
    reference = next(iter(predictions)) if reference is None else reference
    if target.kind == "survival":
        return compare_concordance(target, predictions, groups, reference)
    tables = {name: scores.tables(target, prediction, threshold) for name, prediction in predictions.items()}
    weight, n = target.weight, len(target)
    drawn: dict[str, dict[str, list[np.ndarray]]] = {
        name: {m: [] for m in table} for name, table in tables.items()
    }
    for block in intervals.bootstrap_weights(groups, n, intervals.replicates_for(n, n_boot), rng):
        block = block if weight is None else block * weight
        for name, table in tables.items():
            for metric, of in table.items():
                drawn[name][metric].append(np.asarray(of(block)))
    joined = {name: {m: np.concatenate(v) for m, v in table.items()} for name, table in drawn.items()}
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for name in (k for k in tables if k != reference):
        out[name] = {}
        for metric, of in tables[name].items():
            value = float(of(weight)) - float(tables[reference][metric](weight))
            out[name][metric] = _difference(value, joined[name][metric] - joined[reference][metric], n)
        if target.kind == "binary" and 0 < target.y.sum() < n and weight is None:
            p = predictions[name].value[:, 1], predictions[reference].value[:, 1]
            out[name]["auroc"]["p_delong"] = delong_test(target.y, *p, groups)["p_value"]
    return out


def compare_concordance(
    target: Target, predictions: Mapping[str, Prediction], groups: np.ndarray | None, reference: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """Differences of Harrell's and Uno's C from a reference: model → metric → value, low, high, p_value, n.

    The variance of a paired difference is the sum over units of squared sums of the difference of the rows'
    influence on each C, with the factor units / (units - 1) (infinitesimal jackknife; Kang et al., Statistics in
    Medicine 2015;34:685-703 compare two C by the same pairing). A row's influence counts its pairs from both
    sides, as resampling the row would, so no factor 2 or 4 is missing.
    """
    from scipy.special import ndtr

    from osler.evaluation import survival
    from osler.tasks.survival import horizon_of

    horizon, codes = horizon_of(target), intervals.codes(groups, len(target))
    found = {
        name: {
            "c_harrell": survival.harrell_c(target, p.risk),
            "c_uno": survival.uno_c(target, p.risk, horizon),
        }
        for name, p in predictions.items()
    }
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for name in (k for k in found if k != reference):
        out[name] = {}
        for metric, mine in found[name].items():
            other = found[reference][metric]
            value = mine.value - other.value
            moved = np.bincount(codes, mine.influence - other.influence)
            error = float(np.sqrt(moved @ moved * len(moved) / max(len(moved) - 1, 1)))
            half = intervals.normal_quantile() * error
            p_value = float(2 * ndtr(-abs(value) / error)) if error > 1e-12 else 1.0
            entry = {
                "value": value,
                "low": value - half,
                "high": value + half,
                "p_value": p_value,
                "n": len(target),
            }
            finite = all(np.isfinite(v) for v in entry.values())
            out[name][metric] = entry if finite else dict.fromkeys(entry) | {"n": len(target)}
    return out
