"""Masks of a run as DICOM segmentations: the same voxels as in NIfTI, every class under its own number, and read by others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import labels, scan
from osler.adapters.imaging.dicom_results import KNOWN
from osler.cli import main
from osler.cohort.read import read
from osler.engine.scenes import dicom_masks
from osler.errors import OptionError, ReadError
from osler.scenes import Asked
from tests.adapters.imaging.files import UID, series, straight
from tests.drawn_scans import brains

highdicom = pytest.importorskip("highdicom")
ASKED = Asked("segmentation", ("background", "lesion", "rim", "yes"), 3, ("scan",))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = brains(folder / "data", n=4).parent
    (data / "brains.csv").unlink()
    argv = ["fit", str(data), "--target", "mask", "--model", "atlas", "--column", "mask=mask:names=lesion+rim", "--folds", "2", "--boot", "20"]
    assert main([*argv, "--examples", "0", "--quiet", "--workers", "1", "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """The series of two patients."""
    made = brains(tmp_path / "made", n=2, seed=4).parent
    folder = tmp_path / "new"
    folder.mkdir()
    for i, path in enumerate(sorted((made / "imagesTr").iterdir())):
        found = scan.read(str(path), None)
        known = {"SeriesInstanceUID": f"{UID}.{i}", "StudyInstanceUID": f"{UID}.8.{i}", "FrameOfReferenceUID": f"{UID}.7.{i}", "PatientID": f"p{i}"}
        values = np.rint(100 * found.values[0]).astype(np.int16)
        series(folder / f"p{i}", values, straight(len(values), 2.0), **known, PixelSpacing=[1.0, 1.0])
    return folder


def test_predict_writes_segmentations_with_the_voxels_of_its_masks(run: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for form in ("seg", "nifti"):
        assert main(["predict", str(run), str(scans), "--out", str(tmp_path / form), "--masks", form]) == 0
    assert "2 of 2 scans answered" in capsys.readouterr().out
    cohort = read(scans)
    for patient in ("p0", "p1"):
        seg = scan.read(str(tmp_path / "seg" / f"{patient}.dcm"), None, 3)
        plain = scan.read(str(tmp_path / "nifti" / f"{patient}.nii.gz"), None, 3)
        assert plain.values.any()
        assert np.array_equal(seg.values, plain.values)
        image = scan.read(patient, cohort.root, 3)
        assert np.allclose(seg.affine, image.affine, atol=1e-5)
        assert np.array_equal(labels.upon(str(tmp_path / "seg" / f"{patient}.dcm"), image, None), plain.values[0])
        by_other = highdicom.seg.segread(tmp_path / "seg" / f"{patient}.dcm")
        assert [by_other.get_segment_description(k).segment_label for k in (1, 2)] == ["Lesion", "rim"]
        assert by_other.PatientID == patient
        assert by_other.SegmentationType == "BINARY"
    answers = pl.read_csv(tmp_path / "seg" / "answers.csv")
    assert answers["mask_file"].to_list() == ["p0.dcm", "p1.dcm"]
    assert answers.drop("mask_file").equals(pl.read_csv(tmp_path / "nifti" / "answers.csv").drop("mask_file"))


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not on this machine")
def test_another_toolkit_reads_them(run: Path, scans: Path, tmp_path: Path):
    assert main(["predict", str(run), str(scans), "--out", str(tmp_path / "seg"), "--masks", "seg"]) == 0
    told = subprocess.run(["dcmdump", "-q", "--search", "SegmentNumber", "--search", "SegmentLabel", str(tmp_path / "seg" / "p0.dcm")],
                          capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
    assert [line.split()[2] for line in told.stdout.splitlines()] == ["1", "2", "[Lesion]", "[rim]"]
    assert told.stderr == ""


@pytest.mark.parametrize("codes", [[1, 2, 3], [3], [2], []])
def test_a_class_keeps_its_number_whatever_else_was_found(scans: Path, tmp_path: Path, codes: list[int]):
    drawn = np.zeros(scan.read("p0", scans, 3).values.shape[1:], np.uint16)
    for code in codes:
        drawn[2, code, 1:4] = code
    (tmp_path / "seg.dcm").write_bytes(dicom_masks.encoded(drawn, "p0", scans, ASKED, "tumour"))
    back = scan.read(str(tmp_path / "seg.dcm"), None, 3)
    assert np.array_equal(back.values[0], drawn)
    assert back.facts["segments"] == {1: "Lesion", 2: "rim", 3: "Neoplasm"}  # a bare "yes" is what the target is called


def test_things_apart_are_segments_one_by_one():
    asked = Asked("segmentation", ("background", "thing"), 3, ("scan",), instances=True)
    found = dicom_masks.meanings_of(asked, "nodule", np.array([0, 2, 5]))
    assert {k: code.meaning for k, code in found.items()} == {2: "nodule 2", 5: "nodule 5"}
    assert dicom_masks.meanings_of(ASKED, "tumour", np.zeros(3))[1].value == KNOWN["lesion"][0]


def test_what_cannot_be_a_segmentation_is_refused(run: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = brains(tmp_path / "nifti", n=2, seed=8).parent
    (other / "brains.csv").unlink()
    for source, options, why in (
        (other, ["--out", str(tmp_path / "o"), "--masks", "seg"], "where scans are DICOM, 'b_00.nii.gz' is not"),
        (scans, ["--out", str(tmp_path / "o"), "--masks", "gif"], "masks must be nifti or seg, was 'gif'"),
        (scans, ["--masks", "seg"], "there are none here"),
    ):
        assert main(["predict", str(run), str(source), *options]) == 2
        assert why in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    with pytest.raises(OptionError, match="this one finds boxes"):
        dicom_masks.check_form("seg", Asked("detection", ("a",), 3, ("scan",)), read(scans), "volume")


def test_a_series_that_nothing_can_refer_to_says_so(scans: Path):
    import pydicom

    for path in sorted((scans / "p0").iterdir()):
        one = pydicom.dcmread(path)
        del one.StudyInstanceUID
        one.save_as(path)
    shape = scan.read("p0", scans, 3).values.shape[1:]
    with pytest.raises(ReadError, match="lacks a UID"):
        dicom_masks.encoded(np.ones(shape, np.uint16), "p0", scans, ASKED, "t")
