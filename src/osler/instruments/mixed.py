"""Numbers, yes-or-no and classes as one matrix in which every column weighs the same (total variance 1).

A strongly skewed number is made symmetric first (Yeo and Johnson, Biometrika 2000); a class of k levels
becomes k indicators divided by the square root of their summed variance (the Gini index), so that distances
treat it as one column. Missing cells get the median or the commonest level. The state is JSON and encoding
is row by row, so new rows can be placed among old ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import ColumnError
from osler.instruments.columns import numbers, words, yes

#: A level that fewer rows than this share hold is joined with other rare levels.
RARE = 0.01
#: A number whose skewness is beyond this is transformed.
SKEWED = 1.0
_MIN_ROWS = 10


def fit(cohort: Cohort, columns: Sequence[Column]) -> dict[str, Any]:
    """The state: what each column's values become.

    Raises:
        ColumnError: fewer than ten rows, or no column varies.
    """
    if len(cohort) < _MIN_ROWS:
        raise ColumnError(
            f"the table must have at least {_MIN_ROWS} rows for this, it has {len(cohort)}", "input"
        )
    states = [_fit_number(cohort, c) if c.modality == "number" else _fit_levels(cohort, c) for c in columns]
    kept = [s for s in states if s is not None]
    if not kept:
        raise ColumnError("at least one column must vary, none of the chosen ones does", "column-kind")
    dropped = [c.name for c, s in zip(columns, states, strict=True) if s is None]
    return {"columns": kept, "constant": dropped}


def encode(cohort: Cohort, state: dict[str, Any]) -> np.ndarray:
    """(n, p) float64 without missing values; every row depends on itself and the state only."""
    return np.concatenate([_encode(cohort, one) for one in state["columns"]], axis=1)


def names(state: dict[str, Any]) -> list[str]:
    """p feature names: the column, or COLUMN=LEVEL."""
    return [
        n
        for s in state["columns"]
        for n in ([s["name"]] if s["kind"] == "number" else [f"{s['name']}={v}" for v in _levels(s)])
    ]


def is_discrete(state: dict[str, Any]) -> list[tuple[int, int, bool]]:
    """For each column: first feature, one past the last, whether it is made of levels."""
    spans, start = [], 0
    for s in state["columns"]:
        width = 1 if s["kind"] == "number" else len(_levels(s))
        spans.append((start, start + width, s["kind"] != "number"))
        start += width
    return spans


def _levels(state: dict[str, Any]) -> list[str]:
    return state["levels"][1:] if len(state["levels"]) == 2 else state["levels"]


def _fit_number(cohort: Cohort, column: Column) -> dict[str, Any] | None:
    x = numbers(cohort.values(column.name))
    x = x[~np.isnan(x)]
    if len(x) < 2 or x.std() == 0:
        return None
    centre, spread = float(np.median(x)), float(x.std())
    state = {
        "name": column.name,
        "kind": "number",
        "centre": centre,
        "spread": spread,
        "power": 1.0,
        "mean": 0.0,
        "sd": 1.0,
    }
    z = (x - centre) / spread
    if abs(((z - z.mean()) ** 3).mean() / z.std() ** 3) > SKEWED and len(np.unique(x)) > 2:
        from scipy import stats

        state["power"] = float(np.clip(stats.yeojohnson_normmax(z), -3.0, 5.0))
    moved = _power(z, state["power"])
    return {**state, "mean": float(moved.mean()), "sd": float(moved.std())} if moved.std() > 0 else None


def _fit_levels(cohort: Cohort, column: Column) -> dict[str, Any] | None:
    held = _words(cohort, column.name, column.modality)
    counts = Counter(held[held != ""].tolist())
    n = sum(counts.values())
    common = sorted(v for v, k in counts.items() if k >= max(RARE * n, 2))
    levels = common + (["(other)"] if len(common) < len(counts) else [])
    if len(levels) < 2:
        return None
    shares = np.array(
        [counts[v] / n if v != "(other)" else 1 - sum(counts[c] for c in common) / n for v in levels]
    )
    gini = float((shares * (1 - shares)).sum())
    used = shares[1:] if len(levels) == 2 else shares
    weight = float(np.sqrt(gini / 2)) if len(levels) == 2 else float(np.sqrt(gini))
    commonest = levels[int(shares.argmax())]
    return {
        "name": column.name,
        "kind": column.modality,
        "levels": levels,
        "shares": used.tolist(),
        "weight": weight,
        "missing": commonest,
    }


def _encode(cohort: Cohort, state: dict[str, Any]) -> np.ndarray:
    if state["kind"] == "number":
        z = (numbers(cohort.values(state["name"])) - state["centre"]) / state["spread"]
        z = np.where(np.isnan(z), 0.0, z)
        return ((_power(z, state["power"]) - state["mean"]) / state["sd"])[:, None]
    held = _words(cohort, state["name"], state["kind"])
    known = np.isin(held, state["levels"])
    other = "(other)" if "(other)" in state["levels"] else state["missing"]
    held = np.where(held == "", state["missing"], np.where(known, held, other))
    indicators = np.stack([held == level for level in _levels(state)], axis=1).astype(np.float64)
    return (indicators - np.array(state["shares"])) / state["weight"]


def _words(cohort: Cohort, name: str, kind: str) -> np.ndarray:
    values = cohort.values(name)
    if kind != "boolean":
        return words(values)
    truth = yes(values)
    return np.where(np.isnan(truth), words(values), np.where(truth == 1, "yes", "no"))


def _power(z: np.ndarray, power: float) -> np.ndarray:
    """Yeo-Johnson's transformation with exponent `power` (1 changes nothing)."""
    if power == 1.0:
        return z
    up, down = np.maximum(z, 0.0), np.maximum(-z, 0.0)
    high = np.log1p(up) if power == 0 else ((up + 1) ** power - 1) / power
    low = np.log1p(down) if power == 2 else ((down + 1) ** (2 - power) - 1) / (2 - power)
    return np.where(z >= 0, high, -low)
