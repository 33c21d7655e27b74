"""Files that cells name: their hash is part of the study, and a changed scan is noticed by verify and by a fit that goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from osler.cohort.split import pseudonym
from osler.engine.fit import fit
from osler.engine.named_files import CHECK, SCHEMA, listed, named_files, sha256_of, unchanged
from osler.engine.prepare import open_cohort, prepare
from osler.engine.study import Study
from osler.engine.verify import verify

STUDY = Study(
    target=("sick",), unit=("patient",), column=("picture=image:size=8+8",), model=("pls",), folds=2, repeats=1, boot=200, explain=False,
)  # fmt: skip
KEY = b"k" * 32


def pictures(folder: Path, n: int = 30) -> Path:
    """Small grey PNG files, brighter in the sick, and their table."""
    rng = np.random.default_rng(0)
    sick = np.arange(n) % 2
    (folder / "scans").mkdir(parents=True)
    for i in range(n):
        values = rng.integers(0, 120, (8, 8)) + 100 * sick[i] * (np.add.outer(np.arange(8), np.arange(8)) < 5)
        Image.fromarray(values.astype(np.uint8)).save(folder / "scans" / f"{i}.png")
    path = folder / "rows.csv"
    rows = {"patient": [f"p{i}" for i in range(n)], "picture": [f"scans/{i}.png" for i in range(n)], "sick": sick}
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture
def made(tmp_path):
    """A finished run and its table."""
    path = pictures(tmp_path)
    return fit(path, tmp_path / "run", STUDY, workers=1, silent=True), path


def change(picture: Path) -> None:
    """Other pixels under the same name."""
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(picture)


def check_of(certificate) -> dict:
    """The certificate's check of files."""
    return next(c for c in certificate.to_json()["checks"] if c["name"] == CHECK)


def test_a_file_is_listed_by_pseudonym_size_and_the_hash_of_its_bytes(tmp_path):
    cohort = open_cohort(STUDY, pictures(tmp_path, 4))
    table = listed(cohort, KEY)
    assert dict(table.schema) == SCHEMA
    row = table.row(by_predicate=pl.col("file") == pseudonym(KEY, "scans/2.png"), named=True)
    data = (tmp_path / "scans" / "2.png").read_bytes()
    assert (row["bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert "scans" not in json.dumps(table.to_dicts())
    assert sha256_of(table) != sha256_of(table.head(3)) != sha256_of(table.clear()) == ""


def test_slices_of_one_stack_are_one_file_and_ignored_columns_none(tmp_path):
    np.savez(tmp_path / "s.npz", image=np.zeros((3, 8, 8), dtype=np.uint8))
    rows = pl.DataFrame({"picture": [f"s.npz#image/{i}" for i in range(3)], "other": ["a.png"] * 3, "sick": [0, 1, 0]})
    rows.write_csv(tmp_path / "rows.csv")
    cohort = open_cohort(STUDY.with_(unit=(), ignore=("other",)), tmp_path / "rows.csv")
    assert {name: path.resolve() for name, path in named_files(cohort).items()} == {"s.npz": (tmp_path / "s.npz").resolve()}


def test_a_series_counts_as_one_and_changes_with_any_of_its_files(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode())
    pl.DataFrame({"scan": ["series", "series"], "sick": [0, 1]}).write_csv(tmp_path / "rows.csv")
    from osler.cohort.read import read

    cohort = read(tmp_path / "rows.csv", columns={"scan": "category"})
    cohort = cohort.declare(columns={"scan": {"modality": "volume", "role": "input"}})
    first = listed(cohort, KEY)
    assert first["bytes"].to_list() == [2]
    (folder / "b").write_bytes(b"cc")
    assert sha256_of(listed(cohort, KEY)) != sha256_of(first)


def test_the_study_holds_the_hash_and_a_table_without_files_holds_none(made, tmp_path):
    run, path = made
    held = pl.read_parquet(run.folder / "files.parquet")
    assert held.height == 30
    assert run.study.files_sha256 == sha256_of(held) != ""
    assert prepare(run.study, path).study.digest == run.study.digest
    plain = tmp_path / "plain.csv"
    rng = np.random.default_rng(0)
    pl.DataFrame({"x": rng.normal(size=40), "sick": np.arange(40) % 2}).write_csv(plain)
    assert prepare(Study(target=("sick",)), plain).study.files_sha256 == ""


def test_verify_is_clean_and_then_names_how_many_files_changed(made):
    run, path = made
    found = verify(run)
    assert found.verdict == "clean"
    assert check_of(found) == {"name": CHECK, "verdict": "clean", "n": 0, "detail": "all 30 files have the bytes that the run learnt from"}
    change(path.parent / "scans" / "3.png")
    change(path.parent / "scans" / "5.png")
    found = verify(run)
    assert found.verdict == "violated"
    assert (check_of(found)["n"], "2 changed" in check_of(found)["detail"]) == (2, True)
    (path.parent / "scans" / "7.png").unlink()
    assert "1 are gone" in unchanged(run.folder, open_cohort(run.study, path), run.study.key).detail


def test_a_table_of_files_that_was_changed_is_noticed(made):
    run, path = made
    cohort = open_cohort(run.study, path)
    pl.read_parquet(run.folder / "files.parquet").head(29).write_parquet(run.folder / "files.parquet")
    assert "1 are new" in unchanged(run.folder, cohort, run.study.key).detail
    (run.folder / "files.parquet").write_bytes(b"no parquet")
    assert unchanged(run.folder, cohort, run.study.key).verdict == "violated"
    (run.folder / "files.parquet").unlink()
    assert unchanged(run.folder, cohort, run.study.key) is None


def test_a_fit_that_goes_on_starts_anew_where_a_scan_changed(tmp_path, monkeypatch):
    from osler.engine import fit as fitting

    path, seen = pictures(tmp_path), []

    class Killed(BaseException):
        """What a kill looks like from inside."""

    original = fitting.cross_validate

    def watched(prepared, folder, workers, progress):
        seen.append(sorted(p.name for p in folder.glob("*.json")) if folder.is_dir() else [])
        original(prepared, folder, workers, progress)
        raise Killed

    monkeypatch.setattr(fitting, "cross_validate", watched)
    for _ in range(2):
        with pytest.raises(Killed):
            fit(path, tmp_path / "run", STUDY, workers=1, silent=True)
    assert (len(seen[0]), len(seen[1])) == (0, 2)
    change(path.parent / "scans" / "4.png")
    with pytest.raises(Killed):
        fit(path, tmp_path / "run", STUDY, workers=1, silent=True)
    assert seen[2] == []
