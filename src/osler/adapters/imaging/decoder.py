"""Second processes that unpack JPEG, JPEG-LS and JPEG 2000 (`osler.cohort.second_process`), one or as many as there are cores.

Fuzzing met a damaged lossless JPEG on which a decoder ends its process by an exception of C++ that nothing can catch.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from osler.cohort.second_process import SecondProcesses, serve
from osler.errors import LimitError, MissingExtraError, OslerError, ReadError

#: Seconds that a file may take: this much and one more per `BYTES_PER_SECOND` of the unpacked pixels.
PATIENCE, BYTES_PER_SECOND = 60.0, 1 << 20
#: Files of a series from which on it is unpacked by several processes, and the most of these.
SEVERAL, MOST = 8, 16

_KINDS = {kind.__name__: kind for kind in (ReadError, LimitError, MissingExtraError)}
_DECODERS = SecondProcesses("osler.adapters.imaging.decoder")
_One = TypeVar("_One")
_Result = TypeVar("_Result")


def decoded(path: Path, index: int | None, size: int) -> np.ndarray:
    """Frames (n, y, x) or (n, y, x, 3) of a packed file, or the one at `index`.

    Args:
        size: bytes that the header lets expect, by which patience is measured.

    Raises:
        ReadError, LimitError: as the second process met them; or it died or ran out of time (code `image-truncated`).
    """
    asked = {"path": os.fspath(path.resolve()), "index": index}
    said, data = _DECODERS.ask(asked, PATIENCE + size / BYTES_PER_SECOND) or ({}, b"")
    if "shape" in said:
        return np.frombuffer(data, dtype=np.dtype(said["dtype"])).reshape(said["shape"])
    if "code" in said:
        raise _KINDS.get(said["kind"], ReadError)(said["message"].replace("\0", path.name), said["code"])
    raise ReadError(f"'{path.name}' must hold whole frames, a decoder fails on them: copy it again", "image-truncated")


def each(work: Callable[[_One], _Result], items: Sequence[_One]) -> list[_Result]:
    """`work` of every file of a series in order, on as many cores as this process may use, where `work` waits for `decoded`.

    A process of a pool keeps to one core: the others of its pool have theirs.
    """
    cores = 1 if multiprocessing.parent_process() is not None else min(_cores(), MOST, len(items))
    if cores < 2 or len(items) < SEVERAL:
        return [work(item) for item in items]
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, items))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer(path: Path, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The pixels of a file, or what is wrong with it; its name stays with who asked."""
    from osler.adapters.imaging import dicom_pixels

    try:
        found = np.ascontiguousarray(dicom_pixels.unpacked(path, asked["index"]))
    except OslerError as error:
        return {"kind": type(error).__name__, "code": error.code, "message": error.message.replace(path.name, "\0")}, b""
    except Exception:
        return {"failed": True}, b""
    return {"shape": found.shape, "dtype": found.dtype.str}, found.tobytes()


if __name__ == "__main__":
    serve(_answer)
