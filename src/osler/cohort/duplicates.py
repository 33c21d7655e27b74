"""The same person under two numbers: copies and near copies of rows, found by blocking and judged by evidence.

Candidates are rows that agree on one of many random sets of columns (numbers exactly or in wide bins, texts by the
smallest hash of their letter pairs), so that a few altered cells hide no pair. Each candidate is scored in bits
(`osler.cohort.agreement`), and called a duplicate if the evidence outweighs the number of pairs that there are:

    bits ≥ log2(n) + 16, and agreement on at least 65 % of the information that both rows hold

which leaves odds of about 1,000 : 1 for a table in which one row in a hundred is a copy. The second condition is for
wide tables, where two persons of one kind agree on many columns that say the same and differ in all others. Tables
whose columns are too coarse for any pair to reach that are reported as not checked; chance agreement is never called a
duplicate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from osler.cohort.agreement import Field, agreed, bits_of, fields_of, most_bits
from osler.cohort.cohort import Cohort
from osler.cohort.split import components, groups_of

#: Rows above which the search is not tried.
MOST_ROWS = 2_000_000

#: Bits beyond log2(n) that a pair must reach.
MARGIN = 16.0

#: Share of the information in their common cells on which two rows must agree.
AGREED = 0.65

_TABLES, _WINDOW, _CHUNK, _BIN = 48, 10, 200_000, 0.25


@dataclass(frozen=True)
class Pairs:
    """Near duplicates.

    Attributes:
        positions: (m, 2) int64, first < second, by position in the cohort; rows of one unit are never listed.
        score: (m,) bits of evidence that the two rows are one person.
        exact: (m,) bool, true where all compared cells are equal.
        checked: whether the table could be searched.
        reason: why not, otherwise "".
        threshold: bits that a pair had to reach.
    """

    positions: np.ndarray
    score: np.ndarray
    exact: np.ndarray
    checked: bool
    reason: str
    threshold: float

    def __len__(self) -> int:
        return len(self.positions)


def near_duplicates(
    cohort: Cohort, groups: np.ndarray | None = None, rng: np.random.Generator | None = None
) -> Pairs:
    """Pairs of rows of different units that are the same person.

    Args:
        groups: (n,) codes of the units; default `groups_of(cohort)`.
        rng: draws the column sets; default a fixed seed, so that the answer is the same every time.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    groups = groups_of(cohort) if groups is None else groups
    n = len(cohort)
    threshold = float(np.log2(max(n, 2)) + MARGIN)
    if n > MOST_ROWS:
        return _none(f"more than {MOST_ROWS:,} rows", threshold)
    fields = fields_of(cohort, rng)
    most = most_bits(fields)
    if n < 2 or not fields or np.median(most) < threshold:
        typical = float(np.median(most)) if len(most) else 0.0
        reason = f"the columns cannot tell persons apart (a row carries {typical:.0f} bits, {threshold:.0f} are needed)"
        return _none(reason, threshold)
    found = [_judged(fields, groups, c, threshold) for c in _candidates(fields, groups, rng)]
    keys = np.unique(np.concatenate([first * n + second for first, second in found]))
    first, second = keys // n, keys % n
    enough = agreed(fields, first, second) >= AGREED
    first, second = first[enough], second[enough]
    exact = np.ones(len(first), dtype=bool)
    for field in fields:
        exact &= field.code[first] == field.code[second]
    return Pairs(np.stack([first, second], axis=1), bits_of(fields, first, second), exact, True, "", threshold)


def merged_groups(cohort: Cohort, groups: np.ndarray, *, pairs: Pairs | None = None) -> tuple[np.ndarray, int]:
    """Units joined where they hold near duplicates, so that no split can divide one person.

    Returns:
        (n,) int64 codes, and by how many the number of units fell.
    """
    pairs = near_duplicates(cohort, groups) if pairs is None else pairs
    order = np.argsort(groups, kind="stable")
    same = groups[order][1:] == groups[order][:-1]
    chain = np.stack([order[:-1][same], order[1:][same]])
    merged = components(len(groups), np.concatenate([chain, pairs.positions.T], axis=1))
    return merged, len(np.unique(groups)) - len(np.unique(merged))


def _none(reason: str, threshold: float) -> Pairs:
    nothing = np.empty(0)
    return Pairs(np.empty((0, 2), dtype=np.int64), nothing, nothing.astype(bool), False, reason, threshold)


def _judged(
    fields: list[Field], groups: np.ndarray, candidates: tuple[np.ndarray, np.ndarray], threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.minimum(*candidates), np.maximum(*candidates)
    keep = [np.empty(0, dtype=bool)]
    for at in range(0, len(first), _CHUNK):
        keep.append(bits_of(fields, first[at : at + _CHUNK], second[at : at + _CHUNK]) >= threshold)
    kept = np.concatenate(keep)
    return first[kept], second[kept]


def _candidates(
    fields: list[Field], groups: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (m,) and (m,) positions of rows of different units that share a block, one column set after the other."""
    n = len(groups)
    everything = np.zeros(n, dtype=np.uint64)
    for field in fields:
        everything = _mixed(everything, field.code)
    yield _neighbours(everything, np.arange(n), groups)
    hashes = {f.name: _gram_hashes(f) for f in fields if f.kind == "text"}
    wanted = np.log2(n) + 3.0
    for _ in range(_TABLES):
        key, usable = np.zeros(n, dtype=np.uint64), np.ones(n, dtype=bool)
        gained = 0.0
        bits = np.array([f.bits.mean() for f in fields]) + 1e-3
        for at in rng.choice(len(fields), len(fields), replace=False, p=bits / bits.sum()):
            code = _block_code(fields[at], hashes, rng)
            key, usable = _mixed(key, code), usable & (code >= 0)
            gained += _spread_bits(code)
            if gained >= wanted:
                break
        rows = np.flatnonzero(usable)
        yield _neighbours(key[rows], rows, groups)


def _block_code(field: Field, hashes: dict, rng: np.random.Generator) -> np.ndarray:
    """(n,) codes that two records of one person are likely to share, −1 where missing."""
    exactly, shift, salt = rng.random() < 0.5, rng.random(), int(rng.integers(1, 2**31)) * 2 + 1
    if field.kind == "text":
        grams, starts = hashes[field.name]
        least = np.minimum.reduceat((grams * np.uint64(salt)) >> np.uint64(24), starts)
        return np.where(field.code >= 0, least[field.code].astype(np.int64), -1)
    if exactly or not len(field.value):
        return field.code
    return np.where(field.code >= 0, np.floor(np.nan_to_num(field.value) / _BIN + shift).astype(np.int64) + 2**40, -1)


def _gram_hashes(field: Field) -> tuple[np.ndarray, np.ndarray]:
    """The set bits of every text's bit map as hashes (ragged), and where each text starts."""
    bits = np.unpackbits(field.grams.view(np.uint8), axis=1)
    bits[bits.sum(axis=1) == 0, 0] = 1
    text, gram = np.nonzero(bits)
    starts = np.searchsorted(text, np.arange(len(bits)))
    return (gram.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15), starts


def _spread_bits(code: np.ndarray) -> float:
    known = code[code >= 0]
    if not len(known):
        return 0.0
    share = np.unique(known, return_counts=True)[1] / len(known)
    return float(-(share * np.log2(share)).sum())


def _mixed(key: np.ndarray, code: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        mixed = (key ^ code.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))


def _neighbours(key: np.ndarray, rows: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of equal key and different units; in a large block each row meets the next ten only."""
    order = np.argsort(key, kind="stable")
    key, rows = key[order], rows[order]
    first, second = [], []
    for lag in range(1, _WINDOW + 1):
        if lag >= len(key):
            break
        same = (key[lag:] == key[:-lag]) & (groups[rows[lag:]] != groups[rows[:-lag]])
        first.append(rows[:-lag][same])
        second.append(rows[lag:][same])
    nothing = np.empty(0, dtype=np.int64)
    return np.concatenate([nothing, *first]), np.concatenate([nothing, *second])
