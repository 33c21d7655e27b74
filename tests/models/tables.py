"""Small made-up tables for the tests of models."""

from __future__ import annotations

import numpy as np

from osler.blocks import dense
from osler.models.base import Encoded
from osler.tasks.base import Target


def table(kind: str, n: int = 160, seed: int = 0, missing: float = 0.08) -> Encoded:
    """Five numbers, a category of four levels, some of it missing, and a target of `kind` that depends on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) * [1, 10, 0.1, 1, 1] + [0, 50, 0, 0, 0]
    site = rng.integers(0, 4, n).astype(float)
    signal = 1.5 * X[:, 0] + 0.12 * (X[:, 1] - 50) + (site == 2) + rng.normal(size=n)
    X[rng.random(X.shape) < missing] = np.nan
    site[rng.random(n) < missing] = np.nan
    levels = [("a", "b", "c", "(other)")]
    blocks = {f"x{j}": dense(X[:, [j]], [f"x{j}"]) for j in range(5)}
    blocks["site"] = dense(site[:, None], ["site"], kinds=["categorical"], levels=levels)
    return Encoded(blocks, target_of(kind, signal, rng), np.repeat(np.arange(n // 2), 2))


def target_of(kind: str, signal: np.ndarray, rng: np.random.Generator) -> Target:
    """A target of `kind` from a signal (n,)."""
    if kind == "binary":
        return Target(kind, ("y",), (signal > 0).astype(np.int64), classes=("no", "yes"))
    if kind == "multiclass":
        return Target(kind, ("y",), np.digitize(signal, [-1.0, 1.0]), classes=("low", "mid", "high"))
    if kind == "regression":
        return Target(kind, ("y",), signal)
    if kind == "survival":
        time = np.exp(-signal / 2) * rng.exponential(size=len(signal))
        cut = np.quantile(time, 0.8)
        return Target(kind, ("t", "e"), np.minimum(time, cut) + 0.01, event=time < cut, horizon=float(cut / 2))
    y = np.column_stack([signal > 0, signal > 1]).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    return Target(kind, ("first", "second"), y, classes=("first", "second"))
