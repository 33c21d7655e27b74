"""Made-up blocks, backgrounds and answers for the tests of explanations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np

from osler.blocks import Block, dense
from osler.explanation.background import Background, learn_background, restore


def numbers(X: np.ndarray) -> dict[str, Block]:
    """Columns x0, x1, ... of one number each from X (n, p)."""
    return {f"x{j}": dense(X[:, [j]], [f"x{j}"]) for j in range(X.shape[1])}


def answer_of(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, Block]], np.ndarray]:
    """A function of X (n, p) as an answer to blocks."""
    return lambda blocks: function(np.column_stack([b.values[:, 0] for b in blocks.values()]))


def background_of(blocks: dict[str, Block], groups: np.ndarray) -> Background:
    """The background that training rows leave behind."""
    stored = learn_background(blocks, groups)
    m = np.zeros(len(stored["weights"]), dtype=np.int64)
    empty = {}
    for name, block in blocks.items():
        part = block.take(m)
        values = np.full(part.values.shape, np.nan)
        empty[name] = replace(part, arrays={"values": values}, present=np.zeros(len(m), dtype=bool))
    return restore(stored, empty)


def by_all_orders(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, B: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """(p,) Shapley values by the definition: the mean gain over all p! orders, written without any of the package's
    code.
    """
    p = len(x)
    total = np.zeros(p)
    orders = list(permutations(range(p)))
    for order in orders:
        rows = B.copy()
        before = w @ function(rows)
        for j in order:
            rows[:, j] = x[j]
            after = w @ function(rows)
            total[j] += after - before
            before = after
    return total / len(orders)
