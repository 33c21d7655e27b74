"""Occlusion: what an answer loses where a part of a picture or volume is covered (Zeiler and Fergus, ECCV 2014). Any model, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from osler.blocks import Block

#: Covers per axis, side by side, of pictures and of volumes; they move by half their width.
COVERS = {2: 8, 3: 4}
#: Copies that are answered at once, at most this many voxels together.
AT_ONCE = 1 << 22

#: Blocks of k rows → (k,) answers.
Answer = Callable[[dict[str, Block]], np.ndarray]


def occlusion_maps(answer: Answer, blocks: dict[str, Block], column: str) -> np.ndarray:
    """(n, [z,] y, x) float32: the mean loss of the answer over all covers of a voxel; what raises the answer when covered is below 0.

    A cover holds the mean of its picture. Rows without a picture are 0.

    Args:
        answer: of the model. blocks: column → block of n rows. column: of the pictures.
    """
    grid = blocks[column]
    out = np.zeros((len(grid), *grid.values.shape[2:]), dtype=np.float32)
    for row in np.flatnonzero(grid.present):
        out[row] = _of_row(answer, {name: b.take(np.array([row])) for name, b in blocks.items()}, column)
    return out


def _of_row(answer: Answer, row: dict[str, Block], column: str) -> np.ndarray:
    values = row[column].values
    shape = values.shape[2:]
    spans = list(covers(shape))
    whole = float(answer(row)[0])
    lost, times = np.zeros(shape), np.zeros(shape)
    mean = values.mean(axis=tuple(range(2, values.ndim)))[0]
    size = max(1, AT_ONCE // values.size)
    for start in range(0, len(spans), size):
        part = spans[start : start + size]
        copies = np.repeat(values, len(part), axis=0)
        for copy, span in zip(copies, part):
            copy[(slice(None), *span)] = mean.reshape(-1, *(1,) * len(shape))
        same = {name: block.take(np.zeros(len(part), dtype=np.int64)) for name, block in row.items()}
        covered = replace(same[column], arrays=same[column].arrays | {"values": copies})
        for span, said in zip(part, answer(same | {column: covered})):
            lost[span] += whole - said
            times[span] += 1
    return (lost / times).astype(np.float32)


def covers(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Boxes that together cover a grid of this shape, each voxel at least once."""
    per_axis = []
    for length in shape:
        width = -(-length // COVERS[len(shape)])
        starts = {*range(0, length - width + 1, max(1, width // 2)), length - width}
        per_axis.append([slice(start, start + width) for start in sorted(starts)])
    yield from product(*per_axis)
