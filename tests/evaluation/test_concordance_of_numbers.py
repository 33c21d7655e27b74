"""The concordance index of numbers: by counting pairs, and what must hold of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation.concordance import concordance_of_numbers

NUMBERS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30)


def counted(y: np.ndarray, answer: np.ndarray) -> float:
    """Every pair of rows, one by one."""
    right = pairs = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            if y[i] > y[j]:
                pairs += 1
                right += 1.0 if answer[i] > answer[j] else 0.5 if answer[i] == answer[j] else 0.0
    return right / pairs if pairs else np.nan


def test_by_hand() -> None:
    assert concordance_of_numbers(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.3, 0.2])).value == pytest.approx(2 / 3)
    assert concordance_of_numbers(np.array([1.0, 1.0, 3.0]), np.array([5.0, 0.0, 5.0])).value == pytest.approx(0.75)


@given(rows=NUMBERS)
def test_it_is_the_share_of_ordered_pairs(rows: list[tuple[int, int]]) -> None:
    y, answer = (np.array(v, dtype=float) for v in zip(*rows))
    np.testing.assert_allclose(concordance_of_numbers(y, answer).value, counted(y, answer), equal_nan=True)


def test_only_the_order_of_answers_counts_and_turning_it_turns_the_index() -> None:
    rng = np.random.default_rng(0)
    y, answer = rng.normal(size=(2, 500))
    value = concordance_of_numbers(y, answer).value
    assert concordance_of_numbers(y, np.exp(answer)).value == pytest.approx(value)
    assert concordance_of_numbers(y, -answer).value == pytest.approx(1.0 - value)
    assert concordance_of_numbers(y, y).value == 1.0


def test_a_weight_of_two_is_the_row_twice() -> None:
    rng = np.random.default_rng(1)
    y, answer = rng.normal(size=(2, 40))
    twice = rng.random(40) < 0.5
    doubled = np.append(np.arange(40), np.flatnonzero(twice))
    weighted = concordance_of_numbers(y, answer, 1.0 + twice).value
    assert weighted == pytest.approx(concordance_of_numbers(y[doubled], answer[doubled]).value)
