"""Many rows through many trees, compiled by Numba: LightGBM's own bits in a fraction of its time.

QuickScorer (C. Lucchese et al., SIGIR 2015): the leaves of a tree are the bits of one word, numbered from left to right. A node
that sends a row to the right takes the leaves below its left child away; the lowest bit that is left is the row's leaf. Only
nodes that send the row to the right are looked at, which are few where most columns are counts of zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from osler.registry import optional

#: Most leaves of a tree: bits of a word.
MOST_LEAVES = 64
#: A power of two times this number says in its highest six bits which power it is (C. Leiserson et al., MIT 1998).
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_PLACE = np.argsort((np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64)) * _DE_BRUIJN) >> np.uint64(58))


@cache
def is_here() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def takes(children: np.ndarray, roots: np.ndarray) -> bool:
    """Whether every tree has few enough leaves; arguments as for `total`, roots of all trees, ascending."""
    leaves = np.flatnonzero(children[:, 0] == np.arange(len(children)))
    return bool(np.diff(np.searchsorted(leaves, [*roots, len(children)])).max(initial=0) <= MOST_LEAVES)


def total(X: np.ndarray, trees: dict[str, np.ndarray], roots: np.ndarray) -> np.ndarray:
    """(n,) sums over the trees with these roots of the values of the leaves that rows reach, added in the order of the trees.

    Args:
        X: (n, p) float64, NaN where missing.
        trees: `feature`, `threshold`, `children` (m, 2), `missing_left` and `value` (m,) of the nodes of all trees, as in
            `osler.models.nodes`; for no tree more than `MOST_LEAVES` leaves.
        roots: (t,) first nodes.

    Raises:
        MissingExtraError: Numba is not installed.
    """
    mask, tree, leaf = _compiled(_masks)(trees["children"], roots.astype(np.int64))
    inner = np.flatnonzero(tree >= 0)
    order = inner[np.lexsort((trees["threshold"][inner], trees["feature"][inner]))]
    used, first = np.unique(trees["feature"][order], return_index=True)
    out = np.zeros(len(X))
    _compiled(_score)(
        X, used, np.append(first, len(order)), trees["threshold"][order], mask[order], tree[order],
        trees["missing_left"][order], np.append(trees["value"], 0.0)[leaf], _PLACE, out,
    )  # fmt: skip
    return out


@cache
def _compiled(function: Callable[..., Any]) -> Any:
    return optional("numba", "molecules").njit(cache=True, nogil=True)(function)


def _masks(children: np.ndarray, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every node (m,) the leaves that stay when it sends a row to the right, and its tree, -1 for leaves and nodes of
    other trees; and (t, 64) the node of each leaf, m where there is none.
    """
    m, one = len(children), np.uint64(1)
    mask, tree = np.zeros(m, np.uint64), np.full(m, -1, np.int32)
    leaf = np.full((len(roots), 64), m, np.int64)
    begin, stack, seen = np.zeros(m, np.int64), np.empty(m, np.int64), np.zeros(m, np.bool_)
    for t in range(len(roots)):
        stack[0], top, count = roots[t], 1, 0
        while top:
            node = stack[top - 1]
            if children[node, 0] == node:
                leaf[t, count] = node
                count += 1
                top -= 1
            elif not seen[node]:
                seen[node], begin[node], tree[node] = True, count, t
                stack[top] = children[node, 0]
                top += 1
            else:  # the left side is numbered: the right one takes the node's place
                gone = ((one << np.uint64(count - begin[node])) - one) << np.uint64(begin[node])
                mask[node] = ~gone
                stack[top - 1] = children[node, 1]
    return mask, tree, leaf


def _score(
    X: np.ndarray, used: np.ndarray, first: np.ndarray, threshold: np.ndarray, mask: np.ndarray, tree: np.ndarray,
    missing_left: np.ndarray, value: np.ndarray, place: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Add to `out` (n,) the value (t, 64) of every tree's leaf; nodes are sorted by column (`used`, from `first` on) and
    threshold.
    """
    left = np.empty(len(value), np.uint64)
    for row in range(X.shape[0]):
        left[:] = ~np.uint64(0)
        for k in range(len(used)):
            x = X[row, used[k]]
            if x != x:
                for i in range(first[k], first[k + 1]):
                    if not missing_left[i]:
                        left[tree[i]] &= mask[i]
                continue
            for i in range(first[k], first[k + 1]):
                if not x > threshold[i]:
                    break
                left[tree[i]] &= mask[i]
        whole = 0.0
        for t in range(len(value)):
            word = left[t]
            lowest = word & (~word + np.uint64(1))
            whole += value[t, place[(lowest * _DE_BRUIJN) >> np.uint64(58)]]
        out[row] += whole
