"""Exact interventional Shapley values of sums of trees, over whole columns.

A leaf says its value when every column on its path lets the row through. With some columns taken from the explained
row and the others from a background row, that is a product of one yes or no per column, whose Shapley values are
known: a column that only the explained row passes gets value (u - 1)! v! / (u + v)!, one that only the background row
passes gets -value u! (v - 1)! / (u + v)!, where u and v count such columns, and a leaf that some column blocks on
both sides says nothing. Source: Lundberg et al. 2020, Nature Machine Intelligence 2:56, supplementary section on
interventional TreeSHAP (here per column, so that the levels of a category are one player).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from osler.blocks import Block
from osler.explanation.additive import owners
from osler.models.base import Params
from osler.models.design import TreeDesign
from osler.models.nodes import Nodes
from osler.models.trees import single

#: Above this many (leaf, column) pairs the trees are explained like any other model.
MOST_SLOTS = 2_000_000


@dataclass(frozen=True)
class Leaves:
    """Every leaf as its value and what each column must let through.

    Attributes:
        nodes: the trees. value: (l,) per leaf. start: (l,) first slot of a leaf; a slot is a (leaf, column) pair.
        column: (s,) column of a slot. condition: (s,) first condition of a slot. node, left: (c,) a condition.
        constant: what trees of one leaf add.
    """

    nodes: Nodes
    value: np.ndarray
    start: np.ndarray
    column: np.ndarray
    condition: np.ndarray
    node: np.ndarray
    left: np.ndarray
    constant: float

    def passes(self, X: np.ndarray) -> np.ndarray:
        """(n, s) whether a row of X (n, q) meets all conditions of a slot."""
        nodes = self.nodes
        out = np.empty((len(X), len(self.column)), dtype=bool)
        for i, row in enumerate(X):
            x = row[nodes.feature]
            went_left = (x <= nodes.threshold) | (np.isnan(x) & nodes.missing_left)
            out[i] = np.logical_and.reduceat(went_left[self.node] == self.left, self.condition)
        return out


def leaves_of(nodes: Nodes, value: np.ndarray, owner: np.ndarray) -> Leaves:
    """The leaves of trees.

    Args:
        nodes: trees. value: (m,) what each node says, 0 at inner nodes. owner: (q,) column behind each feature.
    """
    own = np.arange(len(nodes.feature))
    inner = np.flatnonzero(nodes.children[:, 0] != own)
    parent, is_left = np.full(len(own), -1), np.zeros(len(own), dtype=bool)
    parent[nodes.children[inner, 0]] = inner
    parent[nodes.children[inner, 1]] = inner
    is_left[nodes.children[inner, 0]] = True
    ends = np.flatnonzero(nodes.children[:, 0] == own)
    lone = parent[ends] < 0
    constant = float(value[ends[lone]].sum())
    ends = ends[~lone]
    leaf, node, left = [], [], []
    at, which = ends.copy(), np.arange(len(ends))
    while len(at):
        leaf.append(which)
        node.append(parent[at])
        left.append(is_left[at])
        at = parent[at]
        alive = parent[at] >= 0
        at, which = at[alive], which[alive]
    leaf, node, left = (np.concatenate(v) if v else np.zeros(0, dtype=np.int64) for v in (leaf, node, left))
    width = int(owner.max(initial=0)) + 1
    slot, inverse = np.unique(leaf * width + owner[nodes.feature[node]], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    condition = np.searchsorted(inverse[order], np.arange(len(slot)))
    start = np.searchsorted(slot // width, np.arange(len(ends)))
    return Leaves(nodes, value[ends], start, slot % width, condition, node[order], left[order].astype(bool), constant)


def tree_values(leaves: Leaves, X: np.ndarray, B: np.ndarray, weights: np.ndarray, p: int) -> np.ndarray:
    """(n, p) exact Shapley values of the sum of the trees.

    Args:
        X: (n, q) explained rows of the trees' own matrix. B: (m, q) background rows. weights: (m,) sum 1. p: columns.
    """
    out = np.zeros((len(X), p))
    if not len(leaves.column):
        return out
    theirs = leaves.passes(B)
    size = np.diff(np.append(leaves.start, len(leaves.column)))
    for i in range(len(X)):
        mine = leaves.passes(X[i : i + 1])[0]
        for b, weight in zip(theirs, weights):
            blocked = np.logical_or.reduceat(~(mine | b), leaves.start)
            kept = np.flatnonzero(~np.repeat(blocked, size) & (mine != b))
            leaf = np.repeat(np.arange(len(size)), size)[kept]
            up = mine[kept]
            u = np.bincount(leaf, weights=up, minlength=len(size))[leaf]
            v = np.bincount(leaf, weights=~up, minlength=len(size))[leaf]
            share = np.exp(gammaln(u + ~up) + gammaln(v + up) - gammaln(u + v + 1))
            said = weight * leaves.value[leaf] * np.where(up, share, -share)
            out[i] += np.bincount(leaves.column[kept], weights=said, minlength=p)
    return out


def trees_of(
    family: str, params: Params, blocks: dict[str, Block], output: int, horizon: float | None
) -> tuple[str, Leaves, TreeDesign] | None:
    """The scale on which a model is a sum of trees, its leaves and its design; None where it is no sum of trees."""
    classes = params.meta.get("classes", 0)
    known = family in ("tree", "forest") or (family == "boosting" and classes <= 2) or family == "survival_boosting"
    if not known or "nodes" not in params.meta:
        return None
    nodes, design = Nodes.from_params(params), TreeDesign.from_params(params)
    owner = owners(design.sources, blocks)[design.arrays["column"]]
    scale, factor, value = "mean", 1.0, nodes.value[:, 0]
    if family in ("tree", "forest"):
        scale, factor = ("probability" if classes else "mean"), 1.0 / len(nodes.roots)
        value = nodes.value[:, 0 if classes <= 2 else output]
    elif family == "boosting":
        scale = "log-odds" if classes == 2 else "mean"
    else:
        scale, factor = "log-hazard", params.meta["slope"]
    leaves = leaves_of(nodes, value * factor, owner) if len(owner) else None
    return None if leaves is None or len(leaves.column) > MOST_SLOTS else (scale, leaves, design)


def tree_matrix(family: str, design: TreeDesign, blocks: dict[str, Block]) -> np.ndarray:
    """(n, q) what the trees see; forests in single precision."""
    X = design.matrix(blocks)
    return single(X) if family in ("tree", "forest") else X

