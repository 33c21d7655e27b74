"""Does an ONNX file keep all its numbers inside itself? Read from its bytes, without the library and without opening
any other file.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Ways down to tensors by field number: ModelProto.graph, .functions; GraphProto.node, .initializer, .sparse_initializer; NodeProto.attribute;
#: FunctionProto.node, .attribute_proto; AttributeProto.t, .g, .tensors, .graphs, .sparse_tensor; SparseTensorProto.values, .indices.
_BELOW: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
#: TensorProto.external_data, TensorProto.data_location.
_OUTSIDE = (13, 14)
_DEEPEST = 40

#: What every entry that leads to another file says; the slow walk is for files in which it occurs at all.
_KEY = b"location"


def is_self_contained(data: bytes) -> bool:
    """Whether `data` parses as an ONNX model of which no tensor lies in another file (`onnx.proto3`,
    TensorProto.external_data).
    """
    try:
        has_graph = any(number == 7 and value is not None for number, value in _fields(memoryview(data)))
        return has_graph and (_KEY not in data or _inside(memoryview(data), "model", 0))
    except (IndexError, ValueError):
        return False


def _inside(data: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        return False
    for number, value in _fields(data):
        if kind == "tensor":
            if number in _OUTSIDE:
                return False
        elif number in _BELOW[kind] and (value is None or not _inside(value, _BELOW[kind][number], depth + 1)):
            return False
    return True


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """(field number, bytes of a length-delimited field or None) of one protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(data, at)
            yield tag >> 3, None
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
            yield tag >> 3, None
        elif kind == 2:
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("not a protobuf message")
    if at != len(data):
        raise ValueError("a protobuf message ends too early")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
