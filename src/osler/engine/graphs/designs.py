"""Features become the matrix of a model: `osler.models.design` in operations."""

from __future__ import annotations

import numpy as np

from osler.engine.graphs.graph import Graph
from osler.models.base import Params
from osler.models.design import Design, TreeDesign

Features = dict[str, str]


def raw(graph: Graph, features: Features, sources: tuple) -> str:
    """(n, q) the features side by side, in the order of the model's sources."""
    return graph.side_by_side([features[name] for name, _ in sources])


def plain(graph: Graph, features: Features, params: Params) -> str:
    """(n, p) `Design.matrix`: standardised numbers, missing indicators, centred levels."""
    design = Design.from_params(params)
    a = design.arrays
    x = raw(graph, features, design.sources)
    parts = []
    if len(a["number"]):
        numbers = graph.filled(graph.columns(x, a["number"]), a["fill"])
        parts.append(graph.node("Mul", graph.node("Sub", numbers, a["mean"]), a["inverse_scale"]))
    if len(a["absent"]):
        absent = graph.double(graph.missing(graph.columns(x, a["absent"])))
        parts.append(graph.node("Sub", absent, a["absent_mean"]))
    if len(a["category"]):
        parts.append(_levels(graph, x, a))
    return graph.side_by_side(parts) if parts else graph.node("Mul", graph.columns(x, np.zeros(0)), 0.0)


def _levels(graph: Graph, x: str, a: dict[str, np.ndarray]) -> str:
    """One centred column per level; all 0 in a group whose code is missing or was not seen in training."""
    code = graph.columns(x, a["category"])
    hit = graph.double(graph.node("Equal", code, a["code"].astype(np.float64)[None]))
    same = (a["group_of"][:, None] == a["group_of"][None, :]).astype(np.float64)
    known = graph.node("MatMul", hit, same)  # 1 in every column of a group where one of its levels was hit
    return graph.node("Sub", hit, graph.node("Mul", known, a["level_mean"]))


def tree(graph: Graph, features: Features, params: Params) -> str:
    """(n, p) `TreeDesign.matrix`: raw values and level indicators, NaN where trees decide."""
    design = TreeDesign.from_params(params)
    a = design.arrays
    out = graph.columns(raw(graph, features, design.sources), a["column"])
    missing = graph.missing(out)
    hot = ~np.isnan(a["code"])
    if hot.any():
        equal = graph.double(graph.node("Equal", out, np.where(hot, a["code"], 0.0)[None]))
        out = graph.node("Where", hot[None], equal, out)
    return graph.node("Where", missing, a["fill"][None], out)


def single(graph: Graph, matrix: str) -> str:
    """The matrix rounded to single precision, as scikit-learn's trees see it; values beyond its range set to its
    end.
    """
    largest = float(np.finfo(np.float32).max)
    held = graph.node("Min", graph.node("Max", matrix, -largest), largest)
    held = graph.emptied(graph.missing(matrix), held)
    return graph.double(graph.node("Cast", held, to="float32"))
