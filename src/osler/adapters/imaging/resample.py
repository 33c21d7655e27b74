"""A scan on another grid: one linear map per axis, with a triangle as wide as a step where the new grid is coarser.

Every way to reach a size (stretch, keep proportions and pad, or crop) and a spacing is a start and a step per axis, so that pixels,
spacing and affine change together.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from osler.adapters.imaging.scan import Scan
from osler.errors import ReadError

#: How a size is reached.
SHAPES = ("stretch", "pad", "crop")


def to_grid(scan: Scan, size: tuple[int, ...], shape: str, spacing: tuple[float, ...] = ()) -> Scan:
    """The scan with `size` voxels in the order of its axes.

    Args:
        shape: "stretch" each axis by itself; or keep proportions (in mm where the spacing is known) around the same centre and "pad"
            what is lacking with the lowest value, or "crop" what is too much.
        spacing: mm between the new voxels; what lies outside is cropped, what is lacking is padded, whatever `shape` is.

    Raises:
        ReadError: a spacing is asked for and the scan's own is unknown (`series-geometry`).
    """
    old = np.array(scan.values.shape[1:], dtype=float)
    new = np.array(size, dtype=float)
    own = scan.spacing
    if spacing:
        if not np.isfinite(own).all():
            raise ReadError("a scan must say its spacing to be put on another, it does not: leave out the option spacing", "series-geometry")
        steps = np.array(spacing) / own
    elif shape == "stretch":
        steps = old / new
    else:
        unit = own if np.isfinite(own).all() else np.ones(len(old))
        factors = old * unit / new
        steps = (factors.max() if shape == "pad" else factors.min()) / unit
    starts = (old - 1) / 2 - steps * (new - 1) / 2
    if np.allclose(steps, 1.0) and np.allclose(starts, 0.0) and (old == new).all():
        return scan
    low = np.float32(scan.values.min())
    values = scan.values - low
    for axis, (n_in, n_out) in enumerate(zip(scan.values.shape[1:], size), start=1):
        weights = _weights(n_in, int(n_out), float(starts[axis - 1]), float(steps[axis - 1]))
        values = np.moveaxis(np.tensordot(values, weights, axes=([axis], [1])), -1, axis)
    affine = scan.affine.copy()
    for axis in range(len(size)):
        at = len(size) - 1 - axis
        affine[:3, 3] += scan.affine[:3, at] * starts[axis]
        affine[:3, at] = scan.affine[:3, at] * steps[axis]
    return Scan(np.ascontiguousarray(values + low, dtype=np.float32), own * steps, affine, scan.facts)


@lru_cache(maxsize=256)
def _weights(n_in: int, n_out: int, start: float, step: float) -> np.ndarray:
    """(n_out, n_in) weights; a row of zeros lies outside of the scan."""
    centres = start + step * np.arange(n_out)
    inside = (centres > -0.5 - 1e-9) & (centres < n_in - 0.5 + 1e-9)
    width = max(1.0, step)
    nearest = np.clip(centres, 0, n_in - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(n_in)[None, :] - nearest[:, None]) / width)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    return (weights * inside[:, None]).astype(np.float32)
