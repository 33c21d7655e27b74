"""A training that prints a line per epoch: run by a test that kills it.

Usage: python -m tests.models.neural.training_killed FOLDER
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import numpy as np

from osler.models.base import Encoded, Params
from osler.models.neural.assembly import Extras
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.tabular import MLP, MLPOptions
from tests.models.neural.planted_blocks import binary, numbers


def rows() -> Encoded:
    """120 rows, 60 units."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(120, 3))
    return binary({"lab": numbers(x)}, (x[:, 0] + rng.normal(size=120) > 0), np.arange(120) // 2)


def train(folder: Path | None, pause: float = 0.0) -> Params:
    """Two members of eight epochs, the state written after each."""

    def progress(event: dict) -> None:
        print(event["member"], event["epoch"], flush=True)
        time.sleep(pause)

    checkpoint = None if folder is None else Checkpoint(folder, seconds=0.0)
    model = MLP(MLPOptions(width=16, members=2, epochs=8, patience=8), Extras(checkpoint=checkpoint, progress=progress))
    return model.fit(rows(), np.random.default_rng(11))


def digest(params: Params) -> str:
    """SHA-256 of every array."""
    return hashlib.sha256(b"".join(params.arrays[k].tobytes() for k in sorted(params.arrays))).hexdigest()


if __name__ == "__main__":
    train(Path(sys.argv[1]), pause=0.05)
