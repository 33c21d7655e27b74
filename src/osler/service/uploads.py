"""Pictures and scans that come with a request: bytes in, files in a folder of their own for as long as the answer takes.

In JSON a cell of a picture or a volume is the base64 of one file (RFC 4648): a picture, a DICOM file, NIfTI, NRRD, MetaImage, or a zip of the DICOM
files of one series. A path is never taken: nobody may ask for what lies on the server. Files have names made here, whatever they were called.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from osler import modalities
from osler.cohort.column import Column
from osler.cohort.limits import Meter
from osler.errors import OslerError
from osler.service.problems import Problem

#: Most bytes of a body that brings files, seconds in which it must have come, and most files of a zipped series and bytes in them.
MOST_BODY, BODY_SECONDS, MOST_SLICES, MOST_UNPACKED = 64 << 20, 120.0, 5000, 1 << 30

#: Ends that readers know files by whose first bytes do not say what they are.
_ENDS = {b"\x1f\x8b": ".nii.gz", b"NRRD": ".nrrd", b"ObjectType": ".mha"}

Row = Mapping[str, Any]


def takes_files(columns: Sequence[Column]) -> bool:
    """Whether a cell of some column stands for a file."""
    return any(modalities.get(c.modality).by_reference for c in columns)


@contextmanager
def received(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[tuple[list[Row], Path | None]]:
    """The rows with references in place of files, and the folder that these start from; gone when the answer is made.

    Raises:
        Problem: 422 `column-kind`: a cell is no base64, or its file is none that can be read; 413 `limit-size`: a zip holds too much.
    """
    asked = [c for c in columns if modalities.get(c.modality).by_reference]
    if not asked:
        yield list(rows), None
        return
    with tempfile.TemporaryDirectory(prefix="osler-") as folder:
        root, placed = Path(folder), [dict(row) for row in rows]
        for column in asked:
            for i, row in enumerate(placed):
                if row.get(column.name) is not None:
                    row[column.name] = _placed(root, f"{asked.index(column)}-{i}", str(row[column.name]), _where(i, column))
            _check(placed, column, root)
        yield placed, root


def _where(row: int, column: Column) -> str:
    return f"row {row + 1}, column '{column.name}'"


def _check(rows: Sequence[Row], column: Column, root: Path) -> None:
    modality = modalities.get(column.modality)
    reasons = modality.reasons(pl.Series([row.get(column.name) for row in rows], dtype=pl.String), root)
    for i, row in enumerate(rows):
        if row.get(column.name) in reasons:
            what = f"must be {modality.asks.partition(' in the folder')[0].replace('the path of ', '')} that can be read, it is not"
            raise Problem(422, "column-kind", f"{_where(i, column)} {what} ({reasons[row[column.name]]})")


def _placed(root: Path, name: str, text: str, where: str) -> str:
    """The reference of a file whose base64 this is."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, "column-kind", f"{where} must be the base64 of a file, it is not") from None
    if not data:
        raise Problem(422, "column-kind", f"{where} must be the base64 of a file, it is empty: send null where there is none")
    if data.startswith(b"PK\x03\x04") and b"\x93NUMPY" not in data[:256]:
        _unzipped(data, root / name, where)
        return name
    end = next((end for start, end in _ENDS.items() if data.startswith(start)), "")
    (root / f"{name}{end}").write_bytes(data)
    return f"{name}{end}"


def _unzipped(data: bytes, folder: Path, where: str) -> None:
    """The files of a zip under numbers as their names, in the folder."""
    folder.mkdir()
    packed = folder.with_suffix(".zip")
    packed.write_bytes(data)
    meter = Meter("a zip file", MOST_UNPACKED, packed=len(data))
    try:
        with zipfile.ZipFile(packed) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > MOST_SLICES:
                raise Problem(413, "limit-size", f"{where} must hold at most {MOST_SLICES} files, it holds {len(members)}")
            for i, member in enumerate(members):
                with archive.open(member) as stream, (folder / f"{i:05d}").open("wb") as out:
                    while step := stream.read(1 << 20):
                        meter.add(len(step))
                        out.write(step)
    except OslerError as error:
        raise Problem(413, "limit-size", f"{where} must unpack to at most {MOST_UNPACKED >> 20} MiB, it holds more") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        raise Problem(422, "column-kind", f"{where} must be a whole zip file, it is not") from None
    finally:
        packed.unlink()


def fields_of(body: bytes, boundary: bytes) -> dict[str, str]:
    """The fields of a multipart form (RFC 7578) by name; a file is its base64, "" where none was chosen.

    Raises:
        ValueError: it is no such form.
    """
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(parts) < 2 or not parts[-1].startswith(b"--") or len(parts) > 5000:
        raise ValueError("not a multipart form")
    fields = {}
    for part in parts[1:-1]:
        head, blank, value = part.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition: form-data;")]
        if not blank or len(lines) != 1:
            raise ValueError("not a multipart form")
        facts = dict(f.strip().partition("=")[::2] for f in lines[0].decode("utf-8").split(";")[1:])
        name = facts.get("name", '""').strip('"')
        fields[name] = base64.b64encode(value).decode() if "filename" in facts else value.decode("utf-8")
    return fields
