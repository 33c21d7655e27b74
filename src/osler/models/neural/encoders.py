"""One encoder per layout: tensors of n rows → (n, width).

    DenseEncoder      piecewise-linear number embeddings, category embeddings, residual MLP blocks
    SequenceEncoder   a GRU over the real steps; last state and mean state
    GridEncoder       a small residual CNN in two or three dimensions
    GraphEncoder      message passing with edge features (GINE), mean and sum over nodes
    MessageEncoder    directed message passing, in `messages`
    TokenEncoder      texts of tokens in several spellings, in `spelled`
    PretrainedEncoder texts read by a pre-trained network, in `transformer`
    ConvolutionalEncoder pictures and volumes of `cnn`, in `convolutions`

Encoders normalise per row (LayerNorm, GroupNorm), and where one normalises over the batch in training it answers by kept
statistics: a row's answer does not depend on the rows beside it, and a missing row disturbs nobody.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from osler.models.neural.convolutions import ConvolutionalEncoder, Stage
from osler.models.neural.inputs import Branch, Tensors
from osler.models.neural.messages import MessageEncoder
from osler.models.neural.spelled import TokenEncoder
from osler.models.neural.transformer import PretrainedEncoder


class Residual(nn.Module):
    """x + W2 dropout(relu(W1 norm(x))), on (n, width)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) → (n, width)."""
        return x + self.dropout(self.outer(self.dropout(torch.relu(self.inner(self.norm(x))))))


class DenseEncoder(nn.Module):
    """Numbers and codes side by side.

    A number becomes `embedding` values: a linear term plus a learnt mix of its piecewise-linear encoding over quantile
    bins (Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS
    2022, equation 1; the linear term and the zero start of the bins as in their later package, version B). A missing
    number is a learnt vector, zero at the start; so are a missing code and the last level ("(other)"). The residual
    blocks are those of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021.
    """

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        spec, width, size = branch.spec, architecture["width"], architecture["embedding"]
        n_numbers, levels = len(spec["numbers"]), spec["levels"]
        self.size = 1 if spec["wide"] else size
        self.wide = spec["wide"]
        if not self.wide:
            bound = size**-0.5
            self.slope = nn.Parameter(torch.empty(n_numbers, size).uniform_(-bound, bound))
            self.shift = nn.Parameter(torch.empty(n_numbers, size).uniform_(-bound, bound))
            self.bins = nn.Parameter(torch.zeros(n_numbers, spec["bins"], size))
            self.missing = nn.Parameter(torch.zeros(n_numbers, size))
            for key in ("lower", "span"):
                self.register_buffer(key, torch.from_numpy(branch.arrays[key]).float(), persistent=False)
        starts = [sum(l + 1 for l in levels[:i]) for i in range(len(levels))]
        self.codes = nn.Embedding(sum(l + 1 for l in levels), size)
        nn.init.normal_(self.codes.weight, std=0.3)
        with torch.no_grad():
            neutral = [max(s, s + l - k) for s, l in zip(starts, levels) for k in (0, 1)]
            self.codes.weight[neutral] = 0.0
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.first = nn.Linear(n_numbers * self.size + len(levels) * size, width)
        self.blocks = nn.ModuleList(Residual(width, architecture["dropout"]) for _ in range(architecture["depth"]))
        self.dropout = nn.Dropout(architecture["dropout"])
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, p), `missing` (n, p), `codes` (n, q) → (n, width)."""
        x = rows["x"]
        if not self.wide:
            linear = x[:, :, None] * self.slope + self.shift
            encoded = ((x[:, :, None] - self.lower) / self.span).clamp(0.0, 1.0)
            binned = torch.matmul(encoded.transpose(0, 1), self.bins).transpose(0, 1)
            x = torch.where(rows["missing"][:, :, None], self.missing, linear + binned)
        coded = self.codes(rows["codes"] + self.starts)
        flat = torch.cat([x.flatten(1), coded.flatten(1)], dim=1)
        x = self.first(self.dropout(flat) if not self.wide else flat)
        for block in self.blocks:
            x = block(x)
        return torch.relu(self.norm(x))


class SequenceEncoder(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) over the real steps of each row; steps after the last are not seen."""

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        width = architecture["width"]
        self.recurrent = nn.GRU(branch.spec["p"] * (2 if branch.spec["gaps"] else 1), width, batch_first=True)
        self.last = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, t, p), `lengths` (n,) → (n, width)."""
        lengths = rows["lengths"]
        states, _ = self.recurrent(rows["x"])
        real = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
        mean = (states * real[..., None]).sum(dim=1) / lengths.clamp(min=1)[:, None]
        at = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[2])
        final = states.gather(1, at)[:, 0] * (lengths > 0)[:, None]
        return self.norm(self.last(torch.cat([final, mean], dim=1)))


class GridBlock(nn.Module):
    """Two convolutions and a shortcut that halve every axis (He et al. 2016, with GroupNorm, pre-activation)."""

    def __init__(self, n_in: int, n_out: int, dims: int) -> None:
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.first_norm, self.second_norm = nn.GroupNorm(_groups(n_in), n_in), nn.GroupNorm(_groups(n_out), n_out)
        self.first = convolution(n_in, n_out, 3, stride=2, padding=1)
        self.second = convolution(n_out, n_out, 3, padding=1)
        self.shortcut = convolution(n_in, n_out, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, [z,] y, x) → (n, c', half of each axis, rounded up)."""
        inner = self.first(torch.relu(self.first_norm(x)))
        return self.shortcut(x) + self.second(torch.relu(self.second_norm(inner)))


class GridEncoder(nn.Module):
    """Three residual stages, then the mean and the maximum over space; any grid size."""

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        dims, width = branch.spec["dims"], architecture["width"]
        sizes = [max(8, width // 4), max(8, width // 4), max(8, width // 2), width]
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.stem = convolution(branch.spec["channels"], sizes[0], 3, padding=1)
        self.stages = nn.ModuleList(GridBlock(a, b, dims) for a, b in pairwise(sizes))
        self.last = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def features(self) -> list[Stage]:
        """What an explanation may look into: the ends of the stages, finest first."""
        return [Stage(stage, 2 ** (k + 1)) for k, stage in enumerate(self.stages)]

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, c, [z,] y, x) → (n, width)."""
        x = self.stem(rows["x"])
        for stage in self.stages:
            x = stage(x)
        space = torch.relu(x).flatten(2)
        return self.norm(self.last(torch.cat([space.mean(dim=2), space.amax(dim=2)], dim=1)))


class GraphEncoder(nn.Module):
    """Message passing over edges with features (GINE: Hu et al. 2020, after GIN: Xu et al. 2019, equation 4.1).

    Messages run from row 0 to row 1 of `edges`; an undirected graph holds both directions.
    """

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        width, steps = architecture["width"], architecture["graph_steps"]
        self.size = float(branch.arrays["size"][0]) or 1.0
        self.nodes = nn.Linear(branch.spec["p"], width)
        self.edges = nn.ModuleList(nn.Linear(branch.spec["q"], width) for _ in range(steps))
        self.mixes = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(steps)
        )
        self.own = nn.Parameter(torch.zeros(steps))
        self.last = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Tensors) -> Tensor:
        """`nodes` (v, p), `source`, `target` (e,), `edges` (e, q), `row` (v,) → (n, width).

        `there` (e, 1), which only an explanation gives: how far each edge is there, from 0 (cut) to 1.
        """
        state = self.nodes(rows["nodes"])
        there = rows.get("there", state.new_ones(1))
        for step, (edge, mix) in enumerate(zip(self.edges, self.mixes)):
            messages = torch.relu(state[rows["source"]] + edge(rows["edges"])) * there
            received = torch.zeros_like(state).index_add(0, rows["target"], messages.to(state.dtype))
            state = state + mix((1.0 + self.own[step]) * state + received)
        n = len(rows["present"])
        total = torch.zeros(n, state.shape[1], dtype=state.dtype, device=state.device).index_add(0, rows["row"], state)
        count = torch.zeros(n, dtype=state.dtype, device=state.device)
        count = count.index_add(0, rows["row"], torch.ones_like(rows["row"], dtype=state.dtype))
        pooled = torch.cat([total / count.clamp(min=1.0)[:, None], total / self.size], dim=1)
        return self.norm(self.last(pooled))


#: `Branch.encoder` → encoder: a layout's usual one by the layout's name.
ENCODERS = {
    "dense": DenseEncoder,
    "sequence": SequenceEncoder,
    "grid": GridEncoder,
    "graph": GraphEncoder,
    "dmpnn": MessageEncoder,
    "tokens": TokenEncoder,
    "pretrained": PretrainedEncoder,
    "convolutions": ConvolutionalEncoder,
}


def _groups(channels: int) -> int:
    """The most groups, up to 8, that divide the channels."""
    return math.gcd(channels, 8)
