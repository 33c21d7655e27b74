"""Augmentation of pictures and volumes while a network learns, drawn from torch's generator (its state is in checkpoints).

    none     nothing
    light    moved by up to a fourteenth of each side
    full     turned by up to 10 degrees (about the last two axes), stretched by up to 10 %, moved by up to 6 %; brightness,
             contrast and gamma changed, a little noise, and one box of up to a third of each side wiped out in half of them
    strong   as full, for pictures of several devices: turned by up to 15 degrees, each axis stretched by up to 20 % by itself (a
             device's proportions), moved by up to 8 %, blurred or sharpened (its optics), gamma changed twice as much

Pictures are never mirrored: sides mean something in a body (the heart is on the left) and in writing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

KINDS = ("none", "light", "full", "strong")


def augmented(x: Tensor, kind: str) -> Tensor:
    """(n, c, [z,] y, x) in spreads from the centre → the same shape, every row changed in its own way."""
    if kind == "none" or len(x) == 0:
        return x
    if kind == "light":
        return _shifted(x)
    if kind == "full":
        return _wiped(_toned(_turned(x, 10.0, 0.06), 0.35))
    return _wiped(_toned(_sharpened(_turned(x, 15.0, 0.08, apart=0.2)), 0.7))


def _shifted(x: Tensor) -> Tensor:
    """Rows moved by whole steps, edge values repeated; rows that move alike are moved together."""
    for axis in range(2, x.dim()):
        size = x.shape[axis]
        far = max(1, size // 14)
        step = torch.randint(-far, far + 1, (len(x), 1), device=x.device)
        at = (torch.arange(size, device=x.device) + step).clamp_(0, size - 1)
        at = at.view((len(x),) + (1,) * (axis - 1) + (size,) + (1,) * (x.dim() - axis - 1))
        x = x.gather(axis, at.expand_as(x))
    return x


def _turned(x: Tensor, degrees: float, far: float, apart: float = 0.0) -> Tensor:
    """Affine maps about the middle, linear interpolation, edge values repeated: turned by up to `degrees`, stretched by up to
    10 %, or by up to `apart` in every axis by itself, moved by up to `far` of each side.
    """
    n, dims = len(x), x.dim() - 2
    drawn = lambda *shape: torch.rand(*shape, device=x.device, dtype=torch.float32) * 2 - 1  # noqa: E731
    angle = drawn(n) * math.radians(degrees)
    stretch = 1.0 + (apart * drawn(n, dims) if apart else 0.1 * drawn(n, 1).expand(n, dims))
    matrix = torch.zeros(n, dims, dims + 1, device=x.device)
    matrix[:, range(dims), range(dims)] = stretch
    # the sides of the last two axes may differ in length: a turn keeps shapes only in steps, not in shares of a side
    ratio = x.shape[-2] / x.shape[-1]
    matrix[:, 0, 0] = stretch[:, 0] * angle.cos()
    matrix[:, 1, 1] = stretch[:, 1] * angle.cos()
    matrix[:, 0, 1] = -stretch[:, 0] * angle.sin() * ratio
    matrix[:, 1, 0] = stretch[:, 1] * angle.sin() / ratio
    matrix[:, :, dims] = 2.0 * far * drawn(n, dims)
    where = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x.float(), where, padding_mode="border", align_corners=False)


def _sharpened(x: Tensor) -> Tensor:
    """Rows blurred (their means over three steps per axis taken instead) or sharpened by as much, in any degree between."""
    pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool3d
    blurred = pool(x, 3, stride=1, padding=1, count_include_pad=False)
    degree = torch.rand((len(x),) + (1,) * (x.dim() - 1), device=x.device) * 2 - 1
    return x + degree * (x - blurred)


def _toned(x: Tensor, bend: float) -> Tensor:
    """Brightness, contrast, gamma (between exp(-bend) and exp(bend)) between a row's extremes, and noise."""
    n = len(x)
    draw = lambda: torch.rand((n,) + (1,) * (x.dim() - 1), device=x.device) * 2 - 1  # noqa: E731
    flat = x.flatten(1)
    shape = (n,) + (1,) * (x.dim() - 1)
    low, high = flat.amin(1).view(shape), flat.amax(1).view(shape)
    span = (high - low).clamp(min=1e-6)
    x = low + span * ((x - low) / span).clamp(0, 1).pow(torch.exp(bend * draw()))
    x = x * (1.0 + 0.2 * draw()) + 0.2 * draw()
    return x + 0.05 * torch.randn_like(x)


def _wiped(x: Tensor) -> Tensor:
    """In half of the rows one box is set to the row's mean."""
    n = len(x)
    inside = (torch.rand(n, device=x.device) < 0.5).view((n,) + (1,) * (x.dim() - 1))
    for axis in range(2, x.dim()):
        size = x.shape[axis]
        length = (torch.rand(n, 1, device=x.device) * size / 3).ceil()
        start = torch.rand(n, 1, device=x.device) * (size - length)
        step = torch.arange(size, device=x.device)
        within = (step >= start) & (step < start + length)
        inside = inside & within.view((n, 1) + (1,) * (axis - 2) + (size,) + (1,) * (x.dim() - axis - 1))
    mean = x.flatten(1).mean(1).view((n,) + (1,) * (x.dim() - 1))
    return torch.where(inside, mean, x)
