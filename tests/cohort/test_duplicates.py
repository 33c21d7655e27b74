"""Near duplicates: planted ones are found, chance agreement is not called one, coarse tables are not judged."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.cohort.agreement import bits_of, fields_of, most_bits
from osler.cohort.duplicates import merged_groups, near_duplicates
from tests.golden.people import as_cohort, planted, registry


def found(cohort: Cohort) -> set[tuple[int, int]]:
    """The pairs as a set."""
    return {tuple(p) for p in near_duplicates(cohort).positions.tolist()}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_99_percent_of_1000_planted_among_10000_and_at_most_1_in_1000_false(named, seed):
    rng = np.random.default_rng(seed)
    cohort, truth = planted(registry(10_000, rng, named=named), 1000, rng)
    pairs = found(cohort)
    assert len(pairs & truth) >= 990
    assert len(pairs - truth) <= 0.001 * len(pairs)


@pytest.mark.parametrize("named", [True, False])
def test_a_register_without_duplicates_has_none(named):
    cohort = as_cohort(registry(8_000, np.random.default_rng(3), named=named))
    pairs = near_duplicates(cohort)
    assert pairs.checked
    assert len(pairs) == 0


def persons(n: int = 300) -> list[dict]:
    """Named persons with a date of birth and five numbers."""
    return registry(n, np.random.default_rng(8), named=True).to_dicts()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("re-ordered name", lambda r: r | {"name": ", ".join(reversed(r["name"].split(" ")))}),
        ("upper case", lambda r: r | {"name": r["name"].upper()}),
        ("typing error", lambda r: r | {"name": r["name"][:2] + "x" + r["name"][3:]}),
        ("day and month", lambda r: r | {"born": dt.date(1950, 3, 5)}),
        ("shifted date", lambda r: r | {"admitted": r["admitted"] + dt.timedelta(days=12), "born": r["born"] + dt.timedelta(days=1)}),
        ("jitter", lambda r: r | {"weight_kg": r["weight_kg"] + 0.3, "cholesterol": r["cholesterol"] + 2, "systolic": r["systolic"] - 1}),
        ("missing", lambda r: r | {"name": None, "cholesterol": None}),
    ],
)  # fmt: skip
def test_each_kind_of_alteration_is_seen_through(name, change):
    rows = persons()
    rows[7]["born"] = dt.date(1950, 5, 3)
    rows.append(change(rows[7]) | {"patient": "Q1"})
    assert found(as_cohort(pl.DataFrame(rows, infer_schema_length=None))) == {(7, 300)}


def test_rows_of_one_unit_are_not_listed():
    rows = persons()
    rows.append(rows[7] | {"cholesterol": 201.0})
    assert found(as_cohort(pl.DataFrame(rows))) == set()


def test_exact_copies_are_marked():
    rows = persons()
    rows += [rows[7] | {"patient": "Q1"}, rows[9] | {"patient": "Q2", "weight_kg": rows[9]["weight_kg"] + 0.2}]
    pairs = near_duplicates(as_cohort(pl.DataFrame(rows)))
    assert dict(zip(map(tuple, pairs.positions.tolist()), pairs.exact.tolist())) == {(7, 300): True, (9, 301): False}
    assert (pairs.score >= pairs.threshold).all()


def test_a_coarse_table_is_not_checked_and_says_why():
    rng = np.random.default_rng(0)
    table = pl.DataFrame({f"item_{j}": rng.integers(0, 3, 2000) for j in range(8)})
    pairs = near_duplicates(Cohort(table, tuple(Column(c, "category") for c in table.columns)))
    assert table.is_duplicated().sum() > 400, "many rows agree by chance"
    assert (len(pairs), pairs.checked) == (0, False)
    # eight times log2(3) + log2(0.6) bits
    assert pairs.reason.startswith("the columns cannot tell persons apart (a row carries 7 bits, 27")


def test_columns_that_say_the_same_do_not_count_twice():
    rng = np.random.default_rng(0)
    grade = rng.integers(0, 50, 3000)
    table = pl.DataFrame({f"copy_{j}": grade * (j + 1) for j in range(40)})
    fields = fields_of(Cohort(table, tuple(Column(c, "number") for c in table.columns)), rng)
    one_column = -np.log2(1 / 50)
    assert np.median(most_bits(fields)) < 40 * one_column * 0.75, "each copy adds only what its parent leaves open"


def test_evidence_is_rarity_of_what_is_shared():
    kinds = ["common"] * 900 + ["rare"] * 4 + [f"single {i}" for i in range(96)]
    table = pl.DataFrame({"kind": kinds, "noise": np.random.default_rng(0).normal(size=1000)})
    fields = fields_of(
        Cohort(table, (Column("kind", "category"), Column("noise", "number", "ignore"))), np.random.default_rng(0)
    )
    common, rare, differs = bits_of(fields, np.array([0, 900, 0]), np.array([1, 901, 901]))
    assert rare - common == pytest.approx(np.log2(900 / 4), abs=0.2)
    assert differs < common < rare


def test_merging_joins_units_of_duplicates_and_counts_them():
    rows = persons(200)
    rows += [rows[7] | {"patient": "Q1"}, rows[7] | {"patient": "Q2"}]
    cohort = as_cohort(pl.DataFrame(rows))
    groups, fewer = merged_groups(cohort, np.arange(202))
    assert fewer == 2
    assert groups[7] == groups[200] == groups[201]
    assert len(np.unique(groups)) == 200
    kept, none = merged_groups(cohort.take(np.arange(200)), np.arange(200))
    assert none == 0
    assert np.array_equal(kept, np.arange(200))


def test_tiny_and_empty_tables_are_not_checked():
    for n in (0, 1, 2):
        table = pl.DataFrame({"x": np.arange(n, dtype=float)})
        assert not near_duplicates(Cohort(table, (Column("x", "number"),))).checked
    nested = pl.DataFrame({"x": [[1.0], [2.0]]})
    assert not near_duplicates(Cohort(nested, (Column("x", "number"),))).checked


@pytest.mark.parametrize(
    ("name", "unit"),
    [("heart_cleveland", None), ("pima_diabetes", None), ("ckd_uci", None), ("framingham_teaching", "RANDID"), ("opt", "PID"),
     ("actg175", "pidnum"), ("pbc", "id"), ("gbsg", "pid"), ("nhefs", "seqn"), ("breast_cancer_wisconsin_original", "sample_code")],
)  # fmt: skip
def test_real_tables_have_no_false_duplicates(mirror, name, unit):
    table = pl.read_csv(mirror / "clinical" / f"{name}.csv.gz", infer_schema_length=None, null_values=["NA", "?", ""])
    if name == "framingham_teaching":
        table = table.filter(pl.col("PERIOD") == 1)
    columns = [
        Column(c, "number" if t.is_numeric() else "category", "unit" if c == unit else "input")
        for c, t in table.schema.items()
    ]
    assert len(near_duplicates(Cohort(table, tuple(columns)))) == 0


def test_visits_without_a_declared_unit_are_recognised(mirror):
    table = pl.read_csv(mirror / "clinical" / "framingham_teaching.csv.gz", infer_schema_length=None, n_rows=3000)
    outcomes = [c for c in table.columns if c.startswith("TIME") and c != "TIME"]
    table = table.select("RANDID", "SEX", "educ", *outcomes)
    person = table["RANDID"].to_numpy()
    columns = [Column(c, "number", "ignore" if c == "RANDID" else "input") for c in table.columns]
    pairs = near_duplicates(Cohort(table, tuple(columns)))
    same = person[pairs.positions[:, 0]] == person[pairs.positions[:, 1]]
    assert not pairs.checked or same.mean() > 0.99
