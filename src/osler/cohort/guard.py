"""A second process that reads binary tables first: a file that crashes, exhausts or stalls a native parser costs that
process only.

Parquet, Arrow and workbooks are parsed by native code, in which a damaged length can end in an abort that no `except`
can catch (seen in fuzzing: an allocation of 6·10^18 bytes). So every such file is read once, slice by slice, by a
guard that is kept for the next file and started again when it dies. It costs a second read, and half a second for the
first file of a session.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

from osler.errors import OslerError, ReadError

#: Address space of the guard: this much and `PER_BYTE` times the file.
MEMORY = 8 << 30
PER_BYTE = 64
#: Seconds that a file may take: this much and one more per `BYTES_PER_SECOND`.
PATIENCE = 20.0
BYTES_PER_SECOND = 10 << 20
_ROWS = 500_000

_LOCK = threading.Lock()
_RUNNING: dict[int, subprocess.Popen[bytes]] = {}


def reads_safely(path: Path, form: str) -> None:
    """Return if a guard could read the file.

    Args:
        path: an existing file.
        form: "parquet", "arrow" or "excel".

    Raises:
        ReadError: the guard refused it, died of it or ran out of time (code `read-format`).
    """
    asked = json.dumps({"path": os.fspath(path.resolve()), "form": form}).encode() + b"\n"
    seconds = PATIENCE + path.stat().st_size / BYTES_PER_SECOND
    with _LOCK:
        guard = _guard()
        try:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.write(asked)
            guard.stdin.flush()
            ready, _, _ = select.select([guard.stdout], [], [], seconds)
            answer = guard.stdout.readline() if ready else b""
        except BrokenPipeError:
            answer = b""
        if answer == b"ok\n":
            return
        if answer != b"no\n":
            _stop(guard)
    kind = {"parquet": "Parquet file", "arrow": "Arrow file", "excel": "workbook"}[form]
    raise ReadError(f"'{path.name}' must be a whole {kind}, it is damaged or of another format: write it again")


def _guard() -> subprocess.Popen[bytes]:
    guard = _RUNNING.get(os.getpid())
    if guard is not None and guard.poll() is None:
        return guard
    environment = {**os.environ, "POLARS_MAX_THREADS": "2", "RUST_BACKTRACE": "0"}
    guard = subprocess.Popen(
        [sys.executable, "-m", "osler.cohort.guard"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    _RUNNING.clear()
    _RUNNING[os.getpid()] = guard
    return guard


def _stop(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()
    guard.wait()
    for pipe in (guard.stdin, guard.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue
    _RUNNING.pop(os.getpid(), None)


@atexit.register
def _end() -> None:
    guard = _RUNNING.pop(os.getpid(), None)
    if guard is not None:
        _stop(guard)


def main() -> None:
    """The guard itself: one JSON line in, "ok" (or a typed error, which the caller will meet again) or "no" out."""
    import resource

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        path = Path(asked["path"])
        room = MEMORY + PER_BYTE * path.stat().st_size
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (room if most == resource.RLIM_INFINITY else min(room, most), most))
        try:
            _READERS[asked["form"]](path)
        except OslerError:
            answers.write(b"ok\n")
        except BaseException:
            answers.write(b"no\n")
        else:
            answers.write(b"ok\n")
        answers.flush()


def _parquet(path: Path) -> None:
    import polars as pl

    frame, at = pl.scan_parquet(path, glob=False), 0
    rows = frame.select(pl.len()).collect().item()
    while at < rows:
        height = frame.slice(at, _ROWS).collect().height
        if not height:
            break
        at += height


def _arrow(path: Path) -> None:
    import polars as pl

    with path.open("rb") as raw:
        is_file = raw.read(6) == b"ARROW1"
    table = pl.read_ipc(path) if is_file else pl.read_ipc_stream(path)
    table.select(pl.all().null_count(), pl.len().alias("\0rows"))


def _excel(path: Path) -> None:
    from osler.cohort.sources import READERS
    from osler.registry import load

    load(READERS, "readers", "excel")(path)


_READERS = {"parquet": _parquet, "arrow": _arrow, "excel": _excel}

if __name__ == "__main__":
    main()
