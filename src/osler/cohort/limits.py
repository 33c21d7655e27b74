"""How large, how compressed, how deep and where an input may be: measured on the bytes that are there, never on a
header.

Every packed input goes through `unpack`, which streams and stops as soon as the output outgrows the input; every path
that comes from data or from an option goes through `inside`; every JSON text goes through `json_depth`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from osler.errors import LimitError, ReadError

#: Bytes per step when streaming.
STEP = 1 << 20
#: Unpacked bytes from which the ratio counts; below, a small file may be as compressible as it likes.
FREE_BYTES = 16 << 20
#: Largest ratio of unpacked to packed bytes beyond `FREE_BYTES`.
MAX_RATIO = 100
#: Largest text table that is read into memory, in bytes; `osler look` streams larger ones.
MAX_TEXT = 8 << 30
#: Largest unpacked JSON lines, in bytes: each object takes many times its text.
MAX_JSON = 2 << 30
#: Largest unpacked workbook, in bytes: spreadsheets are read whole.
MAX_WORKBOOK = 1 << 30
#: Most cells (rows × columns) of a binary table that is read into memory.
MAX_CELLS = 1_000_000_000
#: Longest cell, in characters; longer ones are emptied and written into the ledger.
MAX_CELL = 1 << 20
#: Longest record, in bytes: more means that a quote was never closed.
MAX_RECORD = 64 << 20
#: Most columns of a table.
MAX_COLUMNS = 200_000
#: Deepest nesting of JSON.
MAX_DEPTH = 64

_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))})


def inside(root: str | Path, path: str | Path) -> Path:
    """The full path of `path` (relative to `root`), links followed, if it lies in `root`.

    Raises:
        ReadError: the path leads outside of `root` (code `read-outside`).
    """
    root = Path(root).resolve()
    text = str(path)
    if "\0" in text:
        raise ReadError(
            "a path must not hold a NUL character: correct the cell or option that names it", "read-outside"
        )
    full = (root / text).resolve()
    if not full.is_relative_to(root):
        raise ReadError(
            "a path must stay inside the folder of its table, it led outside: copy the file into that folder",
            "read-outside",
        )
    return full


def safe_name(name: str) -> str:
    """The name itself if it may become a file name: `[a-z0-9][a-z0-9._-]{0,63}`, no device name of any system.

    Raises:
        ReadError: it may not (code `read-outside`).
    """
    if not _SAFE.fullmatch(name) or ".." in name or name.split(".")[0] in _DEVICES:
        raise ReadError(
            "a name must be at most 64 of the characters a-z 0-9 . _ - and start with "
            "a letter or digit, this one is not: rename it",
            "read-outside",
        )
    return name


def json_depth(text: str | bytes) -> int:
    """How deep objects and lists nest in a JSON text, counted without parsing it.

    Raises:
        LimitError: deeper than `MAX_DEPTH` (code `limit-depth`).
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if data.count(b"{") + data.count(b"[") <= 1:
        return data.count(b"{") + data.count(b"[")
    deepest = depth = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', data, re.DOTALL):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if depth > MAX_DEPTH:
                raise LimitError(
                    f"JSON must nest at most {MAX_DEPTH} levels deep, this nests deeper: flatten it", "limit-depth"
                )
        elif mark in (b"]", b"}"):
            depth -= 1
    return deepest


@dataclass
class Meter:
    """Counts packed and unpacked bytes of one input and refuses when the one outgrows the other.

    Attributes:
        name: file name for messages.
        cap: most unpacked bytes.
        packed: bytes taken from the file so far.
        unpacked: bytes given out so far.
    """

    name: str
    cap: int = MAX_TEXT
    packed: int = 0
    unpacked: int = 0

    def add(self, n: int) -> None:
        """Count `n` more unpacked bytes.

        Raises:
            LimitError: the ratio (code `limit-ratio`) or the cap (code `limit-size`) is passed.
        """
        self.unpacked += n
        if self.unpacked > FREE_BYTES and self.unpacked > MAX_RATIO * max(self.packed, 1):
            raise LimitError(
                f"'{self.name}' must unpack to at most {MAX_RATIO} times its size, it unpacks to more: "
                "unpack it by hand if you trust it", "limit-ratio",
            )  # fmt: skip
        if self.unpacked > self.cap:
            raise LimitError(
                f"'{self.name}' must hold at most {self.cap >> 20:,} MiB when unpacked, it holds more: "
                "write it as Parquet or split it", "limit-size",
            )  # fmt: skip


class _Counted:
    """A raw file that tells a meter how much was taken from it."""

    def __init__(self, raw: IO[bytes], meter: Meter) -> None:
        self._raw, self._meter = raw, meter

    def read(self, n: int = -1) -> bytes:
        data = self._raw.read(min(n, STEP) if n >= 0 else STEP)
        self._meter.packed += len(data)
        return data

    def seek(self, *_: int) -> int:
        raise OSError("not seekable")


def packing(head: bytes) -> str:
    """How a file is packed, by its first bytes: "gzip", "bzip2", "xz", "zstd", "zip" or ""."""
    marks = {
        b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd",
        b"PK\x03\x04": "zip", b"PK\x05\x06": "zip",  # the second begins the end record, with which an empty archive starts
    }  # fmt: skip
    return next((kind for mark, kind in marks.items() if head.startswith(mark)), "")


def unpack(path: Path, cap: int = MAX_TEXT) -> Iterator[bytes]:
    """The bytes of a file in steps of at most `STEP`, unpacked if it is gzip, bzip2, xz or a zip of one member.

    Raises:
        ReadError: it ends too early or is damaged (code `read-truncated`), holds no file (code `read-empty`), or is
            packed in a way that is not read.
        LimitError: it unpacks to more than is safe.
    """
    meter = Meter(path.name, cap)
    with path.open("rb") as raw:
        kind = packing(raw.read(8))
        raw.seek(0)
        if kind == "zstd":
            raise ReadError(
                f"'{path.name}' must be plain text or packed by gzip, it is packed by zstd: unpack it first"
            )
        try:
            if kind == "zip":
                yield from _zip_member(raw, meter)
            else:
                yield from _steps(_opened(kind, _Counted(raw, meter)), meter)
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise ReadError(
                f"'{path.name}' must be a whole {kind} file, it ends too early or is damaged: copy it again",
                "read-truncated",
            ) from error
        except (OSError, RuntimeError, NotImplementedError) as error:
            if not kind:
                raise
            raise ReadError(
                f"'{path.name}' must be a whole {kind} file, it is damaged: copy it again", "read-truncated"
            ) from error


def _opened(kind: str, raw: _Counted) -> IO[bytes] | _Counted:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[arg-type]
    if kind == "bzip2":
        return bz2.BZ2File(raw)  # type: ignore[arg-type]
    if kind == "xz":
        return lzma.LZMAFile(raw)  # type: ignore[arg-type]
    return raw


def _steps(stream: IO[bytes] | _Counted, meter: Meter) -> Iterator[bytes]:
    while data := stream.read(STEP):
        meter.add(len(data))
        yield data


def _zip_member(raw: IO[bytes], meter: Meter) -> Iterator[bytes]:
    with zipfile.ZipFile(raw) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
        if not members:
            raise ReadError(
                f"'{meter.name}' must hold one table, it is an empty zip file: pack the table again", "read-empty"
            )
        if len(members) != 1:
            raise ReadError(
                f"'{meter.name}' must hold one table, it holds {len(members)} files: unpack it and name one"
            )
        meter.packed = _size(raw)
        with archive.open(members[0]) as stream:
            yield from _steps(stream, meter)


def check_workbook(path: Path) -> None:
    """Unpack every member of a zip-based workbook into nothing, so that a bomb is met here and not in the parser.

    Raises:
        LimitError: it unpacks to more than is safe.
        ReadError: it is no whole zip file, or an empty one (code `read-empty`).
    """
    meter = Meter(path.name, MAX_WORKBOOK)
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            meter.packed = _size(raw)
            if not archive.infolist():
                raise ReadError(
                    f"'{path.name}' must be a whole workbook, it is an empty zip file: save it again", "read-empty"
                )
            for member in archive.infolist():
                with archive.open(member) as stream:
                    for _ in _steps(stream, meter):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ReadError(
            f"'{path.name}' must be a whole workbook, it ends too early or is damaged: save it again", "read-truncated"
        ) from error


def _size(raw: IO[bytes]) -> int:
    at = raw.tell()
    size = raw.seek(0, 2)
    raw.seek(at)
    return size
