"""Many trees as one set of arrays, walked by numpy: what forests, boosted trees and their ONNX export share.

    feature (m,)       the column a node asks about; 0 at a leaf
    threshold (m,)     left if value <= threshold; +inf at a leaf
    children (m, 2)    left and right node; a leaf is its own child
    missing_left (m,)  where a missing value goes; true at a leaf
    value (m, k)       what a leaf says; 0 at inner nodes
    roots (t,)         the first node of each tree
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osler.models.base import Params

FIELDS = ("feature", "threshold", "children", "missing_left", "value", "roots")

#: Rows times trees that are walked at once: fits the cache.
CHUNK = 100_000


@dataclass(frozen=True)
class Nodes:
    """Trees as arrays (see the module); `depth` is the longest way from a root to a leaf."""

    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    depth: int

    def leaves(self, X: np.ndarray) -> np.ndarray:
        """(t, n) the leaf of every row of X (n, p) in every tree; NaN is missing."""
        n, p = X.shape
        flat = np.ascontiguousarray(X).ravel()
        children, has_missing = self.children.ravel(), bool(np.isnan(flat).any())
        start = np.arange(n, dtype=np.int64) * p
        node = np.repeat(self.roots[:, None], n, axis=1)
        for _ in range(self.depth):
            x = flat[self.feature[node] + start]
            right = ~(x <= self.threshold[node])
            if has_missing:
                right &= ~(np.isnan(x) & self.missing_left[node])
            node = children[2 * node + right]
        return node

    def total(self, X: np.ndarray) -> np.ndarray:
        """(n, k) sum over trees of the values of the leaves, added in the order of the trees."""
        out = np.empty((len(X), self.value.shape[1]))
        size = max(1, CHUNK // max(len(self.roots), 1))
        for at in range(0, len(X), size):
            node = self.leaves(X[at : at + size])
            for k in range(out.shape[1]):
                out[at : at + size, k] = in_order(self.value[:, k][node])
        return out

    def to_params(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Meta and arrays (prefixed `nodes/`) to put into `Params`."""
        return {"depth": self.depth}, {f"nodes/{f}": getattr(self, f) for f in FIELDS}

    @classmethod
    def from_params(cls, params: Params) -> Nodes:
        """The inverse of `to_params`, from `params.meta["nodes"]`."""
        return cls(*(params.arrays[f"nodes/{f}"] for f in FIELDS), depth=params.meta["nodes"]["depth"])


def in_order(values: np.ndarray) -> np.ndarray:
    """(n,) sums over trees of values (t, n), always added one after the other: one row gets the same bits as many."""
    if values.shape[1] > 1:
        return np.add.reduce(values, axis=0)
    return np.add.accumulate(values, axis=0)[-1]  # numpy would sum a single column in pairs


@dataclass(frozen=True)
class OneTree:
    """One tree with children numbered inside it, -1 at leaves; arrays as in `Nodes`."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


def join(trees: Sequence[OneTree]) -> Nodes:
    """Trees one after the other."""
    sizes = np.array([len(t.feature) for t in trees], dtype=np.int64)
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    left = np.concatenate([t.left for t in trees]).astype(np.int64)
    right = np.concatenate([t.right for t in trees]).astype(np.int64)
    leaf = left < 0
    shift = np.repeat(roots, sizes)
    own = np.arange(len(left), dtype=np.int64)
    children = np.column_stack([np.where(leaf, own, left + shift), np.where(leaf, own, right + shift)])
    value = np.concatenate([t.value for t in trees]).astype(np.float64)
    return Nodes(
        feature=np.where(leaf, 0, np.concatenate([t.feature for t in trees])).astype(np.int64),
        threshold=np.where(leaf, np.inf, np.concatenate([t.threshold for t in trees])),
        children=children,
        missing_left=leaf | np.concatenate([t.missing_left for t in trees]).astype(bool),
        value=np.where(leaf[:, None], value, 0.0),
        roots=roots,
        depth=_depth(children, roots),
    )


def _depth(children: np.ndarray, roots: np.ndarray) -> int:
    """Steps until every node reached from the roots is a leaf."""
    level, depth = roots, 0
    while True:
        inner = level[children[level, 0] != level]
        if not len(inner):
            return depth
        level, depth = children[inner].ravel(), depth + 1
