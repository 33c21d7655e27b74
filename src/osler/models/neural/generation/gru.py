"""`generator_gru`: a language model of SMILES, trained by likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from osler.adapters.rdkit.fragments import alternating
from osler.errors import InputError
from osler.models.neural.generation.language import LanguageModel, Sampling
from osler.models.neural.generation.learner import CHECK, EPOCH, INIT, Learner, descend, generator_of, seeded
from osler.models.neural.generation.options import GeneratorOptions
from osler.models.neural.generation.tokens import Encoded, Vocabulary, tokenise

#: Steps over which the learning rate rises.
RISE = 50


class GeneratorGRU(Learner):
    """One recurrent layer over SMILES tokens: M. Segler et al., ACS Central Science 4:120 (2018).

    Args:
        vocabulary: the tokens.
        options: width, epochs, batch_size, learning_rate, precision, temperature, grammar, longest, seed.
        library: training molecules, or None for a trained generator.
    """

    name: ClassVar[str] = "generator_gru"
    networks: ClassVar[tuple[str, ...]] = ("net",)
    optimisers: ClassVar[tuple[str, ...]] = ("optimiser",)

    def __init__(self, vocabulary: Vocabulary, options: GeneratorOptions, library: Encoded | None = None) -> None:
        self.vocabulary, self.options, self.library = vocabulary, options, library
        half = options.precision == "bf16"
        self.net = seeded(lambda: LanguageModel(len(vocabulary), options.width, half), options.seed, INIT)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=options.learning_rate, weight_decay=0.01, fused=True
        )
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    @classmethod
    def learn_from(cls, smiles: Sequence[str], options: GeneratorOptions) -> tuple[Learner, np.ndarray]:
        """See `Learner`: molecules with too many tokens or with rare ones are left out."""
        rows = [tokenise(alternating(text) if options.alternating else text) for text in smiles]
        short = [len(row) <= options.longest for row in rows]
        vocabulary = Vocabulary.of([row for row, fits in zip(rows, short) if fits], options.rarest)
        used = np.array([fits and vocabulary.knows(row) for row, fits in zip(rows, short)], dtype=bool)
        if used.sum() < options.batch_size:
            raise InputError(
                f"library must leave at least one batch of {options.batch_size} training "
                f"molecules, {int(used.sum())} are left: "
                "give more molecules, or a smaller batch_size"
            )
        encoded = Encoded.of([vocabulary.encode(row) for row, fits in zip(rows, used) if fits])
        return cls(vocabulary, options, encoded), used

    @classmethod
    def from_meta(cls, meta: dict[str, Any], options: GeneratorOptions) -> Learner:
        """See `Learner`."""
        return cls(Vocabulary(tuple(meta["tokens"])), options)

    def meta(self) -> dict[str, Any]:
        """See `Learner`."""
        return {"tokens": list(self.vocabulary.tokens)}

    @property
    def likelihood_steps(self) -> int:
        """Steps by likelihood."""
        return max(1, round(self.options.epochs * max(1, len(self.library) // self.options.batch_size)))

    @property
    def total(self) -> int:
        """See `Learner`."""
        return self.likelihood_steps

    def step(self, number: int) -> dict[str, float]:
        """See `Learner`: one batch by likelihood."""
        return {"loss": self._likelihood_step(number)}

    def _likelihood_step(self, number: int) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.learning_rate * rate(number, self.likelihood_steps)
        return descend(self.net.loss(self._batch(number)), self.net, self.optimiser, "generator")

    def _batch(self, number: int) -> torch.Tensor:
        """(length, batch) rows of a step."""
        per_epoch = max(1, len(self.library) // self.options.batch_size)
        epoch, at = divmod(number, per_epoch)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng([self.options.seed, EPOCH, epoch])
            self._epoch = (epoch, self.library.batches(self.options.batch_size, rng))
        batches = self._epoch[1]
        return torch.from_numpy(self.library.padded(batches[at % len(batches)]))

    def draw(self, n: int, seed: Sequence[int], temperature: float | None = None) -> list[str]:
        """See `Learner`."""
        o = self.options
        how = Sampling(temperature or o.temperature, o.grammar, o.longest + 10)
        return self.vocabulary.decode(self.net.sample(self.vocabulary, n, how, generator_of(o.seed, CHECK, *seed)))


def rate(number: int, total: int) -> float:
    """Share of the learning rate in a step: a short rise, then half a cosine down to zero."""
    rise = min(RISE, max(1, total // 10))
    return min(1.0, (number + 1) / rise) * 0.5 * (1.0 + math.cos(math.pi * number / total))
