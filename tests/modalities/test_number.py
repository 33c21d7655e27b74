"""Numbers: parsing, missing codes, possible range, knots, and how fast."""

from __future__ import annotations

import time
from decimal import ROUND_CEILING, ROUND_FLOOR

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.column import Column
from osler.errors import OptionError
from osler.modalities.number import DIGITS, Number, rounded

number = Number()


def column(**options):
    """A number column with options."""
    return Column("x", "number", options=options)


def encoded(values, **options):
    """Values fitted and encoded, as a list with None for missing."""
    series = pl.Series("x", values)
    block = number.encode(series, number.fit(series, column(**options)))
    return [None if np.isnan(v) else v for v in block.values[:, 0]]


def test_numbers_in_text():
    assert encoded([" 1.5", "2e3", "-7", "?", "abc", "", None, "+4"]) == [
        1.5,
        2000.0,
        -7.0,
        None,
        None,
        None,
        None,
        4.0,
    ]


def test_decimal_comma():
    assert encoded(["1,5", "1.234,5", "7"], decimal=",") == [1.5, 1234.5, 7.0]


def test_infinities_and_nan_are_missing_and_infinities_are_refused():
    values = pl.Series([1.0, np.inf, -np.inf, np.nan])
    assert encoded(values) == [1.0, None, None, None]
    assert number.check(values, column()).to_list() == [False, True, True, False]


def test_missing_codes_and_possible_range_hold_for_new_rows():
    train = pl.Series([100.0, 120.0, 0.0, 9999.0, 140.0])
    state = number.fit(train, column(missing_codes=[0.0], possible=[20, 480]))
    assert (state["n"], state["n_present"], state["min"], state["max"], state["median"]) == (5, 3, 100.0, 140.0, 120.0)
    new = number.encode(pl.Series([0.0, 19.9, 20.0, 480.0, 481.0, 130.0]), state)
    assert new.present.tolist() == [False, False, True, True, False, True]


def test_impossible_values_can_be_kept():
    assert encoded([5.0, 700.0], possible=[20, 480], impossible="keep") == [5.0, 700.0]


def test_codes_must_be_numbers():
    with pytest.raises(OptionError, match="must be numbers"):
        number.fit(pl.Series([1.0]), column(missing_codes=["NA"]))


def test_winsor_limits_are_training_quantiles_and_off_by_default():
    train = pl.Series(np.arange(1001.0))
    state = number.fit(train, column(winsor=0.01))
    assert state["limits"] == [10.0, 990.0]
    assert number.encode(pl.Series([-5.0, 500.0, 2000.0]), state).values[:, 0].tolist() == [10.0, 500.0, 990.0]
    assert number.encode(pl.Series([5000.0]), number.fit(train, column())).values[0, 0] == 5000.0


def test_knots_are_increasing_quantiles():
    state = number.fit(pl.Series(np.arange(33.0)), column())
    assert state["knots"] == [float(i) for i in range(1, 32)]
    assert (state["min"], state["max"]) == (0.0, 32.0)


def test_state_keeps_no_long_number():
    state = number.fit(pl.Series([123456.789, 654321.987, 555555.555]), column())
    assert (state["min"], state["max"], state["median"]) == (123400.0, 654400.0, 555600.0)


@given(st.floats(min_value=-1e12, max_value=1e12, allow_subnormal=False))
def test_rounding_keeps_four_digits_and_its_side(value):
    assert rounded(value) == pytest.approx(value, rel=10.0**-DIGITS * 5.1)
    assert rounded(value, ROUND_FLOOR) <= value
    assert rounded(value, ROUND_CEILING) >= value


def test_summary_by_hand():
    facts = number.summarise(pl.Series([*map(float, range(1, 11)), None]), column())
    assert facts == {
        "n": 11, "missing": 1, "mean": 5.5, "sd": 3.028, "p5": 1.45, "q1": 3.25, "median": 5.5, "q3": 7.75, "p95": 9.55,
    }  # fmt: skip


def test_booleans_and_integers_are_numbers_too():
    assert encoded([True, False, None]) == [1.0, 0.0, None]
    assert encoded(pl.Series([1, 2, None], dtype=pl.Int16)) == [1.0, 2.0, None]


def test_a_million_rows_are_quick():
    values = pl.Series(np.random.default_rng(0).normal(size=1_000_000))
    state = number.fit(values[:1000], column(possible=[-4, 4], missing_codes=[0.0]))
    best = min(_seconds(values, state) for _ in range(3))
    assert best < 0.5  # 0.02 s on a quiet core


def _seconds(values, state):
    start = time.process_time()
    number.encode(values, state)
    return time.process_time() - start
