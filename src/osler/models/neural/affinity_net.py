"""The network over pairs: atoms and residues as vectors, and each thing looking at the parts of the other.

Atoms by message passing with bond features (GINE: Hu et al., ICLR 2020), residues by convolutions over embeddings
(after DeepDTA: H. Öztürk et al., Bioinformatics 34:i821, 2018), cross attention by scaled products (Vaswani et al.
2017): the vector of either thing asks, the parts of the other answer. Counts (fingerprints, stretches of residues)
enter the vector of a thing beside its parts.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from osler.models.neural.affinity_inputs import Tensors

#: Residue codes: 0 beyond the end, 1 unknown, 2 to 21.
CODES = 22


class Atoms(nn.Module):
    """Graphs of u things → states of their atoms (u, a, width), and which are real (u, a)."""

    def __init__(self, spec: dict[str, Any], width: int, steps: int) -> None:
        super().__init__()
        self.nodes = nn.Linear(spec["nodes"], width)
        self.edges = nn.ModuleList(nn.Linear(spec["edges"], width) for _ in range(steps))
        self.mixes = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(steps)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, things: Tensors) -> tuple[Tensor, Tensor]:
        """`nodes`, `edges`, `source`, `target`, `row`, `at`."""
        state = self.nodes(things["nodes"])
        for edge, mix in zip(self.edges, self.mixes):
            messages = torch.relu(state[things["source"]] + edge(things["edges"]))
            state = state + mix(state + torch.zeros_like(state).index_add(0, things["target"], messages))
        n, most = len(things["counts"]), int(things["at"].max()) + 1 if len(things["at"]) else 1
        found = state.new_zeros(n, most, state.shape[1])
        real = torch.zeros(n, most, dtype=torch.bool, device=state.device)
        found[things["row"], things["at"]] = self.norm(state)
        real[things["row"], things["at"]] = True
        return found, real


class Residues(nn.Module):
    """Codes of u things → states of stretches of sixteen residues (u, t / 16, width), and which are real."""

    STRIDE = 4

    def __init__(self, spec: dict[str, Any], width: int, steps: int) -> None:
        super().__init__()
        self.table = nn.Embedding(CODES, width // 2, padding_idx=0)
        self.first = nn.Conv1d(width // 2, width, 9, stride=self.STRIDE, padding=4)
        self.second = nn.Conv1d(width, width, 9, stride=self.STRIDE, padding=4)
        self.third = nn.Conv1d(width, width, 5, padding=2)
        self.norm = nn.LayerNorm(width)

    def forward(self, things: Tensors) -> tuple[Tensor, Tensor]:
        """`codes` (u, t)."""
        codes = things["codes"]
        thin = (codes > 0)[:, :: self.STRIDE]
        x = torch.relu(self.first(self.table(codes).transpose(1, 2))) * thin[:, None]
        real = thin[:, :: self.STRIDE]
        x = torch.relu(self.second(x)) * real[:, None]
        x = x + torch.relu(self.third(x))
        return self.norm(x.transpose(1, 2)) * real[..., None], real


class Thing(nn.Module):
    """The things of one column as vectors and as parts: `forward` gives vectors (u, width), parts (u, t, width) and
    which are real (u, t).
    """

    PARTS: ClassVar[dict[str, type]] = {"graph": Atoms, "sequence": Residues}

    def __init__(self, spec: dict[str, Any], architecture: dict[str, Any]) -> None:
        super().__init__()
        width = architecture["width"]
        self.counts = nn.Linear(spec["p"], width)
        kind = self.PARTS.get(spec["layout"])
        self.parts = kind(spec, width, architecture["graph_steps"]) if kind else None
        self.mix = nn.Sequential(
            nn.Linear(3 * width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(architecture["dropout"]),
        )  # fmt: skip
        self.width = width

    def forward(self, things: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Tensors of `osler.models.neural.affinity_inputs.Side.tensors`."""
        counts = torch.relu(self.counts(things["counts"]))
        if self.parts is None:
            parts = counts.new_zeros(len(counts), 1, self.width)
            real = torch.zeros(len(counts), 1, dtype=torch.bool, device=counts.device)
        else:
            parts, real = self.parts(things)
        n = real.sum(dim=1, keepdim=True).clamp(min=1)
        mean = parts.sum(dim=1) / n
        most = parts.masked_fill(~real[..., None], -1e4).amax(dim=1) * real.any(dim=1, keepdim=True)
        return self.mix(torch.cat([counts, mean, most], dim=1)), parts, real


class Across(nn.Module):
    """What the parts of one thing answer to the vector of another: (n, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.ask, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, vector: Tensor, parts: Tensor, real: Tensor, which: Tensor) -> Tensor:
        """Vectors (n, width), parts (u, t, width) of u things, and the thing of each row (n,)."""
        none = self.nothing.expand(len(parts), -1, -1)
        parts = torch.cat([none, parts], dim=1)
        real = torch.cat([torch.ones_like(real[:, :1]), real], dim=1)
        key, value = (layer(parts).unflatten(2, (self.heads, self.size)) for layer in (self.key, self.value))
        key, value = key.permute(0, 2, 3, 1).contiguous(), value.transpose(1, 2).contiguous()
        asked = self.ask(vector).unflatten(1, (self.heads, 1, self.size))
        score = asked @ key[which] / math.sqrt(self.size)
        share = score.masked_fill(~real[which][:, None, None], -1e4).softmax(dim=3)
        return (share @ value[which]).flatten(1)


class AffinityNet(nn.Module):
    """Two `Thing`s, attention both ways and a perceptron: tensors of n pairs → (n, n_outputs) logits.

    Args:
        sides: specifications of both columns.
        architecture: width, heads, graph_steps, dropout and rest (how many other numbers a pair has).
        bias: logits that the last layer starts from.
    """

    def __init__(self, sides: list[dict[str, Any]], architecture: dict[str, Any], bias: tuple[float, ...]) -> None:
        super().__init__()
        width = architecture["width"]
        self.branches: list[Any] = []
        self.encoders = nn.ModuleList(Thing(spec, architecture) for spec in sides)
        self.across = nn.ModuleList(Across(width, architecture["heads"]) for _ in range(2))
        self.mix = nn.Sequential(
            nn.Linear(5 * width + architecture["rest"], 4 * width), nn.LayerNorm(4 * width), nn.ReLU(),
            nn.Dropout(architecture["dropout"]), nn.Linear(4 * width, width), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(width, len(bias))
        with torch.no_grad():
            self.head.weight.mul_(0.5)
            self.head.bias.copy_(torch.tensor(bias))

    def forward(self, inputs: list[Tensors]) -> Tensor:
        """As `osler.models.neural.affinity_inputs.PairFeed.take` gives them."""
        pair = inputs[2]
        which = (pair["first"], pair["second"])
        made = [encoder(things) for encoder, things in zip(self.encoders, inputs)]
        one, other = (vectors[at] for (vectors, *_), at in zip(made, which))
        seen = self.across[0](one, *made[1][1:], which[1]), self.across[1](other, *made[0][1:], which[0])
        return self.head(self.mix(torch.cat([one, other, one * other, *seen, pair["rest"]], dim=1)))
