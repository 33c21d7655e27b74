"""Change one byte of a good predictor, many times:
`python tests/safety/flip_bytes.py --count 10000 [--seed 0] PREDICTOR`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from osler.engine.predictor import Predictor
from osler.errors import PredictorError


def flips(good: Path, scratch: Path, count: int, seed: int) -> list[str]:
    """Where a changed byte was not detected; every member is hit as often as every other."""
    rng = np.random.default_rng(seed)
    copy = scratch / "flipped"
    shutil.copytree(good, copy)
    members = sorted(p.name for p in good.iterdir() if p.stat().st_size)
    missed = []
    for _ in range(count):
        name = members[int(rng.integers(len(members)))]
        data = bytearray((good / name).read_bytes())
        at = int(rng.integers(len(data)))
        data[at] ^= int(rng.integers(1, 256))
        (copy / name).write_bytes(bytes(data))
        try:
            Predictor.load(copy)
            missed.append(f"{name} at {at}: not detected")
        except PredictorError:
            pass
        except Exception as error:
            missed.append(f"{name} at {at}: {type(error).__name__}")
        shutil.copyfile(good / name, copy / name)
    Predictor.load(copy)
    return missed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictor", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        found = flips(given.predictor, Path(folder), given.count, given.seed)
    print(f"{given.count} flips, {given.count - len(found)} detected, {time.process_time() - began:.1f} CPU s")
    print("\n".join(found))
    sys.exit(bool(found))
