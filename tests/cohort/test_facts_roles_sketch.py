"""Counts of one column, the roles that headers and repeats tell, and counting block by block."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.column import Column
from osler.cohort.facts import MISSING_WORDS, facts_of, is_missing_word
from osler.cohort.roles import has_leading_zeros, role_of, settle_times, settle_units
from osler.cohort.sketch import KEPT_HASHES, MAX_LEVELS, Distinct, Levels, Moments, RowSample

# -- facts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_words_for_missing_in_any_case_and_spacing(word: str) -> None:
    values = pl.Series([word, word.upper(), f"  {word} ", None, "none", "0"])
    assert is_missing_word(values).to_list() == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("values", "n_present", "distinct", "numeric", "whole"),
    [
        (pl.Series([1, 2, 2, None]), 3, 2, 1.0, True),
        (pl.Series([1.5, float("nan"), None]), 1, 1, 1.0, False),
        (pl.Series([1.0, float("inf")]), 2, 2, 0.5, True),
        (pl.Series(["1", "2", "x", "NA"]), 3, 3, 2 / 3, True),
        (pl.Series(["a", "a", " a "]), 3, 1, 0.0, False),
        (pl.Series([True, False, None]), 2, 2, 0.0, False),
        (pl.Series([dt.date(2020, 1, 1)] * 2), 2, 1, 0.0, False),
        (pl.Series([[1], None]), 1, 0, 0.0, False),
        (pl.Series([None, None], dtype=pl.String), 0, 0, 0.0, False),
        (pl.Series(["a", "b"], dtype=pl.Categorical), 2, 2, 0.0, False),
    ],
)
def test_facts(values: pl.Series, n_present: int, distinct: int, numeric: float, whole: bool) -> None:
    facts = facts_of(values)
    assert (facts.n, facts.n_present, facts.distinct, facts.whole) == (len(values), n_present, distinct, whole)
    assert facts.numeric == pytest.approx(numeric)
    assert np.isfinite(facts.finite).all()
    assert facts.is_unique == (n_present == distinct)


def test_a_decimal_comma_is_seen() -> None:
    facts = facts_of(pl.Series(["1,5", "2,5", "3,5"]))
    assert facts.decimal == ","
    assert sorted(facts.finite) == [1.5, 2.5, 3.5]


@given(st.lists(st.sampled_from(["a", "b", "1", "2", "NA", None]), min_size=1, max_size=30))
def test_counts_of_words_add_up(texts: list[str | None]) -> None:
    facts = facts_of(pl.Series(texts, dtype=pl.String))
    held = [t for t in texts if t not in (None, "NA")]
    assert facts.n_present == len(held) == facts.weights.sum()
    assert facts.distinct == len(set(held))
    assert facts.rows_per_value == pytest.approx(len(held) / len(set(held)) if held else 0.0)


# -- roles ---------------------------------------------------------------------------------------------------

UNIQUE = list(range(101, 151))
REPEATED = [i // 2 for i in range(60)]


@pytest.mark.parametrize(
    ("name", "values", "modality", "role"),
    [
        ("patient_id", REPEATED, "category", "unit"),
        ("patient_id", UNIQUE, "category", "id"),
        ("subject", REPEATED, "category", "unit"),
        ("id", REPEATED, "number", "unit"),
        ("id", UNIQUE, "number", "id"),
        ("mrn", REPEATED, "number", "unit"),
        ("record_id", REPEATED, "number", "id"),
        ("age", UNIQUE, "number", ""),
        ("uric_acid", REPEATED, "number", ""),
        ("thyroid", REPEATED, "number", ""),
        ("surname", ["Ann", "Bob", "Ann"] * 10, "category", "id"),
        ("email", ["a@b", "c@d"] * 10, "category", "id"),
        ("hospital", ["x", "y"] * 20, "category", "site"),
        ("site", ["A1", "B2"] * 20, "category", "site"),
        ("site", ["left arm", "right leg"] * 20, "category", ""),
        ("x", [None] * 5, "number", "ignore"),
        ("x", [3] * 5, "number", "ignore"),
        ("row", list(range(50)), "number", "id"),
        ("x", list(range(1, 51)), "number", "id"),
        ("day", list(range(1, 51)), "number", ""),
        ("code", [f"AB{i:04}" for i in range(40)], "category", "id"),
        ("weight", [float(i) + 0.5 for i in range(40)], "number", ""),
        ("patient_age", REPEATED, "number", ""),
    ],
)
def test_roles_by_header_and_repeats(name: str, values: list, modality: str, role: str) -> None:
    series = pl.Series(name, values)
    found, reason = role_of(facts_of(series), Column(name, modality))
    assert found == role
    assert bool(reason) == bool(found)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("admit_date", "time"),
        ("visit_date", "time"),
        ("date", "time"),
        ("dob", "input"),
        ("birth_date", "input"),
        ("discharge_date", "ignore"),
        ("death", "ignore"),
    ],
)
def test_roles_of_dates(name: str, role: str) -> None:
    values = pl.Series(name, [dt.date(2020, 1, d) for d in range(1, 20)])
    assert role_of(facts_of(values), Column(name, "date"))[0] == role


def settled(*named: tuple[str, str, list]) -> dict[str, str]:
    columns = [Column(n, "category", role) for n, role, _ in named]
    facts = {n: facts_of(pl.Series(n, v)) for n, _, v in named}
    return {c.name: c.role for c in settle_units(columns, facts)}


@pytest.mark.parametrize(
    ("named", "roles"),
    [
        ([("patient", "unit", [1, 1, 2]), ("id", "unit", [1, 1, 1])], {"patient": "unit", "id": "id"}),
        ([("mrn", "unit", [1, 2, 2]), ("patient", "unit", [1, 1, 1])], {"mrn": "id", "patient": "unit"}),
        ([("stay_id", "id", [1, 1, 2]), ("age", "input", [1, 2, 3])], {"stay_id": "unit", "age": "input"}),
        ([("stay_id", "id", [1, 1, 2]), ("lab_id", "id", [1, 2, 2])], {"stay_id": "id", "lab_id": "id"}),
        ([("stay_id", "id", [1, 2, 3])], {"stay_id": "id"}),
        ([("age", "input", [1, 1])], {"age": "input"}),
    ],
)
def test_one_unit_at_most(named: list, roles: dict[str, str]) -> None:
    assert settled(*named) == roles


def test_one_time_at_most() -> None:
    columns = [Column("a", "date", "time"), Column("b", "date", "time"), Column("c", "number")]
    settled_columns = settle_times(columns)
    assert [c.role for c in settled_columns] == ["time", "ignore", "input"]
    assert "'a'" in settled_columns[1].reason


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["007", "12"], True), (["7", "12"], False), (["0", "1"], False), ([], False), (None, False), (["0.5"], False)],
)
def test_leading_zeros(texts: list[str] | None, expected: bool) -> None:
    assert has_leading_zeros(None if texts is None else pl.Series(texts, dtype=pl.String)) is expected


# -- block by block ------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=8), min_size=1, max_size=6))
def test_moments_do_not_depend_on_blocks(blocks: list[list[float]]) -> None:
    moments = Moments()
    for block in blocks:
        moments.add(np.array(block))
    x = np.array([v for block in blocks for v in block])
    assert moments.n == len(x)
    if len(x):
        assert moments.mean == pytest.approx(x.mean(), abs=1e-6)
        assert (moments.low, moments.high) == (x.min(), x.max())
    if len(x) > 1:
        assert moments.sd == pytest.approx(x.std(ddof=1), abs=1e-4)
    else:
        assert np.isnan(moments.sd)


@pytest.mark.parametrize("cut", [1, 7, 100, 500])
def test_distinct_values_are_exact_below_the_limit(cut: int) -> None:
    values = [i % 300 for i in range(1000)]
    counter = Distinct()
    for at in range(0, 1000, cut):
        counter.add(pl.Series([*values[at:at + cut], None]))
    assert counter.is_exact
    assert counter.count() == 300


def test_distinct_values_are_close_above_the_limit() -> None:
    counter = Distinct()
    for at in range(0, 60_000, 10_000):
        counter.add(pl.Series(range(at, at + 10_000)))
    assert not counter.is_exact
    assert len(counter.smallest) == KEPT_HASHES
    assert counter.count() == pytest.approx(60_000, rel=0.08)


def test_levels_are_merged_and_given_up_when_too_many() -> None:
    levels = Levels()
    for names, counts in ((["a", "b"], [3, 1]), (["b", "c"], [5, 1])):
        levels.add(pl.DataFrame({"level": names, "n": pl.Series(counts, dtype=pl.Int64)}))
    assert levels.top(5, 1) == [("b", 6), ("a", 3), ("c", 1)]
    assert levels.top(1, 1) == [("b", 6)]
    assert levels.top(5, 4) == [("b", 6)]
    many = pl.DataFrame(
        {"level": [str(i) for i in range(MAX_LEVELS + 1)], "n": pl.Series([1] * (MAX_LEVELS + 1), dtype=pl.Int64)}
    )
    levels.add(many)
    assert levels.top(5, 1) == []
    levels.add(many)
    assert levels.counts is None


@pytest.mark.parametrize("cut", [1, 13, 100, 1000])
def test_a_sample_depends_on_rows_and_not_on_blocks(cut: int) -> None:
    table = pl.DataFrame({"x": range(1000)})

    def sampled(size: int) -> list[int]:
        sample = RowSample(50, np.random.default_rng(5))
        for at in range(0, 1000, size):
            sample.add(table[at : at + size])
        return sample.table()["x"].to_list()

    found = sampled(cut)
    assert found == sampled(1000)
    assert len(found) == 50
    assert found == sorted(set(found))


def test_a_small_table_is_its_own_sample() -> None:
    sample = RowSample(50, np.random.default_rng(5))
    sample.add(pl.DataFrame({"x": [3, 1, 2]}))
    assert sample.table()["x"].to_list() == [3, 1, 2]


def test_every_row_is_as_likely_to_be_sampled() -> None:
    hits = np.zeros(40)
    for seed in range(300):
        sample = RowSample(10, np.random.default_rng(seed))
        sample.add(pl.DataFrame({"x": range(40)}))
        hits[sample.table()["x"].to_numpy()] += 1
    assert hits.sum() == 3000
    assert np.abs(hits - 75).max() < 5 * np.sqrt(300 * 0.25 * 0.75)
