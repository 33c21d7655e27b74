"""Exact similarity search: every row above a threshold, or the k most similar.

Rows lie sorted by their number of bits; for a query with a bits, a row with b bits can be at most min(a, b) / max(a, b) similar,
so that most sizes need no look. Source: S. J. Swamidass, P. Baldi, Bounds and algorithms for fast exact searches of chemical
fingerprints in linear and sublinear time. J Chem Inf Model 47:302 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.errors import OptionError

#: Most words of 64 bits per row: similarities stay exact, and counts fit 16 bits.
MOST_WORDS = 1023


@dataclass(frozen=True)
class Hits:
    """What a query found, most similar first, equal ones by place in the source.

    Attributes:
        rows: (k,) int64 places in the source.
        similarity: (k,) float64.
    """

    rows: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Library:
    """Rows of packed bits that can be searched.

    Attributes:
        bits: (n, words) uint64, ascending by number of bits; may lie on disk.
        sources: (n,) int64, the place of each row in the source.
        starts: (64 words + 2,) int64: rows with s bits are starts[s] ... starts[s + 1] - 1.
        facts: what whoever made it wrote down (JSON).
    """

    bits: np.ndarray
    sources: np.ndarray
    starts: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, bits: np.ndarray) -> Library:
        """A library of rows (n, words) uint64 in memory; row i is place i of the source."""
        bits = checked(bits)
        sizes = n_bits(bits)
        order = np.argsort(sizes, kind="stable")
        starts = np.searchsorted(sizes[order], np.arange(64 * bits.shape[1] + 2))
        return cls(np.ascontiguousarray(bits[order]), order.astype(np.int64), starts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.bits)

    def within(self, query: np.ndarray, threshold: float) -> Hits:
        """Every row at least `threshold` (above 0, at most 1) similar to a query (words,).

        Raises:
            OptionError: a threshold out of range, or a query of another width.
        """
        from osler.adapters.tanimoto import kernels

        query = self._query(query)
        if not 0.0 < threshold <= 1.0:
            raise OptionError(f"threshold of a similarity must be above 0 and at most 1, was {threshold:g}")
        own = int(n_bits(query[None])[0])
        needed = least_common(own, len(self.starts) - 1, threshold)
        reach = np.flatnonzero(needed <= np.arange(len(needed)))
        room = int((self.starts[reach + 1] - self.starts[reach]).sum())
        found, common = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.uint16)
        n = kernels.within(self.bits, self.starts, needed, query, found, common)
        found, common = found[:n], common[:n].astype(np.int64)
        sizes = np.searchsorted(self.starts, found, side="right") - 1
        return _ranked(self.sources[found], common / np.maximum(sizes + own - common, 1))

    def top(self, query: np.ndarray, k: int, threshold: float = 0.0) -> Hits:
        """The k rows most similar to a query (words,), those below `threshold` left out.

        Raises:
            OptionError: k below 1, or a query of another width.
        """
        from osler.adapters.tanimoto import kernels

        query = self._query(query)
        if k < 1:
            raise OptionError(f"number of hits must be at least 1, was {k}")
        k = min(k, len(self))
        similarity, rows = np.empty(k), np.empty(k, dtype=np.int64)
        n = kernels.top(self.bits, self.sources, self.starts, query, float(threshold), similarity, rows) if k else 0
        return _ranked(rows[:n], similarity[:n])

    def _query(self, query: np.ndarray) -> np.ndarray:
        query = np.ascontiguousarray(query, dtype=np.uint64)
        if query.shape != (self.bits.shape[1],):
            raise OptionError(
                f"query must have the library's {self.bits.shape[1]} words of 64 bits, its shape was {query.shape}"
            )
        return query


def checked(bits: np.ndarray) -> np.ndarray:
    """Rows as contiguous uint64 (n, words).

    Raises:
        OptionError: not a table of words, or wider than `MOST_WORDS`.
    """
    if bits.ndim != 2 or bits.dtype != np.uint64 or not 0 < bits.shape[1] <= MOST_WORDS:
        raise OptionError(
            f"packed bits must be uint64 words, rows by at most {MOST_WORDS}, they were {bits.dtype} of shape {bits.shape}"
        )
    return np.ascontiguousarray(bits)


def n_bits(bits: np.ndarray) -> np.ndarray:
    """(n,) int64 number of bits of rows (n, words)."""
    return np.bitwise_count(bits).sum(axis=1, dtype=np.int64)


def least_common(own: int, sizes: int, threshold: float) -> np.ndarray:
    """(sizes,) int64: bits that a row with s bits must have in common with a query of `own` bits to be `threshold` similar;
    more than s where it cannot be.
    """
    size = np.arange(sizes)
    need = np.maximum(np.floor(threshold * (own + size) / (1.0 + threshold)).astype(np.int64) - 1, 1)
    for _ in range(3):  # the exact test of the quotient moves the rounded bound by at most three
        need += need / np.maximum(own + size - need, 1) < threshold
    return np.where(need <= np.minimum(own, size), need, size + 1)


def similarities(bits: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(n,) Tanimoto similarity of rows (n, words) to one query (words,), without Numba; 0 for two empty rows."""
    common = n_bits(bits & query)
    return common / np.maximum(n_bits(bits) + int(n_bits(query[None])[0]) - common, 1)


def nearest(bits: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest similarity (n,) of rows (n, words) to any of `others` (m, words), and which of them it is (the first).

    Raises:
        OptionError: no others, or another width.
    """
    from osler.adapters.tanimoto import kernels

    bits, others = checked(bits), checked(others)
    if not len(others) or bits.shape[1] != others.shape[1]:
        raise OptionError(f"rows to compare with must be some of {bits.shape[1]} words, their shape was {others.shape}")
    similarity, which = np.empty(len(bits)), np.empty(len(bits), dtype=np.int64)
    kernels.nearest(bits, others, similarity, which)
    return similarity, which


def _ranked(rows: np.ndarray, similarity: np.ndarray) -> Hits:
    order = np.lexsort((rows, -similarity))
    return Hits(rows[order], similarity[order])
