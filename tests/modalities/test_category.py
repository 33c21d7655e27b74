"""Categories: levels, spelling, rare and unseen values, privacy, and how fast."""

from __future__ import annotations

import json
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.column import Column
from osler.modalities.category import OTHER, Category, natural, texts

category = Category()


def column(coding=None, **options):
    """A category column with options."""
    return Column("x", "category", options=options, coding=coding or {})


def fit(values, **options):
    """A state."""
    return category.fit(pl.Series("x", values), column(**options))


def codes(values, state):
    """Encoded codes with None for missing."""
    return [None if np.isnan(v) else int(v) for v in category.encode(pl.Series("x", values), state).values[:, 0]]


def test_levels_in_natural_order_with_other_last():
    assert fit(["10", "9", "b", "a"] * 5)["levels"] == ["9", "10", "a", "b", OTHER]


def test_rare_and_unseen_are_other_and_missing_is_missing():
    state = fit(["a"] * 5 + ["b"] * 4 + ["c"] * 9)
    assert state["levels"] == ["a", "c", OTHER]
    assert codes(["a", "b", "c", "zebra", None, "?", ""], state) == [0, 2, 1, 2, None, None, None]


def test_most_frequent_levels_are_kept():
    values = [f"l{i:02d}" for i in range(20) for _ in range(5 + i)]
    assert fit(values, max_levels=3)["levels"] == ["l17", "l18", "l19", OTHER]


def test_one_and_one_point_zero_are_one_level():
    state = fit(pl.Series([1.0, 2.0, 3.0] * 5))
    assert state["levels"] == ["1", "2", "3", OTHER]
    for same in ([1, 3], ["1", "3"], ["1.0", "3.00"], [1.0, 3.0]):
        assert codes(same, state) == [0, 2]


def test_spelling():
    state = fit(["No"] * 6 + ["No "] * 2 + ["no"] * 3 + ["Yes"] * 5 + ["living  at\thome"] * 5)
    assert state["levels"] == ["No", "Yes", "living at home", OTHER]
    assert codes([" NO", "yes", "Living at home"], state) == [0, 1, 2]
    assert fit(["No"] * 6 + ["no"] * 5, fold_case=False)["levels"] == ["No", "no", OTHER]


def test_missing_codes():
    state = fit(["1", "2", "9"] * 6, missing_codes=[9.0])
    assert state["levels"] == ["1", "2", OTHER]
    assert codes([1, 2, 9], state) == codes([1.0, 2.0, 9.0], state) == [0, 1, None]


def test_a_level_called_other_is_other():
    state = fit(["(other)"] * 9 + ["a"] * 9)
    assert state["levels"] == ["a", OTHER]
    assert codes(["(other)", "a"], state) == [1, 0]


def test_coding_gives_labels_of_kept_levels():
    state = category.fit(pl.Series([1, 2] * 5), column(coding={"1": "typical angina", "2": "atypical", "3": "none"}))
    assert state["labels"] == {"1": "typical angina", "2": "atypical"}


def test_no_rare_value_enters_state_or_summary():
    rng = np.random.default_rng(0)
    values = [f"secret{i:04d}" for i in range(200) for _ in range(i % 5)] + rng.choice(
        ["ward A", "ward B"], 100
    ).tolist()
    state = fit(values)
    facts = category.summarise(pl.Series(values), column())
    assert "secret" not in json.dumps([state, facts])
    assert state["levels"] == ["ward A", "ward B", OTHER]
    assert facts["levels"] == 162


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=60))
def test_every_kept_level_has_enough_rows(values):
    state = fit(pl.Series("x", values, dtype=pl.String))
    encoded = category.encode(pl.Series("x", values, dtype=pl.String), state).values[:, 0]
    for position in range(len(state["levels"]) - 1):
        assert (encoded == position).sum() >= 5


def test_texts_of_types():
    assert texts(pl.Series([True, False, None])).to_list() == ["true", "false", None]
    assert texts(pl.Series([1.5, 2.0, np.nan, np.inf])).to_list() == ["1.5", "2", None, None]
    assert sorted(["b", "10", "9", "a"], key=natural) == ["9", "10", "a", "b"]


def test_counts_below_ten_are_hidden():
    facts = category.summarise(pl.Series(["a"] * 12 + ["b"] * 9 + [None]), column())
    assert facts == {"n": 22, "missing": 1, "levels": 2, "counts": {"a": 12}, "hidden_levels": 1}


@pytest.mark.parametrize("kind", ["text", "integer"])
def test_a_million_rows_are_quick(kind):
    rng = np.random.default_rng(0)
    values = (
        rng.choice(["Emergency", "urgent ", "elective"], 1_000_000) if kind == "text" else rng.integers(0, 5, 1_000_000)
    )
    series = pl.Series(values)
    state = category.fit(series[:5000], column())
    best = min(_seconds(series, state) for _ in range(2))
    assert best < 1.5  # 0.3 s (text) and 0.07 s (integer) on a quiet core


def _seconds(series, state):
    start = time.process_time()
    category.encode(series, state)
    return time.process_time() - start
