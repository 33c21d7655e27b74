"""Masks by reference: what is read, what is refused, what classes they have, and what they are as inputs and as files."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import labels, nifti, scan
from osler.cohort.column import Column
from osler.cohort.read import read
from osler.errors import InputError, OptionError, ReadError
from osler.modalities.mask import Mask
from osler.scenes import Drawing
from tests.drawn_scans import affine_of, brains, pictures


@pytest.fixture
def folder(tmp_path):
    brains(tmp_path, n=4)
    return tmp_path


MASKS = pl.Series("drawn", [f"labelsTr/b_{i:02}.nii.gz" for i in range(4)])
SCANS = pl.Series("scan", [f"imagesTr/b_{i:02}.nii.gz" for i in range(4)])


def column(**options):
    return Column("drawn", "mask", "target", options=options)


def test_classes_are_named_by_the_numbers_found_or_as_told(folder):
    found = Mask().settled(MASKS, column(), folder)
    assert found.options == {"names": ["1", "2"], "numbers": [1, 2]}
    named = Mask().settled(MASKS, column(names=["core", "rim"]), folder)
    assert Mask().classes(named) == ("background", "core", "rim")
    only = Mask().settled(MASKS, column(names=["rim"], numbers=[2]), folder)
    assert Mask().drawing(MASKS[0], labels.kept(SCANS[0], folder), only, folder).labels.max() == 1


def test_names_that_do_not_agree_with_the_numbers_are_refused(folder):
    with pytest.raises(OptionError, match="one per number"):
        Mask().settled(MASKS, column(names=["core"]), folder)
    with pytest.raises(OptionError, match="different whole numbers"):
        Mask().settled(MASKS, column(numbers=[2, 2]), folder)
    with pytest.raises(OptionError, match="must be numbers"):
        Mask().settled(MASKS, column(numbers=["a"]), folder)


def test_many_numbers_are_things_and_must_be_said_to_be(tmp_path):
    nifti.write(tmp_path / "m.nii.gz", np.arange(80, dtype=np.uint8).reshape(4, 4, 5), affine_of((1, 1, 1)))
    with pytest.raises(OptionError, match="instances=true") as error:
        Mask().settled(pl.Series(["m.nii.gz"]), column(), tmp_path)
    assert error.value.code == "mask-labels"
    told = Mask().settled(pl.Series(["m.nii.gz"]), column(instances=True), tmp_path)
    assert Mask().classes(told) == ("background", "thing")
    assert Mask().is_apart(told)


def test_things_are_numbered_from_one_and_background_keeps_zero(tmp_path):
    values = np.zeros((4, 4, 5), dtype=np.uint16)
    values[0, 0, 0], values[1, 1, 1], values[3, 3, 3] = 700, 9, 40
    nifti.write(tmp_path / "m.nii.gz", values, affine_of((1, 1, 1)))
    nifti.write(tmp_path / "s.nii.gz", values.astype(np.float32), affine_of((1, 1, 1)))
    drawn = Mask().drawing("m.nii.gz", labels.kept("s.nii.gz", tmp_path), column(instances=True), tmp_path)
    assert drawn.instances
    assert (drawn.labels[0, 0, 0], drawn.labels[1, 1, 1], drawn.labels[3, 3, 3]) == (3, 1, 2)
    assert drawn.labels.sum() == 6


def test_a_mask_that_does_not_lie_on_its_scan_is_named_and_the_others_kept(folder):
    values = labels.read(MASKS[1], folder).values[0].astype(np.uint8)
    nifti.write(folder / MASKS[1], values, affine_of((2.0, 1.0, 1.5)))
    nifti.write(folder / MASKS[2], values[:-1], affine_of((2.0, 1.0, 1.0)))
    why = Mask().unfit(MASKS, SCANS, folder)
    assert why[0] == why[3] == ""
    assert why[1] == why[2] == "a mask does not lie on the voxels of its image (mask-geometry)"


def test_a_mask_of_another_orientation_is_turned_onto_its_scan(folder):
    right = labels.upon(MASKS[0], labels.kept(SCANS[0], folder), folder)
    turned, affine = right[:, ::-1, :], affine_of((2.0, 1.0, 1.0))
    affine[1, 1], affine[1, 3] = -1.0, right.shape[1] - 1
    turned, affine = turned[::-1], affine.copy()
    affine[2, 2], affine[2, 3] = -2.0, 2.0 * (right.shape[0] - 1)
    nifti.write(folder / "turned.nii.gz", turned, affine)
    assert np.array_equal(labels.upon("turned.nii.gz", labels.kept(SCANS[0], folder), folder), right)


@pytest.mark.parametrize("values", [np.full((4, 4, 4), 0.5, np.float32), np.full((4, 4, 4), -1, np.int16), np.full((4, 4, 4), 1 << 17, np.int32)])
def test_what_is_no_label_map_is_refused(values, tmp_path):
    nifti.write(tmp_path / "m.nii.gz", values, np.eye(4))
    with pytest.raises(ReadError) as error:
        labels.read("m.nii.gz", tmp_path)
    assert error.value.code == "mask-labels"


def test_a_grey_mask_saved_in_colour_is_read_and_a_colour_picture_is_not(tmp_path):
    from PIL import Image

    grey = np.zeros((6, 7), dtype=np.uint8)
    grey[2:4, 3:6] = 255
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey, grey, 255 - grey], axis=-1)).save(tmp_path / "colour.png")
    numbers, counts = labels.held("grey.png", tmp_path)
    assert (numbers.tolist(), counts.tolist()) == ([255], [6])
    wrong = Mask().reasons(pl.Series(["grey.png", "colour.png", "absent.png", None]), tmp_path)
    assert wrong == {"colour.png": "mask-labels", "absent.png": "read-missing"}


def test_a_mask_saved_with_losses_is_refused_unless_it_has_two_numbers_left(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    edges = (rng.random((32, 32)) < 0.5).astype(np.uint8) * 255
    Image.fromarray(edges).save(tmp_path / "edges.jpg", quality=60)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "empty.jpg")
    with pytest.raises(ReadError, match="without losses") as error:
        labels.read("edges.jpg", tmp_path)
    assert error.value.code == "mask-labels"
    assert labels.held("empty.jpg", tmp_path)[0].size == 0


def test_a_table_keeps_rows_and_names_the_cells_that_are_no_masks(folder):
    table = pl.read_csv(folder / "brains.csv").with_columns(pl.Series("drawn", [*MASKS[:3], "gone.nii.gz"]))
    table.write_csv(folder / "three.csv")
    cohort = read(folder / "three.csv", columns={"drawn": "mask"})
    assert len(cohort) == 4
    assert cohort.values("drawn").null_count() == 1
    assert cohort.refusals["reason"].to_list()[0].startswith("no mask can be read")


def test_as_an_input_it_is_the_volume_of_each_class_in_cubic_millimetres(folder):
    state = Mask().fit(MASKS, Column("drawn", "mask"), folder)
    block = Mask().encode(pl.Series([MASKS[0], None, "gone.nii.gz"]), state, folder)
    held = scan.read(MASKS[0], folder).values
    assert block.values[0].tolist() == [2.0 * (held == 1).sum(), 2.0 * (held == 2).sum()]
    assert block.present.tolist() == [True, False, False]
    assert block.names == ("drawn: volume of 1", "drawn: volume of 2")


def test_things_as_an_input_are_counted(tmp_path):
    pictures(tmp_path, n=1)
    state = Mask().fit(pl.Series(["masks/c0.png"]), column(instances=True), tmp_path)
    values = Mask().encode(pl.Series(["masks/c0.png"]), state, tmp_path).values[0]
    assert values[1] == 4
    assert values[0] == (scan.read("masks/c0.png", tmp_path).values > 0).sum()


def test_a_drawing_becomes_a_file_in_the_numbers_of_its_column_that_reads_back(folder):
    import nibabel

    told = Mask().settled(MASKS, column(numbers=[1, 2], names=["core", "rim"]), folder)
    seen = labels.kept(SCANS[0], folder)
    drawn = Mask().drawing(MASKS[0], seen, told, folder)
    end, data = Mask().file_of(drawn, seen.affine, told)
    assert end == ".nii.gz"
    (folder / "back.nii.gz").write_bytes(data)
    assert np.array_equal(labels.upon("back.nii.gz", seen, folder), drawn.labels)
    ours, theirs = nibabel.load(folder / "back.nii.gz"), nibabel.load(folder / SCANS[0])
    assert np.allclose(ours.affine, theirs.affine)
    assert ours.shape == theirs.shape
    shifted = Mask().settled(MASKS, column(numbers=[7, 255], names=["core", "rim"]), folder)
    assert set(np.unique(Mask().numbered(drawn, shifted)).tolist()) == {0, 7, 255}


def test_a_drawing_on_a_picture_becomes_a_png_of_the_same_numbers(tmp_path):
    values = np.zeros((5, 6), dtype=np.uint16)
    values[1, 2], values[3, 3] = 1, 300
    end, data = Mask().file_of(Drawing(values, instances=True), np.eye(4), column(instances=True))
    (tmp_path / "m.png").write_bytes(data)
    assert end == ".png"
    assert np.array_equal(scan.read("m.png", tmp_path).values[0], values)


def test_summaries_count_masks_of_each_class_and_hide_few(folder):
    assert Mask().summarise(MASKS, column(), folder) == {"n": 4, "missing": 0}
    many = pl.concat([MASKS] * 3)
    told = Mask().settled(many, column(names=["core", "rim"]), folder)
    assert Mask().summarise(many, told, folder)["classes"] == {"core": 12, "rim": 12}
    assert Mask().summarise(many, column(instances=True), folder)["things"] == 24


def test_another_sequence_is_put_on_the_voxels_of_the_first(tmp_path):
    """A ramp along x has the same value at the same place in mm, whatever the grid."""
    x = np.arange(12, dtype=np.float32)
    nifti.write(tmp_path / "fine.nii.gz", np.broadcast_to(x, (3, 4, 12)).copy(), affine_of((1, 1, 1)))
    coarse = affine_of((1, 1, 2))
    nifti.write(tmp_path / "coarse.nii.gz", np.broadcast_to(2 * x[:6], (3, 4, 6)).copy(), coarse)
    first = labels.kept("fine.nii.gz", tmp_path)
    moved = labels.onto(labels.kept("coarse.nii.gz", tmp_path), first)
    assert moved.values.shape == first.values.shape
    assert np.allclose(moved.values[..., :11], first.values[..., :11], atol=1e-5)
    flat = scan.Scan(np.zeros((1, 5, 5), np.float32), np.full(2, np.nan), np.eye(4))
    with pytest.raises(InputError, match="same pixels"):
        labels.onto(flat, scan.Scan(np.zeros((1, 5, 6), np.float32), np.full(2, np.nan), np.eye(4)))
