"""Diverse picks: by hand on sets that can be seen through, and by their own definition on random rows."""

from __future__ import annotations

import numpy as np
import pytest

from osler.adapters.tanimoto import diverse
from osler.adapters.tanimoto.search import similarities
from osler.errors import OptionError
from tests.adapters.tanimoto.test_search import pack

pytest.importorskip("numba")
ROWS = pack([{0, 1, 2}, {0, 1, 2, 3}, {10, 11}, {10, 12}, {20}], 1)


def test_maxmin_by_hand():
    rows, nearest = diverse.maxmin(ROWS, 4)
    assert rows.tolist() == [0, 2, 4, 3]
    assert nearest.tolist() == [0.0, 0.0, 0.0, 1 / 3]


def test_maxmin_keeps_away_from_what_was_chosen_before():
    rows, _ = diverse.maxmin(ROWS, 2, chosen=ROWS[[0, 2]])
    assert rows.tolist() == [4, 3]


def test_maxmin_takes_every_row_once(rng: np.random.Generator):
    bits = rng.integers(0, 2**63, (30, 2), dtype=np.uint64)
    rows, nearest = diverse.maxmin(bits, 99, first=7)
    assert rows[0] == 7
    assert sorted(rows.tolist()) == list(range(30))
    for i in range(1, 30):
        gone = np.max([similarities(bits, bits[r]) for r in rows[:i]], axis=0)
        assert nearest[i] == gone[rows[i]] == gone[rows[i:]].min()


def test_spheres_keep_the_order_and_the_distance(rng: np.random.Generator):
    assert diverse.spheres(ROWS, 9, 0.5)[0].tolist() == [0, 2, 3, 4]
    assert diverse.spheres(ROWS, 2, 0.2)[0].tolist() == [0, 2]
    bits = rng.integers(0, 2**63, (40, 1), dtype=np.uint64)
    rows, _ = diverse.spheres(bits, 40, 0.35)
    for row in range(40):
        before = [r for r in rows.tolist() if r < row]
        near = max((similarities(bits, bits[r])[row] for r in before), default=0.0)
        assert (row in rows) == (near <= 0.35)
    with pytest.raises(OptionError, match="sphere"):
        diverse.spheres(bits, 3, 1.5)
