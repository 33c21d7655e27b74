"""A network of two pathways at two scales (Kamnitsas et al. 2017, DeepMedic), as JSON describes it.

    description = {"dims", "channels", "outputs", "widths", "kernels", "factor", "hidden", "norm", "dropout", "margin", "prior"}

One pathway reads the voxels around the answered middle, the other a wider surrounding averaged over `factor` voxels per axis. Both
convolve without padding, so that a middle of m voxels is answered from m + 2 margin, the same wherever the window lies: large
windows cost less per voxel and change nothing. Layers in pairs add what they were given (He et al. 2016), cut to the smaller size.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.convolutions import BatchNorm
from osler.models.neural.segmentation.unet import SLOPE, Layer, convolution


def trimmed(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """(n, c, ...) cut to its middle of `size` voxels."""
    for axis, wanted in enumerate(size, start=2):
        x = x.narrow(axis, (x.shape[axis] - wanted) // 2, wanted)
    return x


def averaged(x: Tensor, factor: tuple[int, ...]) -> Tensor:
    """(n, c, ...) means over blocks of `factor` voxels, in any precision."""
    if prod(factor) == 1:
        return x
    split = [v for size, f in zip(x.shape[2:], factor) for v in (size // f, f)]
    return x.reshape(*x.shape[:2], *split).mean(dim=tuple(range(3, 2 + len(split), 2)))


class Pathway(nn.Module):
    """Convolutions without padding, the second of every pair with what the pair was given added."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        d, held = description, description["channels"]
        self.layers = nn.ModuleList()
        for width, kernel in zip(d["widths"], d["kernels"]):
            self.layers.append(Layer(d["dims"], (held, width), tuple(kernel), 1, d["norm"], padded=False))
            held = width

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → (n, last width, ... less what the kernels take)."""
        given = x
        for number, layer in enumerate(self.layers):
            if number % 2 == 0 or number == 1:
                given, x = (x, layer(x)) if number % 2 == 0 else (given, layer(x))
                continue
            x = layer(x, bent=False)
            more = x.shape[1] - given.shape[1]
            kept = trimmed(given, tuple(x.shape[2:]))
            x = F.leaky_relu(x + (F.pad(kept, (0, 0) * (x.dim() - 2) + (0, more)) if more else kept), SLOPE)
        return x


class DeepMedic(nn.Module):
    """See the module; answers a list of one tensor of logits for the middle."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        d = description
        self.factor, self.margin = tuple(d["factor"]), tuple(d["margin"])
        self.near, self.far = Pathway(d), Pathway(d)
        self.reach = tuple(sum(k[a] // 2 for k in d["kernels"]) for a in range(d["dims"]))
        ones = (1,) * d["dims"]
        held, self.mix = 2 * d["widths"][-1], nn.ModuleList()
        for _ in range(2):
            self.mix.append(Layer(d["dims"], (held, d["hidden"]), ones, 1, d["norm"]))
            held = d["hidden"]
        self.dropout = nn.Dropout(d["dropout"])
        self.head = convolution(d["dims"], held, d["outputs"], ones, bias=True)
        nn.init.normal_(self.head.weight, std=held**-0.5)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor(d["prior"]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, c, size + 2 margin) → logits (n, outputs, size); size is a multiple of the factor."""
        size = tuple(n - 2 * m for n, m in zip(x.shape[2:], self.margin))
        near = self.near(trimmed(x, tuple(s + 2 * r for s, r in zip(size, self.reach))))
        far = self.far(averaged(x, self.factor))
        for axis, f in enumerate(self.factor, start=2):
            far = far.repeat_interleave(f, dim=axis) if f > 1 else far
        x = torch.cat([near, far], dim=1)
        for layer in self.mix:
            x = self.dropout(layer(x))
        return [self.head(x)]

    def folded(self) -> DeepMedic:
        """Itself, for drawing only, with batch norms folded into the convolutions before them."""
        for part in self.modules():
            if isinstance(part, Layer) and isinstance(part.norm, BatchNorm):
                part.fold()
        return self
