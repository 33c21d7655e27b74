"""Asking and fetching by the DICOM protocol, against Orthanc and DCMTK's dcmqrscp."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from osler.adapters.imaging import dicom_fetch, dicom_query, scan
from osler.adapters.imaging.dicom_folder import SeriesFolder, identity
from osler.adapters.imaging.dicom_net import DONE, Node, Peer, send
from osler.adapters.imaging.dicom_query import Question
from osler.cli import main
from osler.errors import LimitError, OptionError, ReadError
from tests.adapters.imaging import archives
from tests.instruments.dicom_people import ROOT, person, pydicom

pytest.importorskip("pynetdicom")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[archives.Orthanc]:
    """An archive that holds two studies of two series of three objects."""
    folder = tmp_path_factory.mktemp("orthanc")
    with archives.own_network(), archives.orthanc(folder / "run") as one:
        for patient in ("1", "2"):
            archives.study(folder / "in", patient=patient)
        sent = send(Peer("127.0.0.1", one.dicom, "ORTHANC"), sorted((folder / "in").iterdir()))
        assert [status for _, status in sent] == [DONE] * 12
        yield one


@pytest.fixture
def peer(orthanc: archives.Orthanc) -> Peer:
    return Peer("127.0.0.1", orthanc.dicom, "ORTHANC")


def uids(folder: Path) -> list[str]:
    """UIDs of the objects below a folder, and that each has the pixels that were made for it."""
    found = []
    for path in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        series, number = (int(part) for part in str(ds.SOPInstanceUID).split(".")[-2:])
        assert ds.PixelData == bytes([series, number]) * 256
        found.append(str(ds.SOPInstanceUID))
    return sorted(found)


def test_studies_series_and_objects_are_found(peer: Peer):
    studies = dicom_query.find(peer, Question())
    assert sorted(r["StudyInstanceUID"] for r in studies) == [f"{ROOT}.1", f"{ROOT}.2"]
    assert {(r["PatientID"], r["StudyDate"], r["ModalitiesInStudy"]) for r in studies} == {
        ("MRN1", "20210301", "CT"), ("MRN2", "20210301", "CT"),
    }  # fmt: skip
    assert studies[0]["NumberOfStudyRelatedInstances"] == "6"
    one = dicom_query.find(peer, Question("series", {"PatientID": "MRN2"}))
    assert sorted((r["SeriesInstanceUID"], r["SeriesDescription"], r["PatientID"]) for r in one) == [
        (f"{ROOT}.2.0", "part 0", "MRN2"), (f"{ROOT}.2.1", "part 1", "MRN2"),
    ]  # fmt: skip
    objects = dicom_query.find(peer, Question("instance", {"PatientID": "MRN1", "SeriesNumber": "1"}))
    assert sorted(r["SOPInstanceUID"] for r in objects) == [f"{ROOT}.1.1.{i}" for i in range(3)]
    assert len(dicom_query.find(peer, Question("instance"))) == 12
    assert dicom_query.find(peer, Question("study", {"PatientID": "NOBODY"})) == []
    assert dicom_query.find(peer, Question("study", {"PatientName": "Müller*"})) == []


def test_questions_that_are_none_or_too_wide(peer: Peer):
    with pytest.raises(OptionError, match="did you mean 'series'"):
        Question("serie")
    with pytest.raises(OptionError, match="PatientID"):
        Question("study", {"PatientId": "x"})
    with pytest.raises(LimitError, match="at most 1 answers"):
        dicom_query.find(peer, Question(most=1))
    with pytest.raises(LimitError, match="at most"):
        dicom_query.find(peer, Question("instance", most=7))


def test_series_come_by_get_once_and_as_a_volume(peer: Peer, tmp_path: Path):
    rows = dicom_query.find(peer, Question("series", {"PatientID": "MRN1"}))
    done = list(dicom_fetch.get(peer, rows, SeriesFolder(tmp_path, 1 << 30)))
    assert [(d.listed, d.new, d.missing) for d in done] == [(3, 3, 0)] * 2
    assert uids(tmp_path) == [f"{ROOT}.1.{s}.{o}" for s in range(2) for o in range(3)]
    read = scan.read(f"{ROOT}.1.1", tmp_path)
    assert read.values.shape == (1, 3, 16, 16) and read.spacing.tolist() == [2.5, 0.5, 0.7]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.dcm")}
    (tmp_path / f"{ROOT}.1.0" / f"{ROOT}.1.0.2.dcm").unlink()
    again = list(dicom_fetch.get(peer, rows, SeriesFolder(tmp_path, 1 << 30)))
    assert sorted((d.series, d.new) for d in again) == [(f"{ROOT}.1.0", 1), (f"{ROOT}.1.1", 0)]
    assert len(uids(tmp_path)) == 6
    assert sum(p.stat().st_mtime_ns == before[p] for p in tmp_path.rglob("*.dcm")) == 5


def test_series_come_by_move_to_a_listener_of_our_own(orthanc: archives.Orthanc, peer: Peer, tmp_path: Path):
    rows = dicom_query.find(peer, Question("series", {"PatientID": "MRN2"}))
    node = Node("OSLER", ("ORTHANC",), port=orthanc.moves)
    (tmp_path / f"{ROOT}.2.0").mkdir(parents=True)
    (tmp_path / f"{ROOT}.2.0" / ".partial-0badcafe").write_bytes(b"half of an object that a kill left")
    done = list(dicom_fetch.move(peer, rows, SeriesFolder(tmp_path, 1 << 30), node))
    assert [(d.listed, d.new, d.missing) for d in done] == [(3, 3, 0)] * 2
    assert uids(tmp_path) == [f"{ROOT}.2.{s}.{o}" for s in range(2) for o in range(3)]
    assert not list(tmp_path.rglob(".partial-*"))
    assert [d.new for d in dicom_fetch.move(peer, rows, SeriesFolder(tmp_path, 1 << 30), node)] == [0, 0]


def test_a_full_folder_is_an_answer(peer: Peer, tmp_path: Path):
    rows = dicom_query.find(peer, Question("series", {"PatientID": "MRN1"}))[:1]
    (done,) = dicom_fetch.get(peer, rows, SeriesFolder(tmp_path, 5000))
    assert done.listed == 3 and done.missing == 3 - len(uids(tmp_path)) > 0


def test_only_what_was_asked_for_is_kept(tmp_path: Path):
    folder = SeriesFolder(tmp_path / "out", 1 << 30)
    data = {o: (archives.study(tmp_path / "in", 1) / f"1_0_{o}.dcm").read_bytes() for o in range(3)}
    folder.expect([{"SeriesInstanceUID": f"{ROOT}.1.0", "SOPInstanceUID": f"{ROOT}.1.0.{o}"} for o in (0, 1)])
    assert [folder.keep(f"{ROOT}.1.0.{o}", data[o]) for o in range(3)] == [DONE, DONE, 0xC000]
    assert folder.keep(f"{ROOT}.1.0.0", data[1]) == 0xC000  # says of itself that it is another
    assert folder.keep(f"{ROOT}.1.0.0", b"no DICOM") == 0xC000
    assert len(uids(tmp_path / "out")) == 2


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_an_object_is_known_by_its_beginning(syntax: str):
    ds = person("1")
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    if syntax.endswith(".2.2"):
        ds["PixelData"].VR = "OW"
    pydicom.dcmwrite(out, ds, enforce_file_format=True, little_endian=not syntax.endswith(".2.2"), implicit_vr=syntax.endswith("8.1.2"))
    assert identity(out.getvalue()) == (f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3.1")
    assert identity(out.getvalue()[:200]) is None
    assert identity(b"") is None and identity(b"\0" * 500) is None


def test_a_deflated_object_is_not_unpacked_to_be_known():
    ds = person("1")
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    ds.PixelData = bytes(96 << 20)
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    data = out.getvalue()
    del out, ds
    tracemalloc.start()
    assert identity(data) == (f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3.1")
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "1..2", "", "a\0b", "1." * 40, "\udc80", ".."])
def test_hostile_uids_stay_in_the_folder(tmp_path: Path, uid: str):
    path = SeriesFolder(tmp_path / "in", 1).path(uid, uid)
    assert path.resolve().is_relative_to((tmp_path / "in").resolve()) and len(path.relative_to(tmp_path).parts) == 3


def test_the_command_asks_and_fetches(orthanc: archives.Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["pacs", "query", orthanc.node, "--where", "PatientID=MRN1"]) == 0
    assert "1 rows" in capsys.readouterr().out
    table = tmp_path / "series.csv"
    assert main(["pacs", "query", orthanc.node, "--level", "series", "--where", "PatientID=MRN1", "--out", str(table)]) == 0
    said = capsys.readouterr()
    assert "MRN1" not in said.out + said.err and pl.read_csv(table)["SeriesInstanceUID"].n_unique() == 2
    assert main(["pacs", "fetch", orthanc.node, str(tmp_path / "a"), "--found", str(table)]) == 0
    assert "2 series, 6 objects: 6 came now, 0 were here, 0 are missing" in capsys.readouterr().out
    move = ["--by", "move", "--port", str(orthanc.moves)]
    assert main(["pacs", "fetch", orthanc.node, str(tmp_path / "b"), "--study", f"{ROOT}.2", *move]) == 0
    assert len(uids(tmp_path / "a")) == len(uids(tmp_path / "b")) == 6
    assert main(["pacs", "query", orthanc.node, "--where", "PatientID=NOBODY"]) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_fetch_that_is_killed_goes_on_where_it_was(orthanc: archives.Orthanc, tmp_path: Path):
    sent = send(Peer("127.0.0.1", orthanc.dicom, "ORTHANC"), sorted(archives.study(tmp_path / "in", 5, 8, "9").iterdir()))
    assert {status for _, status in sent} == {DONE}
    command = [sys.executable, "-m", "osler", "pacs", "fetch", orthanc.node, str(tmp_path / "out"), "--study", f"{ROOT}.9"]
    times: dict[Path, int] = {}
    for lines in (1, 3):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(lines):
            child.stdout.readline()
        time.sleep(0.02)
        child.kill()
        child.wait()
        child.stdout.close()
        held = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.dcm")}
        assert 0 < len(held) < 40 and times.items() <= held.items()  # what was there is not fetched again
        times = held
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"{40 - len(times)} came now, {len(times)} were here, 0 are missing" in done.stdout
    assert len(uids(tmp_path / "out")) == len(set(uids(tmp_path / "out"))) == 40 and not list((tmp_path / "out").rglob(".partial-*"))


@pytest.mark.parametrize("wrong", [
    [], ["--study", "1.2", "--by", "fax"], ["--where", "PatientID"], ["--found", "none.csv"], ["--where", "PatientID=NOBODY"],
    ["--study", "1.2", "--host", "0.0.0.0", "--by", "move"], ["--study", "1.2", "--quota", "0"],
])  # fmt: skip
def test_fetches_that_cannot_be(orthanc: archives.Orthanc, tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["pacs", "fetch", orthanc.node, str(tmp_path / "out"), *wrong]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "NOBODY" not in said


def test_a_node_that_turns_away(orthanc: archives.Orthanc):
    with pytest.raises(ReadError, match="check both titles"):
        dicom_query.find(Peer("127.0.0.1", orthanc.dicom, "OTHER"), Question())
