"""A language model of SMILES: one recurrent layer that gives the next token; likelihood, and sampling in batches.

M. Segler et al., ACS Central Science 4:120 (2018); the temperature divides the logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osler.models.neural.generation.grammar import Grammar
from osler.models.neural.generation.recurrence import TokenGRU
from osler.models.neural.generation.tokens import END, PAD, START, Vocabulary


@dataclass(frozen=True)
class Sampling:
    """How molecules are drawn.

    Attributes:
        temperature: below 1 the likely becomes likelier.
        grammar: keep brackets and ring numbers in order (see `grammar`).
        longest: tokens after which a string is cut off (it is then no molecule).
        batch: strings that grow at once.
        least: a token whose chance is below this share of the likeliest one's is not drawn; 0 draws all.
    """

    temperature: float = 1.0
    grammar: bool = True
    longest: int = 128
    batch: int = 1000
    least: float = 0.0


class LanguageModel(nn.Module):
    """p(token | tokens before it).

    Args:
        n_tokens: size of the vocabulary.
        width: of the recurrent state.
        half: matrix products in bfloat16.
    """

    def __init__(self, n_tokens: int, width: int, half: bool = False) -> None:
        super().__init__()
        self.recurrence = TokenGRU(n_tokens, width, half)
        self.output = nn.Linear(width, n_tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (steps, n, tokens) of the token after each of (steps, n)."""
        return self.output(self.recurrence(tokens))

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats per token of (length, n) padded rows."""
        logits = self(tokens[:-1])
        return nn.functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), ignore_index=PAD)

    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """(length - 1, n) log p of each token after the first."""
        logits = self(tokens[:-1])
        return -nn.functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), reduction="none").view_as(
            tokens[1:]
        )

    def sample(self, vocabulary: Vocabulary, n: int, how: Sampling, generator: torch.Generator) -> np.ndarray:
        """(n, longest) int16 drawn token numbers, without start, padded after their end."""
        parts = [
            self._grow(vocabulary, min(how.batch, n - at), how, generator) for at in range(0, n, how.batch)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, how.longest), np.int16)

    @torch.no_grad()
    def _grow(self, vocabulary: Vocabulary, n: int, how: Sampling, generator: torch.Generator) -> np.ndarray:
        device = self.output.weight.device
        out = torch.full((n, how.longest), PAD, dtype=torch.int16)
        alive = torch.arange(n)
        token = torch.full((n,), START, device=device)
        state = torch.zeros(n, self.recurrence.width, device=device)
        grammar: Any = Grammar(vocabulary, n, device) if how.grammar else None
        for place in range(how.longest):
            state = self.recurrence.step(token, state)
            logits = self.output(state) / how.temperature
            logits[:, [PAD, START]] = -torch.inf
            if grammar is not None:
                logits = logits.masked_fill(~grammar.landing(grammar.allowed(), how.longest - place), -torch.inf)
            if how.least:
                faint = logits < logits.max(dim=1, keepdim=True).values + math.log(how.least)
                logits = logits.masked_fill(faint, -torch.inf)
            noise = torch.empty_like(logits).exponential_(generator=generator)
            token = (logits - noise.log()).argmax(dim=1)
            out[alive, place] = token.cpu().to(torch.int16)
            going = torch.nonzero(token != END).squeeze(1)
            if not len(going):
                break
            if grammar is not None:
                grammar.take(token)
            if len(going) < len(token):
                alive, token, state = alive[going.cpu()], token[going], state[going]
                if grammar is not None:
                    grammar.keep(going)
        return out.numpy()
