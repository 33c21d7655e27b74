"""What instruments for scans need from a cohort: columns, cells, masks, labels, geometry."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging.scan import Scan
from osler.cohort import Cohort, Column
from osler.errors import ColumnError, InputError, LimitError, ReadError
from osler.instruments import scans
from tests.instruments.solids import box, saved, steps

pytest.importorskip("nibabel")


def cohort(**columns: tuple[str, list]) -> Cohort:
    """Columns by name: modality and cells."""
    frame = pl.DataFrame({n: pl.Series(v, dtype=pl.String) for n, (_, v) in columns.items()})
    return Cohort(frame, tuple(Column(n, m) for n, (m, _) in columns.items()))


def labelled(values: list) -> Scan:
    return Scan(np.array(values, dtype=np.float32).reshape(1, 1, 1, -1), np.ones(3), np.eye(4))


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("a.csv", True), ("a.CSV.gz", True), ("a.parquet", True), ("sqlite:///a.db?table=t", True), ("a.nii.gz", False), ("a.nrrd", False),
        ("series", False), ("a.dcm", False), ("a.png", False),
    ],
)  # fmt: skip
def test_tables_are_told_from_scans(path, answer):
    assert scans.is_table(path) is answer


def test_a_folder_with_a_cohort_is_a_table(tmp_path):
    assert not scans.is_table(str(tmp_path))
    (tmp_path / "cohort.json").write_text("{}")
    assert scans.is_table(str(tmp_path))


def test_files_become_one_row_each():
    made = scans.files([{"image": "a.nii", "mask": "b.nii"}, {"image": "c.nii"}])
    assert made.table["mask"].to_list() == ["b.nii", None]
    assert [c.modality for c in made.columns] == ["volume", "mask"]


def test_columns_are_found_by_option_then_modality_then_name():
    held = cohort(scan=("text", ["a"]), seg=("mask", ["b"]), label=("text", ["c"]))
    assert scans.column_of(held, "scan", ("mask",), ("label",)) == "scan"
    assert scans.column_of(held, "", ("mask",), ("label",)) == "seg"
    assert scans.column_of(held, "", ("mask",), ("label",), besides="seg") == "label"
    assert scans.column_of(held, "", ("volume",), ("image",)) is None
    with pytest.raises(ColumnError, match="did you mean 'scan'"):
        scans.column_of(held, "scn", (), ())
    with pytest.raises(ColumnError, match="--mask COLUMN"):
        scans.needed(None, "masks", "mask")


def test_empty_cells_are_none():
    held = cohort(a=("mask", ["x", " ", None]))
    assert list(scans.cells(held, "a", None)) == [(0, ["x", None]), (1, [None, None]), (2, [None, None])]


def test_new_names_never_meet_old_ones():
    held = cohort(mean=("text", ["x"]), measured_mean=("text", ["y"]))
    assert scans.free_name(held, "volume") == "volume"
    assert scans.free_name(held, "mean") == "measured_mean_2"


def test_labels_are_listed_also_when_they_are_large():
    assert scans.labels_held(labelled([0, 3, 1, 3])) == [1, 3]
    assert scans.labels_held(labelled([0, 2**24, 5])) == [5, 2**24]
    assert scans.labels_held(labelled([0, 0])) == []
    with pytest.raises(LimitError, match="1000 labels"):
        scans.labels_held(labelled(list(range(1500))))


@pytest.mark.parametrize("values", [[[0.5]], [[-1.0]]])
def test_a_mask_holds_whole_numbers_from_zero(tmp_path, values):
    path = saved(tmp_path / "a.nii", np.array([values]), steps(1, 1, 1))
    with pytest.raises(InputError, match="whole numbers"):
        scans.mask_of(path, None)


def test_a_mask_is_read_with_its_place(tmp_path):
    found = scans.mask_of(saved(tmp_path / "a.nii", box((3, 2, 1)), steps(1, 2, 3)), None)
    assert found.values.sum() == 6
    assert found.spacing == pytest.approx([3, 2, 1])
    with pytest.raises(InputError, match="names none"):
        scans.mask_of(None, None)
    with pytest.raises(ReadError):
        scans.mask_of("gone.nii", tmp_path)


def test_a_mask_without_spacing_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 4, 4, 4), dtype=np.float32))
    with pytest.raises(InputError, match="spacing"):
        scans.mask_of(str(tmp_path / "a.npy#0"), None)
