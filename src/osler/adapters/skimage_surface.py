"""Surfaces and outlines of masks through scikit-image."""

from __future__ import annotations

import numpy as np

from osler.registry import optional


def surface(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The closed surface around a mask by marching cubes at 0.5 (Lorensen and Cline, SIGGRAPH 1987).

    The classic table is taken because its choice in ambiguous cubes is the same from both sides of a face, so that every mask has a
    watertight surface; Lewiner's table leaves the choice to rounding where voxels are only 0 and 1.

    Args:
        mask: (z, y, x) bool.

    Returns:
        Vertices (n, 3) in voxel indices (x, y, z), float64, and faces (m, 3) that turn outward in a right-handed space; both empty for an
        empty mask.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    measure = optional("skimage.measure", "imaging")
    if not mask.any():
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    inside = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(i[0], i[-1] + 1) for i in inside)
    field = np.pad(mask[box], 1).astype(np.float32)
    vertices, faces, _, _ = measure.marching_cubes(field, 0.5, method="lorensen")
    first = np.array([i[0] for i in inside]) - 1
    xyz = (vertices.astype(np.float64) + first)[:, ::-1]
    return np.ascontiguousarray(xyz), faces.astype(np.int64)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """The closed outlines of a flat mask, halfway between voxels inside and outside.

    Args:
        mask: (y, x) bool.

    Returns:
        One (k, 2) array per outline, in voxel indices (x, y), the first point repeated at the end.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    measure = optional("skimage.measure", "imaging")
    found = measure.find_contours(np.pad(mask, 1).astype(np.float64), 0.5)
    return [np.ascontiguousarray(line[:, ::-1] - 1.0) for line in found]
