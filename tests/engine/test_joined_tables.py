"""Two tables joined by `labels`: the run names both, and is verified and refitted from both."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from osler.engine.external import evaluate
from osler.engine.fit import fit
from osler.engine.prepare import file_sha256, table_sha256
from osler.engine.run import Run
from osler.engine.verify import verify
from osler.errors import ReadError
from tests.engine.conftest import clinic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """visits.csv and outcomes.csv of the made-up clinic, with the key visit_id."""
    folder = tmp_path_factory.mktemp("joined")
    table = clinic().with_row_index("visit_id").with_columns(pl.format("V{}", "visit_id").alias("visit_id"))
    table.drop("died").write_csv(folder / "visits.csv")
    table.select("visit_id", "died").write_csv(folder / "outcomes.csv")
    return folder


@pytest.fixture(scope="module")
def joined(folder: Path) -> Run:
    """A run on both."""
    options = {
        "target": "died",
        "unit": "patient_id",
        "model": "tree",
        "repeats": 1,
        "boot": 100,
        "explain": False,
    }
    labels = str(folder / "outcomes.csv")
    return fit(folder / "visits.csv", folder / "run", labels=labels, workers=1, silent=True, **options)


def test_a_run_names_both_tables(folder: Path, joined: Run):
    both = "/".join(file_sha256(folder / name) for name in ("visits.csv", "outcomes.csv"))
    assert joined.study.labels == str(folder / "outcomes.csv")
    assert joined.study.source_sha256 == hashlib.sha256(both.encode()).hexdigest()
    assert joined.json("facts.json")["rows_used"] == 180


def test_verifying_looks_at_both_tables(folder: Path, joined: Run):
    checks = {c.name: c for c in verify(joined).checks}
    assert checks["same table"].verdict == "clean"
    assert "recorded" not in checks["giveaway predictors"].detail


def test_other_labels_are_another_table(folder: Path, joined: Run):
    kept = (folder / "outcomes.csv").read_bytes()
    try:
        (folder / "outcomes.csv").write_bytes(kept.replace(b"yes", b"no", 1))
        checks = {c.name: c for c in verify(joined).checks}
        assert "not at hand" in checks["giveaway predictors"].detail
        (folder / "outcomes.csv").unlink()
        assert table_sha256(folder / "visits.csv", str(folder / "outcomes.csv")) == ""
        assert "not at hand" in {c.name: c for c in verify(joined).checks}["giveaway predictors"].detail
    finally:
        (folder / "outcomes.csv").write_bytes(kept)


def test_a_refit_elsewhere_joins_them_again(folder: Path, joined: Run, tmp_path: Path):
    elsewhere = clinic(seed=9).with_columns(pl.lit(None, dtype=pl.Float64).alias("creatinine"))
    elsewhere.write_csv(tmp_path / "elsewhere.csv")
    found = evaluate(joined, tmp_path / "elsewhere.csv")
    assert found.facts["nearly_empty"] == ["creatinine"]
    assert found.facts["refit"].startswith("fitted anew on 180 development rows")
    assert "holdout_refit" in found.scores["parts"]


def test_labels_that_are_not_there_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(ReadError) as caught:
        fit(
            folder / "visits.csv",
            tmp_path / "run",
            labels=str(folder / "outcome.csv"),
            target="died",
            silent=True,
        )
    assert caught.value.code == "read-missing"
    assert "outcomes.csv" in caught.value.message
    assert not (tmp_path / "run").exists()
