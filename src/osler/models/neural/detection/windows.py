"""Answers for a whole scan: window by window, each answering for the things whose centres lie in its own part."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: Values of a scan's first channel that pass through a network at once.
AT_ONCE = {2: 1 << 21, 3: 3 << 20}
#: Boxes of one window that are looked at further.
MOST = 2000

#: Boxes (k, 2d), scores (k,) and codes (k,) of one window.
Found = tuple[Tensor, Tensor, Tensor]


def tiles(shape: tuple[int, ...], size: tuple[int, ...], margin: int) -> Iterator[tuple[tuple[int, ...], list[tuple[float, float]]]]:
    """Windows over a scan that overlap by twice a margin: the lowest corner of each, and per axis from where to where it answers."""
    per_axis = []
    for length, side in zip(shape, size):
        if side >= length:
            per_axis.append([(0, (-math.inf, math.inf))])
            continue
        count = math.ceil((length - 2 * margin) / max(1, side - 2 * margin))
        starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
        seams = [(a + side + b) / 2 for a, b in itertools.pairwise(starts)]
        per_axis.append(list(zip(starts, zip([-math.inf, *seams], [*seams, math.inf]))))
    for one in itertools.product(*per_axis):
        yield tuple(start for start, _ in one), [own for _, own in one]


def window_size(shape: tuple[int, ...], patch: list[int], multiple: int, margin: int) -> tuple[int, ...]:
    """Sides of a window: the whole scan where it may pass at once, otherwise a cube of as many values, no smaller than a patch."""
    up = lambda n: math.ceil(n / multiple) * multiple  # noqa: E731
    dims = len(shape)
    if math.prod(up(n) for n in shape) <= AT_ONCE[dims]:
        return tuple(up(n) for n in shape)
    side = int(AT_ONCE[dims] ** (1 / dims)) // multiple * multiple
    return tuple(min(up(n), max(side, p, up(2 * margin + multiple))) for n, p in zip(shape, patch))


def everywhere(x: Tensor, plan: dict[str, Any], answer: Callable[[Tensor], Found]) -> Found:
    """What is found in a scan (c, [z,] y, x) on the network's grid, boxes in its pixels; overlapping answers are not yet settled.

    Args:
        answer: windows (1, c, ...) → boxes in the window's pixels, scores, codes.
    """
    shape, margin = tuple(x.shape[1:]), margin_of(plan)
    size = window_size(shape, plan["patch"], 2 * plan["strides"][-1], margin)
    parts: list[Found] = []
    for low, own in tiles(shape, size, margin):
        boxes, scores, codes = answer(cut(x, low, size)[None])
        boxes = boxes + boxes.new_tensor(low).repeat(2)
        dims = boxes.shape[1] // 2
        mine = owned(0.5 * (boxes[:, :dims] + boxes[:, dims:]), own)
        parts.append((boxes[mine], scores[mine], codes[mine]))
    return tuple(torch.cat(part) for part in zip(*parts))


def margin_of(plan: dict[str, Any]) -> int:
    """Pixels that windows overlap by on each side: half of the longest things lie within, but no more than a quarter of a window."""
    return math.ceil(min(plan["longest"], min(AT_ONCE[plan["dims"]] ** (1 / plan["dims"]), 512) / 4))


def cut(x: Tensor, low: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """A window (c, ...) of a scan; 0 beyond its end."""
    part = x[(slice(None), *(slice(a, a + s) for a, s in zip(low, size)))]
    return F.pad(part, [p for n, s in zip(reversed(part.shape[1:]), reversed(size)) for p in (0, s - n)])


def owned(middle: Tensor, own: list[tuple[float, float]]) -> Tensor:
    """(k,) whether points (k, d) lie in the part that a window answers for."""
    mine = torch.ones(len(middle), dtype=torch.bool, device=middle.device)
    for axis, (start, stop) in enumerate(own):
        mine &= (middle[:, axis] >= start) & (middle[:, axis] < stop)
    return mine
