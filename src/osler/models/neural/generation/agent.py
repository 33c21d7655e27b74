"""A trained language model of molecules that is drawn towards what scores well, while it stays near what it knew.

The agent starts as a copy of the generator (the prior). Of drawn molecules with scores from 0 to 1 its log-likelihood is pulled to
log p(prior) + sigma × score by least squares, and the best molecules so far are shown again: M. Olivecrona et al., Molecular de-novo design
through deep reinforcement learning, J Cheminform 9:48 (2017).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from osler.adapters.rdkit.fragments import alternating
from osler.errors import OptionError
from osler.models.neural import loop
from osler.models.neural.checkpoint import Checkpoint, optimiser_arrays, restore_optimiser
from osler.models.neural.generation.gru import GeneratorGRU
from osler.models.neural.generation.language import Sampling
from osler.models.neural.generation.learner import descend, generator_of, load, part_of
from osler.models.neural.generation.tokens import Encoded, tokenise

#: Scores are worth so many nats of likelihood.
SIGMA = 60.0
#: Learning rate of Adam.
RATE = 0.001


class Agent:
    """See the module.

    Args:
        folder: a saved generator of SMILES.
        seed: draws follow from it.

    Raises:
        PredictorError: the folder holds no generator, or one that was changed.
        OptionError: the generator makes graphs, which have no likelihood.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        learner = load(folder)
        if not isinstance(learner, GeneratorGRU):
            raise OptionError(f"a generator that is reinforced must write SMILES, '{learner.name}' makes graphs: train generator_gru")
        self._learner, self._seed = learner, seed
        self._prior = learner.net
        self._net = copy.deepcopy(learner.net)
        self._optimiser = torch.optim.Adam(self._net.parameters(), lr=RATE)

    def draw(self, n: int, turn: int) -> list[str]:
        """n strings that follow from the seed and the number of the turn."""
        vocabulary, options = self._learner.vocabulary, self._learner.options
        how = Sampling(options.temperature, options.grammar, options.longest + 10)
        with loop.threads(1):
            return vocabulary.decode(self._net.sample(vocabulary, n, how, generator_of(self._seed, turn)))

    def learn(self, smiles: Sequence[str], scores: Sequence[float]) -> float:
        """One step on scored molecules (0 to 1); those with tokens that the generator does not know are passed over.

        Returns:
            The loss, 0 where nothing could be learnt from.
        """
        vocabulary, options = self._learner.vocabulary, self._learner.options
        rows, kept = [], []
        for text, score in zip(smiles, scores, strict=True):
            tokens = tokenise(alternating(text) if options.alternating else text)
            if vocabulary.knows(tokens) and len(tokens) <= options.longest:
                rows.append(vocabulary.encode(tokens))
                kept.append(float(score))
        if not rows:
            return 0.0
        padded = torch.from_numpy(Encoded.of(rows).padded(np.arange(len(rows))))
        with loop.threads(1):
            with torch.no_grad():
                wanted = _whole(self._prior.log_probabilities(padded), padded) + SIGMA * torch.tensor(kept)
            loss = ((wanted - _whole(self._net.log_probabilities(padded), padded)) ** 2).mean() / SIGMA
            return descend(loss, self._net, self._optimiser, "agent")

    def save(self, folder: Path) -> None:
        """Write what is needed to go on."""
        weights = {f"net/{k}": v for k, v in loop.weights_of(self._net).items()}
        Checkpoint(folder).write(weights | {f"optimiser/{k}": v for k, v in optimiser_arrays(self._optimiser).items()}, {"fingerprint": "agent"})

    def restore(self, folder: Path) -> None:
        """The inverse of `save`; a folder without a state leaves the agent as it is."""
        arrays, meta = Checkpoint(folder).read("agent")
        if meta:
            loop.load_weights(self._net, part_of(arrays, "net"))
            restore_optimiser(self._optimiser, part_of(arrays, "optimiser"))


def _whole(chances: Tensor, tokens: Tensor) -> Tensor:
    """(n,) log-likelihood of each row from (length - 1, n) of its tokens; padding is left out."""
    return (chances * (tokens[1:] != 0)).sum(0)
