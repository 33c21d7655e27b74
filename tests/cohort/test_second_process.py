"""Second processes: kept, replaced when they die or stall, one for each thread that asks at once, none shared after a fork."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from osler.cohort.second_process import SecondProcesses

PROGRAM = """
import os, time
from osler.cohort.second_process import serve

def answer(path, asked):
    if asked["do"] == "die":
        os.abort()
    if asked["do"] == "babble":
        print("to nobody")
        return ["no", "dict"], b""
    time.sleep(asked.get("takes", 0.0))
    return {"pid": os.getpid()}, path.read_bytes()[: asked.get("first")]

serve(answer)
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Second processes that run `PROGRAM`, and the file they are asked about."""
    (tmp_path / "a_program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    (tmp_path / "file").write_bytes(bytes(range(256)) * 5000)
    processes = SecondProcesses("a_program")

    def ask(seconds: float = 30.0, **given):
        return processes.ask({"path": str(tmp_path / "file"), **given}, seconds)

    yield processes, ask
    processes.end()


def test_bytes_come_back_and_the_process_is_kept(asked):
    processes, ask = asked
    said, data = ask(do="read")
    assert data == bytes(range(256)) * 5000
    assert said["bytes"] == len(data)
    again, few = ask(do="read", first=3)
    assert few == b"\0\1\2"
    assert again["pid"] == said["pid"] == processes.running[0].pid


@pytest.mark.parametrize("given", [{"do": "die"}, {"do": "read", "takes": 5.0}])
def test_one_that_dies_or_stalls_is_replaced(asked, given):
    processes, ask = asked
    first, _ = ask(do="read", first=1)
    began = time.perf_counter()
    assert ask(seconds=0.5, **given) is None
    assert time.perf_counter() - began < 4
    assert processes.running == []
    second, _ = ask(do="read", first=1)
    assert second["pid"] != first["pid"]


def test_an_answer_that_is_no_object_is_none(asked):
    _, ask = asked
    assert ask(do="babble") is None
    assert ask(do="read", first=2)[1] == b"\0\1"


def test_threads_are_given_a_process_each(asked):
    processes, ask = asked
    with ThreadPoolExecutor(3) as pool:
        said = [f.result()[0]["pid"] for f in [pool.submit(ask, do="read", takes=0.5, first=1) for _ in range(3)]]
    assert len(set(said)) == 3 == len(processes.running)
    processes.end()
    assert processes.running == []


def test_a_fork_does_not_use_its_parents_processes(asked):
    _, ask = asked
    mine, _ = ask(do="read", first=1)
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        said = ask(do="read", first=1)
        os.write(sender, str(said[0]["pid"] if said else 0).encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    theirs = int(os.read(receiver, 20))
    os.close(receiver)
    os.close(sender)
    assert theirs not in (0, mine["pid"])
    assert ask(do="read", first=1)[0]["pid"] == mine["pid"]
