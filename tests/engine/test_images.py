"""From a folder of pictures and a table of labels to a run: patients apart, copies under two names joined, new pictures answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import osler

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 pictures of 36 patients: a spot or none; and one picture filed under two patients, once at half its quality."""
    from scipy.ndimage import gaussian_filter

    root, rng = tmp_path_factory.mktemp("clinic"), np.random.default_rng(0)
    (root / "scans").mkdir()
    y, x = np.mgrid[:72, :72]
    rows = []
    for i in range(72):
        sick = (i // 2) % 2
        noise = gaussian_filter(rng.normal(size=(72, 72)), 6) * 400 + 90
        spot = 140 * np.exp(-((y - rng.uniform(25, 45)) ** 2 + (x - rng.uniform(25, 45)) ** 2) / 60) * sick
        picture = Image.fromarray(np.clip(noise + spot, 0, 255).astype(np.uint8))
        picture.save(root / "scans" / f"s{i:02d}.png")
        rows.append((f"s{i:02d}.png", f"p{i // 2:02d}", "sick" if sick else "well"))
    Image.open(root / "scans" / "s00.png").save(root / "scans" / "copy.jpg", quality=60)
    rows.append(("copy.jpg", "p99", "well"))
    pl.DataFrame(rows, schema=["scan", "patient", "y"], orient="row").write_csv(root / "labels.csv")
    (root / "scans" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """A short fit."""
    return osler.fit(
        folder / "scans", tmp_path_factory.mktemp("runs") / "run", labels=str(folder / "labels.csv"), target=("y",), unit=("patient",),
        model=("network:epochs=5,members=1,width=16",), folds=2, repeats=1, explain=False, column=("image=image:size=32+32",), boot=50,
        workers=1, silent=True,
    )  # fmt: skip


def test_the_certificate_is_clean_and_patients_are_apart(run):
    checks = {c["name"]: c for c in run.certificate["checks"]}
    assert run.certificate["verdict"] == "clean"
    assert {"same image: pixels", "same image: likeness", "unit overlap"} <= set(checks)


def test_the_plan_says_how_pictures_are_prepared(run):
    said = (run.folder / "plan.md").read_text().partition("## Preparation")[2].partition("## Who")[0].strip()
    assert said.startswith("- `image` (image): read in the file's physical units; resampled to 32 x 32 (")


def test_a_copy_under_another_patients_name_is_kept_with_its_twin(run, folder: Path):
    from osler.cohort.grouping import groups_of

    cohort = osler.read(folder / "scans", labels=folder / "labels.csv", target="y", unit="patient")
    groups = dict(zip(cohort.table["file"].to_list(), groups_of(cohort).tolist()))
    assert groups["copy.jpg"] == groups["s00.png"] == groups["s01.png"]
    assert len(set(groups.values())) == 36
    assert cohort.refusals["reason"].str.contains("image-format").to_list() == [True]


def test_new_pictures_are_answered_and_unreadable_ones_are_missing(run, folder: Path, tmp_path: Path):
    answered = osler.predict(run, folder / "scans")
    assert len(answered) == 73
    by_name = dict(zip(answered.table["file"].to_list(), answered.table.select(pl.col("^.*sick.*$")).to_series(0).to_list()))
    sick = [by_name[f"s{i:02d}.png"] for i in range(72) if (i // 2) % 2]
    well = [by_name[f"s{i:02d}.png"] for i in range(72) if not (i // 2) % 2]
    assert np.mean(sick) > np.mean(well)
    lone = pl.DataFrame({"image": ["s00.png", "lost.png"]})
    lone.write_csv(folder / "scans" / "new.csv")
    found = osler.predict(run, folder / "scans" / "new.csv")
    assert found.refusals["reason"].str.contains("read-missing").any()
    assert len(found) == 2
