"""A network over dense columns as a list of plain operations with their arrays, for whoever exports it.

The operations are those of ONNX (opset 18), by name and with ONNX's argument order, but nothing here needs the library:

    {"inputs":  [{"name": column, "features": p}, ...]          float64 (n, p) each, NaN where missing; codes as numbers
     "nodes":   [{"op", "inputs", "output", "attributes"}, ...]  every input is a column, an array or an output
     "arrays":  {name: array}
     "output":  name of the (n, k) float64 `Prediction.value`
     "times":   survival times, or none}
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.errors import OptionError
from osler.models.base import Params

OPSET = 18


def layers(params: Params) -> dict[str, Any]:
    """The operations that turn dense columns into the answer of `assembly.predict`.

    Args:
        params: of `mlp`, or of `network` with dense columns only, joined.

    Returns:
        The description in this module's docstring.

    Raises:
        OptionError: the network has another branch than one table of dense columns, or answers spreads too.
    """
    branches = params.meta["branches"]
    if len(branches) != 1 or branches[0]["layout"] != "dense":
        names = ", ".join(f"'{b['name']}' ({b['layout']})" for b in branches[:5])
        raise OptionError(
            f"a network must have dense columns only, joined, to be written as plain operations, it has {names}"
        )
    spec, head = branches[0]["spec"], params.meta["head"]
    if head.get("uncertainty", "none") != "none":
        raise OptionError(
            f"a network must have uncertainty=none to be written as plain operations, it has {head['uncertainty']}"
        )
    graph = _Graph(params)
    rows = _prepare(graph, branches[0]["columns"], spec)
    answers = [
        _answer(graph, _logits(graph, m, rows, spec, params.meta["architecture"]), head)
        for m in range(params.meta["members"])
    ]
    value = answers[0] if len(answers) == 1 else graph.node("Sum", *answers)
    value = graph.node("Mul", value, graph.array("share", np.array(1.0 / len(answers))))
    inputs = [{"name": c, "features": w} for c, w in zip(branches[0]["columns"], spec["widths"])]
    return {"inputs": inputs, "nodes": graph.nodes, "arrays": graph.arrays, "output": value, "times": head["times"]}


class _Graph:
    """Operations and arrays, collected in order."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, value: np.ndarray) -> str:
        """Keep an array under `/name`."""
        self.arrays[f"/{name}"] = np.ascontiguousarray(value)
        return f"/{name}"

    def weight(self, name: str, transposed: bool = False) -> str:
        """An array of the params; a linear layer's matrix transposed for MatMul."""
        value = self.params.arrays[name]
        return self.array(name, value.T if transposed else value)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append an operation; the name of its output."""
        output = f"/out{len(self.nodes)}"
        self.nodes.append({"op": op, "inputs": list(inputs), "output": output, "attributes": attributes})
        return output

    def linear(self, x: str, name: str) -> str:
        """x W + b with the arrays `name.weight` (transposed) and `name.bias`."""
        return self.node(
            "Add", self.node("MatMul", x, self.weight(f"{name}.weight", True)), self.weight(f"{name}.bias")
        )

    def norm(self, x: str, name: str) -> str:
        """A LayerNorm over the last axis."""
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)


def _prepare(graph: _Graph, columns: list[str], spec: dict[str, Any]) -> dict[str, str]:
    """Scaled numbers (float32), where they are missing, and codes, as `inputs.tensors` makes them."""
    zero = graph.array("zero", np.array(0.0))
    x = columns[0] if len(columns) == 1 else graph.node("Concat", *columns, axis=1)
    found = {}
    if spec["numbers"]:
        raw = graph.node("Gather", x, graph.array("numbers", np.array(spec["numbers"], dtype=np.int64)), axis=1)
        found["missing"] = graph.node("IsNaN", raw)
        scaled = graph.node("Sub", raw, graph.weight("branch0/center"))
        scaled = graph.node("Div", scaled, graph.weight("branch0/spread"))
        scaled = graph.node("Where", found["missing"], zero, scaled)
        scaled = graph.node("Min", graph.node("Max", scaled, graph.weight("branch0/low")), graph.weight("branch0/high"))
        scaled = graph.node("Where", found["missing"], zero, scaled)
        found["x"] = graph.node("Cast", scaled, to="float32")
    if spec["codes"]:
        levels = np.array(spec["levels"], dtype=np.float64)
        raw = graph.node("Gather", x, graph.array("codes", np.array(spec["codes"], dtype=np.int64)), axis=1)
        missing = graph.node("IsNaN", raw)
        held = graph.node("Where", missing, zero, raw)
        held = graph.node("Min", graph.node("Max", held, zero), graph.array("last", np.maximum(levels - 1, 0)))
        held = graph.node("Where", missing, graph.array("levels", levels), held)
        starts = np.concatenate([[0], np.cumsum(levels + 1)[:-1]]).astype(np.int64)
        found["codes"] = graph.node("Add", graph.node("Cast", held, to="int64"), graph.array("starts", starts))
    return found


def _logits(
    graph: _Graph, member: int, rows: dict[str, str], spec: dict[str, Any], architecture: dict[str, Any]
) -> str:
    """The forward pass of one member: `DenseEncoder`, then the last layer."""
    encoder = f"member{member}/encoders.0"
    parts = []
    if "x" in rows:
        parts.append(rows["x"] if spec["wide"] else graph.node("Flatten", _numbers(graph, encoder, rows, spec), axis=1))
    if "codes" in rows:
        coded = graph.node("Gather", graph.weight(f"{encoder}.codes.weight"), rows["codes"], axis=0)
        parts.append(graph.node("Flatten", coded, axis=1))
    x = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    x = graph.linear(x, f"{encoder}.first")
    for block in range(architecture["depth"]):
        name = f"{encoder}.blocks.{block}"
        inner = graph.node("Relu", graph.linear(graph.norm(x, f"{name}.norm"), f"{name}.inner"))
        x = graph.node("Add", x, graph.linear(inner, f"{name}.outer"))
    x = graph.node("Relu", graph.norm(x, f"{encoder}.norm"))
    return graph.linear(x, f"member{member}/head")


def _numbers(graph: _Graph, encoder: str, rows: dict[str, str], spec: dict[str, Any]) -> str:
    """(n, p, embedding) of scaled numbers."""
    last = graph.array("last_axis", np.array([2], dtype=np.int64))
    x = graph.node("Unsqueeze", rows["x"], last)
    made = graph.node("Mul", x, graph.weight(f"{encoder}.slope"))
    made = graph.node("Add", made, graph.weight(f"{encoder}.shift"))
    if spec["bins"]:
        lower, span = (graph.params.arrays[f"branch0/{k}"].astype(np.float32) for k in ("lower", "span"))
        place = graph.node("Sub", x, graph.array("branch0/lower", lower))
        place = graph.node("Div", place, graph.array("branch0/span", span))
        place = graph.node("Max", place, graph.array("zero32", np.array(0.0, dtype=np.float32)))
        place = graph.node("Min", place, graph.array("one32", np.array(1.0, dtype=np.float32)))
        place = graph.node("Transpose", place, perm=[1, 0, 2])
        binned = graph.node("MatMul", place, graph.weight(f"{encoder}.bins"))
        made = graph.node("Add", made, graph.node("Transpose", binned, perm=[1, 0, 2]))
    missing = graph.node("Unsqueeze", rows["missing"], last)
    return graph.node("Where", missing, graph.weight(f"{encoder}.missing"), made)


def _answer(graph: _Graph, logits: str, head: dict[str, Any]) -> str:
    """Probabilities, means or survival curves from logits, as `Head.answer` makes them."""
    x = graph.node("Cast", logits, to="float64")
    if head["kind"] == "regression":
        x = graph.node("Mul", x, graph.array("target_spread", np.array(head["spread"])))
        return graph.node("Add", x, graph.array("target_center", np.array(head["center"])))
    if head["class_weight"]:
        x = graph.node("Sub", x, graph.array("log_weight", np.log(head["class_weight"])))
    if head["kind"] in ("binary", "multiclass"):
        return graph.node("Softmax", x, axis=-1)
    if head["kind"] == "multilabel":
        return graph.node("Sigmoid", x)
    alive = graph.node("Log", graph.node("Sigmoid", graph.node("Neg", x)))
    return graph.node("Exp", graph.node("CumSum", alive, graph.array("time_axis", np.array(1, dtype=np.int64))))
