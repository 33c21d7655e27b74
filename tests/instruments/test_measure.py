"""`osler measure` on files and tables: the contract of instruments, refusals, growth, and pyradiomics' expected values on five tumours."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import labels
from osler.adapters.imaging.scan import Scan
from osler.cli import main
from osler.cohort import ROW, Cohort, Column
from osler.errors import ColumnError, InputError, LimitError, OptionError, ReadError
from osler.instruments import scans
from osler.instruments.measure import Measure, MeasureOptions
from tests.instruments.solids import PHANTOM, box, ellipsoid, saved, steps, turned

pytest.importorskip("skimage")
pytest.importorskip("nibabel")

MIRROR = Path(os.environ.get("OSLER_DATA_MIRROR", "/nowhere")) / "imaging" / "radiomics_tumour_nrrd.zip"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An image, masks of it, and masks that do not fit."""
    root = tmp_path_factory.mktemp("scans")
    saved(root / "ct.nii.gz", PHANTOM, steps(2, 2, 2))
    saved(root / "tumour.nii.gz", PHANTOM > 0, steps(2, 2, 2))
    saved(root / "two.nii.gz", np.where(PHANTOM == 6, 2, PHANTOM > 0), steps(2, 2, 2))
    saved(root / "empty.nii.gz", PHANTOM * 0, steps(2, 2, 2))
    saved(root / "small.nii.gz", PHANTOM[:3] > 0, steps(2, 2, 2))
    saved(root / "moved.nii.gz", PHANTOM > 0, steps(2, 2, 3))
    saved(root / "image_as_mask.nii.gz", PHANTOM + 0.5, steps(2, 2, 2))
    return root


def table(folder: Path, **columns: list[str | None]) -> Cohort:
    meanings = {"tumour": "mask", "mask": "mask", "ct": "volume"}
    frame = pl.DataFrame(columns)
    return Cohort(frame, tuple(Column(n, meanings.get(n, "text"), "unit" if n == "patient" else "input") for n in frame.columns), root=folder)


def test_a_table_gets_its_features_as_columns(folder):
    cohort = table(folder, patient=["SECRET-1", "SECRET-2"], ct=["ct.nii.gz"] * 2, tumour=["tumour.nii.gz", "two.nii.gz"])
    found = Measure().run(cohort, MeasureOptions(bin_width=1.0))
    out = found.cohort
    assert out.rows.tolist() == [1, 2, 2]
    assert out.values("region").to_list() == [1, 1, 2]
    assert out.values("patient").to_list() == ["SECRET-1", "SECRET-2", "SECRET-2"]
    assert out.values("voxels").to_list() == [74, 74 - int((PHANTOM == 6).sum()), int((PHANTOM == 6).sum())]
    assert out.values("mean")[0] == pytest.approx(2.1486, abs=1e-3)
    assert out.values("maximum").to_list() == [6, 4, 6]
    assert out.column("volume_mm3").unit == "mm³"
    assert out.lineage[-1].name == "measure"
    assert ROW in out.table.columns
    assert out.column("patient").role == "unit"
    assert "SECRET" not in json.dumps(found.facts, allow_nan=False)
    assert "border" in found.facts["caution"]


def test_it_repeats_itself_and_leaves_its_input_alone(folder):
    cohort = table(folder, ct=["ct.nii.gz"], tumour=["two.nii.gz"])
    before = cohort.table.clone()
    first, second = (Measure().run(cohort, MeasureOptions()) for _ in range(2))
    assert first.cohort.table.equals(second.cohort.table, null_equal=True)
    assert first.facts == second.facts
    assert cohort.table.equals(before, null_equal=True)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, 1)])
def test_a_mask_stored_along_other_axes_is_laid_on_its_image(axes, signs):
    """Each axis k of the stored mask runs along the image's axis axes[k], backwards where its sign is -1."""
    affine = np.array([[0.7, 0.1, 0, 5], [-0.1, 0.8, 0, -3], [0, 0, 2.0, 7], [0, 0, 0, 1]])
    values = np.random.default_rng(0).integers(0, 3, (1, 4, 5, 6)).astype(np.float32)
    image = Scan(values, np.array([2.0, 0.8, 0.7]), affine)
    to_image = np.eye(4)[:, [*axes, 3]] @ np.diag([*signs, 1.0])
    stored = values[0].transpose(2, 1, 0).transpose(axes)
    for k, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, k)
            to_image[axes[k], 3] = values.shape[::-1][axes[k]] - 1
    mask = Scan(stored.transpose(2, 1, 0)[None], np.array([(0.7, 0.8, 2.0)[a] for a in axes][::-1]), affine @ to_image)
    laid = labels.on_axes_of(mask, image)
    labels.same_geometry(image, laid)
    assert np.array_equal(laid.values, values)
    assert laid.spacing == pytest.approx(image.spacing)


def test_a_mask_at_an_angle_is_left_and_refused():
    image = Scan(np.zeros((1, 4, 4, 4), dtype=np.float32), np.ones(3), np.eye(4))
    mask = Scan(image.values, np.ones(3), turned(np.eye(4), 20))
    assert labels.on_axes_of(mask, image) is mask
    with pytest.raises(InputError, match="lies up to"):
        labels.same_geometry(image, mask)


def test_a_row_that_cannot_be_measured_says_why(folder):
    cohort = table(folder, ct=["ct.nii.gz"] * 4 + [None], tumour=["tumour.nii.gz", "empty.nii.gz", None, "gone.nii", "tumour.nii.gz"])
    found = Measure().run(cohort, MeasureOptions())
    assert found.facts["regions"] == 2
    assert found.facts["rows_refused"] == 3
    notes = found.cohort.values("notes").to_list()
    assert notes[0] is None
    assert "marks none" in notes[1]
    assert "names none" in notes[2]
    assert "[read-missing]" in notes[3]
    assert found.cohort.values("mean")[4] is None  # no image in that row: shape only
    assert found.cohort.values("voxels")[4] == 74


@pytest.mark.parametrize(
    ("mask", "words"),
    [("small.nii.gz", "image's voxels"), ("moved.nii.gz", "lies up to"), ("image_as_mask.nii.gz", "whole numbers"), ("empty.nii.gz", "marks none")],
)
def test_masks_that_do_not_fit_are_refused(folder, mask, words):
    with pytest.raises(InputError, match=words):
        Measure().run(table(folder, ct=["ct.nii.gz"], tumour=[mask]), MeasureOptions())


def test_labels_are_taken_or_refused(folder):
    cohort = table(folder, tumour=["two.nii.gz"])
    assert Measure().run(cohort, MeasureOptions(label=2)).cohort.values("region").to_list() == [2]
    with pytest.raises(InputError, match="holds 1, 2"):
        Measure().run(cohort, MeasureOptions(label=3))


def test_options_and_columns_are_checked(folder):
    cohort = table(folder, tumour=["two.nii.gz"])
    with pytest.raises(OptionError, match="bin_width"):
        Measure().run(cohort, MeasureOptions(bin_width=0))
    with pytest.raises(ColumnError, match="did you mean 'tumour'"):
        Measure().run(cohort, MeasureOptions(mask="tumor"))
    with pytest.raises(ColumnError, match="--mask"):
        Measure().run(table(folder, patient=["a"]), MeasureOptions())
    with pytest.raises(OptionError, match="both masks"):
        Measure().run(cohort, MeasureOptions(before="tumour"))
    with pytest.raises(OptionError, match="days"):
        Measure().run(cohort, MeasureOptions(before="tumour", after="tumour"))


def test_a_column_of_the_table_is_never_overwritten(folder):
    cohort = table(folder, mean=["kept"], ct=["ct.nii.gz"], tumour=["tumour.nii.gz"])
    out = Measure().run(cohort, MeasureOptions()).cohort
    assert out.values("mean").to_list() == ["kept"]
    assert out.values("measured_mean")[0] == pytest.approx(2.1486, abs=1e-3)


def test_the_mask_is_found_by_its_name_too(folder):
    cohort = Cohort(pl.DataFrame({"Mask": ["tumour.nii.gz"]}), (Column("Mask", "text"),), root=folder)
    assert Measure().run(cohort, MeasureOptions()).cohort.values("voxels")[0] == 74


def test_a_mask_that_was_read_as_a_volume_is_not_its_own_image(folder):
    columns = (Column("mask", "volume"), Column("ct", "volume"))
    cohort = Cohort(pl.DataFrame({"mask": ["tumour.nii.gz"], "ct": ["ct.nii.gz"]}), columns, root=folder)
    assert Measure().run(cohort, MeasureOptions()).cohort.values("maximum")[0] == 6
    alone = Cohort(pl.DataFrame({"mask": ["tumour.nii.gz"]}), columns[:1], root=folder)
    assert "maximum" not in Measure().run(alone, MeasureOptions()).cohort.table.columns


def test_no_path_leaves_the_folder(folder, tmp_path):
    saved(tmp_path / "outside.nii", PHANTOM > 0, steps(1, 1, 1))
    with pytest.raises(ReadError, match="folder"):
        Measure().run(table(folder, tumour=[f"../{tmp_path.name}/outside.nii"]), MeasureOptions())


def test_growth_of_two_lesions(tmp_path):
    affine = steps(1, 1, 1)
    first, second = (np.zeros((40, 40, 90), dtype=np.float32) for _ in range(2))
    for values, radius in ((first, 8), (second, 11)):
        ball = ellipsoid((radius,) * 3, affine)
        size = ball.shape[0]
        values[2 : 2 + size, 2 : 2 + size, 2 : 2 + size][ball] = 1
    second[20:23, 20:23, 70:73] = 2
    files = [{"before": saved(tmp_path / "a.nii", first, affine), "after": saved(tmp_path / "b.nii", second, affine)}]
    found = Measure().run(scans.files(files), MeasureOptions(before="before", after="after", days=90))
    out = found.cohort.table
    assert out["region"].to_list() == [1, 2]
    assert out["doubling_days"][0] == pytest.approx(90 * np.log(2) / (3 * np.log(11 / 8)), rel=0.05)
    assert out["doubling_days"][1] is None
    assert out["beyond_error"].to_list() == [True, True]
    assert found.facts["category"] == "progressive disease"
    assert found.facts["new_lesions"] == 1
    assert found.facts["sum_before_mm"] == pytest.approx(17, abs=0.5)


def test_growth_to_nothing_is_a_complete_response_and_nothing_at_all_is_refused(tmp_path):
    full, empty = saved(tmp_path / "a.nii", box((20, 20, 3)), steps(1, 1, 1)), saved(tmp_path / "b.nii", box((20, 20, 3)) * 0, steps(1, 1, 1))
    options = MeasureOptions(before="before", after="after", days=10)
    assert Measure().run(scans.files([{"before": full, "after": empty}]), options).facts["category"] == "complete response"
    with pytest.raises(InputError, match="they mark none"):
        Measure().run(scans.files([{"before": empty, "after": empty}]), options)


def test_too_many_labels_are_an_image(tmp_path):
    values = np.arange(12**3, dtype=np.float32).reshape(12, 12, 12)
    with pytest.raises(LimitError, match="is it the image"):
        Measure().run(scans.files([{"mask": saved(tmp_path / "a.nii", values, steps(1, 1, 1))}]), MeasureOptions())


def test_the_command_prints_and_writes(folder, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert main(["measure", str(folder / "ct.nii.gz"), str(folder / "two.nii.gz"), "--bin-width", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "RNU0" in said
    assert "region 2" in said
    with out.open() as rows:
        assert [row["region"] for row in csv.DictReader(rows)] == ["1", "2"]
    assert main(["measure", str(folder / "tumour.nii.gz")]) == 0
    assert "QCFX" in capsys.readouterr().out
    assert main(["measure"]) == 2
    assert "nothing was named" in capsys.readouterr().err


def test_the_command_measures_growth_and_tables(folder, tmp_path, capsys):
    one = str(folder / "tumour.nii.gz")
    assert main(["measure", "--before", one, "--after", one, "--days", "30"]) == 0
    assert "stable disease" in capsys.readouterr().out
    (folder / "list.csv").write_text("mask,image\ntumour.nii.gz,ct.nii.gz\n")
    assert main(["measure", str(folder / "list.csv"), "--mask", "mask", "--image", "image", "--out", str(tmp_path / "t.csv")]) == 0
    assert "volume_mm3" in (tmp_path / "t.csv").read_text()


def test_more_regions_than_fit_are_said(tmp_path, capsys):
    values = np.zeros((3, 3, 15), dtype=np.float32)
    values[1, 1, 1:14:2] = range(1, 8)
    assert main(["measure", saved(tmp_path / "many.nii", values, steps(1, 1, 1))]) == 0
    assert "3 more regions" in capsys.readouterr().out


@pytest.mark.skipif(not MIRROR.is_file(), reason="the tumours of pyradiomics are not in the data mirror")
@pytest.mark.parametrize("case", ["brain1", "brain2", "breast1", "lung1", "lung2"])
def test_expected_values_of_pyradiomics(case, tmp_path):
    """Volume within 0.1 %, area within 1 %, diameters exact; axes divide by n - 1 here and by n there."""
    with zipfile.ZipFile(MIRROR) as held:
        held.extract(f"{case}_label.nrrd", tmp_path)
        rows = list(csv.reader(io.StringIO(held.read("baseline/baseline_shape.csv").decode())))
    at = rows[0].index(case)
    expected = {r[0].removeprefix("original_shape_"): float(r[at]) for r in rows[1:] if r[0].startswith("original_shape_")}
    found = Measure().run(scans.files([{"mask": str(tmp_path / f"{case}_label.nrrd")}]), MeasureOptions(label=1)).cohort.table.to_dicts()[0]
    assert found["volume_mm3"] == pytest.approx(expected["MeshVolume"], rel=1e-3)
    assert found["surface_area_mm2"] == pytest.approx(expected["SurfaceArea"], rel=1e-2)
    n = found["voxels"]
    same = {
        "volume_voxels_mm3": "VoxelVolume", "diameter_3d_mm": "Maximum3DDiameter", "diameter_xy_mm": "Maximum2DDiameterSlice",
        "diameter_xz_mm": "Maximum2DDiameterColumn", "diameter_yz_mm": "Maximum2DDiameterRow", "elongation": "Elongation", "flatness": "Flatness",
    }  # fmt: skip
    for ours, theirs in same.items():
        assert found[ours] == pytest.approx(expected[theirs], rel=1e-9), ours
    for ours, theirs in (("axis_major_mm", "MajorAxisLength"), ("axis_minor_mm", "MinorAxisLength"), ("axis_least_mm", "LeastAxisLength")):
        assert found[ours] == pytest.approx(expected[theirs] * np.sqrt(n / (n - 1)), rel=1e-9), ours
