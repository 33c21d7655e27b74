"""Survival curves: proportional hazards and survival forests. Each gives curves (n, t) and the times they are for."""

from __future__ import annotations

import numpy as np

from osler.engine.graphs import designs, forests
from osler.engine.graphs.additive import truncated_powers
from osler.engine.graphs.graph import Graph
from osler.models.base import Params
from osler.models.nodes import Nodes

Features = dict[str, str]


def cox(graph: Graph, features: Features, params: Params) -> str:
    """Curves (n, t) of `cox`."""
    a = params.arrays
    x = designs.plain(graph, features, params)
    if "knots" in a:
        bent = [truncated_powers(graph, graph.columns(x, np.array([i])), t) for i, t in zip(a["bent"], a["knots"])]
        if bent:
            x = graph.side_by_side([x, graph.node("Div", graph.side_by_side(bent), a["spline_scale"][None])])
    return _proportional(graph, graph.node("MatMul", x, a["coefficient"][:, None]), params)


def boosting(graph: Graph, features: Features, params: Params) -> str:
    """Curves (n, t) of `survival_boosting`."""
    x = designs.tree(graph, features, params)
    total = forests.total(graph, x, Nodes.from_params(params))
    return _proportional(graph, graph.node("Mul", total, float(params.meta["slope"])), params)


def forest(graph: Graph, features: Features, params: Params) -> str:
    """Curves (n, t) of `survival_forest`: exp of minus the mean cumulative hazard of the leaves."""
    trees = Nodes.from_params(params)
    x = graph.double(graph.node("Cast", designs.tree(graph, features, params), to="float32"))
    node = forests.leaves(graph, x, trees)
    hazard = params.arrays["hazard"].astype(np.float64)[trees.value[:, 0].astype(np.int64)]
    found = graph.node("Gather", hazard, node, axis=0)
    mean = graph.node("ReduceMean", found, np.array([1], dtype=np.int64), keepdims=0)
    return graph.node("Exp", graph.node("Neg", mean))


def _proportional(graph: Graph, log_hazard: str, params: Params) -> str:
    """S(t) = exp(-H0(t) exp(log hazard))."""
    held = graph.node("Min", graph.node("Max", log_hazard, -50.0), 50.0)
    hazard = graph.node("MatMul", graph.node("Exp", held), params.arrays["baseline"][None])
    return graph.node("Exp", graph.node("Neg", hazard))


def on_grid(graph: Graph, curves: str, times: np.ndarray, grid: np.ndarray) -> str:
    """Curves (n, t) read off at other times (steps), 1 before the first."""
    at = np.searchsorted(times, grid, side="right")
    ones = graph.node("Add", graph.node("Mul", graph.columns(curves, np.array([0])), 0.0), 1.0)
    return graph.columns(graph.side_by_side([ones, curves]), at)


def event_probability(graph: Graph, curves: str, times: np.ndarray, horizon: float) -> str:
    """(n, 1) probability of an event until the horizon."""
    return graph.node("Sub", 1.0, on_grid(graph, curves, times, np.array([horizon])))
