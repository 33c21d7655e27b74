"""Kills, full disks and failing syncs: never half a folder or file under its final name, and the same bytes when it
goes on.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from osler.cli import main
from osler.engine import files
from osler.engine.fit import fit
from osler.engine.run import Run
from tests.safety.kill_fit import SAME, arguments, kill_many, problems
from tests.safety.small_table import write


def test_six_kills_of_a_real_fit(tmp_path: Path):
    assert kill_many(write(tmp_path / "table.csv", 60), tmp_path, 6, seed=1, between=3) == []


class Failing:
    """The nth call fails with an error of the system."""

    def __init__(self, real: Callable[..., object], n: int, number: int) -> None:
        self.real, self.left, self.number = real, n, number

    def __call__(self, *args: object, **options: object) -> object:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*args, **options)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int):
    path = tmp_path / "scores.json"
    files.write_atomic(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, Failing(getattr(os, call), 1, number))
        with pytest.raises(OSError):
            files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_the_first_second_and_every_later_failure_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every 3rd fsync in turn fails until none does: the folder is absent or whole, and the last fit gives the
    undisturbed bytes.
    """
    table = write(tmp_path / "table.csv", 40)
    options = {
        "target": "died",
        "unit": "patient_id",
        "model": ("logistic",),
        "folds": 2,
        "repeats": 1,
        "boot": 200,
        "explain": False,
        "workers": 1,
        "silent": True,
    }
    reference = fit(table, tmp_path / "calm", **options)
    out, n, failed = tmp_path / "run", 1, 0
    while True:
        with monkeypatch.context() as patch:
            trap = Failing(os.fsync, n, errno.ENOSPC if n % 2 else errno.EIO)
            patch.setattr(files.os, "fsync", trap)
            try:
                fit(table, out, **options)
            except OSError:
                failed += 1
                assert problems(out) == []
        if trap.left > 0:
            break
        n += 3
    assert failed >= 10
    assert problems(out, {name: (reference.folder / name).read_bytes() for name in SAME}) == []


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    table = write(tmp_path / "table.csv", 40)
    monkeypatch.setattr(files.os, "fsync", Failing(os.fsync, 4, errno.ENOSPC))
    assert main(arguments(table, tmp_path / "run")) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "no space left" in said
    assert not (tmp_path / "run").exists()


def test_a_previous_run_comes_back_if_the_kill_fell_between_two_renames(tmp_path: Path):
    final, work = tmp_path / "run", tmp_path / ".run.partial"
    (tmp_path / ".run.partial-old-0badcafe").mkdir()
    work.mkdir()
    (work / ".scores.json.partial-12345678").write_bytes(b"half")
    files.recover(final, work)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".run.partial", "run"]
    assert list(work.iterdir()) == []
    (tmp_path / ".run.partial-old-0badcafe").mkdir()
    files.recover(final, work)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".run.partial", "run"]


def test_files_are_private_under_a_careless_umask(tmp_path: Path):
    table, before = write(tmp_path / "table.csv", 60), os.umask(0)
    try:
        assert main(arguments(table, tmp_path / "run")) == 0
        assert main(["predict", str(tmp_path / "run"), str(table), "--out", str(tmp_path / "answers.csv")]) == 0
        assert main(["predict", str(tmp_path / "run"), str(table), "--out", str(tmp_path / "answers.parquet")]) == 0
        assert main(["report", str(tmp_path / "run")]) == 0
        Run.load(tmp_path / "run")
        import osler

        osler.read(table).write(tmp_path / "cohort")
    finally:
        os.umask(before)
    derived = [
        tmp_path / "run",
        *(tmp_path / "run").rglob("*"),
        *tmp_path.glob("answers.*"),
        *(tmp_path / "cohort").iterdir(),
    ]
    assert len(derived) > 15
    assert [str(p.relative_to(tmp_path)) for p in derived if stat.S_IMODE(p.stat().st_mode) & 0o077] == []
