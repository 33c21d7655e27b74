"""A second process that unpacks JPEG, JPEG-LS and JPEG 2000: a frame that crashes, exhausts or stalls a decoder in C costs that process only.

Fuzzing met a damaged lossless JPEG on which a decoder ends its process by an exception of C++ that nothing can catch. The second process is kept
for the next file, and started again when it dies.
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
from typing import Any

import numpy as np

from osler.errors import OslerError, ReadError

#: Address space of the second process: this much and `PER_BYTE` times the file.
MEMORY, PER_BYTE = 8 << 30, 64
#: Seconds that a file may take: this much and one more per `BYTES_PER_SECOND` of the unpacked pixels.
PATIENCE, BYTES_PER_SECOND = 60.0, 1 << 20

_LOCK = threading.Lock()
_RUNNING: dict[int, subprocess.Popen[bytes]] = {}


def decoded(path: Path, index: int | None, size: int) -> np.ndarray:
    """Frames (n, y, x) or (n, y, x, 3) of a packed file, or the one at `index`.

    Args:
        size: bytes that the header lets expect, by which patience is measured.

    Raises:
        ReadError, LimitError: as the second process met them; or it died or ran out of time (code `image-truncated`).
    """
    asked = json.dumps({"path": os.fspath(path.resolve()), "index": index}).encode() + b"\n"
    with _LOCK:
        process = _process()
        try:
            process.stdin.write(asked)
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE + size / BYTES_PER_SECOND)
            line = process.stdout.readline() if ready else b""
            said = json.loads(line) if line else {}
            data = process.stdout.read(said["bytes"]) if "bytes" in said else b""
        except (BrokenPipeError, ValueError):
            said, data = {}, b""
        if not said or len(data) != said.get("bytes", 0):
            _stop(process)
            said = {}
    if "shape" in said:
        return np.frombuffer(data, dtype=np.dtype(said["dtype"])).reshape(said["shape"])
    if "code" in said:
        raise _KINDS.get(said["kind"], ReadError)(said["message"].replace("\0", path.name), said["code"])
    raise ReadError(f"'{path.name}' must hold whole frames, a decoder fails on them: copy it again", "image-truncated")


def _kinds() -> dict[str, type[OslerError]]:
    from osler import errors

    return {kind.__name__: kind for kind in (errors.ReadError, errors.LimitError, errors.MissingExtraError)}


_KINDS = _kinds()


def _process() -> Any:
    process = _RUNNING.get(os.getpid())
    if process is not None and process.poll() is None:
        return process
    process = subprocess.Popen(
        [sys.executable, "-m", "osler.adapters.imaging.decoder"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _RUNNING.clear()
    _RUNNING[os.getpid()] = process
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue
    _RUNNING.pop(os.getpid(), None)


@atexit.register
def _end() -> None:
    process = _RUNNING.get(os.getpid())
    if process is not None:
        _stop(process)


def main() -> None:
    """The second process: one JSON line in; one JSON line out, and the pixels after it."""
    import resource

    from osler.adapters.imaging import dicom_pixels

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes nowhere
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        path = Path(asked["path"])
        room = MEMORY + PER_BYTE * path.stat().st_size
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (room if most == resource.RLIM_INFINITY else min(room, most), most))
        data = b""
        try:
            found = np.ascontiguousarray(dicom_pixels.unpacked(path, asked["index"]))
            data = found.tobytes()
            said: dict[str, Any] = {"shape": found.shape, "dtype": found.dtype.str, "bytes": len(data)}
        except OslerError as error:
            said = {"kind": type(error).__name__, "code": error.code, "message": error.message.replace(path.name, "\0")}
        except Exception:
            said = {"failed": True}
        answers.write(json.dumps(said).encode() + b"\n")
        answers.write(data)
        answers.flush()


if __name__ == "__main__":
    main()
