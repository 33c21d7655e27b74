"""Operations and arrays in the order in which they were asked for: ONNX's operations by name, without needing its
library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Graph:
    """A growing graph. Values are known by name; everything numeric is float64 unless said otherwise.

    Attributes:
        inputs: column → "double" or "string", each (n, 1).
        nodes: `{"op", "domain", "inputs", "output", "attributes"}` in order.
        arrays: constants by name; texts are object arrays.
        outputs: name → (value, element type, width).
        facts: texts that a reader of the file needs (classes, times, columns).
    """

    inputs: dict[str, str] = field(default_factory=dict)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def node(self, op: str, *inputs: str | np.ndarray | float, domain: str = "", **attributes: Any) -> str:
        """Append an operation; numbers and arrays among its inputs become constants. Returns the name of its output."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        output = f"/{len(self.nodes)}"
        self.nodes.append({"op": op, "domain": domain, "inputs": names, "output": output, "attributes": attributes})
        return output

    def constant(self, value: np.ndarray | float) -> str:
        """Keep an array; a plain number is float64."""
        name = f"/c{len(self.arrays)}"
        self.arrays[name] = np.asarray(value, dtype=np.float64 if isinstance(value, (int, float)) else None)
        return name

    def columns(self, matrix: str, which: np.ndarray) -> str:
        """Columns (n, k) of a matrix (n, p)."""
        return self.node("Gather", matrix, np.asarray(which, dtype=np.int64), axis=1)

    def side_by_side(self, parts: list[str]) -> str:
        """Matrices (n, p1), (n, p2), ... as one."""
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)

    def double(self, value: str) -> str:
        """Any numbers as float64."""
        return self.node("Cast", value, to="float64")

    def missing(self, value: str) -> str:
        """Where a value is NaN."""
        return self.node("IsNaN", value)

    def emptied(self, lost: str, value: str) -> str:
        """NaN where `lost`, else the value."""
        return self.node("Where", lost, np.array(np.nan), value)

    def filled(self, value: str, fill: np.ndarray | float) -> str:
        """`fill` where a value is NaN, else the value."""
        return self.node("Where", self.missing(value), fill, value)

    def sum_rows(self, value: str) -> str:
        """(n, 1) sums over the columns."""
        return self.node("ReduceSum", value, np.array([1], dtype=np.int64), keepdims=1)

    def two_classes(self, p: str) -> str:
        """(n, 2) from the probability (n, 1) of the second class."""
        return self.side_by_side([self.node("Sub", 1.0, p), p])
