"""What a column does to the prediction on average: partial dependence, and accumulated local effects.

Partial dependence (Friedman 2001) sets a column to a value in every row: with correlated columns it asks the model
about rows that do not exist. Accumulated local effects (Apley and Zhu 2020, JRSS B 82:1059, equation 15) move every
row only between the edges of its own bin, and add the mean moves up. Intervals are bootstraps over units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.explanation.shapley import Answer

#: Rows that a bin or level has at least, most bins, bootstrap samples.
LEAST_ROWS, MOST_BINS, BOOT = 10, 16, 300


def with_value(block: Block, feature: int, value: np.ndarray | float) -> Block:
    """A dense block with one feature set to a value, or to (n,) values."""
    values = block.values.copy()
    values[:, feature] = value
    return replace(block, arrays={**block.arrays, "values": values}, present=~np.isnan(values).all(axis=1))


def partial_dependence(answer: Answer, blocks: dict[str, Block], column: str, grid: np.ndarray) -> np.ndarray:
    """(k,) mean answer when the column is set to each value of the grid (k,) in every row."""
    block = blocks[column]
    return np.array([float(answer({**blocks, column: with_value(block, 0, v)}).mean()) for v in grid])


def edges_of(values: np.ndarray, bins: int = MOST_BINS) -> np.ndarray:
    """(k + 1,) rising edges of bins that hold at least ten rows each: quantiles to four digits.

    The outermost edges leave at least five rows beyond them, so that nobody's extreme is shown.
    """
    seen = values[~np.isnan(values)]
    bins = min(bins, len(seen) // LEAST_ROWS)
    if bins < 1:
        return np.empty(0)
    end = min(max(0.01, 5.0 / len(seen)), 0.25)
    at = np.concatenate([[end], np.linspace(0, 1, bins + 1)[1:-1], [1 - end]])
    edges = np.unique([float(f"{q:.4g}") for q in np.quantile(seen, at)])
    while len(edges) > 2:
        counts = np.bincount(_bin(seen, edges), minlength=len(edges) - 1)
        if counts.min() >= LEAST_ROWS:
            break
        k = int(counts.argmin())
        edges = np.delete(edges, k if k == len(counts) - 1 else k + 1)
    return edges if len(edges) >= 2 else np.empty(0)


def _bin(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)


def accumulated_effect(
    answer: Answer, blocks: dict[str, Block], column: str, groups: np.ndarray, rng: np.random.Generator
) -> dict[str, Any] | None:
    """ALE of a column of one measured feature, centred so that its mean over the rows is 0.

    Args:
        answer: blocks → (n,) on the scale. blocks: column → block of n rows. groups: (n,) codes of the units.
        rng: the bootstrap.

    Returns:
        `grid` (k + 1,), `value`, `low`, `high` (95 %), and `n` rows in the bins that meet at each point; None where no
        two edges can be told apart.
    """
    block = blocks[column]
    rows = np.flatnonzero(~np.isnan(block.values[:, 0]))
    edges = edges_of(block.values[rows, 0])
    if not len(edges):
        return None
    part = {name: b.take(rows) for name, b in blocks.items()}
    bin_ = _bin(part[column].values[:, 0], edges)
    ends = [answer({**part, column: with_value(part[column], 0, edges[bin_ + up])}) for up in (0, 1)]
    moves = ends[1] - ends[0]
    k = len(edges) - 1
    _, unit = np.unique(groups[rows], return_inverse=True)
    units = int(unit.max()) + 1
    sums, counts = (_per_unit(unit, bin_, w, units, k) for w in (moves, np.ones(len(rows))))
    every = np.ones((1, units))
    draws = rng.multinomial(units, np.full(units, 1.0 / units), size=BOOT)
    value = _accumulate(every @ sums, every @ counts)[0]
    low, high = np.quantile(_accumulate(draws @ sums, draws @ counts), [0.025, 0.975], axis=0)
    held = np.bincount(bin_, minlength=k)
    n = np.append(held, 0) + np.append(0, held)
    return {
        "kind": "number", "grid": edges.tolist(), "value": value.tolist(), "low": np.minimum(low, value).tolist(),
        "high": np.maximum(high, value).tolist(), "n": n.tolist(),
    }  # fmt: skip


def _per_unit(unit: np.ndarray, bin_: np.ndarray, weight: np.ndarray, units: int, k: int) -> np.ndarray:
    """(units, k) sums of weights (n,)."""
    return np.bincount(unit * k + bin_, weights=weight, minlength=units * k).reshape(units, k)


def _accumulate(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(b, k + 1) accumulated mean moves from sums and counts (b, k), centred by the counts."""
    step = np.where(counts > 0, sums / np.maximum(counts, 1e-300), 0.0)
    total = np.concatenate([np.zeros((len(step), 1)), np.cumsum(step, axis=1)], axis=1)
    middle = 0.5 * (total[:, 1:] + total[:, :-1])
    return total - ((middle * counts).sum(axis=1) / counts.sum(axis=1))[:, None]


def level_effect(
    answer: Answer,
    blocks: dict[str, Block],
    column: str,
    levels: dict[str, float],
    groups: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """Mean answer when everybody has a level, less the mean over the levels as they occur; at least ten rows per level.

    Args:
        levels: level name → its value in the block.
    """
    values = blocks[column].values[:, 0]
    held = {name: int((values == code).sum()) for name, code in levels.items()}
    shown = [name for name, n in held.items() if n >= LEAST_ROWS]
    if len(shown) < 2:
        return None
    block = blocks[column]
    answers = np.column_stack([answer({**blocks, column: with_value(block, 0, levels[name])}) for name in shown])
    counts = np.array([held[name] for name in shown], dtype=float)
    answers = answers - (answers @ counts / counts.sum())[:, None]
    _, unit = np.unique(groups, return_inverse=True)
    units = int(unit.max()) + 1
    sums = np.column_stack([np.bincount(unit, weights=a, minlength=units) for a in answers.T])
    size = np.bincount(unit, minlength=units).astype(float)
    draws = rng.multinomial(units, np.full(units, 1.0 / units), size=BOOT)
    low, high = np.quantile(draws @ sums / (draws @ size)[:, None], [0.025, 0.975], axis=0)
    value = answers.mean(axis=0)
    return {
        "kind": "category", "levels": shown, "value": value.tolist(), "low": np.minimum(low, value).tolist(),
        "high": np.maximum(high, value).tolist(), "n": [held[name] for name in shown],
    }  # fmt: skip
