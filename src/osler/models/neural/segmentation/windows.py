"""A network over a whole scan: in one piece where that fits a window, else in windows that share their borders and are blended by a Gaussian.

A window may hold a number of voxels, whatever its sides: a scan is cut where the fewest voxels are answered twice, never across an axis that need
not be cut, and into windows no thinner than a training patch. What neighbours share is a share of a patch and not of a window: how near to an edge
an answer is still right follows from what the network learnt on.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor

#: The Gaussian's standard deviation as a share of the window (Isensee et al. 2021).
SIGMA = 0.125
#: A side that is tried for windows is at most this share of the one tried before.
SHORTER = 0.9


def starts(length: int, window: int, step: int, shared: int) -> list[int]:
    """First voxels of windows along an axis: multiples of `step`, evenly spread, the last ends where the axis ends.

    Args:
        length, window: voxels, multiples of `step`.
        shared: least voxels that neighbours share (less a step).
    """
    if length <= window:
        return [0]
    count = ceil((length - window) / max(step, window - shared)) + 1
    return [round(k * (length - window) / (count - 1) / step) * step for k in range(count)]


def sides_of(length: int, step: int, shared: int, least: int) -> list[tuple[int, int]]:
    """(side, windows) of an axis: one window over all of it, and as few voxels as two, three, ... windows need that share so many voxels,
    each way at least a tenth shorter than the one before.

    Args:
        length: voxels, a multiple of `step`; least: no window is shorter than this (or than the axis).
    """
    found = [(length, 1)]
    for count in range(2, length // step + 1):
        side = ceil((length + (count - 1) * shared) / count / step) * step
        if side < max(least, shared + step) or side >= length:
            break
        if side <= SHORTER * found[-1][0]:
            found.append((side, len(starts(length, side, step, shared))))
    return found


def fewest(
    full: tuple[int, ...], divisor: list[int], most: int, least: list[int], shared: list[int], margin: list[int]
) -> tuple[int, ...]:
    """Sides of the windows that cover a scan with the fewest voxels read, none with more than `most` voxels; of equals the fewest windows.

    Args:
        full: voxels per axis, multiples of `divisor`.
        least: no side is shorter, unless the axis is; shared: voxels that neighbours share per axis.
        margin: voxels at each side that are read and not answered.
    """
    each = [sides_of(n, d, s, one) for n, d, s, one in zip(full, divisor, shared, least)]
    fitting = [way for way in product(*each) if prod(side for side, _ in way) <= most]
    if not fitting:
        return tuple(one[-1][0] for one in each)
    read = lambda way: prod(count * (side + 2 * m) for (side, count), m in zip(way, margin))  # noqa: E731
    best = min(fitting, key=lambda way: (read(way), prod(count for _, count in way)))
    return tuple(side for side, _ in best)


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
    x: np.ndarray, answer: Callable[[Tensor], Tensor], divisor: list[int], most: int, least: list[int], shared: list[int], margin: list[int]
) -> np.ndarray:
    """What `answer` says of every voxel.

    Args:
        x: (c, ...) float32.
        answer: (1, c, window + 2 margin) → (1, k, window).
        divisor: an axis of a window, and where it begins, is a multiple of this.
        most: voxels that are answered at once; least: voxels of a window per axis, of longer axes.
        shared: least voxels per axis that neighbouring windows share.
        margin: voxels at each side that are read and not answered; with any, windows need neither share voxels nor be blended.

    Returns:
        (k, ...) float32.
    """
    shape = x.shape[1:]
    full = tuple(-(-n // d) * d for n, d in zip(shape, divisor))
    alone = any(margin)
    held = [0] * len(full) if alone else shared
    sides = fewest(full, divisor, most, least, held, margin)
    whole, before = padded(x, full, tuple(margin))
    each = [starts(n, s, d, h) for n, s, d, h in zip(full, sides, divisor, held)]
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
