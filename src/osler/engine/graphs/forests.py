"""Trees as ONNX's TreeEnsemble (ai.onnx.ml 5), in double precision, missing values sent where training sent them."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.engine.graphs import designs
from osler.engine.graphs.additive import link
from osler.engine.graphs.graph import Graph
from osler.models.base import Params
from osler.models.nodes import Nodes

Features = dict[str, str]

_LEFT_IF_LESS_OR_EQUAL, _SUM = 0, 1


def averaged(graph: Graph, features: Features, params: Params) -> str:
    """Probabilities (n, k) or the mean (n, 1) of `tree` and `forest`."""
    trees = Nodes.from_params(params)
    x = designs.single(graph, designs.tree(graph, features, params))
    if trees.value.shape[1] == 1:
        mean = graph.node("Div", total(graph, x, trees), float(len(trees.roots)))
        return graph.two_classes(mean) if params.meta["classes"] == 2 else mean
    found = graph.node("Gather", trees.value, leaves(graph, x, trees), axis=0)
    return graph.node("ReduceMean", found, np.array([1], dtype=np.int64), keepdims=0)


def boosted(graph: Graph, features: Features, params: Params) -> str:
    """Probabilities (n, k) or the mean (n, 1) of `boosting`; with more than two classes trees take turns."""
    trees, classes = Nodes.from_params(params), params.meta["classes"]
    width = classes if classes > 2 else 1
    x = designs.tree(graph, features, params)
    return link(graph, total(graph, x, trees, np.arange(len(trees.roots)) % width), classes)


def total(graph: Graph, x: str, trees: Nodes, target: np.ndarray | None = None) -> str:
    """(n, k) sums over trees of what their leaves say; `target` (t,) is the column that each tree adds to."""
    return _ensemble(
        graph, x, trees, np.zeros(len(trees.roots), dtype=np.int64) if target is None else target, trees.value[:, 0]
    )


def leaves(graph: Graph, x: str, trees: Nodes) -> str:
    """(n, t) int64 the node that every row ends in, in every tree."""
    own = np.arange(len(trees.feature), dtype=np.float64)
    found = _ensemble(graph, x, trees, np.arange(len(trees.roots)), own)
    return graph.node("Cast", graph.node("Round", found), to="int64")


def _ensemble(graph: Graph, x: str, trees: Nodes, target: np.ndarray, says: np.ndarray) -> str:
    owner = _tree_of(trees)
    leaf = trees.children[:, 0] == np.arange(len(trees.feature))
    inner, place = _numbered(~leaf)
    end, leaf_place = _numbered(leaf)
    lone = [int(r) for r in trees.roots if leaf[r]]  # a tree of one leaf becomes a question with one answer

    def child(side: int) -> tuple[list[int], list[int]]:
        to = np.concatenate([trees.children[inner, side], np.array(lone, dtype=np.int64)])
        return np.where(leaf[to], leaf_place[to], place[to]).tolist(), leaf[to].astype(int).tolist()

    none = [0] * len(lone)
    roots = [int(place[r]) if not leaf[r] else len(inner) + lone.index(int(r)) for r in trees.roots]
    (true_ids, true_leaf), (false_ids, false_leaf) = child(0), child(1)
    attributes: dict[str, Any] = {
        "n_targets": int(target.max()) + 1, "aggregate_function": _SUM, "post_transform": 0, "tree_roots": roots,
        "nodes_featureids": [*trees.feature[inner].tolist(), *none],
        "nodes_splits": np.concatenate([trees.threshold[inner], np.zeros(len(lone))]),
        "nodes_modes": np.full(len(inner) + len(lone), _LEFT_IF_LESS_OR_EQUAL, dtype=np.uint8),
        "nodes_truenodeids": true_ids, "nodes_trueleafs": true_leaf, "nodes_falsenodeids": false_ids,
        "nodes_falseleafs": false_leaf,
        "nodes_missing_value_tracks_true": [*trees.missing_left[inner].astype(int).tolist(), *none],
        "leaf_targetids": target[owner[end]].astype(int).tolist(), "leaf_weights": says[end].astype(np.float64),
    }  # fmt: skip
    return graph.node("TreeEnsemble", x, domain="ai.onnx.ml", **attributes)


def _numbered(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the chosen nodes, and every node's place among them."""
    return np.flatnonzero(chosen), np.cumsum(chosen) - 1


def _tree_of(trees: Nodes) -> np.ndarray:
    """(m,) the tree that every node belongs to: nodes of a tree lie together, its root first."""
    return np.searchsorted(trees.roots, np.arange(len(trees.feature)), side="right") - 1
