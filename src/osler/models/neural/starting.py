"""Weights to start from, out of a local folder of safetensors files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from osler.adapters import tensors
from osler.errors import OptionError, PredictorError

#: Largest sum of the files of a folder.
LARGEST = 2 << 30
#: What other networks' files hold beside the layers that are taken over: last layers and counters.
_LEFT_OUT = ("fc.", "classifier.", "head.", "num_batches_tracked")


def weights_in(folder: str) -> dict[str, np.ndarray]:
    """Named arrays of all `*.safetensors` of a folder.

    Raises:
        OptionError: the folder is not there, holds none, or more than `LARGEST` bytes; a file is damaged.
    """
    place = Path(folder)
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else []
    if not files:
        raise OptionError(
            f"option 'weights' of cnn must be a folder with a safetensors file, '{place.name}' is none: name the folder"
        )
    size = sum(f.stat().st_size for f in files)
    if size > LARGEST:
        raise OptionError(f"weights of cnn must be at most 2 GiB, those in '{place.name}' are {size / 2**30:.1f}")
    found: dict[str, np.ndarray] = {}
    try:
        for file in files:
            found |= tensors.read(file)[0]
    except PredictorError as error:
        raise OptionError(f"option 'weights' of cnn must hold whole safetensors files: {error}") from error
    return found


def start(net: nn.Module, folder: str) -> list[str]:
    """Put a folder's weights into the convolutions of a network's picture columns.

    Names are those of the body's layers (`conv1.weight`, `layer1.0.bn1.bias`, ...), with or without one prefix that all
    share. A first layer for three colours is summed over them where pictures have one channel.

    Returns:
        Columns that start from the folder.

    Raises:
        OptionError: a layer is not there, or has another shape; it is named with both shapes.
    """
    from osler.models.neural.convolutions import ConvolutionalEncoder

    arrays, taken = weights_in(folder), []
    for branch, encoder in zip(net.branches, net.encoders):
        if isinstance(encoder, ConvolutionalEncoder):
            encoder.body.load_state_dict(_fitted(encoder.body.state_dict(), arrays, branch.name))
            taken.append(branch.name)
    if not taken:
        raise OptionError("option 'weights' of cnn is for a picture or volume column, there is none: leave it out")
    return taken


def _fitted(wanted: dict[str, torch.Tensor], arrays: dict[str, np.ndarray], column: str) -> dict[str, Any]:
    prefix = _prefix(wanted, arrays)
    made = {}
    for name, mine in wanted.items():
        theirs = arrays.get(prefix + name)
        if theirs is not None and theirs.ndim == mine.dim() and theirs.shape[1:2] == (3,) and mine.shape[1:2] == (1,):
            theirs = theirs.sum(axis=1, keepdims=True)
        if theirs is None or theirs.shape != tuple(mine.shape):
            held = "not there" if theirs is None else f"of shape {list(theirs.shape)}"
            raise OptionError(
                f"weights of cnn for column '{column}' must hold '{name}' of shape {list(mine.shape)}, it is {held}: set "
                "kind, filters, blocks and stages as the folder's network has them"
            )
        made[name] = torch.from_numpy(np.array(theirs, dtype=np.float32))
    return made


def _prefix(wanted: dict[str, torch.Tensor], arrays: dict[str, np.ndarray]) -> str:
    """What stands before every name of the folder's body layers: nothing, or one word such as `backbone.`."""
    first = next(iter(wanted))
    for name in sorted(arrays, key=len):
        if name.endswith(first) and not any(part in name for part in _LEFT_OUT):
            return name[: len(name) - len(first)]
    return ""
