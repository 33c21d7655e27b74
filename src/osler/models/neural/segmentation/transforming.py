"""Patches changed while a network learns, labels with them; drawn from torch's generator.

    none     nothing
    light    turned by up to 15 degrees (about every axis whose plane is not squashed), stretched by up to 15 %, each axis by up to 5 %
             more, moved by up to 5 %; mirrored along the axes that the plan allows
    full     and brightness, contrast, gamma, a little blur or sharpness, and noise
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from osler.models.neural.segmentation.losses import OUTSIDE

#: Share of patches that are turned and stretched; the others keep their sharpness.
TURNED = 0.7


def changed(
    x: Tensor, labels: Tensor, field: Tensor | None, kind: str, mirror: list[int], spacing: list[float]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values (n, c, ...), labels (n, ...) and fields (n, ...), every row changed in its own way.

    Args:
        kind: `none`, `light` or `full`.
        mirror: axes (0 the first of space) along which half of the rows are turned round.
        spacing: mm per axis, so that a turn keeps shapes.
    """
    x, labels, field = _mirrored(x, labels, field, mirror)
    if kind == "none":
        return x, labels, field
    x, labels, field = _turned(x, labels, field, spacing, math.pi if mirror and x.dim() == 4 else math.radians(15.0))
    return (_toned(x), labels, field) if kind == "full" else (x, labels, field)


def _mirrored(x: Tensor, labels: Tensor, field: Tensor | None, axes: list[int]) -> tuple[Tensor, Tensor, Tensor | None]:
    for axis in axes:
        rows = torch.rand(len(x)) < 0.5
        if rows.any():
            x, labels = x.clone(), labels.clone()
            x[rows] = x[rows].flip(axis + 2)
            labels[rows] = labels[rows].flip(axis + 1)
            if field is not None:
                field = field.clone()
                field[rows] = field[rows].flip(axis + 1)
    return x, labels, field


def maps(n: int, sides: list[float], most: float, flat: list[bool]) -> Tensor:
    """(n, d, d+1) affine maps in shares of half a side, as `affine_grid` wants them (its axes run x, y, z).

    Args:
        sides: length of each axis in mm, (z,) y, x.
        most: largest turn in radians.
        flat: axes that are much coarser than the others; no turn mixes them with another.
    """
    d = len(sides)
    drawn = lambda *shape: torch.rand(*shape) * 2 - 1  # noqa: E731
    turn = torch.eye(d).repeat(n, 1, 1)
    for a in range(d):
        for b in range(a + 1, d):
            angle = drawn(n) * most
            if flat[a] or flat[b]:
                continue
            one = torch.eye(d).repeat(n, 1, 1)
            one[:, a, a], one[:, b, b] = angle.cos(), angle.cos()
            one[:, a, b], one[:, b, a] = -angle.sin(), angle.sin()
            turn = turn @ one
    stretch = torch.exp(drawn(n, 1) * math.log(1.15)) * torch.exp(drawn(n, d) * math.log(1.05))
    half = torch.tensor(sides) / 2
    matrix = torch.zeros(n, d, d + 1)
    matrix[:, :, :d] = (turn * stretch[:, None, :]) * half[None, None, :] / half[None, :, None]
    matrix[:, :, d] = 0.1 * drawn(n, d)
    order = list(range(d - 1, -1, -1))
    matrix[:, :, :d] = matrix[:, order][:, :, order]
    return matrix


def inner(matrix: Tensor, outside: tuple[int, ...], inside: tuple[int, ...]) -> Tensor:
    """The same maps for the middle of a patch, in shares of half of its own sides."""
    share = torch.tensor([i / o for i, o in zip(inside, outside)][::-1])
    d = len(share)
    found = matrix.clone()
    found[:, :, :d] = matrix[:, :, :d] * share[None, None, :] / share[None, :, None]
    found[:, :, d] = matrix[:, :, d] / share
    return found


def _turned(x: Tensor, labels: Tensor, field: Tensor | None, spacing: list[float], most: float) -> tuple[Tensor, Tensor, Tensor | None]:
    rows = torch.rand(len(x)) < TURNED
    if not rows.any():
        return x, labels, field
    n, sides = int(rows.sum()), [n * mm for n, mm in zip(x.shape[2:], spacing)]
    flat = [mm >= 2 * min(spacing) for mm in spacing]
    x, labels = x.clone(), labels.clone()
    matrix = maps(n, sides, most, flat)
    x[rows] = F.grid_sample(x[rows], F.affine_grid(matrix, [n, 1, *x.shape[2:]], align_corners=False), padding_mode="border", align_corners=False)
    where = F.affine_grid(inner(matrix, x.shape[2:], labels.shape[1:]), [n, 1, *labels.shape[1:]], align_corners=False)
    moved = F.grid_sample((labels[rows] - OUTSIDE).float()[:, None], where, mode="nearest", align_corners=False)
    labels[rows] = moved[:, 0].round().long() + OUTSIDE
    if field is not None:
        field = field.clone()
        field[rows] = F.grid_sample(field[rows][:, None], where, align_corners=False)[:, 0]
    return x, labels, field


def _toned(x: Tensor) -> Tensor:
    """Values around 0 with a spread of 1: gamma, contrast, brightness, blur or sharpness, noise; each by itself, in half of the rows."""
    n, shape = len(x), (len(x),) + (1,) * (x.dim() - 1)
    drawn = lambda: torch.rand(shape) * 2 - 1  # noqa: E731
    some = lambda: (torch.rand(shape) < 0.5).float()  # noqa: E731
    flat = x.reshape(n, -1)
    low, high = flat.amin(1).view(shape), flat.amax(1).view(shape)
    span = (high - low).clamp(min=1e-6)
    x = low + span * ((x - low) / span).clamp(0, 1).pow(torch.exp(0.35 * drawn() * some()))
    x = x * (1.0 + 0.25 * drawn() * some()) + 0.2 * drawn() * some()
    pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool3d
    x = x + 0.7 * drawn() * some() * (x - pool(x, 3, stride=1, padding=1, count_include_pad=False))
    return x + torch.randn_like(x) * (0.1 * torch.rand(shape) * some())
