"""Masks, findings and heat maps into a real Orthanc, and back out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import dicom_query, dicom_web, labels, nifti, scan
from osler.adapters.imaging.dicom_net import DONE, Peer, send
from osler.adapters.imaging.dicom_query import Question
from osler.adapters.imaging.dicom_results import Algorithm
from osler.cli import main
from osler.cohort.read import read
from osler.instruments.measure.instrument import measured
from osler.scenes import Boxes
from osler.service import dicom_answers
from tests.adapters.imaging import archives
from tests.instruments.dicom_people import ROOT, found_in, packed, person, pydicom

pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[archives.Orthanc]:
    with archives.own_network(), archives.orthanc(tmp_path_factory.mktemp("orthanc") / "run") as one:
        yield one


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return archives.study(tmp_path / "ct", 1, 6)


@pytest.fixture
def mask(series: Path, tmp_path: Path) -> Path:
    """Two boxes as NIfTI with its own axes."""
    image = scan.read(str(series), None)
    drawn = np.zeros((6, 16, 16), dtype=np.uint8)
    drawn[1:4, 3:10, 4:12], drawn[4, 12:15, 2:6] = 1, 4
    nifti.write(tmp_path / "mask.nii.gz", drawn, image.affine)
    return tmp_path / "mask.nii.gz"


@pytest.fixture
def heat(series: Path, tmp_path: Path) -> Path:
    values = np.zeros((6, 16, 16), dtype=np.float32)
    values[2, 5, 6], values[3, 8, 8] = 1.0, 0.5
    nifti.write(tmp_path / "heat.nii.gz", values, scan.read(str(series), None).affine)
    return tmp_path / "heat.nii.gz"


def test_an_archive_takes_all_three_and_gives_them_back(
    orthanc: archives.Orthanc, series: Path, mask: Path, heat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert [s for _, s in send(Peer("127.0.0.1", orthanc.dicom, "ORTHANC"), sorted(series.iterdir()))] == [DONE] * 6
    command = ["pacs", "results", str(series), "--mask", str(mask), "--meaning", "1=tumour", "--meaning", "4=SCT:4147007:Mass"]
    command += ["--finding", "pneumonia=0.8125", "--heat", str(heat), "--out", str(tmp_path / "out")]
    assert main([*command, "--to", orthanc.node]) == 0 and "3 sent" in capsys.readouterr().out
    assert orthanc.count() == 9
    assert main([*command, "--to", orthanc.root]) == 0 and orthanc.count() == 9  # the same results are the same objects
    web = dicom_web.web_of(orthanc.root, None, None)
    found = {r["Modality"]: r for r in dicom_web.find(web, Question("series", {}, f"{ROOT}.1"))}
    assert set(found) == {"CT", "SEG", "SR", "OT"}
    assert main(["pacs", "fetch", orthanc.root, str(tmp_path / "back"), "--study", f"{ROOT}.1"]) == 0
    assert main(["pacs", "fetch", orthanc.node, str(tmp_path / "again"), "--study", f"{ROOT}.1"]) == 0

    def fetched(modality: str, folder: str = "back") -> Path:
        return tmp_path / folder / found[modality]["SeriesInstanceUID"]

    image, wanted = scan.read(str(fetched("CT")), None), scan.read(str(mask), None, dims=3)
    for folder in ("back", "again"):
        drawn = labels.upon(str(fetched("SEG", folder)), image, None)
        assert np.array_equal(drawn, np.select([wanted.values[0] == 1, wanted.values[0] == 4], [1, 2]))
    picture = pydicom.dcmread(next(fetched("OT").iterdir())).pixel_array
    assert picture.shape == (6, 16, 16, 3) and np.ptp(picture[2, 5, 6].astype(int)) > 30
    assert np.ptp(picture[0, 0].astype(int), axis=-1).max() == 0  # grey where nothing is hot
    written = pydicom.dcmread(next(fetched("SR").iterdir()))
    numbers = {str(c.ConceptNameCodeSequence[0].CodeMeaning): float(c.MeasuredValueSequence[0].NumericValue) for c in numeric(written)}
    features = measured(scan.Scan((wanted.values == 4).astype(np.float32), wanted.spacing, wanted.affine), 1, None, 25.0)
    assert numbers["Volume"] == pytest.approx(features["volume_mm3"], rel=1e-6) and numbers["Probability"] == 0.8125


def numeric(item: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """The measurements of a report."""
    return (one for one in content(item) if one.ValueType == "NUM")


def test_dicom_queries_find_the_results_too(orthanc: archives.Orthanc):
    rows = dicom_query.find(Peer("127.0.0.1", orthanc.dicom, "ORTHANC"), Question("series", {}, f"{ROOT}.1"))
    assert {r["SeriesDescription"] for r in rows} >= {"osler: segmentation", "osler: measurements", "osler: heat map"}


def test_measurements_are_those_of_the_instrument(series: Path, mask: Path):
    source, image, answer = dicom_answers.read_answer(str(series), str(mask), "", ["1=liver"], [])
    assert answer.meanings[1].is_organ and answer.meanings[4].meaning == "label 4"
    drawn, told = dicom_answers.objects(source, image, answer)
    features = measured(scan.read(str(mask), None, dims=3), 1, None, 25.0)
    numbers = [float(c.MeasuredValueSequence[0].NumericValue) for c in numeric(told)]
    assert numbers[0] == pytest.approx(features["volume_mm3"], rel=1e-6)
    assert {len(drawn.SegmentSequence), len(numbers)} == {2, 10}


def test_a_picture_has_findings_and_a_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.dcm").write_bytes(packed(person("1")))
    np.save(tmp_path / "heat.npy", np.pad(np.ones((4, 4), np.float32), 6))
    command = ["pacs", "results", str(tmp_path / "x.dcm"), "--finding", "pneumonia=0.9", "--out", str(tmp_path / "out")]
    assert main([*command, "--heat", str(tmp_path / "heat.npy")]) == 0
    said = capsys.readouterr()
    assert len(list((tmp_path / "out").iterdir())) == 2 and found_in((said.out + said.err).encode()) == []


@pytest.mark.parametrize(("more", "why"), [
    ([], "nothing was given"), (["--mask", "{mask}", "--meaning", "x=tumour"], "LABEL=NAME"), (["--finding", "pneumonia=2"], "NAME=PROBABILITY"),
    (["--finding", "pneumonia"], "NAME=PROBABILITY"), (["--heat", "{ct}"], "0 to 1"), (["--mask", "{mask}", "--meaning", "1=a:b"], "SCHEME:VALUE"),
])  # fmt: skip
def test_results_that_cannot_be(series: Path, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], why: str):
    given = [text.format(mask=mask, ct=series) for text in more]
    assert main(["pacs", "results", str(series), *given, "--out", str(tmp_path / "out")]) == 2
    assert why in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(["pacs", "results", str(series), "--finding", "pneumonia=0.5"]) == 2 and "--out" in capsys.readouterr().err


def test_a_corrected_segmentation_comes_in_again(series: Path, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A mask goes out as DICOM, a reader removes one label and what is empty, and the file is a mask of tables and instruments."""
    assert main(["pacs", "results", str(series), "--mask", str(mask), "--meaning", "1=tumour", "--out", str(tmp_path / "out")]) == 0
    drawn = pydicom.dcmread(next(p for p in (tmp_path / "out").iterdir() if p.name.startswith("seg")))
    kept = [i for i, g in enumerate(drawn.PerFrameFunctionalGroupsSequence)
            if g.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1 and drawn.pixel_array[i].any()]  # fmt: skip
    pixels = drawn.pixel_array[kept]
    pixels[:, 3, 4:12] = 0  # the correction
    drawn.PerFrameFunctionalGroupsSequence = [drawn.PerFrameFunctionalGroupsSequence[i] for i in kept]
    drawn.SegmentSequence, drawn.NumberOfFrames = [drawn.SegmentSequence[0]], len(kept)
    drawn.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    drawn.save_as(tmp_path / "corrected.dcm")
    wanted = scan.read(str(mask), None, dims=3).values[0] == 1
    wanted[:, 3, 4:12] = False
    assert np.array_equal(labels.upon("corrected.dcm", scan.read(str(series), None), tmp_path) > 0, wanted)
    assert main(["measure", str(series), str(tmp_path / "corrected.dcm"), "--out", str(tmp_path / "m.csv")]) == 0
    features = measured(scan.Scan(wanted[None].astype(np.float32), *placed(mask)), 1, None, 25.0)
    assert pl.read_csv(tmp_path / "m.csv")["volume_mm3"].to_list() == pytest.approx([features["volume_mm3"]])
    (tmp_path / "cohort.csv").write_text("scan,drawn,y\n" + "ct,corrected.dcm,1\n" * 3)
    cohort = read(tmp_path / "cohort.csv", columns={"scan": "volume", "drawn": "mask"})
    assert cohort.refusals.height == 0 and cohort.values("drawn").null_count() == 0


def placed(mask: Path) -> tuple[np.ndarray, np.ndarray]:
    """Spacing and affine of a mask."""
    found = scan.read(str(mask), None, dims=3)
    return found.spacing, found.affine


def test_boxes_are_segments_with_their_probability(series: Path):
    source, image, _ = dicom_answers.read_answer(str(series), "", "", [], [])
    corners = np.array([[1.0, 2.0, 3.0, 3.0, 6.0, 8.0], [0.4, 10.2, 1.0, 1.2, 12.0, 40.0], [1.0, 4.0, 3.0, 2.0, 9.0, 6.0]])
    boxes = Boxes(corners, np.array([1, 0, 1]), np.array([0.9, 0.25, 0.5]))
    answer = dicom_answers.boxed(boxes, ("cyst", "nodule"), image.values.shape[1:], Algorithm())
    assert [answer.scores[k] for k in (1, 2, 3)] == [0.25, 0.5, 0.9]
    wanted = np.zeros((6, 16, 16), dtype=int)
    wanted[0:2, 10:12, 1:16], wanted[1, 4:9, 3:6], wanted[1:3, 2:6, 3:8] = 1, 2, 3
    assert np.array_equal(answer.labels, wanted)
    drawn, told = dicom_answers.objects(source, image, answer)
    assert [s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for s in drawn.SegmentSequence] == ["Cyst", "Nodule", "Nodule"]
    assert [float(c.MeasuredValueSequence[0].NumericValue) for c in numeric(told)] == [0.25, 0.5, 0.9]
    none = dicom_answers.boxed(Boxes.none(3), ("cyst",), (6, 16, 16), Algorithm())
    (told,) = dicom_answers.objects(source, image, none)
    (said,) = [c for c in content(told) if c.ValueType == "CODE" and c.ConceptNameCodeSequence[0].CodeMeaning == "Cyst"]
    assert said.ConceptCodeSequence[0].CodeMeaning == "Absent" and not list(numeric(told))


def content(item: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Every content item of a report."""
    for one in item.get("ContentSequence") or []:
        yield one
        yield from content(one)
