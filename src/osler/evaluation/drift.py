"""Are two tables from the same population: how far each column moved, and whether a classifier can tell the
tables apart.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.grouping import texts_of
from osler.evaluation import intervals, metrics

#: PSI below the first is stable, above the second is a large shift (Siddiqi, Credit Risk Scorecards, 2006).
PSI_MODERATE, PSI_LARGE = 0.1, 0.25

_MOST_LEVELS = 20

#: The classifier that tells two tables apart learns from about this many rows at most.
DOMAIN_ROWS = 20_000


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """Population stability index of two vectors of counts over the same bins: sum (a - e) ln(a / e), half a
    row added to each bin.
    """
    e, a = expected + 0.5, actual + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def jensen_shannon(expected: np.ndarray, actual: np.ndarray) -> float:
    """Jensen-Shannon divergence of two vectors of counts, in bits (0 the same, 1 nothing shared)."""
    e, a = expected / max(expected.sum(), 1), actual / max(actual.sum(), 1)
    middle = (e + a) / 2
    part = [
        np.where(x > 0, x * np.log2(np.where(x > 0, x, 1) / np.where(middle > 0, middle, 1)), 0).sum()
        for x in (e, a)
    ]
    return float(np.clip(sum(part) / 2, 0, 1))


def drift(
    before: Cohort,
    after: Cohort,
    rng: np.random.Generator,
    *,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """How two cohorts differ in the input columns that both have, as JSON values.

    Args:
        before: the rows that a model was made on.
        after: the rows that it meets.
        rng: draws folds and bootstraps of the domain classifier.
        groups: unit codes of the rows of each; every row its own if None.

    Returns:
        columns: per shared input column `psi`, `verdict` (stable, moderate, large), `missing_before`,
        `missing_after`, `missing_p` and either `ks` and `ks_p` (numbers) or `js`, `chi2`, `chi2_p` (levels);
        domain_auroc: value, low, high, n of a cross-validated logistic model that tells the tables apart
            (0.5: it cannot); only_before, only_after: columns not shared.
    """
    names = [c.name for c in before.role("input") if any(o.name == c.name for o in after.columns)]
    columns = {}
    features = []
    for name in names:
        column = before.column(name)
        first, second = before.values(name), after.values(name)
        is_number = column.modality == "number" or (
            first.dtype.is_numeric() and second.dtype.is_numeric() and column.modality != "category"
        )
        columns[name] = number_drift(first, second) if is_number else level_drift(first, second)
        features.append(_number_features(first, second) if is_number else _level_features(first, second))
    after_names = {c.name for c in after.columns}
    return {
        "columns": columns,
        "domain_auroc": domain_auroc(np.hstack(features), len(before), rng, groups) if features else None,
        "only_before": [c.name for c in before.role("input") if c.name not in after_names],
        "only_after": [c.name for c in after.role("input") if c.name not in {b.name for b in before.columns}],
    }


def _numbers(values: pl.Series) -> np.ndarray:
    numbers = values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _levels(values: pl.Series) -> np.ndarray:
    return np.array((values if values.dtype.is_nested() else texts_of(values)).to_list(), dtype=object)


def number_drift(before: pl.Series, after: pl.Series) -> dict[str, Any]:
    """PSI over deciles of `before` (missing is a bin of its own), the Kolmogorov-Smirnov test, and the shift
    in missingness.
    """
    from scipy.stats import ks_2samp

    first, second = _numbers(before), _numbers(after)
    seen_first, seen_second = first[~np.isnan(first)], second[~np.isnan(second)]
    out = _missing(np.isnan(first), np.isnan(second))
    if not len(seen_first) or not len(seen_second):
        return {**out, "psi": None, "verdict": "not measured in one of the tables", "ks": None, "ks_p": None}
    edges = np.unique(np.quantile(seen_first, np.linspace(0.1, 0.9, 9)))
    bins = [
        np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1)
        for x in (seen_first, seen_second)
    ]
    value = psi(*(np.append(b, np.isnan(x).sum()) for b, x in zip(bins, (first, second))))
    test = ks_2samp(seen_first, seen_second, method="asymp" if len(first) + len(second) > 5000 else "auto")
    return {
        **out,
        "psi": value,
        "verdict": verdict(value),
        "ks": float(test.statistic),
        "ks_p": float(test.pvalue),
    }


def level_drift(before: pl.Series, after: pl.Series) -> dict[str, Any]:
    """PSI over levels (missing is one), Jensen-Shannon divergence in bits, the chi-squared test, and the
    shift in missingness.
    """
    from scipy.stats import chi2_contingency

    first, second = _levels(before), _levels(after)
    gone = [np.array([v is None for v in x], dtype=bool) for x in (first, second)]
    counts = [Counter(x[~g].tolist()) for x, g in zip((first, second), gone, strict=True)]
    names = sorted(counts[0].keys() | counts[1].keys())
    table = np.array([[c[name] for name in names] for c in counts], dtype=float).reshape(2, len(names))
    out = _missing(*gone)
    value = psi(*(np.append(row, g.sum()) for row, g in zip(table, gone)))
    tested = table.sum(axis=1).min() > 0 and len(names) > 1
    statistic, p_value = chi2_contingency(table)[:2] if tested else (None, None)
    return {
        **out, "psi": value, "verdict": verdict(value), "js": jensen_shannon(*table),
        "chi2": None if statistic is None else float(statistic),
        "chi2_p": None if p_value is None else float(p_value),
        "new_levels": int(((table[0] == 0) & (table[1] > 0)).sum()),
    }  # fmt: skip


def verdict(value: float) -> str:
    """The usual reading of a PSI."""
    return "stable" if value < PSI_MODERATE else "moderate" if value < PSI_LARGE else "large"


def _missing(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Share missing in each table, and Fisher's exact p-value (chi-squared beyond 10,000 rows) that they are
    the same.
    """
    from scipy.stats import chi2_contingency, fisher_exact

    table = np.array([[before.sum(), (~before).sum()], [after.sum(), (~after).sum()]])
    if not table[:, 0].any() or not table[:, 1].any():
        p_value = 1.0
    else:
        p_value = fisher_exact(table)[1] if table.sum() <= 10_000 else chi2_contingency(table)[1]
    share = [float(x.mean()) if len(x) else float("nan") for x in (before, after)]
    return {"missing_before": share[0], "missing_after": share[1], "missing_p": float(p_value)}


def _number_features(before: pl.Series, after: pl.Series) -> np.ndarray:
    """(n, 3): the ranked value to the power 1 and 2 (median where missing) and whether it is missing."""
    values = np.concatenate([_numbers(before), _numbers(after)])
    seen = ~np.isnan(values)
    rank = np.full(len(values), 0.5)
    if seen.any():
        rank[seen] = metrics.mid_ranks(values[seen]) / seen.sum()
    return np.column_stack([rank, (rank - 0.5) ** 2, ~seen])


def _level_features(before: pl.Series, after: pl.Series) -> np.ndarray:
    """(n, k): one indicator per frequent level, one for missing."""
    values = np.concatenate([_levels(before), _levels(after)])
    text = ["" if v is None else str(v) for v in values.tolist()]
    counts = Counter(text)
    names = sorted(counts)
    code = dict(zip(names, range(len(names)), strict=True))
    kept = np.argsort([-counts[name] for name in names], kind="stable")[:_MOST_LEVELS]
    place = np.full(len(names), len(kept))
    place[kept] = np.arange(len(kept))
    return np.eye(len(kept) + 1)[place[[code[v] for v in text]], :-1]


def domain_auroc(
    features: np.ndarray,
    n_before: int,
    rng: np.random.Generator,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    n_boot: int = 500,
) -> dict[str, float | int | None]:
    """AUROC of a five-fold cross-validated ridge logistic model that tells the first `n_before` rows from the
    rest. Beyond `DOMAIN_ROWS` rows it is fitted on and asked about that many whole units' rows, drawn at random; `n`
    says how many.
    """
    from sklearn.linear_model import LogisticRegression

    from osler.cohort.split import stratified_group_folds

    n = len(features)
    y = (np.arange(n) >= n_before).astype(np.int64)
    if min(y.sum(), n - y.sum()) < 10:
        return {"value": None, "low": None, "high": None, "n": n}
    codes = np.arange(n) if groups is None else np.concatenate([groups[0], groups[1] + groups[0].max() + 1])
    if n > DOMAIN_ROWS:
        kept = stratified_group_folds(codes, y, -(-n // DOMAIN_ROWS), rng) == 0
        features, y, codes, n = features[kept], y[kept], codes[kept], int(kept.sum())
    spread = features.std(axis=0)
    x = ((features - features.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
    if not x.shape[1]:
        return {"value": 0.5, "low": 0.5, "high": 0.5, "n": n}
    fold, p = stratified_group_folds(codes, y, 5, rng), np.zeros(n)
    for k in range(5):
        model = LogisticRegression(C=0.1, max_iter=500).fit(x[fold != k], y[fold != k])
        p[fold == k] = model.decision_function(x[fold == k])
    value = float(metrics.auroc(y, p))
    drawn = intervals.many(
        lambda w: metrics.auroc(y, p, w),
        intervals.bootstrap_weights(codes, n, intervals.replicates_for(n, n_boot), rng),
    )
    low, high = intervals.percentile(value, drawn)
    return {"value": value, "low": low, "high": high, "n": n}
