"""Scans changed at random for training: turned in their plane, shifted, zoomed, brightened, mirrored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from osler.blocks import Block

#: Order of the settings in a block's geometry `augment` (n, 5).
SETTINGS = ("rotate", "shift", "zoom", "brightness", "flip")


def changed(block: Block, rng: np.random.Generator) -> Block:
    """A copy in which every present scan is changed by draws of its own; what lies outside is the nearest edge.

    Returns:
        The block itself where nothing may change or nothing is present.
    """
    settings = block.geometry.get("augment")
    if settings is None or not block.present.any() or not settings.any():
        return block
    values = block.values.copy()
    for i in np.flatnonzero(block.present):
        values[i] = one(values[i], settings[i], rng)
    return replace(block, arrays={**block.arrays, "values": values})


def one(values: np.ndarray, settings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One scan (c, y, x) or (c, z, y, x), changed by draws within its five settings."""
    from scipy.ndimage import affine_transform

    rotate, shift, zoom, brightness, flip = settings.tolist()
    dims = values.ndim - 1
    angle = np.radians(rng.uniform(-rotate, rotate))
    matrix = np.eye(dims)
    matrix[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix *= 1.0 + rng.uniform(-zoom, zoom)
    size = np.array(values.shape[1:])
    centre = (size - 1) / 2
    offset = centre - matrix @ centre + rng.uniform(-shift, shift, dims) * size
    if np.allclose(matrix, np.eye(dims)) and np.allclose(offset, 0.0):
        out = values
    else:
        out = np.stack([affine_transform(c, matrix, offset, order=1, mode="nearest") for c in values])
    if flip and rng.random() < 0.5:
        out = out[..., ::-1]
    gain, lift = 1.0 + rng.uniform(-brightness, brightness), rng.uniform(-brightness, brightness)
    if brightness:
        spread = float(out.max() - out.min())
        out = (out - out.mean()) * np.float32(gain) + out.mean() + np.float32(lift * spread / 2)
    return np.ascontiguousarray(out, dtype=np.float32)
