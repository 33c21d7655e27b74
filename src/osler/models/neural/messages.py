"""Directed message passing (K. Yang et al., J Chem Inf Model 59:3370, 2019) over distinct environments.

With x the features of nodes and e those of edges, and every sum over the edges u → v, u not w:

    h⁰(v → w) = relu(W_x x_v + W_e e_vw)
    hᵗ(v → w) = relu(W_x x_v + W_e e_vw + W_h Σ hᵗ⁻¹(u → v))
    h(v)      = relu(V_x x_v + V_h Σ hᵀ(u → v) + b), here the sum is over all edges into v
    graph     = the mean or sum of h(v)

Sums and matrices change places: W_h is applied to each distinct state once, before it is summed (see `environments`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.inputs import Branch, Tensors


class _Sum(torch.autograd.Function):
    """Rows of a table summed by lists of positions; the gradient is the same sum by the lists turned round."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, items: Tensor, ends: Tensor, back: Tensor, back_ends: Tensor) -> Tensor:
        ctx.save_for_backward(back, back_ends)
        return _summed(table, items, ends)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _summed(gradient.contiguous(), *ctx.saved_tensors), None, None, None, None


def _summed(table: Tensor, items: Tensor, ends: Tensor) -> Tensor:
    if not len(items):
        return table.new_zeros(len(ends) - 1, table.shape[1])
    return F.embedding_bag(items, table, ends, mode="sum", include_last_offset=True)


def summed(table: Tensor, rows: Tensors, name: str) -> Tensor:
    """(u, p) → (n, p): for each of n lists the sum of the rows it names.

    Args:
        rows: holds the lists `name` as `Environments.arrays` writes them.
    """
    return _Sum.apply(table, *(rows[f"{name}{part}"] for part in ("", "_ends", "_back", "_back_ends")))


class MessageEncoder(nn.Module):
    """Graphs as vectors by directed message passing, then a layer over them.

    The architecture names `hidden` (size of a state), `aggregation` (`mean`, `sum`, or `norm`: the sum over the mean
    number of nodes of training graphs), `dropout` and `width`.
    """

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        hidden, p, q = architecture["hidden"], branch.spec["p"], branch.spec["q"]
        self.rounds, self.aggregation = branch.spec["rounds"], architecture["aggregation"]
        self.size = float(branch.arrays["size"][0]) or 1.0
        self.start = nn.Linear(p, hidden, bias=False)
        self.kind = nn.Linear(q, hidden, bias=False)
        self.onward = nn.Linear(hidden, hidden, bias=False)
        self.centre = nn.Linear(p, hidden)
        self.arrive = nn.Linear(hidden, hidden, bias=False)
        self.last = nn.Linear(hidden, architecture["width"])
        self.dropout = nn.Dropout(architecture["dropout"])

    def forward(self, rows: Tensors) -> Tensor:
        """What `Environments.arrays` names, of n graphs → (n, width).

        `there` (e, 1), which only an explanation gives, and only of environments one by one (`environments.each`): how
        far each edge is there, from 0 (cut) to 1; its states count for so much.
        """
        first = self.start(rows["nodes"])[rows["starts"]] + self.kind(rows["edges"])[rows["kinds"]]
        there = rows.get("there", first.new_ones(1))
        state = self.dropout(torch.relu(first)) * there
        for i in range(self.rounds):
            came = summed(self.onward(state), rows, f"tree{i}")
            state = self.dropout(torch.relu(first[rows[f"base{i}"]] + came)) * there
        nodes = self.centre(rows["nodes"])[rows["centres"]] + summed(self.arrive(state), rows, "arrivals")
        pooled = summed(self.dropout(torch.relu(nodes)), rows, "graphs")
        if self.aggregation == "mean":
            pooled = pooled / rows["graphs_ends"].diff().clamp(min=1)[:, None]
        elif self.aggregation == "norm":
            pooled = pooled / self.size
        return torch.relu(self.last(self.dropout(pooled)))
