"""A training that was killed goes on where it was: one file, written whole or not at all.

The file holds the finished members, and of the member in training its weights, the best weights so far, the
optimiser's moments and the states of both random generators, so that a resumed training ends with the same bytes as one
that was never stopped. It also holds a fingerprint of the question (options, branches, target, seed): a checkpoint of
another question is not used. Like a predictor, it is learnt from patients' data and belongs where the run is kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from osler.adapters import tensors
from osler.errors import PredictorError

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Where a training writes its state, and how often.

    Attributes:
        folder: holds `checkpoint.safetensors`; made if it does not exist.
        seconds: least time between two writes inside one member (0: after every epoch).
    """

    folder: Path
    seconds: float = 10.0

    def write(self, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        tensors.write(Path(self.folder) / FILE, arrays, meta)

    def read(self, fingerprint: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and JSON of the last write for this fingerprint; both empty if there is none or it cannot be read."""
        path = Path(self.folder) / FILE
        if not path.is_file():
            return {}, {}
        try:
            arrays, meta = tensors.read(path)
        except PredictorError:
            return {}, {}  # a training can always start anew; a broken checkpoint must not stop it
        return (arrays, meta) if meta.get("fingerprint") == fingerprint else ({}, {})

    def clear(self) -> None:
        """Remove the checkpoint (the run has saved what was learnt)."""
        (Path(self.folder) / FILE).unlink(missing_ok=True)


def fingerprint(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of JSON values and arrays."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def optimiser_arrays(optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """Every number of an optimiser's state, by "parameter/name"."""
    state = optimiser.state_dict()["state"]
    return {f"{i}/{k}": v.detach().cpu().numpy() for i, entry in state.items() for k, v in entry.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, arrays: dict[str, np.ndarray]) -> None:
    """The inverse of `optimiser_arrays`; moments lie in memory in the order of their weights, which a fused step asks for."""
    weights = [p.detach() for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in arrays.items():
        number, _, name = key.partition("/")
        held, weight = torch.from_numpy(value.copy()), weights[int(number)]
        held = torch.empty_like(weight, device="cpu").copy_(held) if held.shape == weight.shape else held
        state.setdefault(int(number), {})[name] = held
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
