"""Two fits of one folder: the second is refused, a killed one stands in nobody's way, and the lock leaves no trace."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osler.cli import main
from osler.engine import files
from osler.engine.files import alone
from osler.engine.fit import fit
from osler.errors import ColumnError, OptionError
from tests.safety.kill_fit import SAME, arguments
from tests.safety.small_table import write

HOLD = """
import pathlib, sys
from osler.engine.files import alone
with alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(final: Path) -> subprocess.Popen[str]:
    """A process of its own that has the right to write `final` until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(final)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_fit_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table, out = write(tmp_path / "table.csv", 40), tmp_path / "runs" / "run"
    first = holder(out)
    try:
        assert main(arguments(table, out)) == 2
    finally:
        first.communicate("", timeout=20)
    said = capsys.readouterr().err.strip()
    assert said == (
        "osler: out must be written by one fit at a time, another is writing 'run': "
        "wait for it, or name another folder [option]"
    )
    assert not (tmp_path / "runs").exists()


def test_a_killed_fit_leaves_no_lock_and_the_next_gives_the_same_bytes(tmp_path: Path):
    table, out = write(tmp_path / "table.csv", 40), tmp_path / "run"
    first = holder(out)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=20)
    assert (tmp_path / ".run.partial.lock").exists()
    assert main(arguments(table, tmp_path / "calm")) == 0
    assert main(arguments(table, out)) == 0
    assert [name for name in SAME if (out / name).read_bytes() != (tmp_path / "calm" / name).read_bytes()] == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["calm", "run", "table.csv"]
    assert [p.name for p in out.rglob("*lock*")] == []


def test_a_refused_question_gives_the_lock_back(tmp_path: Path):
    table, out = write(tmp_path / "table.csv", 40), tmp_path / "new" / "run"
    for _ in range(2):
        with pytest.raises(ColumnError):
            fit(table, out, target="nothing", silent=True)
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_neighbours_do_not_wait_for_each_other(tmp_path: Path):
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        with pytest.raises(OptionError, match="one fit at a time, another is writing 'a'"), alone(tmp_path / "a"):
            pass
        assert sorted(p.name for p in tmp_path.iterdir()) == [".a.partial.lock", ".b.partial.lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_its_last_holder_removed_meanwhile_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Between our opening and our locking the last holder ends: the locked file has no name, so a third would make its
    own.
    """
    path, lock, calls = tmp_path / ".run.partial.lock", files._flock, []

    def late(handle: int) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            path.unlink()
        return lock(handle)

    monkeypatch.setattr(files, "_flock", late)
    with alone(tmp_path / "run"):
        assert len(calls) == 2
        with pytest.raises(OptionError), alone(tmp_path / "run"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_still_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import fcntl

    def refuse(number: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))

    refuse(errno.ENOLCK)
    with alone(tmp_path / "run"):
        pass
    refuse(errno.EIO)
    with pytest.raises(OSError, match="Input/output"), alone(tmp_path / "run"):
        pass
