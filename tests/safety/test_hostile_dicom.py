"""De-identification against hostile, damaged and interrupted input: nothing escapes, nothing is told, nothing is half."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osler.adapters.imaging import dicom_deid_file as reading
from osler.cli import main
from osler.errors import LimitError, OslerError, ReadError
from osler.instruments.deid import DeidOptions, deidentify
from osler.instruments.deid.record import JOURNAL
from tests.instruments.dicom_people import ROOT, found_in, outputs, packed, person, pydicom, write

DEFLATED = "1.2.840.10008.1.2.1.99"


def buried(depth: int) -> bytes:
    """A file of sequences of undefined length within one another, put together by hand."""
    opened, closed = (
        b"\x08\0\x4a\x11SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\0\xe0" + b"\xff" * 4,
        b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0",
    )
    whole = packed(person())
    at = whole.index(b"\x10\0\x10\0PN")
    return whole[:at] + opened * depth + b"\x10\0\x10\0PN\x04\0Kwia" + closed * depth + whole[at:]


def nested(depth: int) -> Any:
    """A data set of sequences within sequences."""
    inner = pydicom.Dataset()
    inner.PatientName = "Kwiatkowski^Wilhelmina"
    for _ in range(depth):
        outer = pydicom.Dataset()
        outer.ReferencedInstanceSequence = [inner]
        inner = outer
    return person(ReferencedInstanceSequence=[inner])


def digest(folder: Path) -> str:
    """One number for the names, bytes and times of all files of a folder."""
    parts = [
        f"{p.relative_to(folder)} {p.stat().st_mtime_ns} {p.read_bytes()!r}"
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_hundreds_of_hostile_uids_become_no_path(tmp_path: Path):
    words = [
        "../../x",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "C:\\x",
        "\\\\host\\x",
        "x\0y",
        "~",
        "$(id)",
        "1.2/../..",
        "\n",
        "é" * 20,
        "1" * 200,
        "CON",
    ]
    rng, folder = np.random.default_rng(4), tmp_path / "in"
    folder.mkdir()
    with reading.silently():
        for i in range(300):
            a, b, c = (words[int(k)] + (str(i) if k % 3 else "") for k in rng.integers(0, len(words), 3))
            ds = person(
                StudyInstanceUID=a,
                SeriesInstanceUID=b,
                SOPInstanceUID=f"{c}{i}",
                PatientID=f"{i % 9}",
                PixelData=b"\0" * 512,
            )
            (folder / f"{i}.dcm").write_bytes(packed(ds))
    done = deidentify(folder, tmp_path / "deep" / "out", DeidOptions(keep=("uids",)))
    made = outputs(tmp_path / "deep")
    assert set(done.outcomes) <= {"written", "leftover"} and done.outcomes["written"] == len(made) >= 250
    allowed = set("0123456789ABCDEF.Pdcm/")
    assert {c for p in made for c in str(p.relative_to(done.out))} <= allowed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "in"]


@pytest.mark.parametrize("depth", [70, 300, 20_000])
def test_deep_nesting_is_refused(tmp_path: Path, depth: int):
    write(tmp_path / "in", person("2"))
    (tmp_path / "in" / "deep.dcm").write_bytes(buried(depth))
    began = time.process_time()
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    assert done.outcomes == {"refused": 1, "written": 1} and time.process_time() - began < 5
    with pytest.raises(LimitError) as refused:
        reading.survey(reading.parse(buried(depth)))
    assert refused.value.code == "limit-depth" and found_in(refused.value.message.encode()) == []


def test_a_value_that_cannot_be_written_deep_down_costs_no_memory():
    ds = nested(40)
    inner = ds
    while "ReferencedInstanceSequence" in inner:
        inner = inner.ReferencedInstanceSequence[0]
    inner.add_new(0x00280010, "US", "no number")
    began = time.process_time()
    with pytest.raises(ReadError, match="damaged"):
        reading.to_bytes(ds)
    assert time.process_time() - began < 1


def test_moderate_nesting_is_followed_to_the_end(tmp_path: Path):
    write(tmp_path / "in", nested(30))
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"written": 1}
    assert found_in(outputs(tmp_path / "out")[0].read_bytes()) == []


def test_a_deflate_bomb_is_refused_at_once():
    small = person()
    small.file_meta.TransferSyntaxUID = DEFLATED
    data = packed(small)
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = data[:start] + b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(300)) + packer.flush()
    assert len(bomb) < 400_000
    began = time.process_time()
    with pytest.raises(LimitError) as refused:
        reading.parse(bomb)
    assert refused.value.code == "limit-ratio" and time.process_time() - began < 1


def test_lengths_that_lie_take_no_memory(tmp_path: Path):
    data = bytearray(packed(person()))
    at = data.index(b"\xe0\x7f\x10\x00OW") + 8
    data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "lie.dcm").write_bytes(bytes(data))
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    assert sum(done.outcomes.values()) == 1
    assert sum(p.stat().st_size for p in outputs(tmp_path / "out")) < 20_000


def test_a_file_over_the_limit_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "in", person())
    monkeypatch.setattr(reading, "MAX_FILE", 1000)
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"refused": 1}


def test_six_hundred_damaged_files_are_written_clean_or_refused(tmp_path: Path):
    whole, rng, folder = packed(person()), np.random.default_rng(9), tmp_path / "in"
    folder.mkdir()
    for i in range(600):
        data = bytearray(whole)
        for at in rng.integers(132, len(data), 1 + i % 6):
            data[at] = int(rng.integers(256))
        (folder / f"{i}.dcm").write_bytes(bytes(data[: int(rng.integers(200, len(data)))] if i % 5 == 0 else data))
    done = deidentify(folder, tmp_path / "out", DeidOptions())
    assert sum(done.outcomes.values()) == 600
    for path in outputs(tmp_path):
        if folder not in path.parents:
            pydicom.dcmread(path)


def test_directories_and_strangers_are_left_out(tmp_path: Path):
    folder = write(tmp_path / "in", person())
    (folder / "DICOMDIR").write_bytes(
        (Path(pydicom.__file__).parent / "data/test_files/dicomdirtests/DICOMDIR").read_bytes()
    )
    (folder / "a.txt").write_text("Kwiatkowski")
    (folder / "empty").write_bytes(b"")
    os.symlink(__file__, folder / "link.dcm")
    os.symlink(tmp_path, folder / "loop")
    done = deidentify(folder, tmp_path / "out", DeidOptions())
    assert done.outcomes == {"written": 1, "other": 3}


@pytest.mark.parametrize(
    "data", [b"", b"DICM", b"\0" * 128 + b"DICM", b"\x08\0\0\0" * 50, b"\0" * 128 + b"DICM" + b"\xff" * 400]
)
def test_what_is_no_dicom_is_one_typed_sentence(data: bytes):
    with pytest.raises((ReadError, LimitError)) as refused:
        reading.to_bytes(reading.parse(data))
    assert isinstance(refused.value, OslerError) and refused.value.message.count(". ") == 0


def test_nothing_of_a_patient_is_printed_or_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    write(tmp_path / "in", person(PatientBirthDate="Kwiatkowski", StudyTime="Thistlewood"), nested(66))
    (tmp_path / "in" / "torn.dcm").write_bytes(packed(person("3"))[:900])
    main(["deid", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--keep", "dates", "--debug"])
    main(["deid", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--keep", "uids"])
    said = capfd.readouterr()
    assert found_in((said.out + said.err).encode()) == []
    assert "[option]" in said.err


def test_the_source_is_never_written_to(tmp_path: Path):
    write(tmp_path / "in", person(), nested(66))
    before = digest(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        path.chmod(0o400)
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    assert digest(tmp_path / "in") == before


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_killed_run_leaves_no_half_file_and_goes_on(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(70):
        (folder / f"{i:03d}.dcm").write_bytes(packed(person(str(i), StudyInstanceUID=f"{ROOT}.1.{i % 7}")))
    key = str(tmp_path / "key")
    deidentify(folder, tmp_path / "whole", DeidOptions(key=key))
    wanted = {p.relative_to(tmp_path / "whole"): p.read_bytes() for p in outputs(tmp_path / "whole")}
    command = [sys.executable, "-m", "osler", "deid", str(folder), "--out", str(tmp_path / "out"), "--key", key]
    for least in (10, 40):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while child.poll() is None and len(outputs(tmp_path / "out")) < least and time.monotonic() < deadline:
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        now = {p.relative_to(tmp_path / "out"): p.read_bytes() for p in outputs(tmp_path / "out")}
        assert all(wanted[name] == data for name, data in now.items()) and len(now) < 70
    with (tmp_path / "out" / JOURNAL).open("ab") as journal:
        journal.write(b'{"file": "cut o')
    assert deidentify(folder, tmp_path / "out", DeidOptions(key=key)).outcomes == {"written": 70}
    assert {p.relative_to(tmp_path / "out"): p.read_bytes() for p in outputs(tmp_path / "out")} == wanted
    assert not list((tmp_path / "out").rglob(".partial-*"))


def test_an_output_that_was_taken_away_is_made_again(tmp_path: Path):
    write(tmp_path / "in", person())
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    data = outputs(tmp_path / "out")[0].read_bytes()
    outputs(tmp_path / "out")[0].unlink()
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"written": 1}
    assert outputs(tmp_path / "out")[0].read_bytes() == data
    assert pydicom.dcmread(io.BytesIO(data)).PatientIdentityRemoved == "YES"
