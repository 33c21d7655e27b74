"""Columns that name pictures or volumes are recognised by the ends of names; cells whose files cannot be read are emptied and listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import osler
from osler.cohort import scans
from osler.cohort.facts import facts_of


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a.png", "b/c.JPG", "d.tiff#3"], "image"), (["x.dcm", "y.dcm"], "image"), (["set.npz#images/4", "set.npz#images/5"], "image"),
        (["digits-idx3-ubyte.gz#1", "digits-idx3-ubyte.gz#22"], "image"), (["a.nii.gz", "b.nii"], "volume"), (["a.nrrd", "a.mha"], "volume"),
        (["a.csv", "b.txt"], ""), (["png", "jpg"], ""), (["a.npz", "b.npz"], ""),
    ],
)  # fmt: skip
def test_kinds_by_the_ends_of_names(values: list[str], kind: str):
    assert scans.kind_of(facts_of(pl.Series("x", values))) == kind


def test_unreadable_cells_are_emptied_with_their_reason(tmp_path: Path):
    for i in range(30):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "0.png").write_bytes(b"\x89PNG and no more")
    (tmp_path / "1.png").unlink()
    table = ["path,y", *(f"{i}.png,{i % 2}" for i in range(30)), "../out.png,1"]
    (tmp_path / "t.csv").write_text("\n".join(table), encoding="utf-8")
    cohort = osler.read(tmp_path / "t.csv", target="y")
    assert (cohort.column("path").modality, cohort.column("path").role) == ("image", "input")
    found = dict(cohort.refusals.select("row", "reason").iter_rows())
    assert {row: reason.rpartition("(")[2] for row, reason in found.items()} == {
        1: "image-format)", 2: "read-missing)", 31: "read-outside)",
    }  # fmt: skip
    assert cohort.table["path"].is_null().arg_true().to_list() == [0, 1, 30]
    assert len(cohort) == 31


def test_a_declared_volume_refuses_pictures(tmp_path: Path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text("path,y\na.png,1\nb.png,0\n", encoding="utf-8")
    cohort = osler.read(tmp_path / "t.csv", columns={"path": "volume"})
    assert cohort.table["path"].null_count() == 2
    assert set(cohort.refusals["reason"].str.contains("image-dims")) == {True}
