"""Pictures and volumes on their way into a convolutional network: normalised per picture, kept small, scaled in batches.

A picture whose values are whole numbers from 0 to 255 is kept as such (one byte per value); any other is kept normalised
and scaled in half precision. Columns too large for `KEPT` bytes are encoded slice by slice in every epoch instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from osler.blocks import Block
from osler.models.base import Batches, Encoded

if TYPE_CHECKING:
    from osler.models.neural.inputs import Branch

#: The encoder that reads pictures this way, a name in `encoders.ENCODERS`.
ENCODER = "convolutions"
#: Intensities per picture: as they are, in standard deviations from the picture's mean, or by rank (histogram equalised).
NORMALISE = ("none", "image", "equalise")
#: Bytes of pictures that a training keeps ready, at most, at two per value.
KEPT = 1 << 30
#: Values of a picture column that pass through a network at once, about.
AT_ONCE = 1 << 20
_LEVELS = 256


def pictured(branches: list[Branch], architecture: dict[str, Any]) -> list[Branch]:
    """Branches with the grid columns among them read by `convolutions`, where the architecture is of `cnn`."""
    if "kind" not in architecture:
        return branches
    return [_pictured(b, architecture) if b.layout == "grid" else b for b in branches]


def _pictured(branch: Branch, architecture: dict[str, Any]) -> Branch:
    how = architecture["normalise"]
    stages = architecture["stages"] or stages_for(branch.spec["shape"])
    arrays = branch.arrays
    if how != "none":
        ones = np.ones(branch.spec["channels"])
        arrays = arrays | {"values_center": 0.0 * ones, "values_spread": ones}
    return replace(branch, spec=branch.spec | {"encoder": ENCODER, "normalise": how, "stages": stages}, arrays=arrays)


def stages_for(shape: Sequence[int]) -> int:
    """How often a grid is halved until its longest side is four or less: at least once, at most five times."""
    return min(5, max(1, math.ceil(math.log2(max(max(shape), 1) / 4))))


def fits(branch: Branch, n: int) -> bool:
    """Whether n pictures of this column may be kept ready."""
    return 2 * n * math.prod(branch.spec["shape"]) * branch.spec["channels"] <= KEPT


def rows_at_once(branches: Sequence[Branch]) -> int:
    """Rows that pass through a network together where nothing is learnt: fewer of large grids."""
    sizes = [math.prod(b.spec["shape"]) * b.spec["channels"] for b in branches if b.encoder == ENCODER]
    if not sizes:
        return 64 if any(b.encoder in ("grid", "sequence", "graph") for b in branches) else 4096
    return int(np.clip(AT_ONCE // sum(sizes), 8, 1024))


# -- values -----------------------------------------------------------------------------------------------------------


def normalised(values: np.ndarray, how: str) -> np.ndarray:
    """Intensities of n pictures, each picture and channel by itself.

    Args:
        values: (n, c, [z,] y, x); NaN is left out of the statistics and stays NaN.
        how: one of `NORMALISE`; `equalise` gives every value its share of values below (half of the equal ones counted),
            moved and stretched to mean 0 and standard deviation 1 of a uniform spread, over 256 levels of the range.

    Returns:
        float32 of the same shape.
    """
    values = np.asarray(values, dtype=np.float32)
    if how == "none":
        return values
    flat = values.reshape(*values.shape[:2], -1)
    if how == "image":
        with np.errstate(invalid="ignore"):
            known = ~np.isnan(flat)
            n = np.maximum(known.sum(axis=2, keepdims=True), 1)
            mean = np.where(known, flat, 0).sum(axis=2, keepdims=True, dtype=np.float64) / n
            spread = np.sqrt((np.where(known, flat - mean, 0) ** 2).sum(axis=2, keepdims=True) / n)
        return ((flat - mean) / np.where(spread > 1e-9, spread, 1.0)).astype(np.float32).reshape(values.shape)
    found = np.stack([_equalised(row) for row in flat.reshape(-1, flat.shape[2])])
    return found.reshape(values.shape)


def _equalised(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return np.where(np.isnan(values), values, np.float32(0.0))
    low, high = float(known.min()), float(known.max())
    scale = (_LEVELS - 1) / (high - low)
    level = lambda x: ((x.astype(np.float64) - low) * scale + 0.5).astype(np.int64)  # noqa: E731
    counts = np.bincount(level(known), minlength=_LEVELS)
    below = (np.cumsum(counts) - 0.5 * counts) / len(known)
    curve = ((below - 0.5) * math.sqrt(12.0)).astype(np.float32)
    return np.where(np.isnan(values), values, curve[level(np.nan_to_num(values, nan=low))])


def picture_arrays(branch: Branch, block: Block) -> dict[str, np.ndarray]:
    """`x` (n, c, [z,] y, x) float32 in spreads from the centre, 0 where unknown or missing; `present` (n,)."""
    x = normalised(block.values, branch.spec["normalise"])
    center, spread = scale_of(branch)
    x = np.nan_to_num((x - center) / spread, copy=False)
    x[~block.present] = 0.0
    return {"x": x, "present": block.present}


def scale_of(branch: Branch) -> tuple[np.ndarray, np.ndarray]:
    """Centre and spread of every channel as float32, shaped to meet (n, c, [z,] y, x)."""
    shape = (-1,) + (1,) * branch.spec["dims"]
    center, spread = (branch.arrays[f"values_{k}"].astype(np.float32).reshape(shape) for k in ("center", "spread"))
    return center, spread


# -- kept rows --------------------------------------------------------------------------------------------------------


def gathered(batches: Batches, branches: Sequence[Branch]) -> Encoded:
    """All rows at once; pictures are made small slice by slice, so that no more than they is held."""
    shown = {b.name: b for b in branches if b.encoder == ENCODER}
    if not shown:
        return batches.all()
    parts: dict[str, list[Block]] = {}
    for part in batches.slices(rows_at_once(branches)):
        for name, block in part.blocks.items():
            parts.setdefault(name, []).append(small(shown[name], block) if name in shown else block)
    blocks = {n: _joined(shown[n], p) if n in shown else Block.concat(p) for n, p in parts.items()}
    return Encoded(blocks, batches.target, batches.groups)


def small(branch: Branch, block: Block) -> Block:
    """A block whose values are uint8 (the picture's own numbers) or float16 (normalised and scaled)."""
    values = block.values
    if values.dtype in (np.uint8, np.float16):
        return block
    if branch.spec["normalise"] == "none":
        with np.errstate(invalid="ignore"):
            bytes_ = values.astype(np.uint8)
        if np.array_equal(bytes_, values):
            return replace(block, arrays={"values": bytes_})
    limit = float(np.finfo(np.float16).max)
    x = np.clip(picture_arrays(branch, block)["x"], -limit, limit)
    return replace(block, arrays={"values": x.astype(np.float16)})


def _joined(branch: Branch, parts: list[Block]) -> Block:
    """Parts as one block; if one of them is not of bytes, none is."""
    if len({p.values.dtype for p in parts}) > 1:
        parts = [
            replace(p, arrays={"values": picture_arrays(branch, p)["x"].astype(np.float16)})
            if p.values.dtype == np.uint8
            else p
            for p in parts
        ]
    return Block.concat(parts)
