"""`osler look`: figures by hand, streamed figures against exact ones, and nothing shown that names a person."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.cli import main
from osler.cohort import profile_stream
from osler.cohort.profile import Profile, profile
from osler.cohort.sketch import KEPT_HASHES, Distinct, Levels, Moments, RowSample
from osler.errors import ReadError

ROWS = 30_000


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 30,000 visits with gaps, wrong cells and two ragged rows."""
    rng = np.random.default_rng(3)
    table = pl.DataFrame({
        "patient_id": rng.integers(10**6, 10**6 + 9_000, ROWS), "visit_id": [f"V{i:07d}" for i in range(ROWS)],
        "age_years": rng.integers(18, 95, ROWS), "crp": np.round(rng.lognormal(1, 1, ROWS), 3), "sex": rng.choice(["f", "m"], ROWS),
        "visit_date": (np.datetime64("2019-01-01") + rng.integers(0, 700, ROWS)).astype(str),
        "diagnosis": rng.choice(["a", "b", "rare"], ROWS, p=[0.6, 0.3999, 0.0001]), "died": rng.integers(0, 2, ROWS),
    }).with_columns(pl.col("crp").cast(pl.String))  # fmt: skip
    gaps = pl.Series(rng.uniform(size=ROWS))
    table = table.with_columns(
        pl.when(gaps < 0.1).then(None).when(gaps < 0.101).then(pl.lit("lost")).otherwise("crp").alias("crp"),
        pl.when(gaps > 0.95).then(pl.lit("NA")).otherwise("sex").alias("sex"),
    )
    path = tmp_path_factory.mktemp("look") / "visits.csv"
    lines = table.write_csv().splitlines()
    lines.insert(101, "1,2,3")
    lines.insert(20_001, "1,2,3")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def exact(visits: Path) -> Profile:
    """The profile of the whole table in memory."""
    return profile(visits, target="died")


@pytest.fixture(scope="module")
def streamed(visits: Path) -> Profile:
    """The profile of the same file in blocks of 64 KiB, with a sample of 5,000 rows."""
    patch = pytest.MonkeyPatch()
    patch.setattr(profile_stream, "SAMPLE", 5_000)
    patch.setattr(profile_stream.profile, "STREAM_BYTES", 1000)
    found = profile(visits, target="died")
    patch.undo()
    return found


def test_rows_add_up(exact: Profile, streamed: Profile):
    for found in (exact, streamed):
        assert (found.rows_read, found.rows_used, found.rows_refused) == (ROWS + 2, ROWS, 2)
        assert found.rows_read == found.rows_used + found.rows_refused
    assert (exact.sampled, streamed.sampled) == (0, 5_000)


def test_streamed_counts_are_the_exact_ones(exact: Profile, streamed: Profile):
    for whole, part in zip(exact.columns, streamed.columns):
        assert part.column.name == whole.column.name
        assert (part.n, part.missing) == (whole.n, whole.missing)
        assert part.distinct == (whole.distinct if part.distinct_exact else pytest.approx(whole.distinct, rel=0.06))
        assert part.levels == whole.levels
        assert part.dates == whole.dates
        for name in ("n", "min", "max", "mean", "sd"):
            if name in whole.numbers:
                assert part.numbers[name] == pytest.approx(whole.numbers[name], rel=1e-9)
    refusals = [f.refusals.select("reason", "column", "action", "n", "first_row").rows() for f in (exact, streamed)]
    assert refusals[0] == refusals[1]


def test_streamed_meaning_is_the_exact_one(exact: Profile, streamed: Profile):
    assert [(c.column.name, c.column.modality, c.column.role) for c in streamed.columns] == [
        (c.column.name, c.column.modality, c.column.role) for c in exact.columns
    ]
    assert {c.column.name: c.column.role for c in streamed.columns}["patient_id"] == "unit"
    assert {c.column.name: c.column.role for c in streamed.columns}["visit_id"] == "id"


def test_streamed_quantiles_are_near(exact: Profile, streamed: Profile):
    whole, part = (next(c.numbers for c in f.columns if c.column.name == "age_years") for f in (exact, streamed))
    assert abs(part["p50"] - whole["p50"]) <= 3
    assert abs(part["p95"] - whole["p95"]) <= 3


def test_only_what_may_be_shown_is_shown(exact: Profile, streamed: Profile):
    for found in (exact, streamed):
        by_name = {c.column.name: c for c in found.columns}
        assert by_name["patient_id"].numbers == {}
        assert by_name["patient_id"].levels == ()
        assert by_name["visit_id"].levels == ()
        assert [level for level, _ in by_name["diagnosis"].levels] == ["a", "b"]
        text = json.dumps(found.to_json())
        assert "V00000" not in text
        assert "1000001" not in text


def test_figures_by_hand():
    table = pl.DataFrame({"x": [1.0, 2.0, 3.0, None, 10.0], "g": ["a", "a", "b", "NA", None]})
    x, g = profile(table, inputs=["x", "g"]).columns
    assert (x.n, x.missing, x.distinct) == (5, 1, 4)
    assert x.numbers["mean"] == 4.0
    assert x.numbers["sd"] == pytest.approx(np.sqrt(50 / 3))
    assert (x.numbers["min"], x.numbers["p50"], x.numbers["max"]) == (1.0, 2.5, 10.0)
    assert (g.missing, g.distinct, g.levels) == (2, 2, ())


def test_streamed_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    n = 200_000
    table = pl.DataFrame({"x": rng.normal(50, 5, n), "g": rng.choice(["a", "b", "c"], n), "seen": [None] * n})
    table.write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(profile_stream.profile, "STREAM_ROWS", 1000)
    monkeypatch.setattr(profile_stream, "_PARQUET_ROWS", 30_000)
    found = profile(tmp_path / "t.parquet")
    x, g, seen = found.columns
    assert (found.rows_used, found.sampled) == (n, 50_000)
    assert x.numbers["mean"] == pytest.approx(table["x"].mean())
    assert dict(g.levels) == dict(table["g"].value_counts().iter_rows())
    assert (seen.missing, seen.column.role) == (n, "ignore")


def test_a_streamed_table_without_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t.csv").write_text("a,b\n1\n2\n3\n")
    monkeypatch.setattr(profile_stream.profile, "STREAM_BYTES", 1)
    with pytest.raises(ReadError, match="none that can be read"):
        profile(tmp_path / "t.csv")


def test_distinct_values_are_counted_exactly_and_then_within_a_few_percent():
    few, many = Distinct(), Distinct()
    for start in range(0, 200_000, 20_000):
        few.add(pl.Series(range(start % 1000, start % 1000 + 1000)))
        many.add(pl.Series(range(start, start + 40_000)))
    assert (few.is_exact, few.count()) == (True, 1000)
    assert not many.is_exact
    assert many.count() == pytest.approx(220_000, rel=4 / np.sqrt(KEPT_HASHES))


def test_moments_do_not_depend_on_blocks(rng: np.random.Generator):
    x = rng.normal(1e6, 1.0, 10_001)
    whole, parts = Moments(), Moments()
    whole.add(x)
    for part in np.split(x, [1, 2, 500, 500, 9_000]):
        parts.add(part)
    assert parts.n == len(x)
    assert parts.mean == pytest.approx(x.mean(), rel=1e-12)
    assert parts.sd == pytest.approx(x.std(ddof=1), rel=1e-9)
    assert whole.sd == pytest.approx(x.std(ddof=1), rel=1e-9)
    assert np.isnan(Moments().sd)


def test_a_row_sample_is_uniform_and_does_not_depend_on_blocks():
    table = pl.DataFrame({"i": range(20_000)})
    samples = []
    for size in (20_000, 333):
        sample = RowSample(2_000, np.random.default_rng(5))
        for start in range(0, 20_000, size):
            sample.add(table.slice(start, size))
        samples.append(sample.table()["i"].to_list())
    assert samples[0] == samples[1]
    assert len(set(samples[0])) == 2_000
    assert samples[0] == sorted(samples[0])
    # Of 2,000 draws the mean has a standard error of 20000 / sqrt(12 * 2000) = 129.
    assert abs(np.mean(samples[0]) - 10_000) < 4 * 129


def test_levels_stop_being_counted_when_there_are_too_many():
    levels = Levels()
    levels.add(pl.DataFrame({"level": ["a", "b"], "n": [12, 3]}))
    levels.add(pl.DataFrame({"level": ["a", "c"], "n": [1, 20]}))
    assert levels.top(5, 10) == [("c", 20), ("a", 13)]
    levels.add(pl.DataFrame({"level": [str(i) for i in range(10_001)], "n": [1] * 10_001}))
    assert levels.counts is None
    assert levels.top(5, 1) == []


def test_look_prints_a_table_findings_and_refusals(visits: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["look", str(visits), "--target", "died", "--column", "diagnosis=category"]) == 0
    shown = capsys.readouterr().out
    assert f"rows read {ROWS + 2:,} = used {ROWS:,} + refused 2" in shown
    for word in ("patient_id", "unit", "age_years", "mixed-types", "2 rows refused", "first in row 101"):
        assert word in shown
    assert "V000" not in shown


def test_look_gives_json(visits: Path, capsys: pytest.CaptureFixture[str], exact: Profile):
    assert main(["look", str(visits), "--target", "died", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(exact.to_json()))
    assert main(["look", str(visits), "--column", "diagnosis"]) == 2
    assert "NAME=MODALITY" in capsys.readouterr().err


def test_look_at_a_cohort(visits: Path):
    cohort = osler.read(visits)
    assert osler.look(cohort).rows_refused == 2
