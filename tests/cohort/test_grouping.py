"""What must stay together: chains of shared identifiers, by hand and against a union-find written here."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.grouping import codes_of, components, groups_of, join_codes, texts_of

DAY = datetime.date(2021, 5, 1)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (pl.Series(["b", "a", "b", None]), [1, 0, 1, -1]),
        (pl.Series([" a", "a ", "", "  ", None]), [0, 0, -1, -1, -1]),
        (pl.Series([3, 1, 3, None]), [1, 0, 1, -1]),
        (pl.Series([0, None, 0]), [0, -1, 0]),
        (pl.Series([1.5, float("nan"), 1.5, None]), [0, -1, 0, -1]),
        (pl.Series([0.0, -0.0, 1.0]), [0, 0, 1]),
        (pl.Series([True, False, None, True]), [1, 0, -1, 1]),
        (pl.Series([DAY, None, DAY]), [0, -1, 0]),
        (pl.Series(["a", "b", "a"], dtype=pl.Categorical), [0, 1, 0]),
        (pl.Series([None, None], dtype=pl.String), [-1, -1]),
        (pl.Series([], dtype=pl.Int64), []),
        (pl.Series([], dtype=pl.String), []),
        (pl.Series([2**62, 2**62 + 1, 2**62]), [0, 1, 0]),
        (pl.Series([5, 5, 7], dtype=pl.UInt8), [0, 0, 1]),
    ],
)
def test_codes_of_equal_values(values: pl.Series, codes: list[int]) -> None:
    found = codes_of(values)
    assert found.tolist() == codes
    assert found.dtype == np.int64


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=30))
def test_codes_say_only_what_is_equal(values: list[int | None]) -> None:
    codes = codes_of(pl.Series(values, dtype=pl.Int64))
    for a, code_a in zip(values, codes):
        assert (code_a == -1) == (a is None)
        for b, code_b in zip(values, codes):
            if a is not None and b is not None:
                assert (a == b) == (code_a == code_b)


@pytest.mark.parametrize(
    ("n", "codes", "groups"),
    [
        (0, [], []),
        (3, [], [0, 1, 2]),
        (4, [[0, 0, 1, 1]], [0, 0, 1, 1]),
        (4, [[0, -1, 0, -1]], [0, 1, 0, 2]),
        (4, [[0, 0, 1, 2], [5, 6, 6, 7]], [0, 0, 0, 1]),
        (5, [[0, 1, 2, 3, 4], [0, 0, 1, 1, 2], [0, 1, 1, 2, 3]], [0, 0, 0, 0, 1]),
        (3, [[-1, -1, -1]], [0, 1, 2]),
        (3, [[2, 1, 0]], [0, 1, 2]),
    ],
)
def test_chains_are_joined(n: int, codes: list[list[int]], groups: list[int]) -> None:
    assert join_codes(n, [np.array(c, dtype=np.int64) for c in codes]).tolist() == groups


def by_hand(n: int, edges: list[tuple[int, int]]) -> list[int]:
    root = list(range(n))

    def top(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for a, b in edges:
        root[top(b)] = top(a)
    seen: dict[int, int] = {}
    return [seen.setdefault(top(i), len(seen)) for i in range(n)]


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_agree_with_union_find(case: tuple[int, list[tuple[int, int]]]) -> None:
    n, edges = case
    found = components(n, np.array(edges, dtype=np.int64).reshape(-1, 2).T)
    assert found.tolist() == by_hand(n, edges)


@given(st.permutations(range(6)))
def test_order_of_rows_changes_no_group(order: list[int]) -> None:
    codes = [np.array([0, 0, 1, 2, 3, 3]), np.array([0, 1, 1, 2, 2, 3])]
    plain = join_codes(6, codes)
    mixed = join_codes(6, [c[order] for c in codes])
    for i in range(6):
        for j in range(6):
            assert (mixed[i] == mixed[j]) == (plain[order[i]] == plain[order[j]])


def cohort(**columns: list) -> Cohort:
    table = pl.DataFrame(columns)
    return Cohort(
        table, tuple(Column(n, "category", "unit" if n.startswith("unit") else "input") for n in table.columns)
    )


@pytest.mark.parametrize(
    ("columns", "groups"),
    [
        ({"x": [1, 1, 1]}, [0, 1, 2]),
        ({"unit": ["a", "b", "a"]}, [0, 1, 0]),
        ({"unit": ["a", None, None]}, [0, 1, 2]),
        ({"unit": [1, 2, 3], "unit2": ["x", "x", "y"]}, [0, 0, 1]),
        ({"unit": [1, None, None], "unit2": [None, "x", "x"]}, [0, 1, 1]),
        ({"unit": ["a", " a ", "A"]}, [0, 0, 1]),
    ],
)
def test_units_of_a_cohort(columns: dict[str, list], groups: list[int]) -> None:
    assert groups_of(cohort(**columns)).tolist() == groups


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pl.Series([1.0, 2.0, None]), ["1", "2", None]),
        (pl.Series([1.5, 2.0]), ["1.5", "2.0"]),
        (pl.Series([1, 2]), ["1", "2"]),
        (pl.Series([" a ", "b"]), ["a", "b"]),
        (pl.Series([float("nan"), 3.0]), [None, "3"]),
        (pl.Series([True, None]), ["true", None]),
        (pl.Series([float("inf"), 1.0]), ["inf", "1.0"]),
    ],
)
def test_texts_are_the_same_in_every_file(values: pl.Series, texts: list[str | None]) -> None:
    assert texts_of(values).to_list() == texts
