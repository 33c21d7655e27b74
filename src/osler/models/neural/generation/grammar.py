"""What may come next in a SMILES: brackets that close, ring numbers that pair, a molecule that ends only when both
have.

Only the grammar is kept, never chemistry: a string that passes may still have a carbon with five bonds. The rules are
masks on the next token of many strings at once. Grammar: OpenSMILES specification 1.0, section 3.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from osler.models.neural.generation.tokens import END, PAD, START, Vocabulary

#: What a token is.
ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP, BEGIN = range(8)
#: Kind of the last token → kinds that may follow it.
FOLLOWS = {
    BEGIN: (ATOM,),
    ATOM: (ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP),
    BOND: (ATOM, RING),
    OPEN: (ATOM, BOND),
    CLOSE: (ATOM, BOND, OPEN, CLOSE),
    RING: (ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP),
    DOT: (ATOM,),
    STOP: (STOP,),
}


def kind_of(token: str) -> int:
    """What a token's text is."""
    if re.fullmatch(r"%?\d+", token):
        return RING
    return {"(": OPEN, ")": CLOSE, ".": DOT}.get(token, BOND if token in "=#$:/\\~-" else ATOM)


class Grammar:
    """The state of n strings that grow token by token.

    Args:
        vocabulary: the tokens.
        n: strings.
        device: where the masks lie.
    """

    def __init__(self, vocabulary: Vocabulary, n: int, device: torch.device) -> None:
        kinds = [BEGIN, BEGIN, STOP, *(kind_of(t) for t in vocabulary.tokens[3:])]
        self._kinds = torch.tensor(kinds, device=device)
        follows = torch.zeros(8, 8, dtype=torch.bool)
        for kind, after in FOLLOWS.items():
            follows[kind, list(after)] = True
        self._follows = follows.to(device)[:, self._kinds]
        self._follows[:, [PAD, START]] = False
        rings = [int(t.strip("%")) if kind_of(t) == RING else -1 for t in vocabulary.tokens]
        self._ring = torch.tensor(rings, device=device)
        self._last = torch.full((n,), BEGIN, device=device)
        self._depth = torch.zeros(n, dtype=torch.long, device=device)
        self._open = torch.zeros(n, 100, dtype=torch.bool, device=device)
        self._since = torch.full((n, 100), 99, dtype=torch.long, device=device)

    def allowed(self) -> Tensor:
        """(n, tokens) bool: what may come next."""
        mask = self._follows[self._last].clone()
        unfinished = (self._depth > 0) | self._open.any(dim=1)
        mask[:, END] &= ~unfinished
        mask &= ~((self._kinds == CLOSE) & (self._depth == 0)[:, None])
        mask &= ~((self._kinds == DOT) & unfinished[:, None])
        number = self._ring.clamp(min=0)
        too_soon = self._open[:, number] & (self._since[:, number] < 2) & (self._ring >= 0)
        return mask & ~too_soon

    def take(self, token: Tensor) -> None:
        """Grow every string by one token (n,)."""
        kind = self._kinds[token]
        self._depth += (kind == OPEN).long() - (kind == CLOSE).long()
        self._since += (kind == ATOM).long()[:, None]
        rows = torch.nonzero(kind == RING).squeeze(1)
        number = self._ring[token[rows]]
        self._open[rows, number] = ~self._open[rows, number]
        self._since[rows, number] = 0
        self._last = kind

    def keep(self, rows: Tensor) -> None:
        """Go on with these strings only."""
        self._last, self._depth = self._last[rows], self._depth[rows]
        self._open, self._since = self._open[rows], self._since[rows]
