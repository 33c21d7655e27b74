"""A network over a whole scan: in one piece where it fits a window, else in windows that overlap and are blended by a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

#: The Gaussian's standard deviation as a share of the window (Isensee et al. 2021).
SIGMA = 0.125


def starts(length: int, window: int, step: int, overlap: float) -> list[int]:
    """First voxels of windows along an axis: multiples of `step`, evenly spread, the last ends where the axis ends.

    Args:
        length, window: voxels, multiples of `step`.
        overlap: least share of a window that neighbours share (less a step).
    """
    if length <= window:
        return [0]
    count = int(np.ceil((length - window) / max(step, window * (1.0 - overlap)))) + 1
    return [round(k * (length - window) / (count - 1) / step) * step for k in range(count)]


def fitted(length: int, window: int, step: int, overlap: float) -> int:
    """The smallest window, a multiple of `step`, of which as many as are needed of `window` voxels still cover an axis with this overlap."""
    if length <= window:
        return length
    count = int(np.ceil((length - window) / max(step, window * (1.0 - overlap)))) + 1
    return min(window, int(np.ceil(length / (1.0 + (count - 1) * (1.0 - overlap)) / step)) * step)


def gaussian(sides: tuple[int, ...], blended: tuple[bool, ...]) -> Tensor:
    """(sides) weights: a product over the blended axes of a normal curve around the middle, at least 0.001 of its height."""
    found = torch.ones(sides)
    for axis, (n, apart) in enumerate(zip(sides, blended)):
        if apart:
            curve = torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (SIGMA * n)) ** 2)
            found = found * curve.view([-1 if a == axis else 1 for a in range(len(sides))])
    return found.clamp(min=1e-3)


def padded(x: np.ndarray, size: tuple[int, ...], margin: tuple[int, ...]) -> tuple[np.ndarray, list[int]]:
    """(c, ...) grown to `size` voxels around its middle by its nearest values, and by a margin; and where it then begins."""
    lack = [s - n for n, s in zip(x.shape[1:], size)]
    before = [v // 2 for v in lack]
    widths = [(0, 0)] + [(b + m, v - b + m) for b, v, m in zip(before, lack, margin)]
    return (np.pad(x, widths, mode="edge") if any(map(any, widths)) else x), before


def over(
    x: np.ndarray, answer: Callable[[Tensor], Tensor], divisor: list[int], window: list[int], overlap: float, margin: list[int]
) -> np.ndarray:
    """What `answer` says of every voxel.

    Args:
        x: (c, ...) float32.
        answer: (1, c, window + 2 margin) → (1, k, window).
        divisor: an axis of a window, and where it begins, is a multiple of this.
        window: most voxels per axis that are answered at once.
        overlap: least share of a window that neighbours share.
        margin: voxels at each side that are read and not answered; with any, windows need neither overlap nor blending.

    Returns:
        (k, ...) float32.
    """
    shape = x.shape[1:]
    full = tuple(-(-n // d) * d for n, d in zip(shape, divisor))
    alone = any(margin)
    share = 0.0 if alone else overlap
    sides = tuple(fitted(n, max(w // d, 1) * d, d, share) for n, w, d in zip(full, window, divisor))
    whole, before = padded(x, full, tuple(margin))
    each = [starts(n, s, d, share) for n, s, d in zip(full, sides, divisor)]
    if all(len(s) == 1 for s in each):
        found = answer(_tensor(whole))[0].float()
    else:
        weight = gaussian(sides, tuple(len(s) > 1 and not alone for s in each))
        total, found = torch.zeros(full), None
        for corner in product(*each):
            at = tuple(slice(c, c + s) for c, s in zip(corner, sides))
            read = tuple(slice(c, c + s + 2 * m) for c, s, m in zip(corner, sides, margin))
            part = answer(_tensor(whole[(slice(None), *read)]))[0].float()
            found = torch.zeros(len(part), *full) if found is None else found
            found[(slice(None), *at)] += part * weight
            total[at] += weight
        found /= total
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape))
    return found[(slice(None), *inside)].numpy()


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))[None]
