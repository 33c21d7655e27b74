"""The whole path of a predictor as one graph: raw columns in, probabilities, mean or survival out."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from osler.engine.graphs import additive, columns, forests, networks, survival
from osler.engine.graphs.graph import Graph
from osler.engine.predictor import Predictor
from osler.errors import OptionError
from osler.models.base import Params

Features = dict[str, str]

#: Model → what writes it. Kernel machines hold training rows, so they are not here: a file for others must not carry patients.
MADE: dict[str, Callable[[Graph, Features, Params], str]] = {
    "linear": additive.linear,
    "logistic": additive.linear,
    "elastic": additive.linear,
    "spline": additive.spline,
    "ebm": additive.tables,
    "tree": forests.averaged,
    "forest": forests.averaged,
    "boosting": forests.boosted,
    "cox": survival.cox,
    "survival_forest": survival.forest,
    "survival_boosting": survival.boosting,
    "mlp": networks.network,
    "network": networks.network,
}


def graph_of(predictor: Predictor) -> Graph:
    """The chosen model with everything before it.

    Returns:
        A graph with one input (n, 1) per column: doubles with NaN for missing (numbers; booleans as 0 and 1; dates as
        days since 1970-01-01) and texts with "" for missing (categories). Outputs: `probabilities` (n, k), `mean` (n,
        1), or `event_probability` (n, 1) with `survival` (n, t).

    Raises:
        OptionError: a column or model cannot be written as a graph (code `export`).
    """
    graph = Graph()
    features = columns.features(graph, predictor.inputs, predictor.states)
    spec, params = predictor.models[predictor.chosen]
    value = model(graph, features, spec, params)
    if predictor.task == "survival":
        times = times_of(spec, params)
        risk = survival.event_probability(graph, value, times, float(predictor.horizon))
        graph.outputs = {"event_probability": (risk, "double", 1), "survival": (value, "double", len(times))}
        graph.facts["times"] = json.dumps(times.tolist())
        graph.facts["horizon"] = json.dumps(predictor.horizon)
    elif predictor.task == "regression":
        graph.outputs = {"mean": (value, "double", 1)}
    else:
        graph.outputs = {"probabilities": (value, "double", len(predictor.classes))}
        graph.facts["classes"] = json.dumps(list(predictor.classes), ensure_ascii=False)
    graph.facts |= {
        "format": "osler.onnx/1", "task": predictor.task, "target": json.dumps(list(predictor.target), ensure_ascii=False),
        "model": predictor.chosen,
        "columns": json.dumps([{"name": c.name, "modality": c.modality, "unit": c.unit} for c in predictor.inputs], ensure_ascii=False),
    }  # fmt: skip
    return graph


def model(graph: Graph, features: Features, spec: str, params: Params) -> str:
    """One model's answer: probabilities (n, k), the mean (n, 1) or survival curves (n, t)."""
    name = spec.partition(":")[0]
    if name == "ensemble":
        return _mixture(graph, features, params)
    if name not in MADE:
        raise OptionError(f"model '{name}' cannot be written as ONNX: choose another, or use --format mlflow", "export")
    if "labels" not in params.meta:
        return MADE[name](graph, features, params)
    one = next(iter(features.values()))
    nothing = graph.node("Mul", graph.filled(graph.columns(one, np.array([0])), 0.0), 0.0)
    answers = []
    for k in range(len(params.meta["labels"])):
        part = params.part(str(k))
        constant = part.meta.get("constant")
        if constant is not None:
            answers.append(graph.node("Add", nothing, float(constant)))
        else:
            answers.append(graph.columns(MADE[name](graph, features, part), np.array([1])))
    return graph.side_by_side(answers)


def times_of(spec: str, params: Params) -> np.ndarray:
    """(t,) the times of a survival model's curves."""
    name = spec.partition(":")[0]
    if name == "ensemble":
        return np.unique(np.concatenate([times_of(m, p) for m, p, _ in _members(params)]))
    return np.asarray(
        params.meta["head"]["times"] if "head" in params.meta else params.arrays["times"], dtype=np.float64
    )


def _members(params: Params) -> list[tuple[str, Params, float]]:
    """Specification, params and weight of the members of an ensemble that count."""
    both = zip(params.meta["members"], params.meta["weights"])
    held = [(m, params.part(str(i)), w) for i, (m, w) in enumerate(both) if w > 0]
    whole = sum(w for _, _, w in held)
    return [(m, p, w / whole) for m, p, w in held]


def _mixture(graph: Graph, features: Features, params: Params) -> str:
    """The weighted mean of an ensemble's members, recalibrated where two classes are."""
    members = _members(params)
    is_survival = params.meta["kind"] == "survival"
    grid = times_of("ensemble", params) if is_survival else None
    total = None
    for spec, part, weight in members:
        answer = model(graph, features, spec, part)
        if is_survival and not np.array_equal(times_of(spec, part), grid):
            answer = survival.on_grid(graph, answer, times_of(spec, part), grid)
        answer = graph.node("Mul", answer, float(weight))
        total = answer if total is None else graph.node("Add", total, answer)
    intercept, slope = params.meta["recalibration"]
    if params.meta["kind"] != "binary" or (intercept, slope) == (0.0, 1.0):
        return total
    p = graph.node("Min", graph.node("Max", graph.columns(total, np.array([1])), 1e-9), 1 - 1e-9)
    logit = graph.node("Log", graph.node("Div", p, graph.node("Sub", 1.0, p)))
    eta = graph.node("Add", graph.node("Mul", logit, float(slope)), float(intercept))
    return graph.two_classes(graph.node("Sigmoid", eta))
