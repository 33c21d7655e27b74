"""Segmentations, reports and captures: what is written reads back, by us and by others, on the voxels of its series."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import dicom_seg_read, dicom_seg_write, scan
from osler.adapters.imaging.dicom_capture import capture
from osler.adapters.imaging.dicom_results import KNOWN, Algorithm, Code, Source, code_of, source_of
from osler.adapters.imaging.dicom_seg_write import segmentation
from osler.adapters.imaging.dicom_sr import FEATURES, Finding, report
from osler.adapters.imaging.labels import upon
from osler.errors import OptionError, ReadError
from tests.adapters.imaging.archives import study
from tests.instruments.dicom_people import ROOT, packed, person, pydicom

pytest.importorskip("highdicom")
MIRROR = os.environ.get("OSLER_DATA_MIRROR", "")
EXAMPLES = Path(MIRROR) / "imaging" / "dicom_seg_sr_examples.zip"
TUMOUR = code_of("tumour")
ALGORITHM = Algorithm("made-up model", "3")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder of one series of five slices, its files in another order than its slices."""
    folder = study(tmp_path / "in", 1, 5)
    for i, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        path.rename(folder / f"{(7 * i) % 5}.dcm")
    return folder


def labels() -> np.ndarray:
    """(5, 16, 16): a box of label 2, another of label 7, and one voxel in a corner."""
    found = np.zeros((5, 16, 16), dtype=np.uint16)
    found[1:3, 2:9, 3:6], found[3, 10:12, 1:15], found[4, 15, 0] = 2, 7, 7
    return found


def test_a_mask_reads_back_on_the_voxels_of_its_series(series: Path, tmp_path: Path):
    image, source = scan.read(str(series), None), source_of(series)
    made = segmentation(labels(), source, {2: TUMOUR, 7: code_of("SCT:4147007:Mass")}, ALGORITHM)
    made.save_as(tmp_path / "seg.dcm")
    back = scan.read(str(tmp_path / "seg.dcm"), None, dims=3)
    assert np.array_equal(back.values[0], np.select([labels() == 2, labels() == 7], [1, 2]))
    assert np.allclose(back.affine, image.affine) and np.allclose(back.spacing, image.spacing)
    assert back.facts["segments"] == {1: "Neoplasm", 2: "Mass"} and back.facts["overlaps"] == 0
    assert scan.header(str(tmp_path / "seg.dcm"), None).shape == (1, 5, 16, 16)
    (tmp_path / "folder").mkdir()
    made.save_as(tmp_path / "folder" / "seg.dcm")
    assert np.array_equal(scan.read(str(tmp_path / "folder"), None, dims=3).values, back.values)
    assert scan.header(str(tmp_path / "folder"), None).shape == (1, 5, 16, 16)


def test_what_a_segmentation_says_of_itself(series: Path):
    made = segmentation(labels(), source_of(series), {2: TUMOUR, 7: Code("X", "99OSLER", "something")}, ALGORITHM)
    one = made.SegmentSequence[0]
    kind, who = one.SegmentedPropertyTypeCodeSequence[0], one.SegmentationAlgorithmIdentificationSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == KNOWN["tumour"]
    assert (one.SegmentAlgorithmType, who.AlgorithmName, who.AlgorithmVersion) == ("AUTOMATIC", "made-up model", "3")
    assert (made.PatientID, made.StudyInstanceUID, made.Modality) == ("MRN1", f"{ROOT}.1", "SEG")
    assert made.FrameOfReferenceUID == f"{ROOT}.4" and len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 5
    again = segmentation(labels(), source_of(series), {2: TUMOUR, 7: Code("X", "99OSLER", "something")}, ALGORITHM)
    assert again.SOPInstanceUID == made.SOPInstanceUID  # the same result is the same object
    other = labels()
    other[0, 0, 0] = 2
    changed = segmentation(other, source_of(series), {2: TUMOUR, 7: TUMOUR}, ALGORITHM)
    assert changed.SOPInstanceUID != made.SOPInstanceUID


def test_segments_are_numbered_over_all_meanings_and_not_over_what_was_found(series: Path, tmp_path: Path):
    meanings = {2: TUMOUR, 4: code_of("cyst"), 7: code_of("mass")}
    assert dicom_seg_write.numbered(meanings) == {2: 1, 4: 2, 7: 3}
    segmentation(np.where(labels() == 7, 7, 0), source_of(series), meanings, ALGORITHM).save_as(tmp_path / "seg.dcm")
    back = scan.read(str(tmp_path / "seg.dcm"), None, dims=3)
    assert np.array_equal(back.values[0], np.where(labels() == 7, 3, 0))
    assert back.facts["segments"] == {1: "Neoplasm", 2: "Cyst", 3: "Mass"}


def test_a_series_without_the_thickness_of_its_slices_has_their_step(series: Path, tmp_path: Path):
    for path in series.iterdir():
        one = pydicom.dcmread(path)
        if "SliceThickness" in one:
            del one.SliceThickness
        one.save_as(path)
    image, source = scan.read(str(series), None), source_of(series)
    assert {float(one.SliceThickness) for one in source.datasets} == {float(image.spacing[0])}
    made = segmentation(labels(), source, {2: TUMOUR, 7: TUMOUR}, ALGORITHM)
    made.save_as(tmp_path / "seg.dcm")
    assert np.allclose(scan.read(str(tmp_path / "seg.dcm"), None, 3).affine, image.affine)


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="the example segmentations are not in OSLER_DATA_MIRROR")
@pytest.mark.parametrize(("drawn", "mask"), [
    ("23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd"), ("24x38x3/seg/label.seg", "24x38x3/nrrd/label.nrrd"), ("liver.dcm", "liver_seg.nrrd"),
    ("sparse-labelmap-ppv5.dcm", "sparse_labelmap_ppv5_seg.nrrd"), ("sparse-labelmap-noppv.dcm", "sparse_labelmap_noppv_seg.nrrd"),
])  # fmt: skip
def test_segmentations_of_others_are_the_masks_they_were_made_from(tmp_path: Path, drawn: str, mask: str):
    """The pairs were written by dcmqi; 5 is what one of them pads with."""
    with zipfile.ZipFile(EXAMPLES) as held:
        for name in (drawn, mask):
            held.extract(f"segmentations/{name}", tmp_path)
    found = scan.read(f"segmentations/{drawn}", tmp_path, dims=3)
    wanted = scan.read(f"segmentations/{mask}", tmp_path, dims=3)
    ours, theirs = found.values[0] == 1, (wanted.values[0] > 0) & (wanted.values[0] != 5)
    if wanted.affine[2, 2] * found.affine[2, 2] < 0:
        theirs = theirs[::-1]
    assert theirs.any() and np.array_equal(ours, theirs)
    assert np.allclose(found.spacing, wanted.spacing, rtol=1e-4)


def cut(made: pydicom.Dataset, numbers: list[int]) -> pydicom.Dataset:
    """A segmentation with some of its frames, as tools write it that leave out empty ones."""
    pixels = made.pixel_array[numbers]
    made.PerFrameFunctionalGroupsSequence = [made.PerFrameFunctionalGroupsSequence[i] for i in numbers]
    made.NumberOfFrames = len(numbers)
    made.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    return made


def test_a_corrected_mask_without_its_empty_planes_lies_where_its_image_lies(series: Path, tmp_path: Path):
    image = scan.read(str(series), None)
    marked = np.where(labels() == 2, labels(), 0)
    made = segmentation(marked, source_of(series), {2: TUMOUR}, ALGORITHM)
    made = cut(made, [i for i, frame in enumerate(made.pixel_array) if frame.any()])
    made.save_as(tmp_path / "cut.dcm")
    found = scan.read(str(tmp_path / "cut.dcm"), None)
    assert found.values.shape == (1, 2, 16, 16) and found.facts["cut"]
    whole = dicom_seg_read.filled(found, image)
    assert np.array_equal(whole.values[0] > 0, marked > 0) and np.allclose(whole.affine, image.affine)
    moved = scan.Scan(image.values, image.spacing, image.affine + np.outer([9, 0, 0, 0], [0, 0, 0, 1]))
    assert dicom_seg_read.filled(found, moved).values.shape == (1, 2, 16, 16)  # no place in another image
    assert dicom_seg_read.filled(image, image) is image


def test_a_large_segmentation_leaves_out_its_empty_planes(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dicom_seg_write, "WHOLE", 100)
    segmentation(labels(), source_of(series), {2: TUMOUR, 7: TUMOUR}, ALGORITHM).save_as(tmp_path / "seg.dcm")
    assert pydicom.dcmread(tmp_path / "seg.dcm").NumberOfFrames == 4  # 2 + 2 of 10
    found = upon(str(tmp_path / "seg.dcm"), scan.read(str(series), None), None)
    assert np.array_equal(found, np.select([labels() == 2, labels() == 7], [1, 2]))


def test_a_picture_without_a_place_has_a_mask_too(tmp_path: Path):
    (tmp_path / "x.dcm").write_bytes(packed(person("1")))
    drawn = np.zeros((16, 16), dtype=np.uint8)
    drawn[3:6, 4:9], drawn[8, 8] = 1, 3
    segmentation(drawn, source_of(tmp_path / "x.dcm"), {1: TUMOUR, 3: code_of("cyst")}, ALGORITHM).save_as(tmp_path / "seg.dcm")
    assert np.array_equal(upon(str(tmp_path / "seg.dcm"), scan.read(str(tmp_path / "x.dcm"), None), None), np.minimum(drawn, 2))


@pytest.mark.parametrize("wrong", ["no groups", "no segment", "turned", "shorter"])
def test_damaged_segmentations_are_said(series: Path, tmp_path: Path, wrong: str):
    made = segmentation(labels(), source_of(series), {2: TUMOUR, 7: TUMOUR}, ALGORITHM)
    group = made.PerFrameFunctionalGroupsSequence[3]
    if wrong == "no groups":
        del made.PerFrameFunctionalGroupsSequence
    elif wrong == "no segment":
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 0
    elif wrong == "turned":
        group.PlaneOrientationSequence = [pydicom.Dataset()]
        group.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    else:
        made.PixelData = made.PixelData[:40]
    made.save_as(tmp_path / "seg.dcm")
    with pytest.raises(ReadError, match=r"seg\.dcm"):
        scan.read(str(tmp_path / "seg.dcm"), None)


def test_masks_that_cannot_be_written(series: Path):
    source = source_of(series)
    with pytest.raises(OptionError, match="16 x 16 x 5 voxels"):
        segmentation(labels()[1:], source, {2: TUMOUR, 7: TUMOUR}, ALGORITHM)
    with pytest.raises(OptionError, match="nothing is marked"):
        segmentation(np.zeros((5, 16, 16)), source, {}, ALGORITHM)
    with pytest.raises(OptionError, match="label 7 has none"):
        segmentation(labels(), source, {2: TUMOUR}, ALGORITHM)
    with pytest.raises(ReadError):
        source_of(series / "none")


@pytest.mark.parametrize("text", ["", "a:b", "SCT::Mass", "SCT:1:" + "x" * 65, "a\nb", "x" * 65, "12345678901234567:1:a", "a\\b"])
def test_meanings_that_are_none(text: str):
    with pytest.raises(OptionError, match="SCHEME:VALUE:MEANING"):
        code_of(text)
    assert code_of("my own lesion").scheme == "99OSLER" and code_of("my own lesion") == code_of("my own lesion")
    assert code_of("Liver").is_organ and not code_of("nodule").is_organ


def reported(source: Source) -> tuple[pydicom.Dataset, pydicom.Dataset]:
    """A segmentation and a report with a measured tumour, and a finding of the whole series."""
    drawn = segmentation(labels(), source, {2: TUMOUR, 7: TUMOUR}, ALGORITHM)
    values = {"volume_mm3": 1234.5678, "long_axis_mm": 21.25, "short_axis_mm": 9.5, "diameter_3d_mm": 22.125}
    findings = [Finding(TUMOUR, values, segment=1), Finding(code_of("pneumonia"), {"probability": 0.8125}, present=True)]
    return drawn, report(findings, source, ALGORITHM, drawn)


def test_a_report_is_a_measurement_report_with_codes_and_units(series: Path):
    highdicom = pytest.importorskip("highdicom")
    drawn, made = reported(source_of(series))
    back = highdicom.sr.Comprehensive3DSR.from_dataset(made)
    assert back.content.is_root and made.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    groups = back.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 1
    found = {m.name.value: (float(m.value), m.unit.value, m.unit.scheme_designator) for m in groups[0].get_measurements()}
    assert found == {
        "118565006": (1234.5678, "mm3", "UCUM"), "103339001": (21.25, "mm", "UCUM"), "103340004": (9.5, "mm", "UCUM"), "L0JK": (22.125, "mm", "UCUM"),
    }  # fmt: skip
    assert groups[0].finding_type.value == "108369006"
    other = back.content.get_image_measurement_groups()
    assert [float(m.value) for m in other[0].get_measurements()] == [0.8125]
    assert [e.value.meaning for e in other[0].get_qualitative_evaluations()] == ["Present"]
    assert (made.VerificationFlag, made.PatientID) == ("UNVERIFIED", "MRN1")
    assert made.SOPInstanceUID == reported(source_of(series))[1].SOPInstanceUID != drawn.SOPInstanceUID


def items(item: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Every content item of a report."""
    for one in item.get("ContentSequence") or []:
        yield one
        yield from items(one)


def test_codes_are_those_of_the_standard():
    """Against the tables of PS3.16 that pydicom ships; pneumonia is a code of SNOMED CT that these do not list."""
    tables = pytest.importorskip("pydicom.sr._concepts_dict").concepts
    known: dict[tuple[str, str], set[str]] = {}
    for scheme, named in tables.items():
        for value, (meaning, _) in ((v, said) for entry in named.values() for v, said in entry.items()):
            known.setdefault((scheme, value), set()).update(meaning.lower().replace(",", " ").split())
    synonyms = {"neoplasm": "tumor", "spleen": "splenic", "prostate": "prostatic", "pancreas": "pancreatic"}
    for value, scheme, meaning in [*KNOWN.values(), *((c.value, c.scheme, c.meaning) for c, _ in FEATURES.values())]:
        if meaning != "Pneumonia":
            first = meaning.split()[0].lower()
            assert known[scheme, value] & {first, synonyms.get(first, first)}, (value, meaning)
    assert all(("UCUM", unit) in known for _, (unit, _) in FEATURES.values())


@pytest.mark.parametrize("segments", [1, 3])
def test_every_segment_is_referred_to(series: Path, segments: int):
    source, drawn = source_of(series), np.zeros((5, 16, 16), dtype=np.uint8)
    for k in range(segments):
        drawn[k : k + 2, 4 * k : 4 * k + 3, 2:5] = k + 1
    made = segmentation(drawn, source, dict.fromkeys(range(1, segments + 1), TUMOUR), ALGORITHM)
    told = report([Finding(TUMOUR, {"volume_mm3": 1.0}, segment=k + 1) for k in range(segments)], source, ALGORITHM, made)
    refers = [(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, i.ReferencedSOPSequence[0].ReferencedSegmentNumber)
              for i in items(told) if i.ConceptNameCodeSequence[0].CodeMeaning == "Referenced Segment"]  # fmt: skip
    assert refers == [(made.SOPInstanceUID, k + 1) for k in range(segments)]
    assert {str(i.ReferencedSOPInstanceUID) for s in told.CurrentRequestedProcedureEvidenceSequence for r in s.ReferencedSeriesSequence
            for i in r.ReferencedSOPSequence} == {made.SOPInstanceUID, *(str(one.SOPInstanceUID) for one in source.datasets)}  # fmt: skip


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="DCMTK's dsrdump is not installed")
def test_dcmtk_prints_the_measurements(series: Path, tmp_path: Path):
    reported(source_of(series))[1].save_as(tmp_path / "sr.dcm")
    done = subprocess.run(["dsrdump", str(tmp_path / "sr.dcm")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    for line in ('Volume")="1234.5678"', 'Long axis")="21.25"', 'Probability")="0.8125"', "cubic millimeter", 'Neoplasm")', 'Pneumonia")', "made-up model"):
        assert line in done.stdout, done.stdout


def test_reports_that_cannot_be_written(series: Path):
    source = source_of(series)
    for findings, why in (
        ([], "holds none"), ([Finding(TUMOUR, {"volume_mm3": float("nan")})], "finite"), ([Finding(TUMOUR, {"colour": 1.0})], "code"),
        ([Finding(TUMOUR, {}, segment=1)], "segmentation"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=why):
            report(findings, source, ALGORITHM)
    assert all(len(code.meaning) <= 64 for code, _ in FEATURES.values())


@pytest.mark.parametrize("shape", [(5, 16, 16, 3), (15, 17, 3)])
def test_a_capture_reads_back_in_its_colours(series: Path, tmp_path: Path, shape: tuple[int, ...]):
    pictures = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    made = capture(pictures, source_of(series), ALGORITHM, "heat map")
    made.save_as(tmp_path / "sc.dcm", enforce_file_format=True)
    back = pydicom.dcmread(tmp_path / "sc.dcm")
    assert np.array_equal(back.pixel_array, pictures)
    assert (back.PatientID, back.StudyInstanceUID, len(back.SourceImageSequence)) == ("MRN1", f"{ROOT}.1", 5)
    assert scan.read(str(tmp_path / "sc.dcm"), None).values.shape[0] == 3
    assert capture(pictures, source_of(series), ALGORITHM, "heat map").SOPInstanceUID == back.SOPInstanceUID
    with pytest.raises(OptionError, match="colour pictures"):
        capture(pictures.astype(float), source_of(series), ALGORITHM, "x")


def test_a_single_picture_is_a_source_too(tmp_path: Path):
    (tmp_path / "x.dcm").write_bytes(packed(person("1")))
    source = source_of(tmp_path / "x.dcm")
    made = capture(np.zeros((16, 16, 3), np.uint8), source, ALGORITHM, "heat map")
    assert len(made.SourceImageSequence) == 1
    only = report([Finding(code_of("pneumonia"), {"probability": 0.5}, present=False)], source, ALGORITHM)
    assert only.StudyInstanceUID == f"{ROOT}.1"
