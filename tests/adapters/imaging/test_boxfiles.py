"""Folders of scans with files of boxes in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.adapters.imaging.boxfiles import joined
from osler.cohort.read import read

VOC = "<annotation><object><name>cell</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 255, (12, 16)).astype(np.uint8)).save(path)


def test_a_folder_like_that_of_pascal_voc_is_a_cohort_with_boxes(tmp_path):
    for name in ("a", "b", "c"):
        picture(tmp_path / "JPEGImages" / f"{name}.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(VOC)
    (tmp_path / "Annotations" / "b.xml").write_text(VOC)
    (tmp_path / "Annotations" / "other.xml").write_text("<plist/>")
    cohort = read(tmp_path)
    column = cohort.column("boxes")
    assert (column.modality, column.role) == ("boxes", "target")
    assert cohort.values("boxes").to_list() == ["Annotations/a.xml", "Annotations/b.xml", None]


def test_a_coco_file_belongs_to_all_pictures(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "bb.png")
    whole = {"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "bb.png"}], "annotations": [], "categories": []}
    (tmp_path / "instances.json").write_text(json.dumps(whole))
    assert read(tmp_path).values("boxes").to_list() == ["instances.json#a.png", "instances.json#bb.png"]


def volume(folder: Path, name: str, seed: int) -> None:
    """A MetaImage volume in two files, as LUNA16 has them."""
    head = "ObjectType = Image\nNDims = 3\nDimSize = 12 10 8\nElementSpacing = 0.7 0.7 1.25\nOffset = -60 -40 -100\n"
    (folder / f"{name}.mhd").write_text(f"{head}TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementType = MET_SHORT\nElementDataFile = {name}.raw\n")
    (folder / f"{name}.raw").write_bytes(np.random.default_rng(seed).integers(-1000, 100, 12 * 10 * 8).astype(np.int16).tobytes())


def test_a_folder_like_that_of_luna16_is_a_cohort_with_nodules(tmp_path):
    (tmp_path / "subset0").mkdir()
    for i in range(2):
        volume(tmp_path / "subset0", f"1.3.6.1.{i}", i)
    (tmp_path / "annotations.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3.6.1.0,-56.5,-37.2,-95,4.2\n")
    cohort = read(tmp_path)
    assert cohort.values("boxes").to_list() == ["annotations.csv#1.3.6.1.0", "annotations.csv#1.3.6.1.1"]
    from osler import modalities
    from osler.adapters.imaging import scan

    boxes, column = modalities.get("boxes"), cohort.column("boxes")
    settled = boxes.settled(cohort.values("boxes"), column, cohort.root)
    assert boxes.classes(settled) == ("nodule",)
    counts = [len(boxes.drawing(c, scan.read(v, cohort.root), settled, cohort.root).boxes) for c, v in zip(cohort.values("boxes"), cohort.values("volume"))]
    assert counts == [1, 0]


@pytest.mark.parametrize("files", [
    {"a.xml": "<plist/>"}, {"a.json": '{"b": 1}'}, {"a.csv": "seriesuid,x\n1,2\n"}, {"a.xml": VOC, "sub/a.xml": VOC},
    {"c.json": '{"images": [{"file_name": 1}]}', "a.xml": VOC},
])  # fmt: skip
def test_files_that_say_nothing_or_several_things_add_nothing(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    rows = [{"image": "a.png"}, {"volume": "v.nii.gz"}]
    assert joined(rows, tmp_path, [tmp_path / name for name in files]) == {}
    assert rows == [{"image": "a.png"}, {"volume": "v.nii.gz"}]
