"""The one door to ONNX Runtime: a model's bytes and a table's columns in, its outputs out. One thread, CPU only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler import registry


class Session:
    """A loaded ONNX model.

    Args:
        model: its bytes; data outside of them is not looked for.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, model: bytes) -> None:
        runtime = registry.optional("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @property
    def inputs(self) -> dict[str, str]:
        """Column → "double" or "string"."""
        return {i.name: i.type.removeprefix("tensor(").removesuffix(")") for i in self._session.get_inputs()}

    @property
    def facts(self) -> dict[str, str]:
        """The texts in the model's metadata."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Output name → (n, k) for columns (n,) of float64 or of texts (object)."""
        feeds = {}
        for name, kind in self.inputs.items():
            values = np.asarray(columns[name])
            feeds[name] = values.astype(np.float64 if kind == "double" else object).reshape(-1, 1)
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, feeds)))
