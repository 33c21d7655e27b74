"""Concordance of a risk with censored times, in O(n log^2 n) operations of numpy, with intervals that respect units.

A pair counts if it is known who came first: i has an event, and j is still followed after it, or is censored at the
very same time. Two events at one time do not count; equal risks count half.

Sources: Harrell, Lee & Mark 1996 (Stat Med 15:361); Uno et al. 2011 (Stat Med 30:1105), which weighs a pair by
1 / G(t_i)^2 and so does not depend on how people were censored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from osler.evaluation import intervals

#: Risks that differ by less than this count as equal (as in scikit-survival).
TIED = 1e-8


@dataclass(frozen=True)
class Concordance:
    """A concordance and what it rests on.

    Attributes:
        value: share of pairs in the right order, NaN if there are none.
        n_pairs: (weighted) number of pairs that count.
        influence: (n,) how much each row moves the value: its sampling variance is the sum over units of squared sums.
    """

    value: float
    n_pairs: float
    influence: np.ndarray

    def interval(self, groups: np.ndarray | None = None, level: float = intervals.LEVEL) -> tuple[float, float]:
        """Confidence limits by the infinitesimal jackknife over units, on the logit scale.

        Args:
            groups: (n,) codes of the unit of independence; None: every row is its own.

        Returns:
            low, high; (nan, nan) where the value is not inside (0, 1).
        """
        if not 0.0 < self.value < 1.0:
            return math.nan, math.nan
        code = intervals.codes(groups, len(self.influence))
        moved = np.bincount(code, weights=self.influence)
        units = len(moved)
        error = math.sqrt(float(moved @ moved) * units / max(units - 1, 1)) / (self.value * (1.0 - self.value))
        centre, half = math.log(self.value / (1.0 - self.value)), intervals.normal_quantile(level) * error
        return 1.0 / (1.0 + math.exp(-(centre - half))), 1.0 / (1.0 + math.exp(-(centre + half)))


def concordance(
    time: np.ndarray,
    event: np.ndarray,
    risk: np.ndarray,
    weight: np.ndarray | None = None,
    event_weight: np.ndarray | None = None,
) -> Concordance:
    """Harrell's C, or with `event_weight` any C that weighs a pair by who has the event in it.

    Args:
        time: (n,) durations. event: (n,) bool. risk: (n,) higher means earlier.
        weight: (n,) case weights, or None.
        event_weight: (n,) extra weight of a pair by its row with the event; 0 leaves the row's pairs out.
    """
    n = len(time)
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    u = w * np.asarray(event, dtype=np.float64)
    if event_weight is not None:
        u = u * event_weight
    rank, place = _ranked(risk), _places(time, event)
    below, tied, compared = _earlier(place, rank, w)
    right, pairs = u * (below + 0.5 * tied), u * compared
    total, n_pairs = float(right.sum()), float(pairs.sum())
    if n_pairs <= 0:
        return Concordance(math.nan, 0.0, np.zeros(n))
    above, level, against = _earlier(place.max() - place, rank.max() - rank, u)
    right_of = right + w * (above + 0.5 * level)
    pairs_of = pairs + w * against
    value = total / n_pairs
    return Concordance(value, n_pairs, (right_of - value * pairs_of) / n_pairs)


def concordance_of_numbers(y: np.ndarray, answer: np.ndarray, weight: np.ndarray | None = None) -> Concordance:
    """Share of pairs of rows with unequal y (n,) whose answers (n,) are in the same order, equal answers counted half: the
    concordance index of affinity (M. Gönen, G. Heller, Biometrika 92:965, 2005).
    """
    y = np.asarray(y, dtype=np.float64)
    return concordance(-y, np.ones(len(y), dtype=bool), np.asarray(answer, dtype=np.float64), weight)


def _ranked(risk: np.ndarray) -> np.ndarray:
    """(n,) dense ranks; neighbours closer than `TIED` share one."""
    order = np.argsort(risk, kind="stable")
    step = np.diff(np.asarray(risk, dtype=np.float64)[order]) > TIED
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.concatenate([[0], np.cumsum(step)]) if len(order) else 0
    return rank


def _places(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """(n,) place from the last to the first; at one time censored rows come before events, which share a place."""
    order = np.lexsort((event, -np.asarray(time, dtype=np.float64)))
    t, e = np.asarray(time)[order], np.asarray(event, dtype=bool)[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(np.append(False, (np.diff(t) != 0) | (e[1:] != e[:-1]))) if len(order) else 0
    return place


def _earlier(place: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row the weight of the rows at earlier places: of lower rank (n,), of equal rank (n,), and of all (n,).

    Places are halved bit by bit: at each level rows of a left half are earlier than those of its right half, and one
    sort by rank with a running sum counts them.
    """
    n = len(place)
    less, at_most = np.zeros(n), np.zeros(n)
    for bit in range(int(place.max(initial=0)).bit_length()):
        block, right = place >> (bit + 1), (place >> bit) & 1
        for out, right_key in ((less, 1 - right), (at_most, right)):
            order = np.lexsort((right_key, rank, block))
            left_weight = np.where(right[order] == 0, weight[order], 0.0)
            running = np.cumsum(left_weight)
            starts = np.flatnonzero(np.diff(block[order], prepend=-1))
            base = np.repeat(running[starts] - left_weight[starts], np.diff(np.append(starts, n)))
            later = right[order] == 1
            out[order[later]] += (running - base)[later]
    by_place = np.bincount(place, weights=weight)
    return less, at_most - less, (np.cumsum(by_place) - by_place)[place]
