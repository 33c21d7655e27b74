"""How much worse a model gets on rows it never saw when one column's cells are shuffled (Breiman 2001; Fisher et al.
2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from osler import tasks
from osler.blocks import Block
from osler.tasks.base import Prediction, Target

#: Shuffled rows per column that are enough for its mean: with fewer rows every column is shuffled more often.
MOVED = 2000


def permutation_importance(
    predict: Callable[[dict[str, Block]], Prediction],
    blocks: dict[str, Block],
    target: Target,
    rng: np.random.Generator,
    repeats: int = 0,
) -> dict[str, np.ndarray]:
    """Increase of the per-row loss when a column is shuffled among the rows.

    Args:
        predict: the fitted model.
        blocks: column → block of n rows that the model was not fitted on.
        target: their n true values.
        rng: draws the permutations.
        repeats: permutations per column; 0 takes 5, and fewer beyond 400 rows, down to 2: as many rows are moved in all.

    Returns:
        column → (n,) mean increase of each row's loss over the permutations; its mean is the column's importance.
    """
    task, n = tasks.get(target.kind), len(target)
    repeats = repeats or int(np.clip(-(-MOVED // max(n, 1)), 2, 5))
    before = task.loss(target, predict(blocks))
    found = {}
    for name, block in blocks.items():
        increases = np.zeros(n)
        for _ in range(repeats):
            order = rng.permutation(n)
            moved = np.flatnonzero(_differs(block, order))
            if len(moved):
                changed = {k: b.take(order[moved] if k == name else moved) for k, b in blocks.items()}
                increases[moved] += task.loss(target.take(moved), predict(changed)) - before[moved]
        found[name] = increases / repeats
    return found


def _differs(block: Block, order: np.ndarray) -> np.ndarray:
    """(n,) whether a row's cell changes when rows are put in another order; layouts other than dense count as changed."""
    if block.layout != "dense":
        return np.ones(len(order), dtype=bool)
    values = block.values
    other = values[order]
    same = ((values == other) | (np.isnan(values) & np.isnan(other))).all(axis=1)
    return ~(same & (block.present == block.present[order]))


def importance_intervals(
    increases: np.ndarray, groups: np.ndarray, rng: np.random.Generator, n_boot: int = 500
) -> list[dict[str, float | int]]:
    """Mean loss increase of every column with a 95 % interval from resampled units, the same resamples for all columns.

    Args:
        increases: (n, p) per-row increase, each row from a model that did not see it.
        groups: (n,) codes of the units.
    """
    n, p = increases.shape
    _, code = np.unique(groups, return_inverse=True)
    sums = np.column_stack([np.bincount(code, weights=column) for column in increases.T]) if p else np.zeros((1, 0))
    counts = np.bincount(code).astype(float)
    units = len(counts)
    draws = rng.multinomial(units, np.full(units, 1.0 / units), size=n_boot).astype(np.float64)
    low, high = np.quantile(draws @ sums / np.maximum(draws @ counts, 1)[:, None], [0.025, 0.975], axis=0)
    means = increases.mean(axis=0)
    return [
        {"value": float(m), "low": float(a), "high": float(b), "n": n} for m, a, b in zip(means, low, high, strict=True)
    ]
