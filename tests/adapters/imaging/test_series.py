"""Geometry before pixels: what makes a volume, what is refused and by which name, and that affines are those of other tools."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from osler.adapters.imaging import dicom_series, geometry, scan
from osler.errors import InputError
from tests.adapters.imaging.files import EXPLICIT, UID, dicom, item, series, straight, unpacked

VOLUME = np.random.default_rng(1).integers(-1000, 2000, (6, 9, 12)).astype(np.int16)


def code_of(folder: Path) -> str:
    """The code with which a folder is refused as a volume."""
    with pytest.raises(InputError) as caught:
        scan.read(str(folder), None)
    assert folder.name in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2"])
def test_a_straight_series_is_a_volume_in_order(tmp_path: Path, syntax: str):
    folder = series(tmp_path / "s", VOLUME, straight(6), RescaleSlope=2.0, RescaleIntercept=-5.0)
    found = scan.read(str(folder), None, dims=3)
    assert np.array_equal(found.values[0], VOLUME * 2.0 - 5.0)
    assert found.values.dtype == np.float32
    assert found.spacing.tolist() == [2.5, 0.8, 0.5]
    expected = np.diag([0.5, 0.8, 2.5, 1.0])
    expected[:3, 3] = [-10.0, -20.0, 5.0]
    assert np.allclose(found.affine, expected)
    assert (found.facts["modality"], found.facts["unit"], found.facts["slices"]) == ("CT", "HU", 6)
    assert scan.header(str(folder), None).shape == (1, 6, 9, 12)


def test_an_oblique_series_agrees_with_the_formula_of_the_standard(tmp_path: Path):
    """PS3.3 C.7.6.2.1.1: place of a voxel = position + x Δcolumn X + y Δrow Y."""
    x, y = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, -1.0])
    places = np.array([1.0, 2.0, 3.0]) + np.arange(5)[:, None] * 3.0 * np.cross(x, y)
    folder = series(tmp_path / "s", VOLUME[:5], places, ImageOrientationPatient=[*x, *y])
    found = scan.read(str(folder), None)
    for k, j, i in ((0, 0, 0), (4, 8, 11), (2, 3, 7)):
        assert np.allclose(found.affine @ [i, j, k, 1], [*(places[k] + x * 0.5 * i + y * 0.8 * j), 1.0])
    assert np.linalg.det(found.affine[:3, :3]) > 0


def test_what_is_no_volume_is_named(tmp_path: Path):
    gap = np.delete(straight(7), 3, axis=0)
    assert code_of(series(tmp_path / "gap", VOLUME, gap)) == "series-gap"
    tilted = straight(6) + np.arange(6)[:, None] * [0.0, 0.5, 0.0]
    assert code_of(series(tmp_path / "tilt", VOLUME, tilted)) == "series-tilt"
    assert code_of(series(tmp_path / "few", VOLUME[:2], straight(2))) == "series-few"
    twice = straight(6)
    twice[3] = twice[2]
    assert code_of(series(tmp_path / "twice", VOLUME, twice)) == "series-duplicates"
    scout = series(tmp_path / "scout", VOLUME, straight(6), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert code_of(scout) == "series-localizer"
    assert code_of(series(tmp_path / "bare", VOLUME, straight(6), PixelSpacing=None)) == "series-geometry"
    assert code_of(series(tmp_path / "lost", VOLUME, straight(6), ImageOrientationPatient=[1, 0, 0, 1, 0, 0])) == "series-geometry"
    (tmp_path / "none").mkdir()
    assert code_of(tmp_path / "none") == "image-pixels"


def test_two_patients_in_one_series_are_refused(tmp_path: Path):
    folder = series(tmp_path / "s", VOLUME, straight(6))
    dicom(VOLUME[0], PatientID="p2", ImagePositionPatient=[-10, -20, 30], PixelSpacing=[0.8, 0.5],
          ImageOrientationPatient=[1, 0, 0, 0, 1, 0]).save_as(folder / "x.dcm", enforce_file_format=True)  # fmt: skip
    assert code_of(folder) == "series-patients"


def test_localizers_and_other_orientations_are_split_off(tmp_path: Path):
    folder = series(tmp_path / "s", VOLUME, straight(6))
    known = {"PixelSpacing": [0.8, 0.5], "ImagePositionPatient": [0, 0, 0]}
    side = dicom(VOLUME[0], InstanceNumber=200, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], **known)
    side.save_as(folder / "side.dcm", enforce_file_format=True)
    scout = dicom(VOLUME[0], InstanceNumber=201, ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImageType=["LOCALIZER"], **known)
    scout.save_as(folder / "scout.dcm", enforce_file_format=True)
    found = dicom_series.stacks(list(dicom_series.heads_in(folder)), "s")
    assert sorted(s.code for s in found) == ["", "series-localizer", "series-orientation"]
    assert scan.read(str(folder), None).values.shape == (1, 6, 9, 12)


def test_echoes_at_the_same_places_are_split(tmp_path: Path):
    folder = series(tmp_path / "s", VOLUME, straight(6), EchoTime=10.0)
    for i, place in enumerate(straight(6)):
        one = dicom(VOLUME[i], InstanceNumber=200 + i, EchoTime=90.0, ImagePositionPatient=place.tolist(),
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[0.8, 0.5])  # fmt: skip
        one.save_as(folder / f"late{i}.dcm", enforce_file_format=True)
    assert code_of(folder) == "series-several"
    found = scan.read(f"{folder}#{UID}.9/1", None)
    assert np.array_equal(found.values[0], VOLUME)


def test_a_file_that_ends_early_is_refused(tmp_path: Path):
    folder = series(tmp_path / "s", VOLUME, straight(6))
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-40])
    assert "image-truncated" in _codes(folder)


def _codes(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        scan.read(str(folder), None)
    return caught.value.code


def test_an_enhanced_object_is_a_volume_in_order_of_its_frames(tmp_path: Path):
    order = [3, 0, 5, 1, 4, 2]
    groups = [
        item(PlanePositionSequence=[item(ImagePositionPatient=straight(6)[k].tolist())],
             PixelValueTransformationSequence=[item(RescaleSlope=float(k + 1), RescaleIntercept=1.0)])
        for k in order
    ]  # fmt: skip
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.5])],
    )
    one = dicom(VOLUME[order], SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=groups)
    one.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    found = scan.read("e.dcm", tmp_path)
    slopes = np.arange(1, 7)[:, None, None]
    assert np.array_equal(found.values[0], (VOLUME * slopes + 1).astype(np.float32))
    assert found.spacing.tolist() == [2.5, 0.8, 0.5]
    frame = scan.read("e.dcm#1", tmp_path, dims=2)
    assert np.array_equal(frame.values[0], VOLUME[0] + 1.0)


def test_a_ct_series_lies_where_its_nifti_twin_does(tmp_path: Path):
    """The publisher's mask of the series, as another tool wrote it, spans the same box of the patient."""
    root = unpacked("ct_body_totalseg_examples.zip", tmp_path)
    ours = scan.read("example_ct_dicom", root)
    theirs = scan.read("example_seg_dicom.nii.gz", root)
    assert sorted(ours.values.shape) == sorted(theirs.values.shape)
    boxes = []
    for one in (ours, theirs):
        last = np.array(one.values.shape[:0:-1]) - 1
        ends = np.array([one.affine @ [*(last * pick), 1.0] for pick in np.ndindex(2, 2, 2)])[:, :3]
        boxes.append((ends.min(axis=0), ends.max(axis=0)))
    assert np.allclose(boxes[0], boxes[1], atol=0.01)
    for one in (ours, theirs):
        turned, affine = geometry.to_patient_axes(one.values, one.affine)
        assert np.allclose(geometry.spacing_of(affine), geometry.spacing_of(geometry.to_patient_axes(theirs.values, theirs.affine)[1]), atol=1e-3)
        assert turned.shape == (1, 20, 512, 512)


def test_nifti_holds_what_nibabel_reads_and_writes(tmp_path: Path):
    from osler.adapters.imaging import nifti

    root = unpacked("ct_body_totalseg_examples.zip", tmp_path)
    theirs = nibabel.load(root / "example_ct_sm.nii.gz")
    ours = scan.read("example_ct_sm.nii.gz", root)
    data = np.asarray(theirs.dataobj, dtype=np.float32)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    for voxel in ((0, 0, 0), (5, 7, 3), tuple(s - 1 for s in data.shape)):
        place = theirs.affine @ [*voxel, 1.0]
        i, j, k = np.rint(np.linalg.solve(ours.affine, to_ras @ place)[:3]).astype(int)
        assert ours.values[0, k, j, i] == data[voxel]
    nifti.write(tmp_path / "back.nii.gz", ours.values[0], ours.affine)
    back = nibabel.load(tmp_path / "back.nii.gz")
    assert np.allclose(to_ras @ back.affine, ours.affine, atol=1e-4)
    again = scan.read("back.nii.gz", tmp_path)
    assert np.array_equal(again.values, ours.values)
    assert np.allclose(again.affine, ours.affine, atol=1e-4)


def test_patient_axes_are_a_relabelling_of_voxels():
    values = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)
    affine = np.array([[0, 0, -3.0, 9], [-2.0, 0.1, 0, 1], [0, 5.0, 0, 2], [0, 0, 0, 1]])
    turned, made = geometry.to_patient_axes(values, affine)
    assert turned.shape == (1, 3, 4, 2)
    for k, j, i in np.ndindex(turned.shape[1:]):
        place = np.linalg.solve(affine, made @ [i, j, k, 1.0])
        x, y, z = np.rint(place[:3]).astype(int)
        assert turned[0, k, j, i] == values[0, z, y, x]
    assert all(made[a, a] > 0 for a in range(3))


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 2), (5, 4)])
def test_a_nifti_header_says_what_is_read(tmp_path: Path, shape: tuple[int, ...]):
    affine = np.array([[0, -2.0, 0, 1], [1.5, 0, 0, 2], [0, 0, 3.0, 3], [0, 0, 0, 1]])
    nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine).to_filename(tmp_path / "a.nii.gz")
    facts, found = scan.header("a.nii.gz", tmp_path), scan.read("a.nii.gz", tmp_path)
    assert facts.shape == found.values.shape
    assert np.allclose(facts.spacing, found.spacing)
    if len(shape) == 4:
        assert scan.header("a.nii.gz#1", tmp_path).shape == scan.read("a.nii.gz#1", tmp_path).values.shape == (1, 3, 4, 5)
        for wrong in (scan.header, scan.read):
            with pytest.raises(InputError) as caught:
                wrong("a.nii.gz#2", tmp_path)
            assert caught.value.code == "image-frame"
