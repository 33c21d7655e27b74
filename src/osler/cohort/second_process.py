"""Work on foreign bytes in a second process: a file that crashes, exhausts or stalls native code costs that process only.

A second process takes one line of JSON and answers with one line of JSON and, where that names a number of `bytes`, the bytes after it. It is kept
for the next file and started again when it dies. Threads that ask at once are given a process each.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Address space of a second process: this much and `PER_BYTE` times the file.
MEMORY, PER_BYTE = 8 << 30, 64


class SecondProcesses:
    """Second processes that run one module, as many as there are threads asking.

    Args:
        module: is run by `python -m`; its `main` calls `serve`.
        environment: variables set beside those of this process.
    """

    def __init__(self, module: str, environment: dict[str, str] | None = None) -> None:
        self._module, self._environment = module, environment or {}
        self._forget()
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked process must not talk into the pipes of its parent."""
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._busy: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> list[subprocess.Popen[bytes]]:
        """Those that have been started and not been stopped."""
        with self._lock:
            return [*self._idle, *self._busy]

    def ask(self, asked: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes] | None:
        """What a second process answers, and the bytes after it; None where it died, said nothing that can be read, or took longer."""
        process = self._taken()
        answer = None
        try:
            answer = _exchanged(process, asked, seconds)
        finally:
            with self._lock:
                self._busy.remove(process)
                if answer is not None:
                    self._idle.append(process)
            if answer is None:
                _stop(process)
        return answer

    def end(self) -> None:
        """Stop those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            _stop(process)

    def _taken(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.poll() is None:
                    self._busy.append(process)
                    return process
                _stop(process)
        process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **self._environment},
        )  # fmt: skip
        with self._lock:
            self._busy.append(process)
        return process


def _exchanged(process: subprocess.Popen[bytes], asked: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes] | None:
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        return None
    try:
        stdin.write(json.dumps(asked).encode() + b"\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], seconds)
        line = stdout.readline() if ready else b""
        said = json.loads(line) if line else None
        if not isinstance(said, dict):
            return None
        data = stdout.read(said["bytes"]) if "bytes" in said else b""
    except (BrokenPipeError, ValueError):
        return None
    return (said, data) if len(data) == said.get("bytes", 0) else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue


def serve(answer: Callable[[Path, dict[str, Any]], tuple[dict[str, Any], bytes]]) -> None:
    """The second process: answer line after line, each within the memory that a file of its size may take.

    Args:
        answer: from the path and all that was asked to what is said and the bytes after it; it must not raise an `Exception`.
    """
    import resource

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes nowhere
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        path = Path(asked["path"])
        room = MEMORY + PER_BYTE * path.stat().st_size
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (room if most == resource.RLIM_INFINITY else min(room, most), most))
        said, data = answer(path, asked)
        answers.write(json.dumps({**said, "bytes": len(data)} if data else said).encode() + b"\n")
        answers.write(data)
        answers.flush()
