"""Matched molecular pairs: what one exchange did to a measured value, over all pairs of molecules that differ in it.

A pair differs in one part (J. Hussain, C. Rea, J Chem Inf Model 50:339, 2010); of the ways to see it, the smallest
exchange counts. Pairs of one kept part are no independent witnesses, so each kept part counts once, by its mean change:
n is the number of kept parts, and the interval is Student's of their mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

#: Kept parts that an exchange needs to have an interval.
LEAST = 3
#: Molecules that share one kept part, at most: a kept part of thousands (a methyl of a peptide) says nothing.
MOST_SHARING = 200


@dataclass(frozen=True)
class Pair:
    """Two molecules (positions) that differ in one part."""

    first: int
    second: int
    kept: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """What an exchange did.

    Attributes:
        before, after: SMILES of the parts; the mean change from before to after is not negative.
        n: different kept parts. mean, low, high: change of the value with its 95 % interval (NaN where n < 3).
        pairs: the pairs, in this direction.
    """

    before: str
    after: str
    n: int
    mean: float
    low: float
    high: float
    pairs: tuple[Pair, ...]

    @property
    def clear(self) -> float:
        """How far the interval lies from 0; negative where it holds 0, minus infinity without one."""
        return self.low if np.isfinite(self.low) else -np.inf


def pairs_of(parts: Sequence[Iterable[tuple[str, str, int]]]) -> list[Pair]:
    """The pairs among n molecules, each by its smallest exchange.

    Args:
        parts: per molecule its (kept part, exchanged part, size of the exchanged part).
    """
    held: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for i, ways in enumerate(parts):
        for kept, changed, size in ways:
            held[kept][changed][i] = size
    smallest: dict[tuple[int, int], tuple[int, Pair]] = {}
    for kept in sorted(held):
        by_part = held[kept]
        if len(by_part) < 2 or sum(map(len, by_part.values())) > MOST_SHARING:
            continue
        for before, after in combinations(sorted(by_part), 2):
            for i, size in by_part[before].items():
                for j, other in by_part[after].items():
                    if i == j:
                        continue
                    pair = Pair(i, j, kept, before, after) if i < j else Pair(j, i, kept, after, before)
                    key = (pair.first, pair.second)
                    if key not in smallest or size + other < smallest[key][0]:
                        smallest[key] = (size + other, pair)
    return [pair for _, pair in (smallest[key] for key in sorted(smallest))]


def changes_of(pairs: Sequence[Pair], values: np.ndarray) -> list[Change]:
    """Every exchange with what it did, those whose interval lies farthest from 0 first.

    Args:
        values: (n,) of the molecules; pairs with a value that is NaN are left out.
    """
    grouped: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if np.isnan(values[pair.first]) or np.isnan(values[pair.second]):
            continue
        if pair.before > pair.after:
            pair = turned(pair)
        grouped[pair.before, pair.after].append(pair)
    found = [_change(before, after, some, values) for (before, after), some in sorted(grouped.items())]
    return sorted(found, key=lambda c: (-c.clear, -c.n, -c.mean, c.before, c.after))


def turned(pair: Pair) -> Pair:
    """The same pair in the other direction."""
    return Pair(pair.second, pair.first, pair.kept, pair.after, pair.before)


def cliffs(pairs: Sequence[Pair], values: np.ndarray, most: int) -> list[Pair]:
    """The pairs with the largest change, from the lower to the higher value, no molecule in two of them."""
    known = [p for p in pairs if not np.isnan(values[p.first]) and not np.isnan(values[p.second])]
    known = [p if values[p.second] >= values[p.first] else turned(p) for p in known]
    known.sort(key=lambda p: (-(values[p.second] - values[p.first]), p.first, p.second))
    found, used = [], set()
    for pair in known:
        if len(found) == most or values[pair.second] == values[pair.first]:
            break
        if not used & {pair.first, pair.second}:
            found.append(pair)
            used |= {pair.first, pair.second}
    return found


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean with Student's 95 % interval; NaN limits for fewer than `LEAST` values."""
    from scipy.stats import t

    mean, n = float(values.mean()), len(values)
    if n < LEAST:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def per_kept(pairs: Sequence[Pair], values: np.ndarray) -> np.ndarray:
    """(n,) mean change of every kept part, in the order of their texts."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        grouped[pair.kept].append(values[pair.second] - values[pair.first])
    return np.array([np.mean(grouped[kept]) for kept in sorted(grouped)])


def _change(before: str, after: str, pairs: list[Pair], values: np.ndarray) -> Change:
    each = per_kept(pairs, values)
    if each.mean() < 0:
        before, after, pairs, each = after, before, [turned(p) for p in pairs], -each
    return Change(before, after, len(each), *mean_interval(each), tuple(pairs))
