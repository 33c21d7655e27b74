"""Missing-data patterns, Little's test and table one: numbers by hand, against scipy, and by invariants."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from scipy import stats

from osler.cohort import Cohort, Column
from osler.errors import ColumnError, OptionError
from osler.instruments import cells, groups
from osler.instruments.littles_test import em_normal, littles_test
from osler.instruments.missing import Missing, MissingOptions
from osler.instruments.tableone import TableOne, TableOneOptions, markdown, to_html


def table(**data) -> Cohort:
    kinds = {
        name: "number" if all(isinstance(v, (int, float, type(None))) for v in values) else "category"
        for name, values in data.items()
    }
    return Cohort(pl.DataFrame(data, strict=False), tuple(Column(n, k) for n, k in kinds.items()))


@pytest.fixture
def trial() -> Cohort:
    """40 rows: 20 in arm a (ages 40 to 59), 20 in arm b (ages 50 to 69); 15 and 10 women; two ages missing
    in b."""
    ages = [float(v) for v in [*range(40, 60), *range(50, 70)]]
    ages[38] = ages[39] = None
    sex = ["f"] * 15 + ["m"] * 5 + ["f"] * 10 + ["m"] * 10
    return table(age=ages, sex=sex, arm=["a"] * 20 + ["b"] * 20)


def cell(findings, variable, level, column):
    rows = findings.cohort.table.filter((pl.col("variable") == variable) & (pl.col("level") == level))
    return rows[column].item()


# -- hidden cells
# ------------------------------------------------------------------------------


def test_a_lone_small_cell_takes_another_with_it():
    counts = np.array([[4, 30], [36, 50], [60, 70]])
    hidden = cells.hide(counts)
    assert hidden[0, 0]
    assert hidden.sum(axis=0).min() >= 2
    assert (hidden.sum(axis=1)[hidden.any(axis=1)] >= 2).all()
    assert not cells.hide(np.array([[10, 20], [30, 40]])).any()


def test_no_small_count_can_be_worked_out(rng):
    """With row and column totals published, no hidden cell may be the only one of its row or column."""
    for _ in range(200):
        counts = rng.integers(0, 40, (rng.integers(2, 6), rng.integers(2, 5)))
        hidden = cells.hide(counts)
        assert hidden[(counts > 0) & (counts < 10)].all()
        for line in (*hidden, *hidden.T):
            assert line.sum() != 1


def test_a_count_is_printed_or_hidden():
    assert [
        cells.shown(0, False),
        cells.shown(9, False),
        cells.shown(10, False),
        cells.shown(1234, True),
    ] == ["0", "<10", "10", "hidden"]


# -- table one
# ------------------------------------------------------------------------------


def test_means_counts_and_missing_by_hand(trial):
    found = TableOne().run(trial, TableOneOptions(group="arm"))
    assert cell(found, "rows", "", "a") == "20"
    assert cell(found, "age", "", "a") == "49.5 (5.9)"
    assert cell(found, "age", "", "b") == "58.5 (5.3)"
    assert cell(found, "age", "(missing)", "all") == "<10"
    assert cell(found, "sex", "f", "all") == "25 (62.5)"
    assert cell(found, "sex", "m", "b") == "hidden"
    assert cell(found, "sex", "m", "a") == "<10"


def test_smd_by_hand(trial):
    """(58.5 - 49.5) / sqrt((35 + 28.5) / 2) = 1.597; for shares 0.75 and 0.5: 0.25 / sqrt((0.1875 + 0.25) /
    2) = 0.5345."""
    found = TableOne().run(trial, TableOneOptions(group="arm"))
    assert float(cell(found, "age", "", "smd")) == pytest.approx(9 / np.sqrt((35 + 28.5) / 2), abs=5e-4)
    assert float(cell(found, "sex", "f", "smd")) == pytest.approx(0.5345, abs=6e-4)


def test_smd_of_three_classes_is_the_mahalanobis_distance():
    a, b = np.array([50, 30, 20]), np.array([20, 30, 50])
    p, q = a / 100, b / 100
    covariance = (np.diag(p[1:]) - np.outer(p[1:], p[1:]) + np.diag(q[1:]) - np.outer(q[1:], q[1:])) / 2
    expected = np.sqrt((p - q)[1:] @ np.linalg.inv(covariance) @ (p - q)[1:])
    assert groups.smd_classes(np.stack([a, b])) == pytest.approx(expected)
    assert groups.smd_classes(np.stack([a, b])) == pytest.approx(
        groups.smd_classes(np.stack([b[::-1], a[::-1]]))
    )


def test_p_values_are_scipys(rng):
    a, b, c = rng.normal(0, 1, 30), rng.normal(0.5, 2, 40), rng.normal(0, 1, 20)
    assert groups.p_numbers([a, b], False) == stats.ttest_ind(a, b, equal_var=False).pvalue
    assert groups.p_numbers([a, b, c], False) == stats.f_oneway(a, b, c).pvalue
    assert groups.p_numbers([a, b], True) == stats.mannwhitneyu(a, b).pvalue
    assert groups.p_numbers([a, b, c], True) == stats.kruskal(a, b, c).pvalue
    assert (
        groups.p_classes(np.array([[30, 20], [20, 30]]))
        == stats.chi2_contingency([[30, 20], [20, 30]], correction=False).pvalue
    )
    assert groups.p_classes(np.array([[2, 20], [7, 11]])) == stats.fisher_exact([[2, 20], [7, 11]]).pvalue
    assert groups.p_classes(np.array([[3, 0], [9, 0]])) == 1.0


def test_p_values_only_when_asked(trial):
    assert "p" not in TableOne().run(trial, TableOneOptions(group="arm")).cohort.table.columns
    assert (
        cell(TableOne().run(trial, TableOneOptions(group="arm", p_values=True)), "age", "", "p") == "<0.001"
    )


def test_a_skewed_number_gets_a_median():
    skewed = table(
        stay=[float(v) for v in [*[1] * 20, *[2] * 20, *[3] * 10, 90, 95]], ward=["x"] * 26 + ["y"] * 26
    )
    found = TableOne().run(skewed, TableOneOptions(group="ward"))
    assert cell(found, "stay", "", "statistic") == "median [quartiles]"
    assert cell(found, "stay", "", "all") == "2.0 [1.0, 2.0]"
    assert (
        cell(TableOne().run(skewed, TableOneOptions(group="ward", summary="mean")), "stay", "", "statistic")
        == "mean (SD)"
    )


def test_small_spreads_get_the_digits_that_show_them():
    """0.010 to 0.050 in steps of 0.002: middle 0.030, quartiles 0.020 and 0.040; a spread of 20 needs no more than asked."""
    acid = [0.010 + 0.002 * k for k in range(21)]
    held = table(acid=acid, age=[40.0 + 2 * k for k in range(21)], ward=["x"] * 21)
    found = TableOne().run(held, TableOneOptions(group="ward", summary="median"))
    assert cell(found, "acid", "", "x") == "0.030 [0.020, 0.040]"
    assert cell(found, "age", "", "x") == "60.0 [50.0, 70.0]"
    assert (
        cell(TableOne().run(held, TableOneOptions(group="ward", summary="mean", digits=4)), "acid", "", "x")
        == "0.0300 (0.0124)"
    )


def test_a_small_group_is_in_no_number(trial):
    small = trial.table.with_columns(arm=pl.Series(["a"] * 20 + ["b"] * 15 + ["c"] * 5))
    found = TableOne().run(Cohort(small.drop("_row"), trial.columns), TableOneOptions(group="arm"))
    assert "c" not in found.cohort.table.columns
    assert cell(found, "rows", "", "all") == "35"
    assert "left out" in found.facts["notes"][0]


def test_one_group_and_no_group(trial):
    found = TableOne().run(trial, TableOneOptions())
    assert found.cohort.table.columns[:4] == ["variable", "level", "statistic", "all"]
    with pytest.raises(ColumnError):
        TableOne().run(trial.take(np.arange(5)), TableOneOptions())
    with pytest.raises(OptionError, match="summary"):
        TableOne().run(trial, TableOneOptions(summary="average"))


def test_text_output_is_escaped():
    hostile = pl.DataFrame({"variable": ["<script>alert(1)</script>"], "a|b": ["x"]})
    assert "<script" not in to_html(hostile)
    assert "&lt;script&gt;" in to_html(hostile)
    assert markdown(hostile).splitlines()[0] == "| variable | a\\|b |"


# -- missing
#
#
#
#
#
# ------------------------------------------------------------------------------


def test_counts_patterns_and_pairs_by_hand():
    a = [None if i < 12 else float(i) for i in range(60)]
    b = [None if i < 15 else float(i % 7) for i in range(60)]
    c = [float(i % 5) for i in range(60)]
    found = Missing().run(table(a=a, b=b, c=c), MissingOptions())
    assert found.cohort.table["missing"].to_list() == [12, 15, 0]
    assert found.cohort.table["share"].to_list() == [0.2, 0.25, 0.0]
    assert found.facts["patterns"][0] == {"missing": [], "n": "45", "share": 0.75}
    assert found.facts["patterns"][1] == {"missing": ["a", "b"], "n": "12", "share": 0.2}
    assert found.facts["patterns"][2] == {"missing": ["b"], "n": "<10", "share": None}
    assert found.facts["together"] == [{"columns": ["a", "b"], "n": 12, "jaccard": 0.8}]
    assert found.facts["complete_rows"] == "45"


def test_missingness_that_tells_the_target_is_warned_of(rng):
    y = rng.integers(0, 2, 400)
    lab = np.where((y == 1) & (rng.random(400) < 0.6), np.nan, rng.normal(size=400))
    noise = np.where(rng.random(400) < 0.3, np.nan, rng.normal(size=400))
    frame = pl.DataFrame({"lab": lab, "noise": noise, "died": y}).with_columns(
        pl.col("lab", "noise").fill_nan(None)
    )
    cohort = Cohort(
        frame, (Column("lab", "number"), Column("noise", "number"), Column("died", "boolean", "target"))
    )
    found = Missing().run(cohort, MissingOptions())
    assert [("'lab'" in w) for w in found.facts["warnings"]] == [True]
    assert found.cohort.table["column"].to_list() == ["lab", "noise"]


def test_the_target_can_be_named_as_an_option():
    y = ["no"] * 40 + ["yes"] * 40
    found = Missing().run(table(lab=[None] * 40 + [1.0] * 40, y=y), MissingOptions(target="y"))
    assert found.cohort.table["column"].to_list() == ["lab"]
    assert len(found.facts["warnings"]) == 1


def test_by_group_hides_small_counts():
    a = [None if i % 4 == 0 else 1.0 for i in range(80)]
    site = ["x"] * 40 + ["y"] * 36 + ["z"] * 4
    found = Missing().run(table(a=a, b=[1.0] * 80, site=site), MissingOptions(group="site"))
    row = next(r for r in found.facts["by_group"] if r["column"] == "a")
    assert row == {"column": "a", "x": "hidden", "y": "<10"}


def test_little_does_not_reject_under_mcar_and_does_under_mar():
    rejected = {"mcar": 0, "mar": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.multivariate_normal([0, 0, 0], [[1, 0.5, 0.2], [0.5, 1, 0.3], [0.2, 0.3, 1]], 200)
        mcar, mar = x.copy(), x.copy()
        mcar[rng.random(x.shape) < 0.1] = np.nan
        mar[(x[:, 0] > 0.5) & (rng.random(200) < 0.7), 1] = np.nan
        rejected["mcar"] += littles_test(mcar)["p"] < 0.05
        rejected["mar"] += littles_test(mar)["p"] < 0.05
    assert rejected["mcar"] <= 6
    assert rejected["mar"] == 40


def test_little_for_two_columns_and_one_pattern_of_missing_by_hand(rng):
    """With y missing in some rows and x complete: d2 = sum over patterns of n_j (mean_j - mean)' S^-1
    (mean_j - mean), where the complete rows enter with both columns and the others with x only; degrees of
    freedom 2 + 1 - 2 = 1."""
    x = rng.normal(size=100)
    y = 0.5 * x + rng.normal(size=100)
    gone = np.arange(100) < 30
    found = littles_test(np.stack([x, np.where(gone, np.nan, y)], axis=1))
    assert found["df"] == 1
    slope, intercept = np.polyfit(x[~gone], y[~gone], 1)
    residual = ((y - slope * x - intercept)[~gone] ** 2).mean()
    centre = np.array([x.mean(), intercept + slope * x.mean()])
    spread = np.array([[x.var(), slope * x.var()], [slope * x.var(), slope**2 * x.var() + residual]])
    whole = np.array([x[~gone].mean(), y[~gone].mean()]) - centre
    expected = 70 * whole @ np.linalg.inv(spread) @ whole + 30 * (x[gone].mean() - x.mean()) ** 2 / x.var()
    assert found["d2"] == pytest.approx(expected, abs=1e-3)


def test_em_without_missing_is_the_sample_moments(rng):
    z = rng.normal(size=(50, 3))
    mean, covariance = em_normal(z, np.zeros((1, 3), dtype=bool), np.zeros(50, dtype=int))
    assert mean == pytest.approx(z.mean(axis=0))
    assert covariance == pytest.approx(np.cov(z.T, ddof=0))


@pytest.mark.parametrize("x", [np.empty((5, 0)), np.ones((5, 2)), np.arange(10.0).reshape(5, 2)])
def test_little_says_why_there_is_no_test(x):
    assert "no test" in littles_test(x)["note"]


def test_pairs_are_symmetric_in_column_order(rng):
    gone = rng.random((100, 4)) < 0.4
    gone[:, 1] = gone[:, 0]
    data = {f"c{i}": [None if g else 1.0 for g in gone[:, i]] for i in range(4)}
    for order in itertools.permutations(range(4)):
        found = Missing().run(table(**{f"c{i}": data[f"c{i}"] for i in order}), MissingOptions())
        assert {frozenset(p["columns"]) for p in found.facts["together"]} >= {frozenset({"c0", "c1"})}


def test_a_small_total_cannot_be_worked_out_from_the_other_totals():
    """Three rows of sex "other" among 100: their total is hidden, and so is a second total, since all
    totals add up to 100."""
    sex = ["f"] * 50 + ["m"] * 47 + ["other"] * 3
    found = TableOne().run(table(sex=sex, arm=(["a", "b"] * 50)), TableOneOptions(group="arm"))
    totals = [cell(found, "sex", level, "all") for level in ("f", "m", "other")]
    assert totals[2] == "<10"
    assert "hidden" in totals[:2]
    for column in ("all", "a", "b"):
        shown_counts = [cell(found, "sex", level, column) for level in ("f", "m", "other")]
        assert sum(v in ("<10", "hidden") for v in shown_counts) != 1


def test_real_table_against_polars_and_scipy(mirror):
    """UCI heart, Cleveland: what is printed is what polars and scipy compute."""
    from osler import catalogue

    raw = catalogue.table("heart_cleveland").with_columns(
        ill=pl.when(pl.col("num") > 0).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    frame = raw.select("age", "thalach", "oldpeak", pl.col("cp").cast(pl.String), "ill")
    kinds = {"cp": "category", "ill": "category"}
    cohort = Cohort(
        frame,
        tuple(Column(c, kinds.get(c, "number"), "target" if c == "ill" else "input") for c in frame.columns),
    )
    found = TableOne().run(cohort, TableOneOptions(p_values=True, digits=2))
    for name in ("age", "thalach"):
        for group in ("no", "yes"):
            x = frame.filter(pl.col("ill") == group)[name]
            assert cell(found, name, "", group) == f"{x.mean():.2f} ({x.std():.2f})"
    ill, well = (frame.filter(pl.col("ill") == v) for v in ("yes", "no"))
    quartiles = [ill["oldpeak"].quantile(q, "linear") for q in (0.5, 0.25, 0.75)]
    assert cell(found, "oldpeak", "", "yes") == f"{quartiles[0]:.2f} [{quartiles[1]:.2f}, {quartiles[2]:.2f}]"
    assert cell(found, "age", "", "p") == groups.p_text(
        stats.ttest_ind(ill["age"], well["age"], equal_var=False).pvalue
    )
    assert cell(found, "oldpeak", "", "p") == groups.p_text(
        stats.mannwhitneyu(well["oldpeak"], ill["oldpeak"]).pvalue
    )
    counts = (
        frame.group_by("cp", "ill")
        .len()
        .pivot(on="ill", index="cp", values="len")
        .select("no", "yes")
        .to_numpy()
    )
    assert cell(found, "cp", "1.0", "p") == groups.p_text(stats.chi2_contingency(counts).pvalue)
