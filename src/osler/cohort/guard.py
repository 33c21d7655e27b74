"""A second process that reads binary tables first: a file that crashes, exhausts or stalls a native parser costs that
process only.

Parquet, Arrow and workbooks are parsed by native code, in which a damaged length can end in an abort that no `except`
can catch (seen in fuzzing: an allocation of 6·10^18 bytes). So every such file is read once, slice by slice, by a
guard that is kept for the next file and started again when it dies. It costs a second read, and half a second for the
first file of a session.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from osler.cohort.second_process import SecondProcesses, serve
from osler.errors import OslerError, ReadError

#: Seconds that a file may take: this much and one more per `BYTES_PER_SECOND`.
PATIENCE = 20.0
BYTES_PER_SECOND = 10 << 20
_ROWS = 500_000

_GUARDS = SecondProcesses("osler.cohort.guard", {"POLARS_MAX_THREADS": "2", "RUST_BACKTRACE": "0"})


def reads_safely(path: Path, form: str) -> None:
    """Return if a guard could read the file.

    Args:
        path: an existing file.
        form: "parquet", "arrow" or "excel".

    Raises:
        ReadError: the guard refused it, died of it or ran out of time (code `read-format`).
    """
    asked = {"path": os.fspath(path.resolve()), "form": form}
    answer = _GUARDS.ask(asked, PATIENCE + path.stat().st_size / BYTES_PER_SECOND)
    if answer is not None and answer[0].get("reads") is True:
        return
    kind = {"parquet": "Parquet file", "arrow": "Arrow file", "excel": "workbook"}[form]
    raise ReadError(f"'{path.name}' must be a whole {kind}, it is damaged or of another format: write it again")


def _answer(path: Path, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Whether the file reads; a typed error counts as yes, since the caller will meet it again."""
    try:
        _READERS[asked["form"]](path)
    except OslerError:
        return {"reads": True}, b""
    except BaseException:
        return {"reads": False}, b""
    return {"reads": True}, b""


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
    serve(_answer)
