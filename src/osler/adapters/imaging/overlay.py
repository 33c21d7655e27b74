"""A heat map drawn over its picture, or over the slices of its volume where most of it is; PNG and JPEG of what was drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from osler import registry

#: Colours of a map from nothing to its most: dark violet, red, orange, yellow, nearly white.
_COLOURS = np.array([[20, 4, 40], [98, 16, 110], [188, 40, 84], [240, 106, 34], [252, 190, 60], [252, 252, 200]], dtype=float)
#: How much of the colour covers the picture where a map is at its most, and below which share it is not shown.
COVER, LEAST = 0.6, 0.15
#: Shares of all values between which a picture's grey runs from black to white.
PERCENTILES = (1, 99)


def grey(values: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 of a scan's values (c, ...): three channels as colours, others as the grey of their mean."""
    if len(values) == 3 and values.min() >= 0 and values.max() <= 255:
        return np.moveaxis(values, 0, -1).astype(np.uint8)
    mean = np.nan_to_num(values).mean(axis=0)
    low, high = np.percentile(mean, PERCENTILES)
    shown = np.clip((mean - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
    return np.repeat(shown[..., None], 3, axis=-1)


def coloured(heat: np.ndarray) -> np.ndarray:
    """(..., 3) float64 colours, 0 to 255, of heat from 0 to 1."""
    at = np.clip(heat, 0, 1) * (len(_COLOURS) - 1)
    return np.stack([np.interp(at, np.arange(len(_COLOURS)), channel) for channel in _COLOURS.T], axis=-1)


def overlaid(picture: np.ndarray, heat: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """(..., 3) uint8: heat (...) from 0 to 1 over a picture (..., 3) uint8, and the edge of a mask in green."""
    share = COVER * np.clip((heat - LEAST) / (1 - LEAST), 0, 1)[..., None] ** 0.7
    drawn = np.rint(picture * (1 - share) + coloured(heat) * share).astype(np.uint8)
    if mask is not None and mask.any():
        from scipy.ndimage import binary_erosion

        flat = np.zeros((3,) * mask.ndim, dtype=bool)
        flat[(1,) * (mask.ndim - 2)] = True
        drawn[mask & ~binary_erosion(mask, flat)] = (60, 230, 90)
    return drawn


def fullest(heat: np.ndarray, count: int) -> list[int]:
    """At most `count` slices (z) in order: those with most heat that are not next to one another, without empty ones; the middle
    slice of a map of nothing.
    """
    total, gap = heat.sum(axis=(1, 2)), max(1, len(heat) // (3 * count))
    chosen: list[int] = []
    for k in np.argsort(-total, kind="stable").tolist():
        if len(chosen) < count and total[k] > 0 and all(abs(k - c) >= gap for c in chosen):
            chosen.append(k)
    return sorted(chosen) or [len(heat) // 2]


def montage(slices: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Slices (y, x, 3) of one shape side by side in rows, two black pixels between them."""
    y, x = slices[0].shape[:2]
    rows = -(-len(slices) // columns)
    sheet = np.zeros((rows * (y + 2) - 2, columns * (x + 2) - 2, 3), dtype=np.uint8)
    for i, one in enumerate(slices):
        top, left = (i // columns) * (y + 2), (i % columns) * (x + 2)
        sheet[top : top + y, left : left + x] = one
    return sheet


def sized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (y, x, 3) uint8 with `size` (y, x) pixels."""
    registry.optional("PIL", "imaging")
    from PIL import Image

    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC))


def png(picture: np.ndarray) -> bytes:
    """A picture (y, x, 3) uint8 as the bytes of a PNG file."""
    return _written(picture, "PNG", optimize=True)


def jpeg(picture: np.ndarray, quality: int = 80) -> bytes:
    """A picture (y, x, 3) uint8 as the bytes of a JPEG file."""
    return _written(picture, "JPEG", quality=quality)


def _written(picture: np.ndarray, kind: str, **options: int | bool) -> bytes:
    registry.optional("PIL", "imaging")
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind, **options)
    return out.getvalue()
