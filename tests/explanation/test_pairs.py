"""Matched pairs on made-up parts: found, the smallest exchange kept, and the mean with its interval by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osler.explanation.pairs import Pair, changes_of, cliffs, mean_interval, pairs_of, per_kept, turned


def test_molecules_with_one_kept_part_in_common_are_a_pair():
    found = pairs_of([[("K", "F", 1)], [("K", "Cl", 1)], [("L", "F", 1)]])
    assert found == [Pair(0, 1, "K", "F", "Cl")]


def test_the_smallest_exchange_of_a_pair_counts():
    ways = [[("Kc", "OF", 2), ("K", "F", 1)], [("Kc", "OCl", 2), ("K", "Cl", 1)]]
    assert pairs_of(ways) == [Pair(0, 1, "K", "F", "Cl")]


def test_equal_parts_and_a_molecule_with_itself_are_no_pair():
    assert pairs_of([[("K", "F", 1)], [("K", "F", 1)]]) == []
    assert pairs_of([[("K", "F", 1), ("K", "Cl", 1)]]) == []


def test_kept_parts_of_crowds_are_left_out():
    crowd = [[("K", f"part {i}", 1)] for i in range(201)]
    assert pairs_of(crowd) == []


def witnesses() -> tuple[list[Pair], np.ndarray]:
    """F to Cl three times over three kept parts (one of them twice), H to F once."""
    values = np.array([1.0, 2.0, 0.0, 1.5, 2.0, 4.0, 2.0, 3.0, np.nan])
    pairs = [
        Pair(0, 1, "K", "F", "Cl"), Pair(2, 3, "L", "F", "Cl"), Pair(4, 5, "M", "F", "Cl"), Pair(4, 7, "M", "F", "Cl"),
        Pair(6, 7, "N", "F", "H"), Pair(0, 8, "O", "F", "Cl"),
    ]  # fmt: skip
    return pairs, values


def test_every_kept_part_counts_once_and_the_interval_is_students():
    pairs, values = witnesses()
    first, second = changes_of(pairs, values)
    # changes per kept part: K 1.0, L 1.5, M (2 + 1) / 2 = 1.5; the pair with a missing value is left out
    assert (first.before, first.after, first.n) == ("F", "Cl", 3)
    each = np.array([1.0, 1.5, 1.5])
    low, high = stats.t.interval(0.95, 2, each.mean(), stats.sem(each))
    assert (first.mean, first.low, first.high) == pytest.approx((each.mean(), low, high))
    assert len(first.pairs) == 4 and first.clear == first.low
    assert (second.n, second.mean) == (1, 1.0) and np.isnan(second.low) and second.clear == -np.inf


def test_the_direction_is_that_of_a_rise():
    values = np.array([3.0, 1.0])
    (change,) = changes_of([Pair(0, 1, "K", "F", "H")], values)
    assert (change.before, change.after, change.mean) == ("H", "F", 2.0)
    assert change.pairs == (Pair(1, 0, "K", "H", "F"),)
    assert turned(turned(change.pairs[0])) == change.pairs[0]


def test_cliffs_are_the_largest_changes_and_share_no_molecule():
    pairs, values = witnesses()
    found = cliffs(pairs, values, 3)
    assert [(p.first, p.second) for p in found] == [(4, 5), (2, 3), (0, 1)]
    assert cliffs(pairs, np.zeros(9), 3) == []
    assert cliffs([Pair(0, 1, "K", "F", "H")], np.array([3.0, 1.0]), 1) == [Pair(1, 0, "K", "H", "F")]


def test_few_values_have_no_interval():
    assert mean_interval(np.array([1.0, 3.0]))[0] == 2.0 and np.isnan(mean_interval(np.array([1.0, 3.0]))[1])
    np.testing.assert_allclose(per_kept(witnesses()[0][:4], witnesses()[1]), [1.0, 1.5, 1.5])
