"""Whatever the units and classes are, no split divides a unit or loses a row."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

from osler.cohort import Cohort, Column
from osler.cohort.certificate import certify, rows_hash
from osler.cohort.duplicates import merged_groups, near_duplicates
from osler.cohort.split import by_site, cross_validation, groups_of, hold_out, stratified_group_folds

tables = st.integers(4, 80).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, n // 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.integers(2, 6),
        st.integers(0, 2**32 - 1),
    )
)


@given(tables)
def test_folds_partition_rows_and_never_divide_a_unit(case):
    groups, strata, k, seed = np.array(case[0]), np.array(case[1]), case[2], case[3]
    assume(len(np.unique(groups)) >= k)
    fold = stratified_group_folds(groups, strata, k, np.random.default_rng(seed))
    assert set(fold) == set(range(k)), "no fold is empty"
    assert all(len(set(fold[groups == g])) == 1 for g in np.unique(groups))


@given(tables)
def test_renaming_units_changes_nothing_and_rows_are_tested_once(case):
    groups, strata, k, seed = np.array(case[0]), np.array(case[1]), case[2], case[3]
    assume(len(np.unique(groups)) >= k)
    one = cross_validation(groups, strata, k, 2, np.random.default_rng(seed), classes=None)
    two = cross_validation(groups * 7 + 3, strata, k, 2, np.random.default_rng(seed), classes=None)
    for a, b in zip(one, two):
        assert np.array_equal(a.test, b.test)
        assert np.array_equal(np.sort(np.concatenate([a.train, a.test])), np.arange(len(groups)))
    for repeat in (0, 1):
        assert np.bincount(np.concatenate([s.test for s in one if s.repeat == repeat])).tolist() == [1] * len(groups)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3), st.integers(0, 1)), min_size=20, max_size=60),
    st.integers(0, 999),
)
def test_every_split_that_is_given_has_a_clean_certificate(rows, seed):
    table = pl.DataFrame(rows, schema=["p", "s", "y"], orient="row").with_columns(s=pl.col("s").cast(pl.String))
    roles = {"p": "unit", "s": "site", "y": "target"}
    cohort = Cohort(table.with_columns(x=pl.Series(np.arange(len(table)) * 1.5 % 7)),
                    tuple(Column(c, "number", roles.get(c, "input")) for c in ("p", "s", "y", "x")))  # fmt: skip
    groups, rng = groups_of(cohort), np.random.default_rng(seed)
    assume(len(np.unique(groups)) >= 4)
    held = hold_out(cohort, "0.25", groups, rng)
    splits = [held, *(s.at(held.train) for s in by_site(cohort.take(held.train), groups[held.train]))]
    if len(np.unique(groups[held.train])) >= 2:
        inside = cross_validation(groups[held.train], np.zeros(len(held.train), dtype=int), 2, 1, rng)
        splits += [s.at(held.train) for s in inside]
    checks = {c.name: c for c in certify(cohort, splits, [], b"k").checks}
    for name in ("split membership", "hold-out kept apart", "unit overlap", "site overlap"):
        assert checks[name].verdict in ("clean", "not applicable"), checks[name]


@given(st.lists(st.integers(-(2**40), 2**40), unique=True, min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_the_hash_of_rows_forgets_their_order_and_nothing_else(rows, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert rows_hash(np.array(rows), b"k") == rows_hash(np.array(shuffled), b"k")
    assert rows_hash(np.array(rows), b"k") != rows_hash(np.array(rows[1:]), b"k")
    assert rows_hash(np.array(rows), b"k") != rows_hash(np.array(rows), b"l")


@given(st.integers(0, 10_000))
def test_near_duplicates_do_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(60, 9)), 3)
    x = np.concatenate([x, x[:4]])
    order = rng.permutation(64)
    place = np.argsort(order)
    cohort = Cohort(
        pl.DataFrame(x[order], schema=[f"x{j}" for j in range(9)]), tuple(Column(f"x{j}", "number") for j in range(9))
    )
    wanted = {tuple(sorted((int(place[k]), int(place[60 + k])))) for k in range(4)}
    pairs = near_duplicates(cohort)
    assert {tuple(p) for p in pairs.positions.tolist()} == wanted
    groups, fewer = merged_groups(cohort, np.arange(64), pairs=pairs)
    assert fewer == 4
    assert all(groups[a] == groups[b] for a, b in wanted)
