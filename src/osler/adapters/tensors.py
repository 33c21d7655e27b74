"""Named numeric arrays in one safetensors file, with a JSON header; nothing in such a file can run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from osler.cohort.atomic import write_atomic
from osler.errors import PredictorError


def write(path: str | Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Path:
    """Write arrays and JSON values as one file that is either whole or not there (temporary name, sync, rename).

    Args:
        arrays: name → numeric array of any shape.
        meta: JSON values, kept in the file's header.
    """
    from safetensors.numpy import save

    path = Path(path)
    whole = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    data = save(whole, metadata={"json": json.dumps(meta, sort_keys=True)})
    write_atomic(path, data, sync="folder")
    return path


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and JSON values of a file that `write` wrote.

    Raises:
        PredictorError: the file is not whole or not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            meta = json.loads((file.metadata() or {}).get("json", "{}"))
            return {key: file.get_tensor(key) for key in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        name = Path(path).name
        raise PredictorError(
            f"'{name}' must be a whole safetensors file, it cannot be read as one: remove it"
        ) from error
