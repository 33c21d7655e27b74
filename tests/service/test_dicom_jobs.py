"""One study, one job: complete studies are queued once, answered once and sent once, however often the node is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import labels, scan
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, Peer, send
from osler.cli import main
from osler.engine.fit import fit
from osler.engine.predictor import Predictor
from osler.errors import OptionError
from osler.scenes import Drawing
from osler.service import dicom_archive, dicom_work
from osler.service.dicom_jobs import Jobs
from tests import drawn_scans
from tests.adapters.imaging import archives
from tests.engine.test_pictures_through import learnt, written
from tests.instruments.dicom_people import ROOT, found_in, packed, person, pydicom

pytest.importorskip("highdicom")
SPACING = (2.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor that draws two parts of made-up brains."""
    folder = tmp_path_factory.mktemp("run")
    source = drawn_scans.brains(folder / "data", n=6)
    column = ("drawn=mask:names=core+rim",)
    fit(source, folder / "run", target="drawn", column=column, unit="patient", model=("atlas",), folds=2, boot=20, silent=True, workers=1)
    return folder / "run"


def brains(folder: Path, names: str) -> list[Path]:
    """DICOM files of one new brain for each letter."""
    made = []
    for name in names:
        values, _ = drawn_scans.brain(np.random.default_rng(ord(name)))
        made += sorted(archives.series_of(folder / name, np.clip(values, 0, None), SPACING, str(ord(name))).iterdir())
    return made


def filled(folder: Path, files: list[Path]) -> Inbox:
    """An inbox that received some files."""
    inbox = Inbox(folder, 1 << 30)
    for path in files:
        assert inbox.keep(str(pydicom.dcmread(path).SOPInstanceUID), path.read_bytes()) == DONE
    return inbox


class Archive:
    """Takes results and remembers them, as an archive does that answers with given statuses first."""

    def __init__(self, *first: int | None) -> None:
        self.first, self.held, self.times = list(first), {}, 0

    def send(self, files: list[Path]) -> list[tuple[Path, int | None]]:
        self.times += 1
        status = self.first.pop(0) if self.first else DONE
        if status == DONE:
            self.held |= {str(pydicom.dcmread(f).SOPInstanceUID): pydicom.dcmread(f) for f in files}
        return [(f, status) for f in files]


def worker(folder: Path, run: Path, archive: Archive) -> tuple[Jobs, dicom_work.Worker, list[str]]:
    """A queue, who works on it, and what it says."""
    said: list[str] = []
    jobs = Jobs(folder)
    return jobs, dicom_work.Worker(jobs, Predictor.load(run / "predictor"), dicom_work.Work(run, archive, told=said.append)), said


def test_a_quiet_study_is_one_job_and_a_grown_one_another(tmp_path: Path):
    files = brains(tmp_path / "in", "ab")
    inbox, jobs = filled(tmp_path / "inbox", files[:15]), Jobs(tmp_path / "inbox")
    assert jobs.settle(inbox, 100) == 0 and jobs.waiting() == []
    assert jobs.settle(inbox, 0) == 2 and jobs.settle(inbox, 0) == 0
    assert sorted(len(j.objects) for j in jobs.waiting()) == [5, 10]
    assert all(path.is_file() for job in jobs.waiting() for path in job.objects)
    again = Inbox(tmp_path / "inbox", 1 << 30)  # as after a kill
    assert Jobs(tmp_path / "inbox").settle(again, 0) == 0
    for path in files[15:]:
        again.keep(str(pydicom.dcmread(path).SOPInstanceUID), path.read_bytes())
    assert jobs.settle(again, 0) == 1 and sorted(len(j.objects) for j in jobs.waiting()) == [5, 10, 10]
    text = b"".join(p.read_bytes() for p in (tmp_path / "inbox" / "jobs").rglob("*.json"))
    assert found_in(text) == []


def test_an_object_between_two_looks_makes_the_study_wait_again(tmp_path: Path):
    files = brains(tmp_path / "in", "a")
    inbox = filled(tmp_path / "inbox", files[:9])
    ((study, objects),) = inbox.quiet(0).items()
    inbox.keep(str(pydicom.dcmread(files[9]).SOPInstanceUID), files[9].read_bytes())
    inbox.settled(study, len(objects))
    assert len(inbox.quiet(0)[study]) == 10
    inbox.settled(study, 10)
    assert inbox.quiet(0) == {}


def test_a_study_is_answered_by_its_drawing(tmp_path: Path, run: Path):
    inbox, archive = filled(tmp_path / "inbox", brains(tmp_path / "in", "a")), Archive()
    jobs, one, said = worker(tmp_path / "inbox", run, archive)
    jobs.settle(inbox, 0)
    assert one.step() and not one.step()
    kinds = {str(ds.Modality): ds for ds in archive.held.values()}
    assert set(kinds) == {"SEG", "SR"} and jobs.counts() == {"waiting": 0, "done": 1, "failed": 0}
    kinds["SEG"].save_as(tmp_path / "seg.dcm")
    image = scan.read(str(tmp_path / "in" / "a"), None)
    drawn, truth = labels.upon(str(tmp_path / "seg.dcm"), image, None), drawn_scans.brain(np.random.default_rng(ord("a")))[1]
    assert 2 * ((drawn == 1) & (truth == 1)).sum() / ((drawn == 1).sum() + (truth == 1).sum()) > 0.5
    assert [s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for s in kinds["SEG"].SegmentSequence] == ["core", "rim"]
    assert len(said) == 1 and "10 objects answered, 2 results sent" in said[0] and found_in(said[0].encode()) == []


@pytest.mark.parametrize("moment", ["half an answer", "answer not sent", "sent, not noted", "noted, not taken out"])
def test_a_kill_between_any_two_steps_neither_loses_nor_doubles(tmp_path: Path, run: Path, moment: str):
    folder, archive = tmp_path / "inbox", Archive()
    inbox = filled(folder, brains(tmp_path / "in", "a"))
    jobs, one, _ = worker(folder, run, archive)
    jobs.settle(inbox, 0)
    (job,) = jobs.waiting()
    waiting = (folder / "jobs" / "waiting" / f"{job.id}.json").read_bytes()
    if moment == "half an answer":
        half = folder / "jobs" / "results" / f".{job.id}.partial"
        half.mkdir()
        (half / "seg-1.dcm").write_bytes(b"half")
    elif moment == "answer not sent":
        one._answered(job)
    else:
        assert one.step()
        if moment == "sent, not noted":
            (folder / "jobs" / "done" / f"{job.id}.json").unlink()
        (folder / "jobs" / "waiting" / f"{job.id}.json").write_bytes(waiting)
    jobs, one, _ = worker(folder, run, archive)
    jobs.settle(Inbox(folder, 1 << 30), 0)
    while one.step():
        pass
    assert jobs.counts() == {"waiting": 0, "done": 1, "failed": 0}
    assert len(archive.held) == 2 and list((folder / "jobs" / "results").iterdir()) == []
    assert archive.times == {"noted, not taken out": 1, "sent, not noted": 2}.get(moment, 1)


def test_an_archive_that_takes_nothing_now_is_asked_again(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch):
    inbox, archive = filled(tmp_path / "inbox", brains(tmp_path / "in", "a")), Archive(None, NO_ROOM)
    jobs, one, said = worker(tmp_path / "inbox", run, archive)
    jobs.settle(inbox, 0)
    assert one.step() and not one.step() and jobs.counts()["waiting"] == 1
    now = time.monotonic()
    for later in (3, 10):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        assert one.step()
    assert jobs.counts()["done"] == 1 and archive.times == 3
    assert ["next try in 2 s" in s for s in said] == [True, False, False] and "next try in 4 s" in said[1]


def test_what_cannot_be_answered_is_kept_with_its_reason(tmp_path: Path, run: Path):
    (tmp_path / "x.dcm").write_bytes(packed(person("1")))
    inbox, archive = filled(tmp_path / "inbox", [tmp_path / "x.dcm"]), Archive()
    jobs, one, said = worker(tmp_path / "inbox", run, archive)
    jobs.settle(inbox, 0)
    assert one.step() and jobs.counts() == {"waiting": 0, "done": 0, "failed": 1} and archive.times == 0
    (failed,) = (tmp_path / "inbox" / "jobs" / "failed").iterdir()
    body = json.loads(failed.read_bytes())
    assert body["code"] == "image-pixels" and "must hold a volume" in body["reason"] and found_in(failed.read_bytes()) == []
    refusing = Archive(0x0122)
    jobs, one, said = worker(tmp_path / "other", run, refusing)
    jobs.settle(filled(tmp_path / "other", brains(tmp_path / "in", "b")), 0)
    assert one.step() and jobs.counts()["failed"] == 1 and "refused" in said[0]


def test_a_study_in_which_nothing_is_found_says_so(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch):
    inbox, archive = filled(tmp_path / "inbox", brains(tmp_path / "in", "a")), Archive()
    monkeypatch.setattr(dicom_work, "draw", lambda predictor, scene: Drawing(labels=np.zeros(scene.shape, dtype=np.uint16)))
    jobs, one, _ = worker(tmp_path / "inbox", run, archive)
    jobs.settle(inbox, 0)
    assert one.step() and jobs.counts()["done"] == 1
    (report,) = archive.held.values()
    text = str(report)
    assert report.Modality == "SR" and text.count("Absent") == 2 and "core" in text and "rim" in text


def test_pictures_get_a_finding_and_a_drawing(tmp_path: Path):
    pytest.importorskip("torch")
    model = ("cnn:width=16,filters=4,epochs=1,batch_size=16",)
    trained = learnt(written(tmp_path / "pictures", 1, 24), tmp_path / "run", model=model, boot=20).folder
    ds = person("1", PhotometricInterpretation="MONOCHROME2", Modality="DX")
    ds.Rows = ds.Columns = 12
    ds.PixelData = np.random.default_rng(1).integers(60, 160, (12, 12)).astype("<u2").tobytes()
    (tmp_path / "x.dcm").write_bytes(packed(ds))
    inbox, archive = filled(tmp_path / "inbox", [tmp_path / "x.dcm"]), Archive()
    jobs = Jobs(tmp_path / "inbox")
    jobs.settle(inbox, 0)
    one = dicom_work.Worker(jobs, Predictor.load(trained / "predictor"), dicom_work.Work(trained, archive, drawn=True, told=str))
    assert one.step() and jobs.counts()["done"] == 1
    assert sorted(str(ds.Modality) for ds in archive.held.values()) == ["OT", "SR"]
    report = next(ds for ds in archive.held.values() if ds.Modality == "SR")
    assert report.PatientID == "MRN4711008"


def test_predictors_and_flags_that_do_not_fit(tmp_path: Path, run: Path):
    blind = replace(Predictor.load(run / "predictor"), states={})
    with pytest.raises(OptionError, match="one column of scans"):
        dicom_work.column_of(blind)
    for wrong in (["--then", str(run)], ["--to", "A@h:1"], ["--settle", "-1"]):
        assert main(["pacs", "listen", str(tmp_path / "inbox"), "--allow", "A", "--port", "0", *wrong]) == 2


def listening(folder: Path, run: Path, to: str) -> tuple[subprocess.Popen, int]:
    """`osler pacs listen --then` and its port."""
    command = [sys.executable, "-m", "osler", "pacs", "listen", str(folder), "--allow", "SCANNER", "--port", "0", "--settle", "2"]
    child = subprocess.Popen([*command, "--then", str(run), "--to", to], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return child, int(child.stdout.readline().rpartition(":")[2])


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_kills_at_any_moment_from_scanner_to_archive(tmp_path: Path, run: Path):
    """Four studies from a sender to a listener that is killed again and again, and their answers in Orthanc: each once."""
    names, rng = "abcd", np.random.default_rng(5)
    todo, acknowledged, inbox, said = brains(tmp_path / "in", names), set(), tmp_path / "inbox", ""
    with archives.own_network(), archives.orthanc(tmp_path / "orthanc") as one:
        for round_ in range(4):
            child, port = listening(inbox, run, one.node)
            try:  # two studies, and a kill while they are answered; one and a half, and a kill at once; the rest, and a kill; to the end
                left = [p for p in todo if p not in acknowledged]
                for path, status in send(Peer("127.0.0.1", port, "OSLER", "SCANNER"), left[: (20, 15, 99, 99)[round_]]):
                    if status == DONE:
                        acknowledged.add(path)
                limit = time.monotonic() + (2 + rng.uniform(0, 1.5), 0, 2 + rng.uniform(0, 1.5), 40)[round_]
                while time.monotonic() < limit and len(list((inbox / "jobs" / "done").glob("*"))) < 4:
                    time.sleep(0.05)
            finally:
                child.send_signal(signal.SIGTERM if round_ == 3 else signal.SIGKILL)
                said += "".join(child.communicate(timeout=30))
        jobs = Jobs(inbox)
        assert len(acknowledged) == len(todo) == len(list(inbox.glob("*/*.dcm"))) == 40
        assert jobs.counts() == {"waiting": 0, "done": 4, "failed": 0} and one.count() == 8
        found = dicom_archive.opened(one.node, "", "OSLER", None).find(dicom_archive.Question("series"))
        assert sorted((r["StudyInstanceUID"], r["Modality"]) for r in found) == sorted((f"{ROOT}.7.{ord(n)}", m) for n in names for m in ("SEG", "SR"))
    assert found_in(said.encode()) == []
    shutil.rmtree(inbox)
