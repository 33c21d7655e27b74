"""How alike rows are, for models that compare rows: numbers and levels by distance, counts by what they share.

Bins of one fingerprint (features of kind `count` whose names differ only in their last number) are compared by the
MinMax kernel, the sum of smaller counts over the sum of larger ones: Tanimoto's coefficient for bits (L. Ralaivola et
al., Neural Networks 18:1093, 2005). All other features are those of `Design`, and give a line and a bend (Matern).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from osler.blocks import Block, dense
from osler.models.base import Params
from osler.models.design import Design

#: A number further from the training mean than this many standard deviations counts as that far.
FAR = 4.0
#: With fewer rows than this, counts are compared row by row and not by products of matrices.
FEW = 24
#: What the kernels of numbers are called.
NUMBERS = ("line", "bend")

Family = tuple[str, int, int]


@dataclass(frozen=True)
class Rows:
    """n rows as kernels see them: `numbers` (n, p) and, per family of counts, (n, bins) uint8."""

    numbers: np.ndarray
    counts: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Rows:
        """Some rows (positions or mask)."""
        return Rows(self.numbers[rows], tuple(c[rows] for c in self.counts))


@dataclass(frozen=True)
class KernelDesign:
    """How blocks become `Rows`.

    Attributes:
        design: of the features that are no counts.
        families: (block, first, last + 1) of the bins of each fingerprint, among the count features of its block.
    """

    design: Design
    families: tuple[Family, ...]

    @classmethod
    def fit(cls, blocks: dict[str, Block]) -> KernelDesign:
        """Learn medians, scales and levels from training rows."""
        return cls(Design.fit(_without_counts(blocks)), tuple(_families(blocks)))

    @property
    def names(self) -> tuple[str, ...]:
        """The kernels that `between` gives, in order."""
        numbers = NUMBERS if self.design.names else ()
        return numbers + tuple(f"counts {i}" for i in range(len(self.families)))

    def rows(self, blocks: dict[str, Block]) -> Rows:
        """Rows of `blocks`; a missing number is its training median, a missing molecule shares nothing with others."""
        return Rows(self.numbers(blocks), self.counts(blocks))

    def numbers(self, blocks: dict[str, Block]) -> np.ndarray:
        """(n, p) standardised, within `FAR`."""
        return np.clip(self.design.matrix(_without_counts(blocks)), -FAR, FAR)

    def counts(self, blocks: dict[str, Block]) -> tuple[np.ndarray, ...]:
        """Per family (n, bins) uint8; a broken count, which some fingerprints have, is rounded up."""
        n, found = len(next(iter(blocks.values()))), []
        for name, first, last in self.families:
            block = blocks.get(name)
            if block is None:
                found.append(np.zeros((n, last - first), dtype=np.uint8))
                continue
            values = np.nan_to_num(block.values[:, _places(block)[first:last]])
            found.append(np.ceil(np.clip(values, 0, 255)).astype(np.uint8))
        return tuple(found)

    def to_params(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Meta (JSON) and arrays to put into `Params`."""
        meta, arrays = self.design.to_params()
        return {"design": meta, "families": [list(f) for f in self.families]}, arrays

    @classmethod
    def from_params(cls, params: Params) -> KernelDesign:
        """The inverse of `to_params`."""
        families = tuple((str(b), int(i), int(j)) for b, i, j in params.meta["families"])
        return cls(Design.from_params(params), families)


def between(names: tuple[str, ...], a: Rows, b: Rows) -> list[np.ndarray]:
    """One (n, m) matrix per kernel name: dot products and squared distances per column of the numbers, and what
    counts share.
    """
    found = of_numbers(a.numbers, b.numbers) if NUMBERS[0] in names else []
    return found + [minmax(x, y) for x, y in zip(a.counts, b.counts)]


def of_numbers(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Dot products and squared distances of rows (n, p) and (m, p), both over p."""
    dot = x @ y.T
    far = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2.0 * dot
    return [dot / x.shape[1], np.maximum(far, 0.0) / x.shape[1]]


def minmax(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) sum of smaller counts over sum of larger counts of rows of x and y; 0 where both are empty."""
    shared = _shared(x, y)
    either = x.sum(axis=1, dtype=np.int64)[:, None] + y.sum(axis=1, dtype=np.int64) - shared
    return shared / np.maximum(either, 1.0)


def _shared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) sums of smaller counts. A count c is c ones, so that one product per level of count does all pairs."""
    if len(x) < FEW:
        return np.array([np.minimum(y, row).sum(axis=1, dtype=np.int64) for row in x], dtype=np.float64).reshape(len(x), len(y))
    top = np.minimum(x.max(axis=0, initial=0), y.max(axis=0, initial=0))
    out = np.zeros((len(x), len(y)), dtype=np.float32)
    for level in range(int(top.max(initial=0))):
        bins = top > level
        out += (x[:, bins] > level).astype(np.float32) @ (y[:, bins] > level).astype(np.float32).T
    return out.astype(np.float64)


def _places(block: Block) -> np.ndarray:
    return np.flatnonzero(np.array([kind == "count" for kind in block.kinds], dtype=bool))


def _families(blocks: dict[str, Block]) -> list[Family]:
    found = []
    for name, block in blocks.items():
        if block.layout != "dense":
            continue
        stems = [re.sub(r"\d+$", "", block.names[i]) for i in _places(block)]
        first = 0
        for _, members in groupby(stems):
            last = first + len(list(members))
            found.append((name, first, last))
            first = last
    return found


def _without_counts(blocks: dict[str, Block]) -> dict[str, Block]:
    """Dense blocks of the other features; one block without features where there are none, for it tells the number of rows."""
    rest = {}
    for name, block in blocks.items():
        if block.layout != "dense":
            continue
        kept = [i for i, kind in enumerate(block.kinds) if kind != "count"]
        if kept:
            names, kinds = [block.names[i] for i in kept], [block.kinds[i] for i in kept]
            levels = [block.levels[i] for i in kept] if block.levels else None
            rest[name] = dense(block.values[:, kept], names, block.present, kinds, levels)
    return rest or {"": dense(np.zeros((len(next(iter(blocks.values()))), 0)), ())}
