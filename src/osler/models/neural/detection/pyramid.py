"""A small residual network whose features of every resolution know what is around them (Lin et al. 2017: a feature pyramid)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.convolutions import BasicBlock, BatchNorm

#: Channels of a stage are at most this many times those of the first.
MOST = 8


def convolution(dims: int, n_in: int, n_out: int, size: int = 3, stride: int = 1, bias: bool = True) -> nn.Module:
    """A convolution that keeps the shape but for its stride; He's start."""
    layer = (nn.Conv2d if dims == 2 else nn.Conv3d)(n_in, n_out, size, stride=stride, padding=size // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def _stem(dims: int, channels: int, filters: int, every_pixel: bool) -> nn.Module:
    """(n, channels, ...) → (n, filters, ...) of half the sides: by one wide convolution, or by a small one at every pixel and one that halves."""
    if not every_pixel:
        return nn.Sequential(convolution(dims, channels, filters, 5, 2, bias=False), BatchNorm(filters), nn.ReLU(inplace=True))
    first = max(1, filters // 2)
    return nn.Sequential(
        convolution(dims, channels, first, bias=False), BatchNorm(first), nn.ReLU(inplace=True),
        convolution(dims, first, filters, 3, 2, bias=False), BatchNorm(filters), nn.ReLU(inplace=True),
    )  # fmt: skip


class Ranks(nn.Module):
    """Every channel a second time, by the ranks of its values among known ones, from -1 to 1: it tells soft tissues apart beside air and bone.

    Args:
        known: values in rising order, at equal steps of rank.
    """

    def __init__(self, known: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("known", torch.tensor(list(known), dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → (n, 2c, ...); values beyond the known ones have the rank of the last."""
        last = len(self.known) - 1
        if last < 1:
            return torch.cat([x, torch.zeros_like(x)], dim=1)
        above = torch.bucketize(x, self.known).clamp(1, last)
        low, high = self.known[above - 1], self.known[above]
        share = ((x - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        return torch.cat([x, (above - 1 + share) * (2 / last) - 1], dim=1)


class Pyramid(nn.Module):
    """A stem that halves every axis, stages of residual blocks that halve it again, and features of equal width on the way back up.

    In volumes whose finest level has a stride of 2 things are a few voxels long: their stem looks at every voxel before it halves.

    Args:
        dims: 2 or 3.
        channels: of a scan.
        filters: channels of the stem; they double with every halving, up to `MOST` times.
        width: channels of every level that is given out.
        strides: of the levels that are wanted, powers of two from 2, each twice the one before.
        blocks: residual blocks per stage.
        known: values by whose ranks each channel is seen a second time, or None.
    """

    def __init__(
        self, dims: int, channels: int, filters: int, width: int, strides: tuple[int, ...], blocks: int, known: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.first = strides[0].bit_length() - 2  # stages before the first wanted level; the stem is stage 0
        stages = strides[-1].bit_length()  # one stage deeper than the last level: what lies around
        self.n_levels = len(strides)
        self.stem = _stem(dims, channels, filters, every_pixel=dims == 3 and strides[0] == 2)
        if known is not None:
            self.stem = nn.Sequential(Ranks(known), self.stem)
        self.stages, held = nn.ModuleList(), [filters]
        for stage in range(1, stages):
            n_out = filters * min(MOST, 2**stage)
            layers = [BasicBlock(dims, held[-1], n_out, 2)] + [BasicBlock(dims, n_out, n_out, 1) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*layers))
            held.append(n_out)
        self.across = nn.ModuleList(convolution(dims, n, width, 1) for n in held[self.first :])
        self.smooth = nn.ModuleList(convolution(dims, width, width) for _ in strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, c, [z,] y, x), sides multiples of twice the last stride → per level (n, width, ...), the finest first."""
        x = self.stem(x)
        stages = [x]
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        above, levels = None, []
        for layer, features in zip(reversed(self.across), reversed(stages[self.first :])):
            here = layer(features)
            above = here if above is None else here + F.interpolate(above, scale_factor=2.0, mode="nearest")
            levels.append(above)
        return [smooth(level) for smooth, level in zip(self.smooth, reversed(levels))]
