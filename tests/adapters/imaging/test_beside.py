"""Folders of scans and masks: whichever of the usual ways they are laid out in, one row per scan with its masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import osler
from osler.adapters.imaging import nifti
from tests.adapters.imaging.files import UID, dicom, series, straight
from tests.drawn_scans import brains, pictures

RNG = np.random.default_rng(4)


def scans(root: Path, *names: str) -> Path:
    """Volumes and pictures of noise."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".nii.gz"):
            nifti.write(path, RNG.normal(0, 50, (4, 5, 6)).astype(np.float32), np.eye(4))
        else:
            Image.fromarray(RNG.integers(0, 255, (32, 32)).astype(np.uint8)).save(path)
    return root


def masks(root: Path, *names: str) -> Path:
    """Label maps of 0, 1 and 2 of the same shapes."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".nii.gz"):
            nifti.write(path, RNG.integers(0, 3, (4, 5, 6)).astype(np.uint8), np.eye(4))
        else:
            Image.fromarray(RNG.integers(0, 3, (32, 32)).astype(np.uint8)).save(path)
    return root


def table(root: Path, *columns: str) -> list[tuple]:
    cohort = osler.read(root)
    return cohort.table.select(columns).rows()


def test_images_and_labels_in_sibling_folders(tmp_path):
    brains(tmp_path, n=3)
    cohort = osler.read(tmp_path)
    assert cohort.table.select("volume", "mask").rows() == [(f"imagesTr/b_0{i}.nii.gz", f"labelsTr/b_0{i}.nii.gz") for i in range(3)]
    assert {c.name: (c.modality, c.role) for c in cohort.columns}["mask"] == ("mask", "target")
    assert cohort.column("volume").role == "input"
    assert not len(cohort.refusals)


def test_pictures_and_masks_in_sibling_folders_of_parts(tmp_path):
    for part in ("train", "test"):
        pictures(tmp_path / part, n=2)
        (tmp_path / part / "cells.csv").unlink()
    found = table(tmp_path, "image", "mask")
    assert found == [(f"{part}/images/c{i}.png", f"{part}/masks/c{i}.png") for part in ("test", "train") for i in range(2)]


def test_scans_of_another_part_are_not_given_the_masks_of_this_one(tmp_path):
    scans(tmp_path, "imagesTr/a.nii.gz", "imagesTs/a.nii.gz")
    masks(tmp_path, "labelsTr/a.nii.gz")
    assert table(tmp_path, "volume", "mask") == [("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"), ("imagesTs/a.nii.gz", None)]


def test_channels_that_are_numbered_stand_side_by_side(tmp_path):
    scans(tmp_path, *[f"imagesTr/c{i}_000{k}.nii.gz" for i in range(2) for k in range(2)])
    masks(tmp_path, "labelsTr/c0.nii.gz", "labelsTr/c1.nii.gz")
    found = table(tmp_path, "volume", "volume_0001", "mask")
    assert found == [(f"imagesTr/c{i}_0000.nii.gz", f"imagesTr/c{i}_0001.nii.gz", f"labelsTr/c{i}.nii.gz") for i in range(2)]
    assert osler.read(tmp_path).column("volume_0001").role == "input"


def test_files_side_by_side_by_their_last_words(tmp_path):
    scans(tmp_path, "brain1_image.nii.gz", "brain2_image.nii.gz", "phantom.nii.gz")
    masks(tmp_path, "brain1_label.nii.gz", "brain2_label.nii.gz", "phantom-label.nii.gz")
    found = table(tmp_path, "volume", "mask")
    assert found[0] == ("brain1_image.nii.gz", "brain1_label.nii.gz")
    assert found[2] == ("phantom.nii.gz", "phantom-label.nii.gz")


def test_a_folder_per_case_with_several_sequences(tmp_path):
    for case in ("B1", "B2"):
        scans(tmp_path, *[f"{case}/{case}_{word}.nii.gz" for word in ("flair", "t1")])
        masks(tmp_path, f"{case}/{case}_seg.nii.gz")
    found = table(tmp_path, "flair", "t1", "mask")
    assert found == [(f"{c}/{c}_flair.nii.gz", f"{c}/{c}_t1.nii.gz", f"{c}/{c}_seg.nii.gz") for c in ("B1", "B2")]
    assert [c.name for c in osler.read(tmp_path).role("input")] == ["flair", "t1"]


def test_a_folder_per_case_with_one_scan_and_one_mask(tmp_path):
    for case in ("p1", "p2"):
        scans(tmp_path, f"{case}/image.nii.gz")
        masks(tmp_path, f"{case}/segmentation.nii.gz")
    assert table(tmp_path, "volume", "mask") == [(f"{c}/image.nii.gz", f"{c}/segmentation.nii.gz") for c in ("p1", "p2")]


def test_a_mask_beside_a_dicom_series(tmp_path):
    for case in ("p1", "p2"):
        (tmp_path / case).mkdir()
        series(tmp_path / case / "ct", RNG.integers(0, 99, (4, 6, 6)).astype(np.int16), straight(4), PatientID=case)
        nifti.write(tmp_path / case / "mask.nii.gz", RNG.integers(0, 2, (4, 6, 6)).astype(np.uint8), np.eye(4))
    assert table(tmp_path, "volume", "mask") == [(f"{c}/ct", f"{c}/mask.nii.gz") for c in ("p1", "p2")]


def test_a_dicom_segmentation_belongs_to_the_series_of_its_folder_or_patient(tmp_path):
    for k, place in enumerate(("p0", "elsewhere")):
        (tmp_path / f"p{k}").mkdir()
        (tmp_path / place).mkdir(exist_ok=True)
        series(tmp_path / f"p{k}" / "ct", RNG.integers(0, 99, (4, 6, 6)).astype(np.int16), straight(4), PatientID=f"p{k}", SeriesInstanceUID=f"{UID}.{k}")
        marked = dicom(RNG.integers(0, 2, (4, 6, 6)).astype(np.uint8), Modality="SEG", PatientID=f"p{k}", SeriesInstanceUID=f"{UID}.9{k}")
        marked.save_as(tmp_path / place / "seg.dcm", enforce_file_format=True)
    assert sorted(table(tmp_path, "volume", "mask")) == [("p0/ct", "p0/seg.dcm"), ("p1/ct", "elsewhere/seg.dcm")]


def test_a_sibling_of_any_name_is_masks_only_where_it_holds_label_maps(tmp_path):
    scans(tmp_path, *[f"images/{i}.png" for i in range(4)], *[f"thumbs/{i}.png" for i in range(4)])
    masks(tmp_path, *[f"vessel/{i}.png" for i in range(4)])
    cohort = osler.read(tmp_path)
    assert {c.name: c.role for c in cohort.columns if c.modality == "mask"} == {"mask": "target"}
    assert cohort.table.filter(pl.col("mask").is_not_null())["image"].to_list() == [f"images/{i}.png" for i in range(4)]
    assert len(cohort) == 8


def test_several_kinds_of_masks_are_columns_and_the_target_is_asked_for(tmp_path):
    scans(tmp_path, *[f"images/{i}.png" for i in range(4)])
    masks(tmp_path, *[f"{kind}/{i}.png" for i in range(4) for kind in ("vessel", "field")])
    columns = {c.name: (c.modality, c.role) for c in osler.read(tmp_path).columns}
    assert columns["vessel"] == columns["field"] == ("mask", "ignore")
    assert osler.read(tmp_path, target="vessel").column("vessel").role == "target"


def test_a_mask_without_a_scan_is_in_the_ledger_and_the_others_kept(tmp_path):
    scans(tmp_path, "a_image.nii.gz")
    masks(tmp_path, "a_mask.nii.gz", "lonely_mask.nii.gz")
    cohort = osler.read(tmp_path)
    assert len(cohort) == 1
    assert cohort.refusals["reason"].to_list() == ["a mask has no scan of its name beside it (mask-scan): file lonely_mask.nii.gz"]
    assert cohort.refusals["action"].to_list() == ["row refused"]


def test_folders_without_masks_are_as_they_were(tmp_path):
    scans(tmp_path, "one_t1.nii.gz", "one_t2.nii.gz", "images/x.png")
    assert len(osler.read(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('{"labels": {"0": "background", "2": "rim", "1": "core"}}', {"names": ["core", "rim"], "numbers": [1, 2]}),
        ('{"labels": {"background": 0, "core": 1, "rim": 2}}', {"names": ["core", "rim"], "numbers": [1, 2]}),
        ('{"labels": {"background": 0, "core": [1, 2], "rim": 2}}', {"names": ["rim"], "numbers": [2]}),
        ('{"labels": {"1": "same", "2": "same"}}', {}),
        ('{"labels": ["a"]}', {}),
        ("[1, 2]", {}),
        ("{broken", {}),
        ("[" * 100_000, {}),
    ],
)
def test_a_dataset_file_names_the_classes(tmp_path, text, options):
    brains(tmp_path, n=2)
    (tmp_path / "dataset.json").write_text(text)
    column = osler.read(tmp_path).column("mask")
    assert dict(column.options) == options
    assert column.role == "target"


def test_names_of_a_dataset_file_can_be_overruled(tmp_path):
    brains(tmp_path, n=2)
    (tmp_path / "dataset.json").write_text('{"labels": {"1": "a", "2": "b"}}')
    from osler.engine.prepare import open_cohort
    from osler.engine.study import Study

    cohort = open_cohort(Study(target=("mask",), column=("mask=mask:names=x+y",)), tmp_path)
    assert cohort.column("mask").options["names"] == ["x", "y"]
    assert cohort.column("mask").options["numbers"] == [1, 2]
