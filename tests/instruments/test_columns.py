"""Choosing and reading columns: what counts as a number, a word, a yes, a missing cell."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.errors import ColumnError, OptionError
from osler.instruments import columns


@pytest.fixture
def cohort() -> Cohort:
    frame = pl.DataFrame(
        {
            "patient": ["a", "a", "b", None, None],
            "age": [1.0, 2.0, 3.0, 4.0, 5.0],
            "sex": ["f", "m", "f", "m", "f"],
            "note": ["x"] * 5,
            "outcome": [0, 1, 0, 1, 0],
        }
    )
    meanings = [
        ("patient", "category", "unit"),
        ("age", "number"),
        ("sex", "category"),
        ("note", "text"),
        ("outcome", "boolean", "target"),
    ]
    return Cohort(frame, tuple(Column(*m) for m in meanings))


def test_inputs_of_a_fitting_kind_are_picked(cohort):
    assert [c.name for c in columns.pick(cohort, ())] == ["age", "sex"]
    assert [c.name for c in columns.pick(cohort, (), ("number",))] == ["age"]
    assert [c.name for c in columns.pick(cohort, ("sex", "age"))] == ["sex", "age"]
    assert [c.name for c in columns.pick(cohort, ("outcome",))] == ["outcome"]


def test_a_column_that_cannot_be_used_is_named(cohort):
    with pytest.raises(
        ColumnError, match="column 'note' must be one of number, boolean, category, it is text"
    ) as refused:
        columns.pick(cohort, ("note",))
    assert refused.value.code == "column-kind"
    with pytest.raises(ColumnError, match="did you mean 'age'"):
        columns.pick(cohort, ("agee",))
    with pytest.raises(ColumnError, match="it has none"):
        columns.pick(cohort, (), ("image",))


def test_numbers_are_finite_or_missing():
    got = columns.numbers(pl.Series([1, None, 3]))
    assert got[0] == 1
    assert math.isnan(got[1])
    got = columns.numbers(pl.Series([1.5, float("inf"), float("nan")]))
    assert np.isnan(got).tolist() == [False, True, True]
    assert np.isnan(columns.numbers(pl.Series(["2.5", "many"]))).tolist() == [False, True]


def test_words_lose_the_point_of_whole_numbers():
    assert columns.words(pl.Series([1.0, 2.0, None])).tolist() == ["1", "2", ""]
    assert columns.words(pl.Series([1.5, 2.0, float("nan")])).tolist() == ["1.5", "2.0", ""]
    assert columns.words(pl.Series([" a ", "?", "NA", None])).tolist() == ["a", "", "", ""]
    assert columns.words(pl.Series([True, False, None])).tolist() == ["true", "false", ""]


def test_yes_and_no_in_all_their_forms():
    assert columns.yes(pl.Series([True, False])).tolist() == [1, 0]
    assert columns.yes(pl.Series([1, 0])).tolist() == [1, 0]
    assert columns.yes(pl.Series([1.0, 0.0])).tolist() == [1, 0]
    assert columns.yes(pl.Series(["Yes", "no", "TRUE", "f"])).tolist() == [1, 0, 1, 0]
    assert np.isnan(columns.yes(pl.Series(["maybe", None, "?"]))).all()


def test_missing_cells():
    assert columns.missing(pl.Series([1.0, None, float("nan")])).tolist() == [False, True, True]
    assert columns.missing(pl.Series(["a", None, "", "n/a", "?"])).tolist() == [False, True, True, True, True]
    assert columns.missing(pl.Series([True, None])).tolist() == [False, True]


def test_options_are_checked_at_the_door():
    columns.within("k", 3, 1, 5)
    with pytest.raises(OptionError, match="option 'k' must be between 1 and 5, was 9"):
        columns.within("k", 9, 1, 5)
    with pytest.raises(OptionError, match="option 'k'"):
        columns.within("k", float("nan"), 1, 5)
    columns.one_of("method", "pca", ("pca", "umap"))
    with pytest.raises(OptionError, match="option 'method' must be one of pca, umap, was 'tsne'"):
        columns.one_of("method", "tsne", ("pca", "umap"))
