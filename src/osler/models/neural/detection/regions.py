"""What lies in a box: features sampled on a grid of its own (RoIAlign, He et al. 2017), and masks put back from such a grid into a scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osler.models.neural.detection import boxes as arithmetic
from osler.models.neural.detection.plan import STRIDES_PER_THING

#: Points per cell and axis whose mean a cell is.
POINTS = 2
#: Share of a mask that surer things must leave free, or it is taken for a second answer to one of them.
FREE = 0.5


def align(features: Tensor, boxes: Tensor, stride: float, cells: int, points: int = POINTS, mode: str = "bilinear") -> Tensor:
    """Features of one scan within boxes.

    Args:
        features: (c, [z,] y, x).
        boxes: (k, 2d) in pixels of the scan; stride: pixels per step of the features.
        cells: per axis of the grid in each box; points: per cell and axis.

    Returns:
        (k, c, cells, ...): the mean over a cell's points, linear between places, whose middles lie half a step from the edge. Beyond the edge
        the outermost value goes on.
    """
    dims, k = boxes.shape[1] // 2, len(boxes)
    if not k:
        return features.new_zeros((0, len(features), *(cells,) * dims))
    n = cells * points
    steps = (torch.arange(n, device=boxes.device, dtype=torch.float32) + 0.5) / n
    axes = []
    for axis in range(dims):
        low, side = boxes[:, axis, None].float(), (boxes[:, dims + axis] - boxes[:, axis]).float()[:, None]
        axes.append((low + side * steps) / (stride * features.shape[1 + axis]) * 2 - 1)  # (k, n) from -1 to 1 over the whole axis
    shape = (k, *(n,) * dims)
    spread = [a.view(k, *(n if i == axis else 1 for i in range(dims))).expand(shape) for axis, a in enumerate(axes)]
    where = torch.stack(spread[::-1], dim=-1).reshape(1, k * n, *(n,) * (dims - 1), dims)
    found = F.grid_sample(features[None].float(), where, mode=mode, padding_mode="border", align_corners=False)[0]
    found = found.view(len(features), k, *(n,) * dims).transpose(0, 1)
    pool = F.avg_pool2d if dims == 2 else F.avg_pool3d
    return found if points == 1 else pool(found, points)


def align_levels(levels: Sequence[Tensor], boxes: Tensor, strides: Sequence[int], cells: int) -> Tensor:
    """(k, c, cells, ...) of one scan, each box from the level whose anchors are of its size; `levels` are (c, ...)."""
    out = levels[0].new_zeros((len(boxes), len(levels[0]), *(cells,) * (boxes.shape[1] // 2)), dtype=torch.float32)
    which = level_of(boxes, strides)
    for number, (features, stride) in enumerate(zip(levels, strides)):
        mine = (which == number).nonzero()[:, 0]
        if len(mine):
            out = out.index_copy(0, mine, align(features, boxes[mine], stride, cells))
    return out


def level_of(boxes: Tensor, strides: Sequence[int]) -> Tensor:
    """(k,) position of the level whose things are about as long as each box."""
    length = arithmetic.sides(boxes).clamp(min=1e-3).log2().mean(dim=1)
    meant = (STRIDES_PER_THING * torch.tensor(list(strides), device=boxes.device, dtype=length.dtype)).log2()
    return (length[:, None] - meant[None]).abs().argmin(dim=1)


def masks_in(labels: Tensor, numbers: Tensor, boxes: Tensor, cells: int) -> Tensor:
    """(k, cells, ...) share of each cell that belongs to each box's thing; `labels` ([z,] y, x) hold the things' numbers."""
    points = 2
    found = align(labels[None].float(), boxes, 1.0, cells * points, 1, "nearest")[:, 0]
    is_thing = (found == numbers.view(-1, *(1,) * (found.dim() - 1))).float()[:, None]
    pool = F.avg_pool2d if found.dim() == 3 else F.avg_pool3d
    return pool(is_thing, points)[:, 0]


def pasted(masks: np.ndarray, corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Masks on a scan: things numbered 1, 2, ... in their order, a pixel going to the first thing whose mask holds it; a thing of whose mask
    less than `FREE` is left by those before it is not drawn.

    Args:
        masks: (k, cells, ...) probability that a cell belongs to the thing of its box.
        corners: (k, 2d) boxes in pixels of the scan.
    """
    labels, dims = np.zeros(shape, dtype=np.uint16), len(shape)
    for number, (mask, box) in enumerate(zip(masks, corners), start=1):
        low = np.clip(np.floor(box[:dims]), 0, shape).astype(int)
        high = np.clip(np.ceil(box[dims:]), 0, shape).astype(int)
        if (high <= low).any():
            continue
        axes = []
        for axis in range(dims):
            at = (np.arange(low[axis], high[axis]) + 0.5 - box[axis]) / (box[dims + axis] - box[axis])
            axes.append(torch.from_numpy(at * 2 - 1).float())
        where = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]
        padded = F.pad(torch.from_numpy(mask).float()[None, None], (1, 1) * dims)
        scale = mask.shape[0] / (mask.shape[0] + 2)
        inside = F.grid_sample(padded, where * scale, align_corners=False)[0, 0].numpy() > 0.5
        part = labels[tuple(slice(a, b) for a, b in zip(low, high))]
        free = inside & (part == 0)
        if free.sum() >= FREE * inside.sum():
            part[free] = number
    return labels
