"""Made-up pairs of things whose value follows from the families that the two are of."""

from __future__ import annotations

import numpy as np

from osler.blocks import dense
from osler.models.base import Encoded
from osler.tasks.base import Target


def things(n: int, families: int, rng: np.random.Generator, width: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Counts (n, width) of things, and the family of each: members of one share most of their counts."""
    pattern = rng.poisson(0.7, (families, width))
    family = np.arange(n) % families
    counts = pattern[family] + (rng.random((n, width)) < 0.08)
    return counts.astype(np.float64), family


def block(counts: np.ndarray, name: str):
    """Counts and one number as a dense block."""
    width = counts.shape[1]
    values = np.column_stack([counts, counts.sum(axis=1)])
    names = [*(f"{name}: bin {k}" for k in range(width)), f"{name}: total"]
    return dense(values, names, kinds=["count"] * width + ["continuous"])


def pairs(
    kind: str = "regression", shape: tuple[int, int] = (30, 20), share: float = 0.7, seed: int = 0
) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """A share of all pairs, and the places of their things; y is 4, 6 or 8 by the families of the two, with little noise."""
    rng = np.random.default_rng(seed)
    (one, family), (other, kin) = (things(n, k, rng) for n, k in zip(shape, (5, 4)))
    level = rng.choice([4.0, 6.0, 8.0], (5, 4))
    i, j = np.nonzero(rng.random(shape) < share)
    y = level[family[i], kin[j]] + 0.2 * rng.normal(size=len(i))
    blocks = {"drug": block(one, "drug").take(i), "protein": block(other, "protein").take(j)}
    if kind == "binary":
        target = Target(kind, ("y",), (y > 5.0).astype(np.int64), classes=("no", "yes"))
    else:
        target = Target(kind, ("y",), y)
    return Encoded(blocks, target, np.arange(len(i))), i, j
