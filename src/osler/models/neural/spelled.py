"""Texts of tokens, each written in several ways, as vectors: a gated recurrent unit in both directions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from osler.models.neural.generation.recurrence import TokenGRU
from osler.models.neural.inputs import Branch, Tensors

#: Texts that are read side by side where no gradient is wanted.
_TOGETHER = 256


class TokenEncoder(nn.Module):
    """Rows of k spellings as vectors: in training one spelling drawn for every row, otherwise the mean over all k.

    A spelling's vector is made of the mean and the last state of a gated recurrent unit (Cho et al. 2014) that reads it
    forwards and of one that reads it backwards. The architecture names `hidden` (size of a state), `dropout` and
    `width`.
    """

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        hidden = architecture["hidden"]
        self.forwards, self.backwards = (TokenGRU(branch.spec["tokens"] + 2, hidden) for _ in range(2))
        with torch.no_grad():
            for unit in (self.forwards, self.backwards):
                unit.table.mul_(0.5)
        self.last = nn.Linear(4 * hidden, architecture["width"])
        self.dropout = nn.Dropout(architecture["dropout"])

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, t, k): 0 after the end, 1 for an unknown token, 1 + code for others → (n, width)."""
        x = rows["x"].long()
        n, _, k = x.shape
        if self.training:
            drawn = torch.randint(k, (n, 1, 1), device=x.device)
            return self._vectors(x.gather(2, drawn.expand(-1, x.shape[1], -1))[:, :, 0])
        return self._in_order(x.transpose(1, 2).reshape(n * k, -1)).view(n, k, -1).mean(dim=1)

    def _in_order(self, x: Tensor) -> Tensor:
        """`_vectors` of many texts, those of about one length together."""
        order = (x > 0).sum(dim=1).argsort(stable=True)
        found = torch.cat([self._vectors(x[part]) for part in order.split(_TOGETHER)])
        return torch.empty_like(found).index_copy(0, order, found)

    def _vectors(self, x: Tensor) -> Tensor:
        """(n, t) tokens → (n, width)."""
        lengths = (x > 0).sum(dim=1)
        x = x[:, : max(int(lengths.max()), 1)]
        step = torch.arange(x.shape[1], device=x.device)
        real = step < lengths[:, None]
        turned = x.gather(1, (lengths[:, None] - 1 - step).clamp(min=0)) * real
        at = (lengths - 1).clamp(min=0)
        parts = []
        for unit, text in ((self.forwards, x), (self.backwards, turned)):
            states = unit(text.t().contiguous())
            known = states * real.t()[:, :, None]
            parts += [
                known.sum(dim=0) / lengths.clamp(min=1)[:, None],
                states[at, torch.arange(len(x), device=x.device)],
            ]
        return torch.relu(self.last(self.dropout(torch.cat(parts, dim=1))))
