"""A scan made small enough to be shown: boxes of voxels become one, and the affine says so; and where in it to look first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def steps_to(shape: Sequence[int], most: int) -> tuple[int, ...]:
    """How many voxels per axis become one so that at most `most` are left, the longest axis first."""
    steps = [1] * len(shape)
    left = list(shape)
    while np.prod(left) > most:
        axis = int(np.argmax(left))
        steps[axis] += 1
        left[axis] = shape[axis] // steps[axis]
    return tuple(steps)


def coarser(values: np.ndarray, steps: Sequence[int], mean: bool) -> np.ndarray:
    """The means (or maxima) of boxes of `steps` voxels; what does not fill a box at the end is left out."""
    if max(steps) == 1:
        return values
    kept = values[tuple(slice(0, n // s * s) for n, s in zip(values.shape, steps))]
    boxes = kept.reshape(*(k for n, s in zip(kept.shape, steps) for k in (n // s, s)))
    axes = tuple(range(1, boxes.ndim, 2))
    return boxes.mean(axis=axes, dtype=np.float32) if mean else boxes.max(axis=axes)


def coarser_affine(affine: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """The affine (voxel (x, y, z) to mm) of boxes of `steps` voxels in the order (z, y, x)."""
    made = affine.copy()
    for axis, step in enumerate(reversed(steps)):
        made[:3, 3] += affine[:3, axis] * (step - 1) / 2
        made[:3, axis] *= step
    return made


def hottest(marked: np.ndarray, affine: np.ndarray) -> tuple[float, float, float]:
    """The middle of the largest values (z, y, x), as shares of the axes to the patient's right, front and top, each from 0 to 1."""
    at = np.argwhere(marked == marked.max()).mean(axis=0)
    share = ((at + 0.5) / marked.shape)[::-1]  # x, y, z of the array
    vectors = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    along = np.abs(vectors).argmax(axis=1)  # the axis of the array that runs along each axis of the patient
    signs = np.sign(vectors[np.arange(3), along]) * np.array([-1, -1, 1])  # right, front and top
    x, y, z = np.where(signs > 0, share[along], 1 - share[along])
    return float(x), float(y), float(z)
