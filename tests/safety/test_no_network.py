"""Nothing leaves the machine: the main job in a network namespace without routes, and with every socket shut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from osler.cli import main
from tests.safety.small_table import QUICK, write

OPTIONS = [*QUICK, "--unit", "patient_id"]

JOB = """
import sys
from osler.cli import main
table, out = sys.argv[1:3]
options = sys.argv[3:]
assert main(["fit", table, "--out", out + "/run", *options]) == 0
assert main(["predict", out + "/run", table, "--out", out + "/answers.csv"]) == 0
assert main(["report", out + "/run"]) == 0
assert main(["verify", out + "/run"]) == 0
"""


def namespace() -> list[str]:
    """The command that starts a process without network, or a skip that says why."""
    tool = shutil.which("unshare")
    for flags in (["-n"], ["-rn"]):
        if tool and subprocess.run([tool, *flags, "true"], capture_output=True).returncode == 0:
            return [tool, *flags]
    pytest.skip("this machine lets no process make a network namespace (unshare -n, unshare -rn)")


def test_the_main_job_runs_without_any_network(tmp_path: Path):
    command = [*namespace(), sys.executable, "-c", JOB, str(write(tmp_path / "t.csv", 60)), str(tmp_path), *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_no_verb_opens_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tried: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: refuse(None, a))
    table = write(tmp_path / "t.csv", 60)
    assert main(["look", str(table)]) == 0
    assert main(["fit", str(table), "--out", str(tmp_path / "run"), *OPTIONS]) == 0
    assert main(["report", str(tmp_path / "run")]) == 0
    assert main(["tableone", str(table)]) == 0
    assert main(["doctor"]) in (0, 1)
    assert tried == []
