"""Generator and critic on dense graphs of atoms and bonds, both by message passing over bonds of each order.

After N. De Cao, T. Kipf, MolGAN, arXiv:1805.11973, whose generator is a plain network of the noise; here the noise of each atom is passed
along the bonds proposed so far before the last bonds are chosen. Message passing: M. Schlichtkrull et al., ESWC 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osler.adapters.rdkit.dense import ELEMENTS, MAX_ORDER

#: Kinds of atoms (0 is none) and of bonds (0 is none).
ATOMS, BONDS = len(ELEMENTS) + 1, MAX_ORDER + 1
#: Numbers of noise of the whole molecule and of each atom.
WHOLE, EACH = 32, 8


class Messages(nn.Module):
    """One round: each atom's state from its own and, per bond order, the sum of its neighbours'.

    States (n, atoms, width) and bonds (n, atoms, atoms, BONDS) → (n, atoms, out).
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, out)
        self.near = nn.ModuleList(nn.Linear(width, out, bias=False) for _ in range(MAX_ORDER))

    def forward(self, states: Tensor, bonds: Tensor) -> Tensor:
        """See the class."""
        total = self.own(states)
        for order, layer in enumerate(self.near, 1):
            total = total + torch.bmm(bonds[..., order], layer(states))
        return total


class GraphGenerator(nn.Module):
    """Noise → logits of atoms (n, atoms, ATOMS) and of bonds (n, atoms, atoms, BONDS), the latter symmetric.

    Args:
        most: most atoms.
        width: of an atom's state.
    """

    def __init__(self, most: int, width: int) -> None:
        super().__init__()
        self.most, self.width = most, width
        self.place = nn.Parameter(torch.randn(most, width) * 0.1)
        self.whole = nn.Sequential(nn.Linear(WHOLE + most, width), nn.LeakyReLU(0.2), nn.Linear(width, width))
        self.each = nn.Linear(EACH, width)
        self.first = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.pair = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.bond = nn.ModuleList(nn.Linear(width, BONDS) for _ in range(2))
        self.near = nn.ModuleList(nn.Embedding(most, BONDS) for _ in range(2))
        self.messages = nn.ModuleList(Messages(width, width) for _ in range(2))
        self.atom = nn.Linear(width, ATOMS)
        far = torch.arange(most)
        self.register_buffer("apart", (far[:, None] - far[None, :]).abs(), persistent=False)

    def forward(self, whole: Tensor, each: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (n, WHOLE), noise (n, atoms, EACH) and atoms of each molecule (n,) → logits."""
        size = nn.functional.one_hot(sizes - 1, self.most).float()
        there = torch.arange(self.most)[None, :] < sizes[:, None]
        states = self.whole(torch.cat([whole, size], dim=1))[:, None, :] + self.each(each) + self.place
        states = self.first(states)
        soft = torch.softmax(self._bonds(states, 0, there), dim=-1)
        for layer in self.messages:
            states = states + nn.functional.leaky_relu(layer(states, soft), 0.2)
        atoms = self.atom(states)
        nothing = torch.full_like(atoms, -30.0)
        nothing[..., 0] = 30.0
        someone = atoms - 60.0 * nn.functional.one_hot(torch.zeros_like(sizes), ATOMS).float()[:, None, :]
        return torch.where(there[..., None], someone, nothing), self._bonds(states, 1, there)

    def _bonds(self, states: Tensor, turn: int, there: Tensor) -> Tensor:
        """Logits of bonds: what two atoms say to each other, and how far apart they stand in the list."""
        shown = self.pair[turn](states)
        both = nn.functional.leaky_relu(shown[:, :, None, :] + shown[:, None, :, :], 0.2)
        logits = self.bond[turn](both) + self.near[turn](self.apart)
        pairs = there[:, :, None] & there[:, None, :] & (self.apart > 0)
        none = torch.full_like(logits, -30.0)
        none[..., 0] = 30.0
        return torch.where(pairs[..., None], logits, none)


class GraphCritic(nn.Module):
    """Score (n,) of atoms (n, atoms, ATOMS) and bonds (n, atoms, atoms, BONDS), the same for every order of the atoms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(ATOMS, width)
        self.messages = nn.ModuleList(Messages(width, width) for _ in range(3))
        self.gate, self.read = nn.Linear(width, width), nn.Linear(width, width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, atoms: Tensor, bonds: Tensor) -> Tensor:
        """See the class."""
        there = 1.0 - atoms[..., :1]
        states = self.enter(atoms)
        for layer in self.messages:
            states = states + torch.tanh(layer(states, bonds))
        summed = (torch.sigmoid(self.gate(states)) * torch.tanh(self.read(states)) * there).sum(1)
        return self.score(summed / 4.0).squeeze(1)


def straight(logits: Tensor, noise: Tensor) -> Tensor:
    """One-hot draws that pass the gradient of the softmax: E. Jang, S. Gu, B. Poole, ICLR 2017.

    Args:
        logits: (..., k). noise: Gumbel noise of the same shape.
    """
    soft = torch.softmax(logits + noise, dim=-1)
    hard = nn.functional.one_hot(soft.argmax(-1), logits.shape[-1]).float()
    return hard + soft - soft.detach()


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise."""
    return -torch.empty(shape).exponential_(generator=generator).clamp(min=1e-20).log()
