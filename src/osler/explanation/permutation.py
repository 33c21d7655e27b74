"""How much worse a model gets on rows it never saw when one column's cells are shuffled (Breiman 2001; Fisher et al.
2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from osler import tasks
from osler.blocks import Block
from osler.tasks.base import Prediction, Target


def permutation_importance(
    predict: Callable[[dict[str, Block]], Prediction],
    blocks: dict[str, Block],
    target: Target,
    rng: np.random.Generator,
    repeats: int = 5,
) -> dict[str, np.ndarray]:
    """Increase of the per-row loss when a column is shuffled among the rows.

    Args:
        predict: the fitted model.
        blocks: column → block of n rows that the model was not fitted on.
        target: their n true values.
        rng: draws the permutations.
        repeats: permutations per column.

    Returns:
        column → (n,) mean increase of each row's loss over the permutations; its mean is the column's importance.
    """
    task = tasks.get(target.kind)
    before = task.loss(target, predict(blocks))
    found = {}
    for name, block in blocks.items():
        increases = np.zeros(len(target))
        for _ in range(repeats):
            changed = {**blocks, name: block.take(rng.permutation(len(target)))}
            increases += task.loss(target, predict(changed)) - before
        found[name] = increases / repeats
    return found


def importance_interval(
    increases: np.ndarray, groups: np.ndarray, rng: np.random.Generator, n_boot: int = 500
) -> dict[str, float | int]:
    """Mean loss increase with a 95 % interval from resampled units.

    Args:
        increases: (n,) per-row increase, each row from a model that did not see it.
        groups: (n,) codes of the units.
    """
    _, code = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(code, weights=increases), np.bincount(code).astype(float)
    units = len(sums)
    draws = rng.multinomial(units, np.full(units, 1.0 / units), size=n_boot)
    means = draws @ sums / np.maximum(draws @ counts, 1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(increases.mean()), "low": float(low), "high": float(high), "n": len(increases)}
