"""Columns of boxes: every form is read as the same corners, what cannot be asked for is named, and nothing hostile is obeyed."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
from PIL import Image

from osler import modalities
from osler.adapters.imaging import nifti, scan
from osler.cohort.column import Column
from osler.cohort.read import read
from osler.cohort.scans import readable
from osler.errors import LimitError, OptionError, ReadError
from osler.modalities import boxforms
from osler.modalities.boxes import EMPTY, OUTSIDE, UNKNOWN
from osler.scenes import Boxes, Drawing

BOXES = modalities.get("boxes")
HERE = Path(__file__).parent / "scans"
#: One box of a picture, x from 10 to 25 and y from 4 to 10, in each form.
CORNERS = [[4.0, 10.0, 10.0, 25.0]]


def column(**options: object) -> Column:
    return Column("things", "boxes", "target", options=options)


def picture(folder: Path, name: str = "p.png", shape: tuple[int, int] = (30, 40)) -> scan.Scan:
    Image.fromarray(np.zeros(shape, np.uint8)).save(folder / name)
    return scan.read(name, folder)


def corners(cell: str, image: scan.Scan, root: Path, **options: object) -> list[list[float]]:
    settled = BOXES.settled(pl.Series([cell]), column(**options), root)
    return BOXES.drawing(cell, image, settled, root).boxes.corners.tolist()


def test_every_form_gives_the_same_corners(tmp_path):
    image = picture(tmp_path)
    voc = "<annotation><object><name>cell</name><bndbox><xmin>11</xmin><ymin>5</ymin><xmax>25</xmax><ymax>10</ymax></bndbox></object></annotation>"
    (tmp_path / "a.xml").write_text(voc)
    (tmp_path / "list.json").write_text('[{"box": [10, 4, 15, 6], "class": "cell"}]')
    coco = {
        "images": [{"id": 7, "file_name": "p.png"}, {"id": 8, "file_name": "q.png"}], "categories": [{"id": 3, "name": "cell"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [10, 4, 15, 6]}, {"image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1}],
    }  # fmt: skip
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    mask = np.zeros((30, 40), np.uint8)
    mask[4:10, 10:25] = 5
    Image.fromarray(mask).save(tmp_path / "mask.png")
    cells = ["a.xml", "list.json", "coco.json#7", "coco.json#p.png", "mask.png", '[{"corners": [10, 4, 25, 10]}]', '[{"box": [10, 4, 15, 6]}]']
    for cell in cells:
        assert corners(cell, image, tmp_path) == CORNERS, cell
    assert corners("coco.json#8", image, tmp_path) == []
    assert BOXES.reasons(pl.Series([*cells, "coco.json#9", "coco.json", "gone.xml"]), tmp_path) == {
        "coco.json#9": "read-missing", "coco.json": "boxes-format", "gone.xml": "read-missing",
    }  # fmt: skip


def volume(folder: Path) -> scan.Scan:
    """A volume of 10 x 20 x 30 voxels (z, y, x) of 2.5 x 1 x 0.5 mm, its first voxel at (-100, 50, 7) mm."""
    affine = np.diag([-0.5, -1.0, 2.5, 1.0])  # NIfTI: right, anterior, superior
    affine[:3, 3] = [100.0, -50.0, 7.0]
    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 20, 10), np.int16), affine), folder / "v.nii.gz")
    return nifti.read(folder / "v.nii.gz", None)


def test_nodules_in_mm_lie_where_the_affine_says(tmp_path):
    image = volume(tmp_path)
    assert image.affine[:3, 3].tolist() == [-100, 50, 7]
    # voxel (x 10, y 6, z 4): -100 + 5 mm, 50 + 6 mm, 7 + 10 mm; 5 mm wide: 10, 5 and 2 voxels
    (tmp_path / "nodules.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,-95,56,17,5\n1.2.9,0,0,0,3\n")
    wanted = [4.5 - 1, 6.5 - 2.5, 10.5 - 5, 4.5 + 1, 6.5 + 2.5, 10.5 + 5]
    assert corners("nodules.csv#1.2.3", image, tmp_path)[0] == pytest.approx(wanted)
    assert corners('[{"centre_mm": [-95, 56, 17], "diameter_mm": 5}]', image, tmp_path)[0] == pytest.approx(wanted)
    assert corners("nodules.csv#1.2.4", image, tmp_path) == []  # a scan without nodules
    assert corners('[{"box": [1, 2, 3, 4, 5, 6]}]', image, tmp_path) == [[3, 2, 1, 9, 7, 5]]
    with pytest.raises(ReadError, match="axes"):
        corners('[{"box": [1, 2, 3, 4]}]', image, tmp_path)
    with pytest.raises(ReadError, match="place"):
        corners("nodules.csv#1.2.3", picture(tmp_path), tmp_path)


def test_a_folder_like_that_of_luna_is_read(tmp_path):
    """A MetaImage volume in two files and the table beside it, axes of the patient as ITK has them (left, posterior, superior)."""
    head = "ObjectType = Image\nNDims = 3\nDimSize = 12 10 8\nElementSpacing = 0.7 0.7 1.25\nOffset = -60 -40 -100\n"
    head += "TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementType = MET_SHORT\nElementDataFile = 1.3.6.1.raw\n"
    (tmp_path / "1.3.6.1.mhd").write_text(head)
    (tmp_path / "1.3.6.1.raw").write_bytes(np.full(12 * 10 * 8, -1000, np.int16).tobytes())
    (tmp_path / "annotations.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3.6.1,-56.5,-37.2,-95,4.2\n")
    image = scan.read("1.3.6.1.mhd", tmp_path)
    # voxel (5, 4, 4), 6 wide in the plane and 3.36 along z
    found = corners("annotations.csv#1.3.6.1", image, tmp_path)[0]
    assert found == pytest.approx([4.5 - 1.68, 4.5 - 3, 5.5 - 3, 4.5 + 1.68, 4.5 + 3, 5.5 + 3])


def test_single_boxes_that_cannot_be_asked_for_are_named_and_left_out(tmp_path):
    picture(tmp_path)
    cell = json.dumps([
        {"box": [1, 1, 5, 5], "class": "a"}, {"box": [1, 1, 0, 5], "class": "a"}, {"box": [90, 1, 5, 5], "class": "a"},
        {"box": [1, 1, 5, 5], "class": "b"}, {"box": [35, 25, 20, 20], "class": "a"},
    ])  # fmt: skip
    cells, beside = pl.Series([cell, None, "[]"]), pl.Series(["p.png", "p.png", "p.png"])
    known = BOXES.settled(cells, column(names=("a",)), tmp_path)
    assert BOXES.doubts(cells, beside, known, tmp_path) == [(EMPTY, OUTSIDE, UNKNOWN), (), ()]
    assert BOXES.unfit(cells, beside, tmp_path) == ["", "", ""]
    kept = BOXES.drawing(cell, scan.read("p.png", tmp_path), known, tmp_path).boxes
    assert kept.corners.tolist() == [[1, 1, 6, 6], [25, 35, 30, 40]]  # the last one is cut off at the edge
    assert BOXES.classes(BOXES.settled(cells, column(), tmp_path)) == ("a", "b")


def test_cells_that_cannot_be_read_are_emptied_with_their_reason(tmp_path):
    table = pl.DataFrame({"_row": [1, 2, 3], "things": ["[]", "[{", "gone.xml"]})
    made, ledger = readable(table, [column()], tmp_path)
    assert made["things"].to_list() == ["[]", None, None]
    assert sorted(ledger["row"].to_list()) == [2, 3]
    assert any("boxes-format" in r for r in ledger["reason"].to_list())


@pytest.mark.parametrize("text", [
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<!doctype html><a/>", "<a><object></a>", "not xml", "", "<a><object><bndbox/></object></a>",
    "<a>" * 100_000, "<a><object><name>x</name><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox></object></a>",
])  # fmt: skip
def test_hostile_xml_is_refused(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises((ReadError, LimitError)):
        boxforms.voc(tmp_path / "a.xml")


def test_entities_hidden_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "a.xml").write_bytes('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"))
    with pytest.raises(ReadError):
        boxforms.voc(tmp_path / "a.xml")


@pytest.mark.parametrize("text", [
    "{}", "[1]", '[{"box": [1, 2]}]', '[{"box": "1234"}]', '[{"class": "a"}]', '[{"box": [1, 2, 3, NaN]}]', "[" * 200, '[{"box": [1, 2, 3, 4], "score": 7}]',
    '[{"box": [1,2,3,4]}, {"box": [1,2,3,4,5,6]}]',
])  # fmt: skip
def test_lists_that_are_none_are_refused(text):
    with pytest.raises((ReadError, LimitError)):
        boxforms.listed(text)


def test_no_path_leads_outside(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.xml").write_text("<a/>")
    assert BOXES.reasons(pl.Series(["../a.xml", "../a.json#1"]), tmp_path / "in") == {"../a.xml": "read-outside", "../a.json#1": "read-outside"}
    assert BOXES.check(pl.Series(["../a.xml", "/a.xml", "a.xml", "[]", None]), column()).to_list() == [True, True, False, False, False]


def test_parts_of_a_mask_of_classes_are_things(tmp_path):
    image = picture(tmp_path)
    mask = np.zeros((30, 40), np.uint8)
    mask[1:4, 1:4], mask[10:14, 20:22], mask[20:25, 5:9] = 1, 1, 2
    Image.fromarray(mask).save(tmp_path / "m.png")
    settled = BOXES.settled(pl.Series(["m.png"]), column(masks="components"), tmp_path)
    made = BOXES.drawing("m.png", image, settled, tmp_path).boxes
    assert BOXES.classes(settled) == ("1", "2")
    assert made.corners.tolist() == [[1, 1, 4, 4], [10, 20, 14, 22], [20, 5, 25, 9]]
    assert made.codes.tolist() == [0, 0, 1]


def test_boxes_are_counted_as_inputs(tmp_path):
    cells = pl.Series(["[]", '[{"box": [1, 1, 2, 2], "class": "b"}, {"box": [1, 1, 2, 2], "class": "a"}]', None, "[{"])
    state = BOXES.fit(cells, column(), tmp_path)
    block = BOXES.encode(cells, state, tmp_path)
    assert block.names == ("things: number of a", "things: number of b")
    assert np.array_equal(block.values, [[0, 0], [1, 1], [np.nan] * 2, [np.nan] * 2], equal_nan=True)


def test_what_was_found_can_be_put_back_in(tmp_path):
    image = volume(tmp_path)
    found = Boxes(np.array([[1.0, 2, 3, 4, 6, 8], [0, 0, 0, 2, 2, 2]]), np.array([1, 0]), np.array([0.9, 0.25]))
    settled = column(names=("a", "b"))
    end, data = BOXES.file_of(Drawing(boxes=found), image.affine, settled)
    (tmp_path / f"back{end}").write_bytes(data)
    again = BOXES.drawing("back.json", image, settled, tmp_path).boxes
    assert np.array_equal(again.corners, found.corners)
    assert again.codes.tolist() == [1, 0]
    assert again.scores.tolist() == [0.9, 0.25]
    made = BOXES.together({"v.nii.gz": tmp_path / "back.json"}, settled)
    table = pl.read_csv(made["boxes.csv"])
    assert table.row(0) == ("v.nii.gz", "b", 0.9, 3.0, 2.0, 1.0, 5.0, 4.0, 3.0)
    whole = json.loads(made["coco.json"])
    assert whole["annotations"][0] | {"id": 1} == {
        "id": 1, "image_id": 1, "category_id": 2, "bbox": [3.0, 2.0, 1.0, 5.0, 4.0, 3.0], "area": 60.0, "score": 0.9, "iscrowd": 0,
    }  # fmt: skip
    (tmp_path / "coco.json").write_bytes(made["coco.json"])
    assert np.array_equal(BOXES.drawing("coco.json#v.nii.gz", image, settled, tmp_path).boxes.corners, found.corners)


def test_the_file_beside_the_tests_is_read():
    made = boxforms.voc(HERE / "cells.xml")
    assert made.classes == ("cell", "speck")
    assert made.corners.tolist() == [[0, 0, 20, 10], [4, 30, 6, 32]]


@pytest.mark.parametrize("wrong", [{"masks": "some"}, {"hit": "near"}, {"least": "much"}, {"least": 0}, {"names": ("a", "a")}])
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(OptionError):
        BOXES.settled(pl.Series(["[]"]), column(**wrong))


@pytest.mark.parametrize("cells", [
    ['[{"box": [1, 2, 3, 4]}]', "[]", '[{"class": "a", "box": [1, 2, 3, 5]}]'], ["a.xml", "b/c.xml", "d.XML"], ["c.json#1", "c.json#p 2.png", "c.json#3"],
])  # fmt: skip
def test_columns_of_boxes_are_recognised(tmp_path, cells):
    pl.DataFrame({"things": cells, "n": [1, 2, 3]}).write_csv(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv").column("things").modality == "boxes"
    pl.DataFrame({"things": ["[1, 2]", "a.xml and more", "x"], "n": [1, 2, 3]}).write_csv(tmp_path / "u.csv")
    assert read(tmp_path / "u.csv").column("things").modality != "boxes"
