"""`generator_graph_gan`: whole graphs of small molecules against a graph critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from osler.adapters.rdkit import dense
from osler.adapters.rdkit.parse import parse
from osler.errors import InputError
from osler.models.neural.generation.graphs import (
    ATOMS,
    BONDS,
    EACH,
    WHOLE,
    GraphCritic,
    GraphGenerator,
    gumbel,
    straight,
)
from osler.models.neural.generation.learner import (
    CHECK,
    DRAW,
    INIT,
    NOISE,
    REAL,
    Learner,
    descend,
    generator_of,
    seeded,
)
from osler.models.neural.generation.losses import critic_loss, gradient_penalty, reward
from osler.models.neural.generation.options import GeneratorOptions
from osler.models.neural.generation.valence import bounded

#: Molecules that are decoded at once.
AT_ONCE = 256


class GeneratorGraphGAN(Learner):
    """See `graphs`; atoms and bonds are drawn with straight-through Gumbel noise and decoded by `valence.bounded`.

    Options: width, batch_size, adversarial_steps, loss, critic_rate, adversarial_rate, critic_steps, penalty, max_atoms,
    temperature, seed.

    Args:
        options: as above.
        sizes: (max_atoms,) how many training molecules have 1, 2, ... atoms.
        room: (ATOMS,) most bonds of each kind of atom in the training molecules.
        library: training molecules as (n, atoms) and (n, atoms, atoms) int8, or None for a trained generator.
    """

    name: ClassVar[str] = "generator_graph_gan"
    networks: ClassVar[tuple[str, ...]] = ("net", "critic")
    optimisers: ClassVar[tuple[str, ...]] = ("optimiser", "critic_optimiser")

    def __init__(
        self,
        options: GeneratorOptions,
        sizes: np.ndarray,
        room: np.ndarray,
        library: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.options, self.sizes, self.room, self.library = options, sizes, room, library
        self.net = seeded(lambda: GraphGenerator(options.max_atoms, options.width), options.seed, INIT)
        self.critic = seeded(lambda: GraphCritic(options.width), options.seed, INIT, 1)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=options.adversarial_rate, betas=(0.5, 0.9))
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=options.critic_rate, betas=(0.5, 0.9))

    @classmethod
    def learn_from(cls, smiles: Sequence[str], options: GeneratorOptions) -> tuple[Learner, np.ndarray]:
        """See `Learner`: molecules with more atoms, charges or other elements are left out."""
        made = [dense.to_arrays(parse(text).mol, options.max_atoms) for text in smiles]
        used = np.array([m is not None for m in made], dtype=bool)
        if used.sum() < options.batch_size:
            raise InputError(
                f"library must leave at least one batch of {options.batch_size} training molecules, {int(used.sum())} are left: "
                "give more molecules, a larger max_atoms or a smaller batch_size"
            )
        atoms, bonds = (np.stack([m[k] for m in made if m is not None]) for k in (0, 1))
        sizes = np.bincount((atoms > 0).sum(1) - 1, minlength=options.max_atoms)
        degrees = bonds.sum(2)
        room = np.array([degrees[atoms == k].max(initial=0) if k else 0 for k in range(ATOMS)])
        room = np.minimum(room, dense.VALENCE)
        return cls(options, sizes, room, (atoms, bonds)), used

    @classmethod
    def from_meta(cls, meta: dict[str, Any], options: GeneratorOptions) -> Learner:
        """See `Learner`."""
        return cls(options, np.array(meta["sizes"]), np.array(meta["room"]))

    def meta(self) -> dict[str, Any]:
        """See `Learner`."""
        return {"elements": list(dense.ELEMENTS), "sizes": self.sizes.tolist(), "room": self.room.tolist()}

    @property
    def total(self) -> int:
        """See `Learner`."""
        return max(1, self.options.adversarial_steps)

    def step(self, number: int) -> dict[str, float]:
        """See `Learner`."""
        losses = [self._critic_step(number, i) for i in range(self.options.critic_steps)]
        made = self._made(number, self.options.critic_steps)
        loss = -reward(self.options.loss, self.critic(*made)).mean()
        return {"critic": float(np.mean(losses)), "loss": descend(loss, self.net, self.optimiser, "generator")}

    def _logits(self, n: int, generator: torch.Generator, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Logits of n molecules with drawn noise and sizes."""
        chances = self.sizes / self.sizes.sum()
        sizes = torch.from_numpy(1 + np.random.default_rng(list(seed)).choice(len(chances), n, p=chances))
        whole = torch.randn(n, WHOLE, generator=generator)
        each = torch.randn(n, self.options.max_atoms, EACH, generator=generator)
        return self.net(whole, each, sizes)

    def _noise(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Gumbel noise of atoms, and of bonds the same for both directions."""
        most = self.options.max_atoms
        bonds = gumbel((n, most, most, BONDS), generator)
        upper = torch.triu(torch.ones(most, most), 1)[None, :, :, None]
        return gumbel((n, most, ATOMS), generator), bonds * upper + (bonds * upper).transpose(1, 2)

    def _made(self, number: int, turn: int) -> tuple[Tensor, Tensor]:
        """Drawn one-hot atoms and bonds that pass gradients."""
        seed = (self.options.seed, DRAW, number, turn)
        generator = generator_of(*seed)
        atoms, bonds = self._logits(self.options.batch_size, generator, seed)
        noise = self._noise(self.options.batch_size, generator)
        return straight(atoms, noise[0]), straight(bonds, noise[1])

    def _real(self, number: int, turn: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.options.seed, REAL, number, turn])
        rows = rng.choice(len(self.library[0]), self.options.batch_size, replace=False)
        atoms, bonds = (torch.from_numpy(part[rows].astype(np.int64)) for part in self.library)
        return torch.nn.functional.one_hot(atoms, ATOMS).float(), torch.nn.functional.one_hot(bonds, BONDS).float()

    def _critic_step(self, number: int, turn: int) -> float:
        o = self.options
        with torch.no_grad():
            made = self._made(number, turn)
        real = self._real(number, turn)
        loss = critic_loss(o.loss, self.critic(*real), self.critic(*made))
        if o.loss == "wasserstein" and o.penalty:
            steep = gradient_penalty(self.critic, real, made, generator_of(o.seed, NOISE, number, turn))
            loss = loss + o.penalty * steep
        return descend(loss, self.critic, self.critic_optimiser, "critic")

    def draw(self, n: int, seed: Sequence[int], temperature: float | None = None) -> list[str]:
        """See `Learner`."""
        found: list[str] = []
        for at in range(0, n, AT_ONCE):
            found += self._decode(min(AT_ONCE, n - at), (*seed, at), temperature or self.options.temperature)
        return found

    @torch.no_grad()
    def _decode(self, n: int, seed: Sequence[int], temperature: float) -> list[str]:
        seeds = (self.options.seed, CHECK, *seed)
        generator = generator_of(*seeds)
        atoms, bonds = self._logits(n, generator, seeds)
        noise = self._noise(n, generator)
        kinds = (atoms / temperature + noise[0]).argmax(-1).numpy()
        scores = (bonds / temperature + noise[1]).numpy()
        pairs = [bounded(a, s, s.argmax(-1), self.room) for a, s in zip(kinds, scores)]
        return [dense.to_smiles(*pair) for pair in pairs]
