"""Masks with known answers, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osler.adapters.imaging import nifti

#: 4 slices of 4 rows of 5 columns at 2 mm: the digital phantom of the Image Biomarker Standardization Initiative; 0 is outside of the region.
PHANTOM = np.array([
    [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
    [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
], dtype=np.float32)  # fmt: skip


def steps(x: float, y: float, z: float) -> np.ndarray:
    """(4, 4) affine of voxels of these sides in mm."""
    return np.diag([x, y, z, 1.0])


def ellipsoid(radii: tuple[float, float, float], affine: np.ndarray, margin: int = 2) -> np.ndarray:
    """(z, y, x) mask of the voxels whose centres lie in an ellipsoid with these half axes in mm along the voxel axes."""
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    half = [int(np.ceil(r / s)) + margin for r, s in zip(radii, sides, strict=True)]
    x, y, z = (np.arange(-h, h + 1) * s for h, s in zip(half, sides, strict=True))
    far = (x[None, None, :] / radii[0]) ** 2 + (y[None, :, None] / radii[1]) ** 2 + (z[:, None, None] / radii[2]) ** 2
    return far <= 1


def box(shape: tuple[int, int, int], margin: int = 1) -> np.ndarray:
    """(z, y, x) mask of a box of (x, y, z) voxels with a margin."""
    return np.pad(np.ones(shape[::-1], dtype=bool), margin)


def turned(affine: np.ndarray, degrees: float) -> np.ndarray:
    """An affine turned about the axis of slices."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0, 0], [np.sin(a), np.cos(a), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return turn @ affine


def saved(path: Path, values: np.ndarray, affine: np.ndarray) -> str:
    """A NIfTI file of (z, y, x) values; its path."""
    nifti.write(path, values.astype(np.float32), affine)
    return str(path)
