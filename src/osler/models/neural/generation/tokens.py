"""SMILES as rows of token numbers: the field's regular expression, one vocabulary per library, batches of like length.

Tokeniser: P. Schwaller et al., ACS Central Science 5:1572 (2019), as a regular expression over bracket atoms,
two-letter elements, ring numbers and bonds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from osler.errors import InputError

TOKEN = re.compile(r"\[[^\]]+\]|Br|Cl|%\d\d|[BCNOPSFIbcnops]|[0-9]|[().=#$:/\\~+\-@*]")
#: Places of the tokens that no SMILES has; the others follow in the order of their text.
PAD, START, END = 0, 1, 2
SPECIAL = ("<pad>", "<start>", "<end>")


def tokenise(smiles: str) -> list[str]:
    """The tokens of a SMILES.

    Raises:
        InputError: a character is part of no token (the text itself is not shown).
    """
    found = TOKEN.findall(smiles)
    if sum(map(len, found)) != len(smiles):
        raise InputError("a SMILES must be made of known tokens, one has another character: check it with osler look")
    return found


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a generator knows.

    Attributes:
        tokens: text of each number; the first three are padding, start and end.
    """

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, library: Sequence[Sequence[str]], rarest: int = 1) -> Vocabulary:
        """Every token that occurs in at least `rarest` molecules of a tokenised library."""
        seen = Counter(token for molecule in library for token in set(molecule))
        return cls((*SPECIAL, *sorted(t for t, n in seen.items() if n >= rarest)))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def number(self) -> dict[str, int]:
        """Token → its number."""
        return {token: i for i, token in enumerate(self.tokens)}

    def knows(self, tokens: Sequence[str]) -> bool:
        """Whether every token is in the vocabulary."""
        return all(token in self.number for token in tokens)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """(len + 2,) int16: start, the tokens, end."""
        return np.array([START, *(self.number[t] for t in tokens), END], dtype=np.int16)

    def decode(self, rows: np.ndarray) -> list[str]:
        """Text of each row of (n, length) numbers, up to its end."""
        found = []
        for row in rows:
            stop = np.flatnonzero(row == END)
            found.append("".join(self.tokens[i] for i in row[: stop[0] if len(stop) else None] if i > END))
        return found


@dataclass(frozen=True)
class Encoded:
    """A library as numbers.

    Attributes:
        flat: all rows one after the other, int16, each with start and end.
        starts: (n + 1,) where each row begins.
    """

    flat: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> Encoded:
        """Rows put one after the other."""
        flat = np.concatenate(rows) if len(rows) else np.zeros(0, np.int16)
        return cls(flat, np.concatenate([[0], np.cumsum([len(r) for r in rows], dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(n,) tokens of each row, start and end counted."""
        return np.diff(self.starts)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """(length, n) int64 of these rows, padded at the end: time first, as a recurrence reads it."""
        lengths = self.lengths[rows]
        out = np.full((int(lengths.max()), len(rows)), PAD, dtype=np.int64)
        for column, row in enumerate(rows):
            out[: lengths[column], column] = self.flat[self.starts[row] : self.starts[row + 1]]
        return out

    def batches(self, size: int, rng: np.random.Generator, pool: int = 32) -> list[np.ndarray]:
        """Row numbers of one epoch's batches: shuffled, sorted by length within pools of `pool` batches, whole batches
        shuffled again, so that little of a batch is padding. What does not fill a batch is left for another epoch.
        """
        order = rng.permutation(len(self))
        found = []
        for at in range(0, len(order), size * pool):
            part = order[at : at + size * pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            found += [part[i : i + size] for i in range(0, len(part), size)]
        full = [b for b in found if len(b) == size] or found
        return [full[i] for i in rng.permutation(len(full))]
