"""Files that are whole or absent: what a kill, a full disk and a careless umask leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osler.cohort import atomic


@pytest.mark.parametrize("sync", ["nothing", "file", "folder"])
def test_the_old_content_or_the_new_one_and_nothing_beside_it(tmp_path: Path, sync: str):
    target = tmp_path / "a.json"
    atomic.write_atomic(target, b"old", sync)
    atomic.write_atomic(target, memoryview(b"new"), sync)
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.json"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_what_is_synced_is_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[bool] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda n: (synced.append(os.path.isdir(f"/proc/self/fd/{n}")), really(n))[1])
    for sync in ("nothing", "file", "folder"):
        atomic.write_atomic(tmp_path / "a", b"x", sync)
    assert len(synced) == 3  # the file, the file and its folder
    if sys.platform == "linux":
        assert synced == [False, False, True]


def test_a_failure_leaves_the_old_content_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        atomic.write_atomic(target, b"new")
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def test_halves_are_swept_and_nothing_else(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / ".run.partial-old-1").mkdir()
    for name in (".partial-1", "in/.partial-2", ".scores.json.partial-3", "partial-4", "in/a.json"):
        (tmp_path / name).write_bytes(b"x")
    atomic.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.json", "partial-4"]
    assert (tmp_path / ".run.partial-old-1").is_dir()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_kills_leave_whole_files(tmp_path: Path):
    writing = (
        "import sys; from pathlib import Path; from osler.cohort.atomic import write_atomic\n"
        "print(flush=True)\nn = 0\nwhile True:\n    n += 1\n    write_atomic(Path(sys.argv[1]), bytes([n % 256]) * 300_000)"
    )
    target = tmp_path / "a"
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", writing, str(target)], stdout=subprocess.PIPE)
        child.stdout.readline()
        while not target.exists():
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        held = target.read_bytes()
        assert len(held) == 300_000 and len(set(held)) == 1
    atomic.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["a"]


def test_what_comes_in_pieces_takes_its_name_only_when_all_is_well(tmp_path: Path):
    target = tmp_path / "a"
    with atomic.being_written(target) as (out, where):
        out.write(b"one ")
        assert not target.exists()
        assert where.parent == tmp_path and where.name.startswith(atomic.PARTIAL)
        out.write(b"two")
    assert target.read_bytes() == b"one two"

    def write_and_fail() -> None:
        with atomic.being_written(target) as (out, _):
            out.write(b"three")
            raise ValueError("checked and found wrong")

    with pytest.raises(ValueError, match="checked"):
        write_and_fail()
    assert target.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["a"]
