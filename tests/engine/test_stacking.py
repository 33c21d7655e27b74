"""Hold-out rows from another folder: their files are found, the answers are those of judging the run there, and copies are seen through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from osler.cli import main
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.stacking import stacked
from osler.engine.verify import verify
from osler.errors import ColumnError, ViolationError
from tests.drawn_scans import brains, pictures

GIVEN = {"target": "mask", "model": ("atlas",), "folds": 2, "boot": 20, "examples": 0, "silent": True, "workers": 1}


def folder_of(where: Path, n: int, seed: int) -> Path:
    """A folder of scans and masks without a table."""
    brains(where, n=n, seed=seed).unlink()
    return where


def test_a_folder_of_scans_is_held_out(tmp_path: Path):
    source, other = folder_of(tmp_path / "here", 6, 0), folder_of(tmp_path / "there", 4, 1)
    run = fit(source, tmp_path / "run", holdout=str(other), **GIVEN)
    assert set(run.scores["parts"]) == {"cv", "holdout"}
    assert run.scores["parts"]["holdout"]["atlas"]["dice"]["n"] == 4
    held = run.predictions.filter(pl.col("part") == "holdout")
    assert len(held) == 4
    assert main(["evaluate", str(run.folder), str(other), "--out", str(tmp_path / "judged")]) == 0
    elsewhere = json.loads((tmp_path / "judged" / "scores.json").read_text())["parts"]["holdout"]["atlas"]
    assert run.scores["parts"]["holdout"]["atlas"]["dice"]["value"] == pytest.approx(elsewhere["dice"]["value"], abs=1e-12)
    assert verify(run.folder).verdict == "clean"


def test_a_hold_out_with_a_copy_of_a_learnt_scan_is_refused(tmp_path: Path):
    source, other = folder_of(tmp_path / "here", 6, 0), folder_of(tmp_path / "there", 4, 1)
    for part in ("imagesTr", "labelsTr"):
        shutil.copy(source / part / "b_02.nii.gz", other / part / "b_01.nii.gz")
    with pytest.raises(ViolationError, match="rows 3, 8"):
        fit(source, tmp_path / "run", holdout=str(other), **GIVEN)


def test_a_table_of_pictures_in_another_folder_is_held_out(tmp_path: Path):
    source, other = pictures(tmp_path / "a" / "deep", n=6, seed=0), pictures(tmp_path / "b", n=3, seed=5)
    given = {**GIVEN, "target": "cells", "column": ("cells=mask:instances=true",), "model": ("threshold:blur=1",)}
    run = fit(source, tmp_path / "run", holdout=str(other), **given)
    assert run.scores["parts"]["holdout"]["threshold:blur=1"]["f1_50"]["n"] >= 3


def test_cells_start_in_the_folder_that_holds_both(tmp_path: Path):
    first = read(brains(tmp_path / "a" / "x", n=2), columns={"scan": "volume", "drawn": "mask"})
    second = read(brains(tmp_path / "b", n=2, seed=1), columns={"scan": "volume", "drawn": "mask"})
    both = stacked(first, second)
    assert both.root == tmp_path.resolve()
    assert both.table["scan"].to_list() == [f"{w}/imagesTr/b_0{i}.nii.gz" for w in ("a/x", "b") for i in (0, 1)]
    assert both.table["_holdout"].to_list() == [False, False, True, True]
    assert all((both.root / cell).is_file() for name in ("scan", "drawn") for cell in both.table[name])
    inner = read(brains(tmp_path / "b" / "more", n=1, seed=2), columns={"scan": "volume", "drawn": "mask"})
    within = stacked(second, inner)
    assert within.table["scan"].to_list() == ["imagesTr/b_00.nii.gz", "imagesTr/b_01.nii.gz", "more/imagesTr/b_00.nii.gz"]


def test_rows_of_one_folder_and_boxes_in_cells_stay_as_they_are(tmp_path: Path):
    source = brains(tmp_path / "a", n=2)
    first = read(source, columns={"scan": "volume", "drawn": "mask"})
    assert stacked(first, first).table["scan"].to_list() == first.table["scan"].to_list() * 2
    written = '[{"box": [0, 0, 3, 4], "class": "a"}]'
    for where in ("c", "d"):
        table = pictures(tmp_path / where, n=2)
        pl.read_csv(table).with_columns(pl.lit(written).alias("cells")).write_csv(table)
    one, two = (read(tmp_path / w / "cells.csv", columns={"cells": "boxes", "picture": "image"}) for w in ("c", "d"))
    both = stacked(one, two)
    assert both.table["cells"].to_list() == [written] * 4
    assert both.table["picture"].to_list() == [f"{w}/images/c{i}.png" for w in ("c", "d") for i in (0, 1)]


def test_a_folder_without_masks_cannot_be_held_out(tmp_path: Path):
    source, other = folder_of(tmp_path / "here", 4, 0), folder_of(tmp_path / "there", 2, 1)
    shutil.rmtree(other / "labelsTr")
    with pytest.raises(ColumnError, match="'mask'"):
        fit(source, tmp_path / "run", holdout=str(other), **GIVEN)
