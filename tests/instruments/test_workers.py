"""The plain workers behind the instruments: hidden cells, differences, item sets, rules' tests, mixed columns,
components.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import ColumnError, LimitError, OptionError
from osler.instruments import cells, columns, groups, itemsets, littles_test, mixed, reduce, ruletests

NAN = float("nan")


# -- hidden cells --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ([[20, 30], [40, 50]], [[0, 0], [0, 0]]),
        ([[0, 30], [40, 50]], [[0, 0], [0, 0]]),
        ([[5, 30], [40, 50]], [[1, 1], [1, 1]]),
        ([[5, 30], [6, 50]], [[1, 1], [1, 1]]),
        ([[5, 30, 20], [6, 50, 60]], [[1, 1, 1], [1, 1, 1]]),
        ([[5, 5, 40], [6, 6, 50], [30, 40, 50]], [[1, 1, 0], [1, 1, 0], [0, 0, 0]]),
    ],
)
def test_small_counts_and_their_partners(counts: list, hidden: list) -> None:
    assert cells.hide(np.array(counts)).astype(int).tolist() == hidden


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=5))
def test_no_hidden_cell_stands_alone_in_its_line(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    found = cells.hide(counts)
    assert found[(counts > 0) & (counts < 10)].all()
    assert not (found.sum(axis=0) == 1).any()
    assert not (found.sum(axis=1) == 1).any()


@pytest.mark.parametrize(
    ("count", "hidden", "text"),
    [
        (0, False, "0"),
        (9, False, "<10"),
        (9, True, "<10"),
        (10, False, "10"),
        (1234, False, "1,234"),
        (1234, True, "hidden"),
        (0, True, "hidden"),
    ],
)
def test_a_count_as_printed(count: int, hidden: bool, text: str) -> None:
    assert cells.shown(count, hidden) == text


# -- differences between groups ------------------------------------------------------------------------------


def test_standardised_differences_by_hand() -> None:
    a, b = np.array([1.0, 2, 3]), np.array([3.0, 4, 5])
    assert groups.smd_numbers([a, b]) == pytest.approx(2.0)
    assert groups.smd_numbers([a, b, a + 10]) == pytest.approx(10.0)
    assert groups.smd_numbers([a * 0, b * 0]) == 0.0
    assert groups.smd_numbers([a * 0, b * 0 + 1]) == np.inf
    assert groups.smd_numbers([7 * a - 1, 7 * b - 1]) == pytest.approx(2.0)
    p, q = 0.2, 0.5
    by_hand = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert groups.smd_classes(np.array([[80, 20], [50, 50]])) == pytest.approx(by_hand)


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=2, max_size=3), st.permutations(range(3))
)
def test_order_of_levels_changes_no_difference(counts: list, order: list[int]) -> None:
    table = np.array(counts, dtype=float)
    assert groups.smd_classes(table[:, order]) == pytest.approx(groups.smd_classes(table), abs=1e-9)
    assert groups.p_classes(table[:, order]) == pytest.approx(groups.p_classes(table), rel=1e-9)


@pytest.mark.parametrize("ranks", [False, True])
@pytest.mark.parametrize("n", [2, 3])
def test_tests_beside_scipy(ranks: bool, n: int) -> None:
    from scipy import stats

    parts = [np.random.default_rng(i).normal(i / 3, 1, 30 + i) for i in range(n)]
    theirs = {
        (False, 2): lambda: stats.ttest_ind(*parts, equal_var=False), (True, 2): lambda: stats.mannwhitneyu(*parts),
        (False, 3): lambda: stats.f_oneway(*parts), (True, 3): lambda: stats.kruskal(*parts),
    }[ranks, n]()  # fmt: skip
    assert groups.p_numbers(parts, ranks) == pytest.approx(theirs.pvalue)
    assert groups.p_numbers([np.ones(5)] * n, ranks) == 1.0


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ([[3, 1], [1, 3]], 0.4857),
        ([[50, 50], [50, 50]], 1.0),
        ([[5, 0], [7, 0]], 1.0),
        ([[90, 10], [70, 30]], 0.000407),
    ],
)
def test_tests_of_classes(counts: list, p: float) -> None:
    assert groups.p_classes(np.array(counts)) == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "<0.001"), (0.00099, "<0.001"), (0.001, "0.001"), (0.25, "0.250"), (1.0, "1.000")]
)
def test_p_as_printed(p: float, text: str) -> None:
    assert groups.p_text(p) == text


# -- item sets and rules -------------------------------------------------------------------------------------


def by_counting(baskets: list[list[int]], least: int, longest: int) -> dict[tuple[int, ...], int]:
    items = sorted({i for b in baskets for i in b})
    every = [c for k in range(1, longest + 1) for c in combinations(items, k)]
    counted = {c: sum(set(c) <= set(b) for b in baskets) for c in every}
    return {c: n for c, n in counted.items() if n >= least}


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=14), st.integers(1, 4), st.integers(1, 4))
def test_both_ways_find_every_frequent_set(baskets: list[list[int]], least: int, longest: int) -> None:
    expected = by_counting(baskets, least, longest)
    assert itemsets.eclat(baskets, least, longest) == expected
    assert itemsets.fp_growth(baskets, least, longest) == expected


@pytest.mark.parametrize("find", [itemsets.eclat, itemsets.fp_growth])
def test_too_many_sets_are_refused(find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itemsets, "MOST_SETS", 10)
    with pytest.raises(LimitError, match="min-support"):
        find([[0, 1, 2, 3, 4]] * 3, 1, 5)


@pytest.mark.parametrize("control", ["bh", "by"])
def test_q_values_beside_scipy(control: str) -> None:
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).random(30) ** 3
    np.testing.assert_allclose(ruletests.adjust(p, 30, control), false_discovery_control(p, method=control))
    padded = false_discovery_control(np.append(p, np.ones(70)), method=control)[:30]
    np.testing.assert_allclose(ruletests.adjust(p, 100, control), padded)
    assert ruletests.adjust(np.zeros(0), 5, control).shape == (0,)


def test_a_rule_that_a_simpler_one_explains_has_a_large_p() -> None:
    """1 implies 2, whatever 0 is: (0, 1) -> 2 adds nothing to (1,) -> 2."""
    counts = {(0,): 50, (1,): 40, (2,): 40, (0, 1): 20, (0, 2): 20, (1, 2): 40, (0, 1, 2): 20}
    simple, longer = ruletests.improvement_p([((1,), 2, 40), ((0, 1), 2, 20)], counts, 100)
    assert simple < 1e-10
    assert longer == pytest.approx(1.0)
    assert ruletests.improvement_p([], counts, 100).shape == (0,)


def test_intervals_of_rules_hold_their_values() -> None:
    low, high = ruletests.wilson(np.array([0, 5, 10]), np.array([10, 10, 10]))
    assert low[0] == 0.0
    assert high[2] == pytest.approx(1.0)
    assert (low[1], high[1]) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    low, high = ruletests.lift_interval(np.array([30.0]), np.array([40.0]), np.array([50.0]), 100)
    assert low[0] < 1.5 < high[0]
    assert np.isnan(ruletests.wilson(np.array([0]), np.array([0]))[0][0])


# -- columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [(pl.Series([1.0, 2.0, None]), ["1", "2", ""]), (pl.Series([1.5, NAN]), ["1.5", ""]), (pl.Series([" a", "NA", None]), ["a", "", ""]),
     (pl.Series([True, None]), ["true", ""]), (pl.Series([float("inf"), 1.0]), ["inf", "1.0"]), (pl.Series([], dtype=pl.Float64), [])],
)  # fmt: skip
def test_any_column_as_words(values: pl.Series, found: list[str]) -> None:
    assert columns.words(values).tolist() == found
    assert columns.missing(values).tolist() == [w == "" for w in found]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pl.Series(["Yes", "n", "maybe", None]), [1, 0, NAN, NAN]),
        (pl.Series([True, False]), [1, 0]),
        (pl.Series([0, 1, 2]), [0, 1, NAN]),
        (pl.Series([1.0, 0.0]), [1, 0]),
    ],
)
def test_any_column_as_yes_or_no(values: pl.Series, found: list) -> None:
    np.testing.assert_array_equal(columns.yes(values), found)


def people(**values: list) -> Cohort:
    table = pl.DataFrame(values)
    kinds = {pl.Float64: "number", pl.Boolean: "boolean", pl.String: "category"}
    return Cohort(table, tuple(Column(n, kinds[table.schema[n]], "input") for n in table.columns))


@pytest.mark.parametrize(("names", "error"), [(("none",), ColumnError), (("note",), ColumnError)])
def test_columns_that_cannot_be_picked(names: tuple[str, ...], error: type) -> None:
    cohort = people(age=[1.0], note=["x"]).declare(columns={"note": {"modality": "text"}})
    assert [c.name for c in columns.pick(cohort, ())] == ["age"]
    with pytest.raises(error):
        columns.pick(cohort, names)
    with pytest.raises(ColumnError):
        columns.pick(cohort.declare(columns={"age": {"role": "id"}}), ())


def test_options_outside_their_range() -> None:
    columns.within("k", 2, 1, 3)
    with pytest.raises(OptionError, match="between 1 and 3, was 4"):
        columns.within("k", 4, 1, 3)
    with pytest.raises(OptionError, match="'kmean'"):
        columns.one_of("method", "kmean", ("kmeans", "gmm"))


# -- mixed columns and components ----------------------------------------------------------------------------


def table(n: int = 80, seed: int = 0) -> Cohort:
    rng = np.random.default_rng(seed)
    skewed = np.where(rng.random(n) < 0.1, NAN, rng.lognormal(0, 1, n))
    return people(
        height=rng.normal(170, 10, n).tolist(), crp=[None if np.isnan(v) else float(v) for v in skewed],
        smoker=(rng.random(n) < 0.3).tolist(), ward=rng.choice(["a", "b", "c"], n).tolist(), same=["x"] * n,
    )  # fmt: skip


def test_every_column_weighs_the_same() -> None:
    cohort = table(2000).select(["height", "smoker", "ward"])
    state = mixed.fit(cohort, cohort.columns)
    x = mixed.encode(cohort, state)
    for start, end, _ in mixed.is_discrete(state):
        assert x[:, start:end].var(axis=0).sum() == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-9)
    assert len(mixed.names(state)) == x.shape[1]


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_units_of_a_number_change_no_feature(factor: float) -> None:
    cohort = table()
    scaled = cohort.with_column(cohort.values("crp") * factor, cohort.column("crp"))
    plain = mixed.encode(cohort, mixed.fit(cohort, cohort.columns))
    np.testing.assert_allclose(mixed.encode(scaled, mixed.fit(scaled, scaled.columns)), plain, atol=1e-4)


def test_rows_are_placed_by_themselves() -> None:
    cohort = table()
    state = mixed.fit(cohort, cohort.columns)
    assert state["constant"] == ["same"]
    whole = mixed.encode(cohort, state)
    assert np.isfinite(whole).all()
    for i in (0, 7, 79):
        np.testing.assert_allclose(mixed.encode(cohort.take(np.array([i])), state), whole[[i]])


@pytest.mark.parametrize("cohort", [people(x=[1.0] * 9), people(x=[1.0] * 20, y=["a"] * 20)])
def test_tables_without_anything_to_learn_are_refused(cohort: Cohort) -> None:
    with pytest.raises(ColumnError):
        mixed.fit(cohort, cohort.columns)


def test_components_beside_an_eigen_decomposition() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)) @ np.diag([3.0, 2, 1, 0.5])
    x -= x.mean(axis=0)
    found = reduce.fit_pca(x, 4, np.random.default_rng(0))
    values, vectors = np.linalg.eigh(np.cov(x.T, ddof=0))
    np.testing.assert_allclose(found["variances"], values[::-1])
    np.testing.assert_allclose(np.abs(found["loadings"]), np.abs(vectors.T[::-1]), atol=1e-9)
    assert (found["loadings"].max(axis=1) == np.abs(found["loadings"]).max(axis=1)).all()
    rng = np.random.default_rng(1)
    two = 2 * rng.normal(size=(300, 2)) @ np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]) + rng.normal(size=(300, 6))
    assert len(reduce.fit_pca(two - two.mean(axis=0), 0, rng)["loadings"]) == 2


def test_means_of_rows_with_gaps_by_em() -> None:
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 4000)
    z[z[:, 0] > 0.5, 1] = NAN
    patterns, which = np.unique(np.isnan(z), axis=0, return_inverse=True)
    mean, covariance = littles_test.em_normal(z, patterns, which.ravel())
    assert mean == pytest.approx([0, 0], abs=0.08)
    assert covariance[0, 1] == pytest.approx(0.8, abs=0.08)
    assert littles_test.littles_test(z)["p"] < 1e-6
    assert "no test" in littles_test.littles_test(rng.normal(size=(30, 2)))["note"]
    assert "no test" in littles_test.littles_test(np.zeros((0, 0)))["note"]
