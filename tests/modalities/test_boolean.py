"""Booleans: the words for yes and no."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.cohort.column import Column
from osler.modalities.boolean import Boolean

boolean = Boolean()


def encoded(values, **options):
    """Values fitted and encoded, None for missing."""
    series = pl.Series("x", values)
    block = boolean.encode(series, boolean.fit(series, Column("x", "boolean", options=options)))
    return [None if np.isnan(v) else v for v in block.values[:, 0]]


@pytest.mark.parametrize(
    "values",
    [[True, False, None], [1, 0, None], [1.0, 0.0, np.nan], ["yes", "no", ""], ["T", "f ", "?"], ["1.0", "0", "NA"]],
)
def test_every_way_to_say_yes_and_no(values):
    assert encoded(values) == [1.0, 0.0, None]


def test_further_words():
    assert encoded(["Present", "notpresent", "yes", "no"], positive="present", negative="notpresent") == [
        1.0,
        0.0,
        1.0,
        0.0,
    ]


def test_other_values_are_missing_and_refused():
    column = Column("x", "boolean")
    assert encoded([1, 0, 2]) == [1.0, 0.0, None]
    assert boolean.check(pl.Series([1, 0, 2, None]), column).to_list() == [False, False, True, False]
    assert boolean.check(pl.Series(["yes", "maybe", "unknown"]), column).to_list() == [False, True, False]


def test_missing_codes_are_not_refused():
    column = Column("x", "boolean", options={"missing_codes": [9]})
    assert boolean.check(pl.Series([1, 0, 9]), column).to_list() == [False, False, False]
    assert boolean.check(pl.Series([1.0, 9.0, 8.0]), column).to_list() == [False, False, True]
    assert boolean.check(pl.Series(["y", "9", "8"]), column).to_list() == [False, False, True]


def test_state():
    state = boolean.fit(pl.Series(["yes", "no", "no", None]), Column("x", "boolean"))
    assert (state["n"], state["n_present"], state["share"]) == (4, 3, 0.3333)
    assert boolean.fit(pl.Series(["?"]), Column("x", "boolean"))["share"] is None


def test_summary_hides_a_small_side():
    column = Column("x", "boolean")
    assert boolean.summarise(pl.Series([1] * 30 + [0] * 9), column) == {"n": 39, "missing": 0, "yes": None}
    assert boolean.summarise(pl.Series([1] * 30 + [0] * 10), column) == {"n": 40, "missing": 0, "yes": 30}
