"""The rows that a prediction is compared with: a few averages of training rows, never a person's own row.

Units are halved again and again at the median of their first principal direction (Mondrian partitions: LeFevre et al.
2006; microaggregation: Domingo-Ferrer and Mateo-Sanz 2002) until there are 32 parts or a part would hold fewer than
ten units. A part becomes one row: the mean of each measured quantity to four digits; features of few distinct values,
and missingness, are dealt out so that the shares over all parts are those of training. A value that fewer than five
units hold is never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from osler.blocks import Block

#: Most rows of a background, fewest units behind one of them, fewest units that a kept value needs.
MOST_ROWS, LEAST_UNITS, LEAST_HOLDERS = 32, 10, 5

#: Of more units than this, that many take part, evenly spaced.
MOST_UNITS = 5000

#: A feature with at most this many distinct values keeps its own values instead of means.
FEW_VALUES = 10


@dataclass(frozen=True)
class Background:
    """What a prediction is compared with.

    Attributes:
        blocks: column → block of m rows.
        weights: (m,) shares of the training units, sum 1.
    """

    blocks: dict[str, Block]
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)


def learn_background(blocks: Mapping[str, Block], groups: np.ndarray) -> dict[str, Any]:
    """Averages of training rows as JSON; {} where there are fewer than five units or nothing dense.

    Args:
        blocks: column → block of n training rows.
        groups: (n,) codes of the unit of independence.

    Returns:
        `weights` (m), `units` behind each row (m), `columns`: column → m lists of feature values, None where missing.
    """
    dense = {name: b for name, b in blocks.items() if b.layout == "dense" and "count" not in b.kinds}
    _, unit = np.unique(groups, return_inverse=True)
    n_units = int(unit.max()) + 1 if len(unit) else 0
    if n_units > MOST_UNITS:
        rows = np.flatnonzero(np.isin(unit, np.linspace(0, n_units - 1, MOST_UNITS).astype(np.int64)))
        return learn_background({name: block.take(rows) for name, block in dense.items()}, unit[rows])
    if n_units < LEAST_HOLDERS or not dense:
        return {}
    part_of_unit = _parts(_positions(dense, unit, n_units))
    sizes = np.bincount(part_of_unit)
    part = part_of_unit[unit]
    columns = {}
    for name, block in dense.items():
        features = [_feature(block.values[:, j], kind, unit, part, sizes) for j, kind in enumerate(block.kinds)]
        columns[name] = [[_plain(f[k]) for f in features] for k in range(len(sizes))]
    return {"weights": (sizes / n_units).tolist(), "units": sizes.tolist(), "columns": columns}


def restore(stored: Mapping[str, Any], missing: Mapping[str, Block]) -> Background:
    """The background of a predictor.

    Args:
        stored: what `learn_background` gave.
        missing: column → block of m rows without any value, as the modality encodes them; other layouts stay missing.
    """
    blocks = {}
    for name, block in missing.items():
        if name in stored["columns"]:
            values = np.array(stored["columns"][name], dtype=np.float64).reshape(len(block), len(block.names))
            present = ~np.isnan(values).all(axis=1) if values.shape[1] else block.present
            block = replace(block, arrays={**block.arrays, "values": values}, present=present)
        blocks[name] = block
    return Background(blocks, np.array(stored["weights"], dtype=np.float64))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _positions(blocks: Mapping[str, Block], unit: np.ndarray, n_units: int) -> np.ndarray:
    """(units, q) mean standardised position of every unit; missing counts as average, categories as levels."""
    parts = []
    for block in blocks.values():
        for j, kind in enumerate(block.kinds):
            values = block.values[:, j]
            if kind == "categorical":
                codes = np.unique(values[~np.isnan(values)])[:20]
                parts += [(values == code).astype(float) for code in codes]
            else:
                parts.append(values)
    X = np.column_stack(parts) if parts else np.zeros((len(unit), 1))
    counts = np.maximum((~np.isnan(X)).sum(axis=0), 1)
    X = X - np.nansum(X, axis=0) / counts
    scale = np.sqrt(np.nansum(X**2, axis=0) / counts)
    X = np.nan_to_num(X / np.where(scale > 0, scale, 1.0))
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(n_units))
    return np.add.reduceat(X[order], starts, axis=0) / np.bincount(unit, minlength=n_units)[:, None]


def _parts(X: np.ndarray) -> np.ndarray:
    """(units,) part of every unit: halves of halves."""
    members = [np.arange(len(X))]
    while 2 * len(members) <= MOST_ROWS and min(len(m) for m in members) >= 2 * LEAST_UNITS:
        members = [half for m in members for half in _halves(X, m)]
    part = np.empty(len(X), dtype=np.int64)
    for k, m in enumerate(members):
        part[m] = k
    return part


def _halves(X: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Members below and above the median of their first principal direction (power iteration)."""
    Z = X[members] - X[members].mean(axis=0)
    direction = Z.var(axis=0) + 1e-12
    for _ in range(30):
        direction = Z.T @ (Z @ direction)
        length = np.linalg.norm(direction)
        if length < 1e-12:
            break
        direction = direction / length
    order = members[np.argsort(np.round(Z @ direction, 9), kind="stable")]
    middle = len(order) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def _feature(values: np.ndarray, kind: str, unit: np.ndarray, part: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(m,) one feature of every background row."""
    seen = np.unique(values[~np.isnan(values)])
    if kind == "categorical" or len(seen) <= FEW_VALUES:
        options = np.append(seen, np.nan)
        at = np.where(np.isnan(values), len(seen), np.searchsorted(seen, values))
        return options[_dealt(at, len(options), unit, part, sizes)]
    absent = np.isnan(values)
    missing = _dealt(absent.astype(np.int64), 2, unit, part, sizes).astype(bool)
    mean = np.array([_mean(values, unit, (part == k) & ~absent, ~absent) for k in range(len(sizes))])
    return np.where(missing, np.nan, mean)


def _mean(values: np.ndarray, unit: np.ndarray, here: np.ndarray, anywhere: np.ndarray) -> float:
    """The mean of a part, or of all rows where fewer than five units of the part have a value; four digits."""
    for rows in (here, anywhere):
        if len(np.unique(unit[rows])) >= LEAST_HOLDERS:
            return float(f"{values[rows].mean():.4g}")
    return np.nan


def _dealt(at: np.ndarray, n_options: int, unit: np.ndarray, part: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(m,) an option for every part, such that shares over the parts are those of the rows (error diffusion).

    Options that fewer than five units hold are left out.
    """
    held = np.array([len(np.unique(unit[at == o])) >= LEAST_HOLDERS for o in range(n_options)])
    if not held.any():
        return np.full(len(sizes), n_options - 1)
    share = np.zeros((len(sizes), n_options))
    np.add.at(share, (part, at), 1.0)
    share *= held
    overall = share.sum(axis=0) / share.sum()
    total = share.sum(axis=1, keepdims=True)
    share = np.where(total > 0, share / np.maximum(total, 1e-300), overall) * (sizes / sizes.sum())[:, None]
    owed, chosen = np.zeros(n_options), np.empty(len(sizes), dtype=np.int64)
    for k, row in enumerate(share):
        owed += row
        chosen[k] = int(np.argmax(np.where(held, np.round(owed, 12), -np.inf)))
        owed[chosen[k]] -= row.sum()
    return chosen
