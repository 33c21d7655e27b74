"""Many rows down many trees, compiled by Numba: what LightGBM answers, in half of its time.

Trees are walked one after the other by a few rows at a time, so that a tree's nodes and the rows' columns stay in a near
cache; leaves are added in the order of the trees, which gives LightGBM's own bits.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from osler.registry import optional

#: Rows that are walked together.
_ROWS = 32


@cache
def is_here() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def total(X: np.ndarray, trees: dict[str, np.ndarray], roots: np.ndarray) -> np.ndarray:
    """(n,) sums over the trees with these roots of the values of the leaves that rows reach.

    Args:
        X: (n, p) float64, NaN where missing.
        trees: `feature`, `threshold`, `children` (m, 2), `missing_left` and `value` (m,) of the nodes of all trees, as in
            `osler.models.nodes`.
        roots: (t,) first nodes.

    Raises:
        MissingExtraError: Numba is not installed.
    """
    used, feature = np.unique(trees["feature"], return_inverse=True)
    out = np.zeros(len(X))
    _kernel()(
        np.ascontiguousarray(X[:, used]), feature.astype(np.int32), trees["threshold"],
        trees["children"].astype(np.int32), trees["missing_left"], np.ascontiguousarray(trees["value"]),
        np.column_stack([roots, _depths(trees["children"], roots)]).astype(np.int32), out,
    )  # fmt: skip
    return out


def _depths(children: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """(t,) steps from each root to its farthest leaf."""
    depth, level, tree = np.zeros(len(roots), dtype=np.int64), roots, np.arange(len(roots))
    while True:
        inner = children[level, 0] != level
        if not inner.any():
            return depth
        level, tree = children[level[inner]].ravel(), np.repeat(tree[inner], 2)
        depth[np.unique(tree)] += 1


@cache
def _kernel() -> Any:
    return optional("numba", "molecules").njit(cache=True, nogil=True)(_walk)


def _walk(
    X: np.ndarray, feature: np.ndarray, threshold: np.ndarray, children: np.ndarray, missing_left: np.ndarray,
    value: np.ndarray, starts: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Add to `out` (n,) the leaf of every tree, whose root and depth are a row of `starts`; a leaf is its own child.

    All rows of a block take a step at once, also those that stand at a leaf: no step waits for the one before.
    """
    n, at = X.shape[0], np.empty(_ROWS, dtype=np.int32)
    for first in range(0, n, _ROWS):
        rows = min(_ROWS, n - first)
        for tree in range(starts.shape[0]):
            at[:rows] = starts[tree, 0]
            for _ in range(starts[tree, 1]):
                for row in range(rows):
                    node = at[row]
                    x = X[first + row, feature[node]]
                    right = (x > threshold[node]) | ((x != x) & ~missing_left[node])
                    at[row] = children[node, np.intp(right)]
            for row in range(rows):
                out[first + row] += value[at[row]]
