"""A scan as the network sees it, and the network's answer back on the scan's own grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.adapters.imaging.resample import to_grid
from osler.adapters.imaging.scan import Scan
from osler.errors import ColumnError
from osler.scenes import Scene

#: A spacing that differs by less than this share is not resampled: interpolation costs sharpness.
NEAR = 0.05


def size_in(plan: dict[str, Any], scene: Scene) -> tuple[int, ...]:
    """Voxels per axis of a scan at the plan's spacing; its own where either is unknown or they are near."""
    wanted = plan["spacing"]
    if wanted is None or not np.isfinite(scene.spacing).all():
        return scene.shape
    steps = np.asarray(wanted) / scene.spacing
    return tuple(n if abs(s - 1) < NEAR else max(1, round(n / s)) for n, s in zip(scene.shape, steps))


def seen(plan: dict[str, Any], scene: Scene) -> np.ndarray:
    """(c, [z,] y, x) float32 at the plan's spacing, intensities as the plan says.

    Raises:
        ColumnError: the scan has other channels or axes than those that were learnt from.
    """
    if scene.dims != plan["dims"] or len(scene.values) != plan["channels"]:
        raise ColumnError(
            f"a scan must have {plan['channels']} channels and {plan['dims']} axes as those learnt from, it has {len(scene.values)} and {scene.dims}",
            "image-dims",
        )
    values = np.nan_to_num(np.asarray(scene.values, dtype=np.float32), nan=0.0)
    values = gridded(values, size_in(plan, scene))
    return np.stack([_scaled(channel, rule) for channel, rule in zip(values, plan["intensities"])])


def _scaled(channel: np.ndarray, rule: dict[str, Any]) -> np.ndarray:
    if rule["how"] == "shared":
        return ((np.clip(channel, rule["low"], rule["high"]) - rule["mean"]) / rule["spread"]).astype(np.float32)
    inside = channel[channel != 0] if rule["nonzero"] else channel
    if not inside.size:
        return np.zeros_like(channel, dtype=np.float32)
    centre, spread = inside.mean(dtype=np.float64), max(float(inside.std(dtype=np.float64)), 1e-6)
    scaled = ((channel - centre) / spread).astype(np.float32)
    return np.where(channel == 0, np.float32(0), scaled) if rule["nonzero"] else scaled


def gridded(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(c, ...) values stretched to another number of voxels by linear maps; itself where the size is the same."""
    if values.shape[1:] == tuple(size):
        return values
    d = len(size)
    return to_grid(Scan(values, np.ones(d), np.eye(4)), tuple(size), "stretch").values


def labels_gridded(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Labels at the nearest voxel of another grid over the same extent."""
    if labels.shape == tuple(size):
        return labels
    at = [np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1) for old, new in zip(labels.shape, size)]
    return labels[np.ix_(*at)]
