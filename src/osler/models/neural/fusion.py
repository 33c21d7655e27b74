"""Several branches, some of them missing in some rows, as one vector per row.

    late     the mean of what the present branches say, each through a layer of its own: no branch sees another
    concat   side by side, a learnt token where a branch is missing, then an MLP: interactions between branches
    gated    each branch weighed by gates that see all branches (Arevalo et al. 2017), missing ones closed

A row in which every branch is missing is answered from the tokens or the bias: about what holds for everyone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osler.errors import OptionError, nearest

KINDS = ("late", "concat", "gated")


def hidden(present: Tensor, share: float) -> Tensor:
    """(n, k) bool of which branches are left when each is hidden with a probability; a row that would lose all keeps all."""
    left = present & (torch.rand(present.shape, device=present.device) >= share)
    return torch.where(left.any(dim=1, keepdim=True), left, present)


class Fusion(nn.Module):
    """(n, k, width) and (n, k) present → (n, width).

    Args:
        kind: one of `KINDS`; one branch alone is passed on, with a token where it is missing.
        n_branches: k.
        width: size of each branch's vector.
        dropout: share of hidden units dropped in training.

    Raises:
        OptionError: the kind is none of `KINDS`.
    """

    def __init__(self, kind: str, n_branches: int, width: int, dropout: float) -> None:
        super().__init__()
        if kind not in KINDS:
            raise OptionError(f"fusion must be one of {', '.join(KINDS)}, was '{kind}': {nearest(kind, KINDS)}")
        self.kind = kind if n_branches > 1 else "single"
        self.tokens = nn.Parameter(torch.zeros(n_branches, width))
        if self.kind == "late":
            self.each = nn.ModuleList(nn.Linear(width, width) for _ in range(n_branches))
        elif self.kind == "concat":
            self.mix = nn.Sequential(
                nn.Linear(n_branches * width, 2 * width), nn.LayerNorm(2 * width), nn.ReLU(), nn.Dropout(dropout),
                nn.Linear(2 * width, width), nn.ReLU(),
            )  # fmt: skip
        elif self.kind == "gated":
            self.each = nn.ModuleList(nn.Linear(width, width) for _ in range(n_branches))
            self.gates = nn.Linear(n_branches * width, n_branches * width)

    def forward(self, branches: Tensor, present: Tensor) -> Tensor:
        """(n, k, width), (n, k) bool → (n, width)."""
        there = present[:, :, None]
        filled = torch.where(there, branches, self.tokens)
        if self.kind == "single":
            return filled[:, 0]
        if self.kind == "concat":
            return self.mix(filled.flatten(1))
        said = torch.stack([layer(filled[:, i]) for i, layer in enumerate(self.each)], dim=1)
        if self.kind == "late":
            return (said * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        gates = torch.sigmoid(self.gates(filled.flatten(1))).view_as(said)
        return (gates * torch.tanh(said) * there).sum(dim=1)
