"""`generator_gan`: a language model of SMILES that learns from a critic of every token, after likelihood has taught it
to write.

The discrete step is learnt by REINFORCE without roll-outs: the critic scores each token from what stands before it,
the return of a token is the discounted sum of the scores from there on, each less the mean score of all tokens, and the mean
over the batch at the same place is subtracted. Without the first subtraction a loss whose scores are all below zero would pay
for ending early, and its generator would write ever shorter molecules.

C. de Masson d'Autume et al., Training language GANs from scratch, NeurIPS 2019; R. Williams, Machine Learning 8:229 (1992).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from osler.models.neural.generation.gru import GeneratorGRU
from osler.models.neural.generation.language import Sampling
from osler.models.neural.generation.learner import DRAW, INIT, NOISE, REAL, descend, generator_of, seeded
from osler.models.neural.generation.losses import critic_loss, gradient_penalty, reward
from osler.models.neural.generation.options import GeneratorOptions
from osler.models.neural.generation.tokens import END, PAD, START, Encoded, Vocabulary

#: How much a score counts that comes one token later.
DISCOUNT = 0.95


class TokenCritic(nn.Module):
    """Scores (n, length) of one-hot or mixed tokens (n, length, tokens); each sees its token and up to 60 before it."""

    def __init__(self, n_tokens: int, width: int = 64) -> None:
        super().__init__()
        self.enter = nn.Linear(n_tokens, width)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 5, dilation=d) for d in (1, 2, 4, 8))
        self.score = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        x = self.enter(tokens).transpose(1, 2)
        for layer in self.layers:
            before = nn.functional.pad(x, (4 * layer.dilation[0], 0))
            x = x + nn.functional.leaky_relu(layer(before), 0.2)
        return self.score(x.transpose(1, 2)).squeeze(2)


class GeneratorGAN(GeneratorGRU):
    """See the module. Options: those of `generator_gru`, and adversarial_steps, loss, critic_rate, adversarial_rate,
    critic_steps, penalty, likelihood.
    """

    name: ClassVar[str] = "generator_gan"
    networks: ClassVar[tuple[str, ...]] = ("net", "critic")
    optimisers: ClassVar[tuple[str, ...]] = ("optimiser", "adversary", "critic_optimiser")

    def __init__(self, vocabulary: Vocabulary, options: GeneratorOptions, library: Encoded | None = None) -> None:
        super().__init__(vocabulary, options, library)
        self.critic = seeded(lambda: TokenCritic(len(vocabulary)), options.seed, INIT, 1)
        self.adversary = torch.optim.Adam(self.net.parameters(), lr=options.adversarial_rate, betas=(0.5, 0.99))
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=options.critic_rate, betas=(0.5, 0.99))

    @property
    def total(self) -> int:
        """See `Learner`: likelihood first, then the critic."""
        return self.likelihood_steps + self.options.adversarial_steps

    def step(self, number: int) -> dict[str, float]:
        """See `Learner`."""
        if number < self.likelihood_steps:
            return {"loss": self._likelihood_step(number)}
        losses = [self._critic_step(number, i) for i in range(self.options.critic_steps)]
        return {"critic": float(np.mean(losses)), "loss": self._generator_step(number)}

    def _made(self, number: int, turn: int) -> Tensor:
        """(n, length) tokens that the generator draws, start left out, padded after the end."""
        o = self.options
        how = Sampling(1.0, False, o.longest + 10, o.batch_size)
        drawn = self.net.sample(self.vocabulary, o.batch_size, how, generator_of(o.seed, DRAW, number, turn))
        longest = max(2, int((drawn != PAD).sum(1).max()))
        return torch.from_numpy(drawn[:, :longest].astype(np.int64))

    def _real(self, number: int, turn: int) -> Tensor:
        """(length, n) rows of training molecules, with start and end."""
        rng = np.random.default_rng([self.options.seed, REAL, number, turn])
        rows = rng.choice(len(self.library), self.options.batch_size, replace=False)
        return torch.from_numpy(self.library.padded(np.sort(rows)))

    def _critic_step(self, number: int, turn: int) -> float:
        o = self.options
        made, real = self._made(number, turn), self._real(number, turn)[1:].t()
        length = max(made.shape[1], real.shape[1])
        one_hot = [self._one_hot(nn.functional.pad(t, (0, length - t.shape[1]), value=PAD)) for t in (real, made)]
        scores = [self.critic(x)[x[:, :, PAD] == 0] for x in one_hot]
        loss = critic_loss(o.loss, *scores)
        if o.loss == "wasserstein" and o.penalty:
            noise = generator_of(o.seed, NOISE, number, turn)
            steep = gradient_penalty(lambda x: self.critic(x).mean(1), [one_hot[0]], [one_hot[1]], noise)
            loss = loss + o.penalty * steep
        return descend(loss, self.critic, self.critic_optimiser, "critic")

    def _one_hot(self, tokens: Tensor) -> Tensor:
        return nn.functional.one_hot(tokens, len(self.vocabulary)).float()

    def _generator_step(self, number: int) -> float:
        o = self.options
        made = self._made(number, o.critic_steps)
        mask = (made != PAD).float()
        with torch.no_grad():
            rewards = reward(o.loss, self.critic(self._one_hot(made)))
        worth = advantages(rewards, mask)
        rows = torch.cat([torch.full_like(made[:, :1], START), made], dim=1).t()
        chances = self.net.log_probabilities(rows).t()
        loss = -(worth * chances * mask).sum() / mask.sum()
        if o.likelihood:
            loss = loss + o.likelihood * self.net.loss(self._real(number, o.critic_steps))
        return descend(loss, self.net, self.adversary, "generator")


def advantages(rewards: Tensor, mask: Tensor, discount: float = DISCOUNT) -> Tensor:
    """(n, length) discounted return from each token on, less the mean of the batch at that place, in standard
    deviations; a token's reward is taken as how far it lies above the mean of all tokens, so that no length pays by itself.

    Args:
        rewards: (n, length) of each token.
        mask: (n, length) 1 where there is a token.
    """
    largest = (rewards * mask).abs().max()
    rewards = (rewards - (rewards * mask).sum() / mask.sum().clamp(min=1.0)) * mask
    returns = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[:, 0])
    for place in range(rewards.shape[1] - 1, -1, -1):
        ahead = rewards[:, place] + discount * ahead
        returns[:, place] = ahead
    mean = (returns * mask).sum(0) / mask.sum(0).clamp(min=1.0)
    centred = (returns - mean) * mask
    spread = torch.sqrt((centred**2).sum() / mask.sum().clamp(min=1.0))
    rounding = 1e-5 * (1.0 + largest)  # returns that are alike must not be told apart by their last digits
    return centred / torch.maximum(spread, rounding)


__all__ = ["END", "GeneratorGAN", "TokenCritic", "advantages"]
