"""Reading odd molecules in a process of their own, under limits of time and memory: one that dies takes nothing with
it.

The process stays for the next odd molecule and is started anew after it died or was ended. It gets one JSON line per
molecule and answers one: RDKit's binary form in base64, or the reason. Before it answers it makes the features that are
the slowest, so that what it lets through cannot keep the calling process busy later. Its time is counted as the
processor's where the system can, with half as much again of the clock, so that a busy machine seldom refuses what an
idle one reads; the last answers are kept, as files repeat their molecules.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import IO, Any

from osler.adapters.rdkit.parse import Parsed, parse_here
from osler.registry import optional

#: Seconds of the processor that one molecule may take, and times as many of the clock; seconds to start the process.
SECONDS, PATIENCE, START_SECONDS = 1.2, 1.5, 60.0
#: Answers that are kept.
KEPT = 64
#: Address space of the process in bytes, where the system can limit it.
MEMORY = 2 << 30
TOO_LONG = f"not read within {SECONDS:g} seconds: far more rings or branches than RDKit can work through"
ENDED = "RDKit ended its process while reading it"

_LOCK = threading.Lock()
_RUNNING: dict[int, subprocess.Popen[bytes]] = {}
_STARTING: set[int] = set()
_ANSWERS: OrderedDict[tuple[str, str], Parsed] = OrderedDict()


def parse(text: str, kind: str) -> Parsed:
    """Read one screened text as `osler.adapters.rdkit.parse.parse_here` does, in the process apart."""
    with _LOCK:
        found = _ANSWERS.get((text, kind)) or _asked(text, kind)
        if found.reason == ENDED:
            return found  # the next one may have better luck: a process can be ended from outside
        _ANSWERS[text, kind] = found
        _ANSWERS.move_to_end((text, kind))
        while len(_ANSWERS) > KEPT:
            _ANSWERS.popitem(last=False)
        return found


def _asked(text: str, kind: str) -> Parsed:
    """What the process answers; a new one is on its way if this one did not live to."""
    worker = _worker()
    if worker.pid in _STARTING:
        _line(worker, START_SECONDS)
        _STARTING.discard(worker.pid)
    asked = {"text": text, "kind": kind, "seconds": SECONDS}
    try:
        worker.stdin.write(json.dumps(asked).encode() + b"\n")  # type: ignore[union-attr]
        worker.stdin.flush()  # type: ignore[union-attr]
        line = _line(worker, PATIENCE * SECONDS if os.name == "posix" else SECONDS)
    except (BrokenPipeError, OSError):
        line = b""
    if not line:
        too_long = line is None or _ended_by_its_clock(worker)
        stop()
        _launch()  # so that the next odd molecule need not wait for it
        return Parsed(None, TOO_LONG if too_long else ENDED)
    answer = json.loads(line)
    if answer["reason"]:
        return Parsed(None, answer["reason"])
    return Parsed(optional("rdkit.Chem", "molecules").Mol(base64.b64decode(answer["mol"])))


def _ended_by_its_clock(worker: subprocess.Popen[bytes]) -> bool:
    """Whether a process whose pipe is closed was ended because its molecule took too much of the processor."""
    try:
        return os.name == "posix" and worker.wait(1.0) == -signal.SIGPROF
    except subprocess.TimeoutExpired:
        return False


def stop() -> None:
    """End this process's worker, if it has one."""
    worker = _RUNNING.pop(os.getpid(), None)
    if worker is None:
        return
    _STARTING.discard(worker.pid)
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe:
            with suppress(OSError):  # what could not be written any more
                pipe.close()


def _worker() -> subprocess.Popen[bytes]:
    """The running worker of this process; one that a parent process started is not touched."""
    worker = _RUNNING.get(os.getpid())
    if worker is not None and worker.poll() is None:
        return worker
    stop()
    return _launch()


def _launch() -> subprocess.Popen[bytes]:
    """A new worker, which is not ready before it has written its first line."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "osler.adapters.rdkit.apart"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _RUNNING[os.getpid()] = worker
    _STARTING.add(worker.pid)
    atexit.register(stop)
    return worker


def _line(worker: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """One line of the worker's answer; None after `seconds` without one, b"" if it ended."""
    found: list[bytes] = []
    pipe: Any = worker.stdout
    if os.name == "posix":
        buffer = bytearray()
        while not buffer.endswith(b"\n"):
            if not select.select([pipe], [], [], seconds)[0]:
                return None
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                return b""
            buffer += part
        return bytes(buffer)
    reader = threading.Thread(target=lambda: found.append(pipe.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return found[0] if found else None


def _limit_memory() -> None:
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set_clock(seconds: float) -> None:
    """End this process after so many seconds of the processor, even in native code; 0 takes that back."""
    if os.name == "posix":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _rehearse(mol: Any) -> None:
    """Make what is slowest on odd molecules, and throw it away. Scaffolds are not made: what takes their time is one
    matrix of distances, which ErG and the descriptors need as well.
    """
    from osler.adapters.rdkit import descriptors, fingerprints, pairs

    fingerprints.counts([mol], ("ecfp", "avalon", "erg", "maccs"))
    descriptors.describe([mol])
    pairs.fast([mol])


def _answer(text: str, kind: str) -> dict[str, str]:
    found = parse_here(text, kind)
    if found.mol is None:
        return {"mol": "", "reason": found.reason}
    _rehearse(found.mol)
    return {"mol": base64.b64encode(found.mol.ToBinary(_all_properties())).decode(), "reason": ""}


def _all_properties() -> int:
    return int(optional("rdkit.Chem", "molecules").PropertyPickleOptions.AllProps)


def _serve(lines: IO[bytes], out: IO[bytes]) -> None:
    _answer("CC(=O)Oc1ccccc1", "smiles")
    _limit_memory()
    out.write(b"ready\n")
    out.flush()
    for line in lines:
        asked = json.loads(line)
        _set_clock(asked["seconds"])
        try:
            answer = _answer(asked["text"], asked["kind"])
        except MemoryError:
            answer = {"mol": "", "reason": "needs more memory than one molecule may have"}
        _set_clock(0.0)
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
