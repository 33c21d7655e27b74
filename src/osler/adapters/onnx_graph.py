"""The one door to onnx: a graph of plain operations becomes the bytes of an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from osler import registry

#: Operator sets and file format that the model declares; ONNX Runtime 1.22 and later run them.
OPSET, ML_OPSET, IR_VERSION = 20, 5, 10


def to_bytes(
    inputs: Mapping[str, str],
    nodes: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, np.ndarray],
    outputs: Mapping[str, tuple[str, str, int]],
    facts: Mapping[str, str],
) -> bytes:
    """A checked ONNX model.

    Args:
        inputs: name → "double" or "string", each of shape (n, 1).
        nodes: `{"op", "domain", "inputs", "output", "attributes"}` in order; array attributes become tensors, `to` a
            type.
        arrays: constants; object arrays hold texts.
        outputs: name → (value, element type, width).
        facts: texts kept in the model's metadata.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    onnx = registry.optional("onnx", "export")
    helper, kinds = registry.optional("onnx.helper", "export"), onnx.TensorProto
    kind = {"double": kinds.DOUBLE, "string": kinds.STRING}
    made = [
        helper.make_node(
            n["op"], n["inputs"], [n["output"]], domain=n["domain"],
            **{k: _attribute(onnx, k, v) for k, v in n["attributes"].items()},
        )
        for n in nodes
    ]  # fmt: skip
    made += [helper.make_node("Identity", [value], [name]) for name, (value, _, _) in outputs.items()]
    graph = helper.make_graph(
        made,
        "osler",
        [helper.make_tensor_value_info(name, kind[k], ["rows", 1]) for name, k in inputs.items()],
        [helper.make_tensor_value_info(name, kind[k], ["rows", width]) for name, (_, k, width) in outputs.items()],
        [_tensor(onnx, name, value) for name, value in arrays.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="osler")
    helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _attribute(onnx: Any, name: str, value: Any) -> Any:
    if name == "to":
        return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value)))
    return _tensor(onnx, name, value) if isinstance(value, np.ndarray) else value


def _tensor(onnx: Any, name: str, value: np.ndarray) -> Any:
    if value.dtype == object:
        texts = [str(v).encode() for v in value.ravel()]
        return onnx.helper.make_tensor(name, onnx.TensorProto.STRING, value.shape, texts)
    return onnx.numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
