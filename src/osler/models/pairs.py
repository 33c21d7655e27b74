"""Pairs of things (a molecule and a protein): which columns hold them, which are distinct, and how alike two are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.blocks import Block
from osler.errors import ColumnError

#: Counts are compared as so many of these levels as they reach, each with its weight: the sum is the count up to 8,
#: rounded down to a power of two.
LEVELS, WEIGHTS = (1, 2, 4, 8), (1, 1, 2, 4)
#: Largest count that is kept.
MOST = 8


def pair_of(blocks: dict[str, Block]) -> tuple[str, str]:
    """The names of the two columns that hold things: those with counts (fingerprints, stretches of a sequence).

    Raises:
        ColumnError: there are not two of them (`column-kind`).
    """
    names = [name for name, block in blocks.items() if "count" in block.kinds]
    if len(names) != 2:
        raise ColumnError(
            f"a model of pairs must be given two columns of things (a molecule and a protein), was given {len(names)}: "
            "name them with --column NAME=molecule and --column NAME=protein, or choose another model",
            "column-kind",
        )
    return names[0], names[1]


@dataclass(frozen=True)
class Things:
    """The distinct things of a column.

    Attributes:
        counts: (d, p) uint8, counts up to `MOST`.
        code: (n,) int64 place of each row's thing, −1 where the cell is missing.
    """

    counts: np.ndarray
    code: np.ndarray

    def with_none(self) -> Things:
        """With one more thing, without any counts, in the place of missing cells."""
        none = np.zeros((1, self.counts.shape[1]), dtype=np.uint8)
        return Things(np.concatenate([self.counts, none]), np.where(self.code < 0, len(self.counts), self.code))

    @classmethod
    def of(cls, block: Block) -> Things:
        """The things of a dense block, in the order in which they come first; two are the same if all counts are."""
        cells: dict[bytes, int] = {}
        there = zip(block.values, block.present)
        cell = np.array([cells.setdefault(row.tobytes(), len(cells)) if ok else -1 for row, ok in there], dtype=np.int64)
        columns = np.flatnonzero(np.array(block.kinds) == "count")
        distinct = block.values[_firsts(cell, len(cells))][:, columns]
        counts = np.clip(np.rint(np.nan_to_num(distinct)), 0, MOST).astype(np.uint8)
        places: dict[bytes, int] = {}
        place = np.array([places.setdefault(row.tobytes(), len(places)) for row in counts] + [-1], dtype=np.int64)
        return cls(counts[_firsts(place[:-1], len(places))], place[cell])


def _firsts(code: np.ndarray, n: int) -> np.ndarray:
    """(n,) the first position of each code 0, ..., n - 1."""
    first = np.zeros(n, dtype=np.int64)
    at = np.flatnonzero(code >= 0)[::-1]
    first[code[at]] = at
    return first


def alike(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(m, d) likeness, 0 to 1, of counts (m, p) and (d, p): the sum of smaller counts over the sum of larger ones.

    Counts are taken as `LEVELS` says. It is Tanimoto's (Jaccard's) coefficient where counts are 0 or 1.
    """
    common = np.zeros((len(rows), len(kept)))
    size = [np.zeros(len(rows)), np.zeros(len(kept))]
    for level, weight in zip(LEVELS, WEIGHTS):
        one, other = ((c >= level).astype(np.float32) for c in (rows, kept))
        common += weight * (one @ other.T)
        size[0] += weight * one.sum(axis=1)
        size[1] += weight * other.sum(axis=1)
    return common / np.maximum(size[0][:, None] + size[1][None, :] - common, 1.0)


@dataclass(frozen=True)
class Asked:
    """Things that are asked about, beside the things of training.

    Attributes:
        alike: (a, d) likeness beyond chance to each thing of training.
        own: (a,) place among the things of training, −1 for a thing that training did not have.
    """

    alike: np.ndarray
    own: np.ndarray


@dataclass(frozen=True)
class Known:
    """The things of training of one column.

    Attributes:
        counts: (d, p) uint8.
        chance: the likeness that two of them have anyway: the median over pairs.
        middle: (d,) mean likeness of each thing to all.
        axes: (d, k) loadings of a principal coordinates analysis (J. C. Gower, Biometrika 53:325, 1966) of likeness.
        square: (d, d) likeness beyond chance of the things to one another, where it is at hand; it is not stored.
    """

    counts: np.ndarray
    chance: float
    middle: np.ndarray
    axes: np.ndarray
    square: np.ndarray | None = None

    @classmethod
    def of(cls, counts: np.ndarray, k: int) -> Known:
        """Likenesses and up to `k` axes of distinct things."""
        square = alike(counts, counts)
        apart = square[~np.eye(len(square), dtype=bool)]
        by_chance = float(np.median(apart)) if len(apart) else 0.0
        square = beyond_chance(square, by_chance)
        middle = square.mean(axis=0)
        centred = square - middle[:, None] - middle[None, :] + middle.mean()
        weight, vectors = np.linalg.eigh(centred)
        first = np.argsort(-weight, kind="stable")[:k]
        first = first[weight[first] > 1e-9 * max(float(weight.max(initial=0.0)), 1e-9)]
        vectors = vectors[:, first]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(first))])
        return cls(counts, by_chance, middle, vectors / np.sqrt(weight[first]), square)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes."""
        return {"counts": self.counts, "chance": np.array([self.chance]), "middle": self.middle, "axes": self.axes}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], name: str) -> Known:
        """The things stored under a name."""
        counts, by_chance, middle, axes = (arrays[f"{name}/{k}"] for k in ("counts", "chance", "middle", "axes"))
        return cls(counts, float(by_chance[0]), middle, axes)

    def asked(self, counts: np.ndarray | None = None, without: np.ndarray | None = None) -> Asked:
        """Things by their counts (a, p), or the things of training themselves, those of places `without` as if training
        did not have them.
        """
        if counts is None:
            own = np.arange(len(self.counts))
            own[[] if without is None else without] = -1
            square = self.square
            if square is None:
                square = beyond_chance(alike(self.counts, self.counts), self.chance)
            return Asked(square, own)
        places = {row.tobytes(): i for i, row in enumerate(self.counts)}
        own = np.array([places.get(row.tobytes(), -1) for row in counts], dtype=np.int64)
        return Asked(beyond_chance(alike(counts, self.counts), self.chance), own)

    def places(self, likeness: np.ndarray) -> np.ndarray:
        """(a, k) where things of these likenesses (a, d) to those of training lie on the axes."""
        centred = likeness - likeness.mean(axis=1, keepdims=True) - self.middle + self.middle.mean()
        return centred @ self.axes


def beyond_chance(likeness: np.ndarray, by_chance: float) -> np.ndarray:
    """Likeness in excess of what chance gives, 0 to 1."""
    return np.clip((likeness - by_chance) / max(1.0 - by_chance, 1e-9), 0.0, 1.0)
