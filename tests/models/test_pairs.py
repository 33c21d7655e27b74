"""Things, how alike they are, and where they lie: by hand, and by what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from osler.blocks import dense
from osler.errors import ColumnError
from osler.models.pairs import Known, Things, alike, beyond_chance, pair_of
from tests.models.made_pairs import block, things

COUNTS = arrays(np.uint8, (5, 7), elements=st.integers(0, 8))


def test_the_two_columns_are_those_with_counts() -> None:
    number = dense(np.ones((2, 1)), ["age"])
    blocks = {"age": number, "a": block(np.ones((2, 3)), "a"), "b": block(np.ones((2, 4)), "b")}
    assert pair_of(blocks) == ("a", "b")
    for few in ({"age": number}, {"a": blocks["a"]}, {**blocks, "c": block(np.ones((2, 3)), "c")}):
        n = sum("count" in b.kinds for b in few.values())
        with pytest.raises(ColumnError, match=f"must be given two columns of things .* was given {n}: name them") as error:
            pair_of(few)
        assert error.value.code == "column-kind"


def test_things_are_told_apart_by_their_counts() -> None:
    values = np.array([[1, 0, 30], [2, 0, 0.4], [1, 0, 8], [np.nan] * 3, [1, 0, 255]])
    made = Things.of(dense(values, ["x", "y", "z"], kinds=["count"] * 3))
    assert made.counts.tolist() == [[1, 0, 8], [2, 0, 0]], "counts are kept up to eight, averages are rounded"
    assert made.code.tolist() == [0, 1, 0, -1, 0]
    padded = made.with_none()
    assert padded.counts.tolist()[-1] == [0, 0, 0]
    assert padded.code.tolist() == [0, 1, 0, 2, 0]


def test_likeness_by_hand() -> None:
    """Smaller counts 1 + 0 + 2 over larger ones 1 + 1 + 4; 7 counts as 4, 3 as 2."""
    assert alike(np.array([[1, 0, 2]]), np.array([[1, 1, 4]])).tolist() == [[0.5]]
    assert alike(np.array([[1, 0, 3]]), np.array([[1, 1, 7]])).tolist() == [[0.5]]
    assert alike(np.array([[0, 0]]), np.array([[0, 0], [1, 0]])).tolist() == [[0.0, 0.0]]


@given(counts=COUNTS)
def test_likeness_is_symmetric_and_bounded(counts: np.ndarray) -> None:
    square = alike(counts, counts)
    np.testing.assert_array_equal(square, square.T)
    assert (square >= 0).all() and (square <= 1).all()
    there = counts.any(axis=1)
    assert (np.diag(square)[there] == 1.0).all()
    np.testing.assert_array_equal(alike(counts[2:3], counts), square[2:3])


@given(bits=arrays(np.uint8, (4, 9), elements=st.integers(0, 1)))
def test_likeness_of_bits_is_tanimotos(bits: np.ndarray) -> None:
    for i in range(4):
        for j in range(4):
            both, any_of = (bits[i] & bits[j]).sum(), (bits[i] | bits[j]).sum()
            assert alike(bits[i : i + 1], bits[j : j + 1])[0, 0] == pytest.approx(both / max(any_of, 1))


def test_beyond_chance() -> None:
    assert beyond_chance(np.array([0.2, 0.1, 0.6, 1.0]), 0.2).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0])


def test_axes_keep_the_likenesses_of_training() -> None:
    counts, family = things(24, 4, np.random.default_rng(0))
    known = Known.of(counts.astype(np.uint8), 24)
    square = known.asked().alike
    centre = np.eye(24) - 1 / 24
    weight, vectors = np.linalg.eigh(centre @ square @ centre)
    positive = vectors[:, weight > 1e-9] * np.sqrt(weight[weight > 1e-9])
    places = known.places(square)
    np.testing.assert_allclose(places @ places.T, positive @ positive.T, atol=1e-8)
    two = Known.of(counts.astype(np.uint8), 2).places(square)
    assert two.shape == (24, 2)
    same = family[:, None] == family
    apart = np.linalg.norm(two[:, None] - two, axis=2)
    assert apart[same].mean() < 0.3 * apart[~same].mean()


def test_things_are_found_again_and_new_ones_are_not() -> None:
    counts = things(10, 3, np.random.default_rng(1))[0].astype(np.uint8)
    known = Known.of(counts[:8], 3)
    asked = known.asked(counts[[9, 2, 8]])
    assert asked.own.tolist() == [-1, 2, -1]
    assert asked.alike[1, 2] == 1.0
    np.testing.assert_allclose(known.places(asked.alike)[1], known.places(known.asked().alike)[2], atol=1e-12)
    assert known.asked(without=np.array([1, 5])).own.tolist() == [0, -1, 2, 3, 4, -1, 6, 7]
    assert known.asked().own.tolist() == list(range(8))


def test_known_things_survive_saving() -> None:
    counts = things(10, 3, np.random.default_rng(1))[0].astype(np.uint8)
    known = Known.of(counts, 3)
    again = Known.from_arrays({f"x/{k}": v for k, v in known.arrays().items()}, "x")
    np.testing.assert_array_equal(again.places(again.asked(counts).alike), known.places(known.asked(counts).alike))


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_things_are_enough_to_go_on(n: int) -> None:
    known = Known.of(np.eye(n, 4, dtype=np.uint8), 3)
    assert np.isfinite(known.places(known.asked().alike)).all()
