"""Convolutional encoders of pictures and volumes: tensors of n rows → (n, width).

    plain      one convolution per halving: small and fast
    resnet     residual blocks of two convolutions (He et al. 2016); in two dimensions, with 64 filters, 2 blocks and 4 stages
               on large pictures the layers, shapes and names of ResNet-18, so that weights of that network fit
    densenet   layers that see all earlier ones of their stage (Huang et al. 2017)
    efficientnet  blocks that widen, look at each channel by itself, weigh the channels and narrow again (Tan and Le 2019)

Normalisation is BatchNorm, which costs a third of GroupNorm here: in training over the present rows of the batch, in answers
by the statistics kept from training, so that a row's answer never depends on the rows beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.augmenting import augmented
from osler.models.neural.inputs import Branch, Tensors

#: Longest side from which a ResNet begins with a wide convolution of stride two and a maximum, as published.
LARGE = 64
#: A network's channels double with every halving, up to this many times the first.
MOST = 8


class Stage(NamedTuple):
    """A module whose output (n, c, [z,] y, x) lies on the picture: place i of an axis is that axis' voxel `start + step * i`."""

    module: nn.Module
    step: int
    start: float = 0.0


class BatchNorm(nn.Module):
    """Per channel to mean 0 and variance 1, then a learnt scale and shift (Ioffe and Szegedy 2015), in any dimension."""

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) → the same shape; one lone value per channel is normalised by the kept statistics."""
        lone = x.numel() == x.shape[1]
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training and not lone, self.momentum
        )


def _convolution(dims: int, n_in: int, n_out: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    make = nn.Conv2d if dims == 2 else nn.Conv3d
    layer = make(n_in, n_out, size, stride=stride, padding=size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out" if groups == 1 else "fan_in", nonlinearity="relu")
    return layer


class Plain(nn.Sequential):
    """Convolutions with stride two, `blocks - 1` more after each; then at most 4 (in 3-D 2) places per side."""

    def __init__(self, dims: int, channels: int, filters: int, stages: int, blocks: int, large: bool) -> None:
        layers: list[nn.Module] = []
        held = channels
        for stage in range(stages):
            width = filters * min(MOST, 2**stage)
            for block in range(blocks):
                first = stage == 0 and block == 0
                layers += [_convolution(dims, held, width, 5 if first else 3, 1 if block else 2), BatchNorm(width)]
                layers.append(nn.ReLU(inplace=True))
                held = width
        super().__init__(*layers)
        self.dims, self.places = dims, 4 if dims == 2 else 2
        self.size, self.ends = held * self.places**dims, range(3 * blocks - 1, 3 * blocks * stages, 3 * blocks)

    def features(self) -> list[Stage]:
        """The ends of the stages, finest first."""
        return [Stage(self[end], 2 ** (k + 1)) for k, end in enumerate(self.ends)]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, size)."""
        x = super().forward(x)
        if x.shape[2:] != (self.places,) * self.dims:
            pool = F.adaptive_avg_pool2d if self.dims == 2 else F.adaptive_avg_pool3d
            x = pool(x.float(), self.places)
        return x.flatten(1)


class BasicBlock(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))), the shortcut a convolution of size one where shapes differ."""

    def __init__(self, dims: int, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(dims, n_in, n_out, 3, stride), BatchNorm(n_out)
        self.conv2, self.bn2 = _convolution(dims, n_out, n_out), BatchNorm(n_out)
        nn.init.zeros_(self.bn2.weight)
        same = stride == 1 and n_in == n_out
        self.downsample = None if same else nn.Sequential(_convolution(dims, n_in, n_out, 1, stride), BatchNorm(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, c', ...)."""
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Stages of `BasicBlock`; all but the first halve every axis. Mean and maximum over space."""

    def __init__(self, dims: int, channels: int, filters: int, stages: int, blocks: int, large: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(dims, channels, filters, 7 if large else 3, 2 if large else 1)
        self.bn1, self.large, self.pool = BatchNorm(filters), large, F.max_pool2d if dims == 2 else F.max_pool3d
        held, self.stages = filters, min(stages, 4)
        for stage in range(self.stages):
            width = filters * min(MOST, 2**stage)
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            inputs = [held] + [width] * (blocks - 1)
            layer = nn.Sequential(*(BasicBlock(dims, a, width, s) for a, s in zip(inputs, strides)))
            setattr(self, f"layer{stage + 1}", layer)
            held = width
        self.size = 2 * held

    def features(self) -> list[Stage]:
        """The ends of the stages, finest first."""
        first = 4 if self.large else 1
        return [Stage(getattr(self, f"layer{k + 1}"), first * 2**k) for k in range(self.stages)]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, size)."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.pool(x, 3, 2, 1) if self.large else x
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return _mean_and_maximum(x)


class DenseNet(nn.Module):
    """Stages of `2 x blocks` layers that each add `filters` channels; between stages half the channels and half of each axis."""

    def __init__(self, dims: int, channels: int, filters: int, stages: int, blocks: int, large: bool) -> None:
        super().__init__()
        held = 2 * filters
        self.stem = nn.Sequential(_convolution(dims, channels, held, 5 if large else 3, 2), BatchNorm(held))
        self.pool = F.avg_pool2d if dims == 2 else F.avg_pool3d
        self.stages, self.between = nn.ModuleList(), nn.ModuleList()
        for stage in range(max(stages - 1, 1)):
            if stage:
                self.between.append(nn.Sequential(BatchNorm(held), nn.ReLU(), _convolution(dims, held, held // 2, 1)))
                held //= 2
            layers = []
            for _ in range(2 * blocks):
                layers.append(nn.Sequential(BatchNorm(held), nn.ReLU(), _convolution(dims, held, filters)))
                held += filters
            self.stages.append(nn.ModuleList(layers))
        self.last, self.size = BatchNorm(held), 2 * held

    def features(self) -> list[Stage]:
        """The ends of the stages, finest first; a mean over two places lies between them."""
        modules = [between[1] for between in self.between] + [self.last]
        return [Stage(module, 2 ** (k + 1), (2**k - 1.0)) for k, module in enumerate(modules)]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, size)."""
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            x = self.pool(self.between[number - 1](x), 2, ceil_mode=True) if number else x
            for layer in stage:
                x = torch.cat([x, layer(x)], dim=1)
        return _mean_and_maximum(torch.relu(self.last(x)))


class ChannelWeights(nn.Module):
    """Squeeze and excitation (Hu, Shen and Sun 2018): each channel times a share that follows from all channels' means."""

    def __init__(self, dims: int, channels: int, inner: int) -> None:
        super().__init__()
        make, self.space = nn.Conv2d if dims == 2 else nn.Conv3d, tuple(range(2, dims + 2))
        self.squeeze, self.excite = make(channels, inner, 1), make(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → the same shape."""
        return x * torch.sigmoid(self.excite(F.silu(self.squeeze(x.mean(dim=self.space, keepdim=True)))))


class MobileBlock(nn.Module):
    """Inverted residual block (Sandler et al. 2018): `expansion` times as many channels, one convolution for each of them,
    `ChannelWeights`, and a linear step down to `n_out`; x is added where shapes agree.

    Args:
        skipped: share of rows that pass by the block while learning (stochastic depth: Huang et al. 2016), if x is added.
    """

    def __init__(self, dims: int, n_in: int, n_out: int, stride: int, expansion: int, skipped: float = 0.0) -> None:
        super().__init__()
        inner = n_in * expansion
        widen = [] if expansion == 1 else [_convolution(dims, n_in, inner, 1), BatchNorm(inner), nn.SiLU()]
        self.widen = nn.Sequential(*widen)
        self.each = nn.Sequential(
            _convolution(dims, inner, inner, 3, stride, groups=inner), BatchNorm(inner), nn.SiLU()
        )
        self.weigh = ChannelWeights(dims, inner, max(1, n_in // 4))
        self.narrow = nn.Sequential(_convolution(dims, inner, n_out, 1), BatchNorm(n_out))
        self.same, self.skipped = stride == 1 and n_in == n_out, skipped

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, c', ...)."""
        inner = self.narrow(self.weigh(self.each(self.widen(x))))
        if not self.same:
            return inner
        if self.training and self.skipped:
            kept = torch.rand((len(x),) + (1,) * (x.dim() - 1), device=x.device) >= self.skipped
            inner = inner * kept / (1.0 - self.skipped)
        return x + inner


class EfficientNet(nn.Module):
    """A convolution of stride two, stages of `MobileBlock` of which all but the first halve every axis, and a wide last layer.

    The parts are those of the published network; its seven stages' sizes are not: widths double as in the others here, and
    all convolutions see three places. The more stochastic depth, the deeper the block.
    """

    EXPANSION, LAST = 4, 4

    def __init__(
        self,
        dims: int,
        channels: int,
        filters: int,
        stages: int,
        blocks: int,
        large: bool,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(dims, channels, filters, 3, 2), BatchNorm(filters), nn.SiLU())
        held, made = filters, []
        for stage in range(stages):
            width = filters * min(MOST, 2**stage)
            for block in range(blocks):
                stride, expansion = 1 if stage == 0 or block else 2, self.EXPANSION if stage else 1
                skipped = stochastic_depth * len(made) / max(stages * blocks - 1, 1)
                made.append(MobileBlock(dims, held, width, stride, expansion, skipped))
                held = width
        self.blocks, self.per_stage = nn.ModuleList(made), blocks
        self.last = nn.Sequential(_convolution(dims, held, self.LAST * held, 1), BatchNorm(self.LAST * held), nn.SiLU())
        self.size = 2 * self.LAST * held

    def features(self) -> list[Stage]:
        """What the ends of the stages become where the next layer widens them (they are linear themselves), finest first."""
        modules = [block.widen for block in self.blocks[self.per_stage :: self.per_stage]] + [self.last]
        return [Stage(module, 2 ** (k + 1)) for k, module in enumerate(modules)]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, size)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return _mean_and_maximum(self.last(x))


def _mean_and_maximum(x: Tensor) -> Tensor:
    space = x.float().flatten(2)
    return torch.cat([space.mean(dim=2), space.amax(dim=2)], dim=1)


NETWORKS = {"plain": Plain, "resnet": ResNet, "densenet": DenseNet, "efficientnet": EfficientNet}


class ConvolutionalEncoder(nn.Module):
    """One of `NETWORKS` over the rows that have a picture; the others are left at zero."""

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        spec, self.augment, self.width = branch.spec, architecture["augment"], architecture["width"]
        large = max(spec["shape"]) > LARGE
        shape = (spec["dims"], spec["channels"], architecture["filters"], spec["stages"], architecture["blocks"], large)
        kind, skipped = architecture["kind"], architecture.get("stochastic_depth", 0.0)
        self.body = NETWORKS[kind](*shape, skipped) if kind == "efficientnet" else NETWORKS[kind](*shape)
        self.dropout = nn.Dropout(architecture["dropout"])
        self.last = nn.Linear(self.body.size, self.width)
        self.norm = nn.LayerNorm(self.width)
        self.layout = torch.contiguous_format
        if architecture["channels_last"]:
            self.layout = torch.channels_last if spec["dims"] == 2 else torch.channels_last_3d
            self.to(memory_format=self.layout)

    def features(self) -> list[Stage]:
        """What an explanation may look into: the ends of the stages, finest first."""
        return self.body.features()

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, c, [z,] y, x), `present` (n,) → (n, width)."""
        x, present = rows["x"], rows["present"]
        every = bool(present.all())
        x = x if every else x[present]
        if len(x) == 0:
            return self.last.weight.new_zeros(len(present), self.width)
        if self.training:
            x = augmented(x, self.augment)
        found = self.last(self.body(x.contiguous(memory_format=self.layout)))
        found = self.dropout(torch.relu(self.norm(found.float())))
        if every:
            return found
        return found.new_zeros(len(present), self.width).masked_scatter(present[:, None], found)
