"""The U-Net in two and three dimensions (Ronneberger et al. 2015; Çiçek et al. 2016), as JSON describes it.

    description = {"dims", "channels", "outputs", "stem", "widths", "strides", "kernels", "blocks", "norm", "residual", "heads",
                   "prior"}

With a stem of two, two neighbours along each axis become channels (a shuffle without loss), and the last level's answer is shuffled back: one
eighth of the convolutions of a volume, which is where a processor's time goes.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.convolutions import BatchNorm

SLOPE = 0.01


def unshuffled(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """(n, c, z, y, x) → (n, c·f, z/fz, y/fy, x/fx): neighbours become channels."""
    if prod(factors) == 1:
        return x
    n, c, *space = x.shape
    split = [v for size, f in zip(space, factors) for v in (size // f, f)]
    d = len(space)
    order = [0, 1, *(3 + 2 * a for a in range(d)), *(2 + 2 * a for a in range(d))]
    return x.reshape(n, c, *split).permute(order).reshape(n, c * prod(factors), *(s // f for s, f in zip(space, factors)))


def shuffled(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """The inverse of `unshuffled`."""
    if prod(factors) == 1:
        return x
    n, c, *space = x.shape
    d = len(space)
    x = x.reshape(n, c // prod(factors), *factors, *space)
    order = [0, 1, *(v for a in range(d) for v in (2 + d + a, 2 + a))]
    return x.permute(order).reshape(n, c // prod(factors), *(s * f for s, f in zip(space, factors)))


class Convolution3d(nn.Conv3d):
    """A convolution of volumes that is as quick for one row as for several: float32 rows alone go past torch's rule that sends them through a
    path eight times slower where channels, depth and height multiply to at most 20,480.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, z, y, x) → (n, c', ...)."""
        lone = len(x) == 1 and max(self.kernel_size) > 1 and x.dtype == self.weight.dtype == torch.float32
        if not lone or x.device.type != "cpu" or torch.is_grad_enabled() or not torch.backends.mkldnn.is_available():
            return super().forward(x)
        return torch.mkldnn_convolution(x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups)


def convolution(dims: int, n_in: int, n_out: int, size: tuple[int, ...], stride: tuple[int, ...] | int = 1, bias: bool = False) -> nn.Module:
    """A convolution that keeps the size but for its stride, begun for leaky rectifiers (He et al. 2015)."""
    layer = (nn.Conv2d if dims == 2 else Convolution3d)(n_in, n_out, size, stride, tuple(s // 2 for s in size), bias=bias)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class InstanceNorm(nn.Module):
    """Each channel of each row to mean 0 and variance 1, then a learnt scale and shift (Ulyanov et al. 2016), in any dimension."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → the same shape; a single voxel has no spread and is left as it is."""
        if prod(x.shape[2:]) == 1:
            return x
        return F.instance_norm(x, weight=self.weight, bias=self.bias)


NORMS = {"instance": InstanceNorm, "batch": BatchNorm}


class Layer(nn.Module):
    """Convolution, norm and leaky rectifier (the last left out if asked)."""

    def __init__(
        self, dims: int, sizes: tuple[int, int], kernel: tuple[int, ...], stride: tuple[int, ...] | int, norm: str, padded: bool = True
    ) -> None:
        super().__init__()
        self.conv = convolution(dims, *sizes, kernel, stride)
        if not padded:
            self.conv.padding = (0,) * dims
        self.norm = NORMS[norm](sizes[1])

    def forward(self, x: Tensor, bent: bool = True) -> Tensor:
        """(n, c, ...) → (n, c', ...)."""
        x = self.norm(self.conv(x))
        return F.leaky_relu_(x, SLOPE) if bent else x

    def fold(self) -> None:
        """Put the kept statistics of a batch norm into the convolution; the same answers, without the norm."""
        gain = self.norm.weight * torch.rsqrt(self.norm.running_var + 1e-5)
        self.conv.weight = nn.Parameter(self.conv.weight * gain.view(-1, *(1,) * (self.conv.weight.dim() - 1)))
        self.conv.bias = nn.Parameter(self.norm.bias - self.norm.running_mean * gain)
        self.norm = nn.Identity()


class Stage(nn.Module):
    """Layers of one level; with `residual` the first layer's output is added to that of the last."""

    def __init__(self, layers: list[Layer], residual: bool) -> None:
        super().__init__()
        self.layers, self.residual = nn.ModuleList(layers), residual and len(layers) > 1

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → (n, c', ...)."""
        x = self.layers[0](x)
        if not self.residual:
            for layer in self.layers[1:]:
                x = layer(x)
            return x
        inner = x
        for layer in self.layers[1:-1]:
            inner = layer(inner)
        return F.leaky_relu(x + self.layers[-1](inner, bent=False), SLOPE)


class Up(nn.Module):
    """A coarser level's channels on a finer grid: a convolution of size one and a shuffle (a transposed convolution of that stride)."""

    def __init__(self, dims: int, n_in: int, n_out: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = tuple(stride)
        self.conv = convolution(dims, n_in, n_out * prod(stride), (1,) * dims)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → (n, c', ... times the stride)."""
        return shuffled(self.conv(x), self.stride)


class UNet(nn.Module):
    """See the module; answers a list of logits, finest first; one alone when it draws."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        d = description
        dims, widths, norm = d["dims"], d["widths"], d["norm"]
        self.stem = tuple(d["stem"])
        kernels = [tuple(k) for k in d["kernels"]]
        strides = [tuple(s) for s in d["strides"]]
        self.down, self.up, self.join, self.heads = (nn.ModuleList() for _ in range(4))
        held = d["channels"] * prod(self.stem)
        for level, width in enumerate(widths):
            first = Layer(dims, (held, width), kernels[level], strides[level - 1] if level else 1, norm)
            rest = [Layer(dims, (width, width), kernels[level], 1, norm) for _ in range(d["blocks"] - 1)]
            self.down.append(Stage([first, *rest], d["residual"]))
            held = width
        for level in range(len(widths) - 2, -1, -1):
            width = widths[level]
            self.up.append(Up(dims, widths[level + 1], width, strides[level]))
            sizes = [(2 * width, width)] + [(width, width)] * max(0, d["blocks"] - 2)
            self.join.append(Stage([Layer(dims, s, kernels[level], 1, norm) for s in sizes], False))
        for level in range(d["heads"]):
            head = convolution(dims, widths[level], d["outputs"] * prod(self.stem), (1,) * dims, bias=True)
            nn.init.normal_(head.weight, std=widths[level] ** -0.5)
            with torch.no_grad():
                head.bias.copy_(torch.tensor(d["prior"]).repeat_interleave(prod(self.stem)))
            self.heads.append(head)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, c, [z,] y, x) → logits (n, outputs, [z,] y, x), while learning followed by those of coarser levels."""
        x = unshuffled(x, self.stem)
        kept = []
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        found, last = {}, len(self.down) - 1
        for number, (up, join) in enumerate(zip(self.up, self.join)):
            level = last - 1 - number
            x = join(torch.cat([kept[level], up(x)], dim=1))
            kept[level] = x
            if level < len(self.heads) and (self.training or level == 0):
                found[level] = shuffled(self.heads[level](x), self.stem)
        if last == 0:
            found[0] = shuffled(self.heads[0](x), self.stem)
        return [found[level] for level in sorted(found)]

    def folded(self) -> UNet:
        """Itself, for drawing only, with batch norms folded into the convolutions before them."""
        for part in self.modules():
            if isinstance(part, Layer) and isinstance(part.norm, BatchNorm):
                part.fold()
        return self
