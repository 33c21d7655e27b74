"""Sums of effects: straight lines, splines, explainable boosting's tables."""

from __future__ import annotations

import numpy as np

from osler.engine.graphs import designs
from osler.engine.graphs.graph import Graph
from osler.models.base import Params

Features = dict[str, str]


def linear(graph: Graph, features: Features, params: Params) -> str:
    """Probabilities (n, k) or the mean (n, 1) of `logistic`, `linear` and `elastic`."""
    return respond(graph, designs.plain(graph, features, params), params)


def spline(graph: Graph, features: Features, params: Params) -> str:
    """Probabilities (n, k) or the mean (n, 1) of `spline`."""
    x = designs.plain(graph, features, params)
    state = {k[7:]: v for k, v in params.arrays.items() if k.startswith("spline/")}
    parts = [x]
    for i, column in enumerate(state["column"]):
        one = graph.columns(x, np.array([column]))
        straight = graph.node("Add", graph.node("Mul", one, state["slope"][i][None]), state["constant"][i][None])
        bends = graph.node("Sub", truncated_powers(graph, one, state["knots"][i]), straight)
        parts.append(graph.node("Div", bends, state["scale"][i][None]))
    return respond(graph, graph.side_by_side(parts), params)


def truncated_powers(graph: Graph, x: str, knots: np.ndarray) -> str:
    """(n, k - 2) restricted cubic spline terms of one column (n, 1): Harrell 2.4.5, straight beyond the outer knots."""
    above = graph.node("Max", graph.node("Sub", x, knots[None]), 0.0)
    cubes = graph.node("Mul", graph.node("Mul", above, above), above)
    k, width = len(knots), knots[-1] - knots[-2]
    turn = np.zeros((k, k - 2))
    turn[:-2] = np.eye(k - 2)
    turn[-2] = -(knots[-1] - knots[:-2]) / width
    turn[-1] = (knots[-2] - knots[:-2]) / width
    return graph.node("MatMul", cubes, turn / (knots[-1] - knots[0]) ** 2)


def tables(graph: Graph, features: Features, params: Params) -> str:
    """Probabilities (n, k) or the mean (n, 1) of `ebm`: one lookup per table."""
    x = designs.tree(graph, features, params)
    total = graph.constant(params.arrays["intercept"][None])
    for i, columns in enumerate(params.meta["terms"]):
        scores = params.arrays[f"scores/{i}"]
        bins = [_bin(graph, x, column, params.arrays[f"cuts/{i}/{j}"]) for j, column in enumerate(columns)]
        at = bins[0]
        for one, size in zip(bins[1:], scores.shape[1:]):
            at = graph.node("Add", graph.node("Mul", at, float(size)), one)
        flat = scores.reshape(-1, scores.shape[-1])
        found = graph.node("Gather", flat, graph.node("Cast", at, to="int64"), axis=0)
        total = graph.node("Add", total, graph.node("Reshape", found, np.array([-1, flat.shape[1]], dtype=np.int64)))
    return link(graph, total, params.meta["classes"])


def _bin(graph: Graph, x: str, column: int, cuts: np.ndarray) -> str:
    """(n, 1) 1 + the number of cuts at or below the value, 0 where it is missing."""
    one = graph.columns(x, np.array([column]))
    if not len(cuts):
        return graph.node("Where", graph.missing(one), 0.0, 1.0)
    passed = graph.node("Not", graph.node("Less", one, cuts[None]))
    count = graph.node("Add", graph.sum_rows(graph.double(passed)), 1.0)
    return graph.node("Where", graph.missing(one), 0.0, count)


def respond(graph: Graph, matrix: str, params: Params) -> str:
    """Coefficients (k, p + 1) applied to a matrix (n, p), through the link."""
    coef = params.arrays["coef"]
    eta = graph.node("Add", graph.node("MatMul", matrix, coef[:, :-1].T), coef[None, :, -1])
    return link(graph, eta, params.meta["classes"])


def link(graph: Graph, eta: str, classes: int) -> str:
    """Probabilities of two or more classes, or the number itself."""
    if classes == 2:
        return graph.two_classes(graph.node("Sigmoid", eta))
    return graph.node("Softmax", eta, axis=1) if classes else eta
