"""A library of molecules as a stream: one entry after the other, whatever its size, each with its place."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from osler.cohort import limits
from osler.cohort.molecules import HEADERS
from osler.cohort.names import words
from osler.errors import ColumnError, ReadError, nearest

#: Endings that are read, without that of a packed file.
LINES, TABLES, RECORDS = (".smi", ".smiles", ".txt"), {".csv": ",", ".tsv": "\t"}, (".sdf", ".sd")
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
#: Largest unpacked library, and longest line or record, in bytes.
MOST_BYTES, LONGEST = 1 << 50, 1 << 20


@dataclass(frozen=True)
class Entry:
    """One molecule as the library writes it.

    Attributes:
        place: line of a list or table, record of an SDF, from 1.
        text: its SMILES, InChI or mol block. kind: "auto" or "mol". name: what the library calls it.
        problem: why it cannot be read, "" if nothing speaks against it.
    """

    place: int
    text: str
    kind: str
    name: str
    problem: str = ""


def entries(path: str | Path, column: str = "") -> Iterator[Entry]:
    """Every molecule of a library; empty lines are skipped.

    Args:
        path: .smi, .smiles, .txt (SMILES, then a name), .csv, .tsv (a column of SMILES) or .sdf, plain or packed.
        column: of a table, the column of SMILES; found by its name if empty.

    Raises:
        ReadError: no such file, another ending, or a packed file that ends too early.
        ColumnError: a table without such a column.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(f"a library or list of molecules must be a file, '{path.name}' is not there: check the path", "read-missing")
    endings = [s.lower() for s in path.suffixes if s.lower() not in _PACKED]
    kind = endings[-1] if endings else ""
    if kind in LINES:
        return _from_lines(_lines(path))
    if kind in TABLES:
        return _from_table(_lines(path), TABLES[kind], column)
    if kind in RECORDS:
        return _from_records(_lines(path))
    known = ", ".join([*LINES, *TABLES, *RECORDS])
    raise ReadError(f"library must be a file of kind {known}, plain or packed, was '{kind or path.name}': convert it")


def blocks(stream: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    """Entries in blocks of `size`, the last one shorter."""
    while block := list(islice(stream, size)):
        yield block


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends, which may be LF, CR LF or CR, one file mixing them."""
    rest = b""
    for step in limits.unpack(path, MOST_BYTES):
        data = rest + step
        later = data[-1:] if data.endswith(b"\r") else b""  # the first half of an end, or a whole one
        *whole, rest = data.removesuffix(later).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += later
        if len(rest) > LONGEST:
            raise ReadError(f"a line of '{path.name}' must have at most {LONGEST:,} bytes, one has more: is it a text file?")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.removesuffix(b"\r").decode("utf-8", "replace")


def _from_lines(lines: Iterator[str]) -> Iterator[Entry]:
    for place, line in enumerate(lines, 1):
        parts = line.split(None, 1)
        if not parts or (place == 1 and set(words(parts[0])) & HEADERS):
            continue
        yield Entry(place, parts[0], "auto", parts[1].strip() if len(parts) > 1 else "")


def _from_table(lines: Iterator[str], between: str, column: str) -> Iterator[Entry]:
    reader = csv.reader((line + "\n" for line in lines), delimiter=between)
    try:
        header = [cell.lstrip("\ufeff").strip() for cell in next(reader, [])]
        at, name_at = _column(header, column), _name_column(header)
        for row in reader:
            if not any(row):
                continue
            place = reader.line_num
            if len(row) != len(header):
                yield Entry(place, "", "auto", "", f"has {len(row)} cells where the header has {len(header)}: the line is cut or broken")
                continue
            yield Entry(place, row[at].strip(), "auto", row[name_at].strip() if name_at is not None else "")
    except csv.Error as error:
        raise ReadError(f"line {reader.line_num} of the library must be a line of a table, it is not: quote its cells") from error


def _column(header: Sequence[str], column: str) -> int:
    if column:
        if column not in header:
            raise ColumnError(f"column must be one of the library, was '{column}': {nearest(column, header)}")
        return header.index(column)
    found = [i for i, name in enumerate(header) if set(words(name)) & HEADERS]
    if not found:
        raise ColumnError("the library must have a column of SMILES, none is called so: name it with --column")
    return found[0]


def _name_column(header: Sequence[str]) -> int | None:
    names = [name.lower() for name in header]
    return next((names.index(n) for n in ("name", "id", "title", "molecule_id", "compound_id", "zinc_id") if n in names), None)


def _from_records(lines: Iterator[str]) -> Iterator[Entry]:
    held: list[str] = []
    place = size = 0
    for line in lines:
        if line.startswith("$$$$"):
            place += 1
            yield _record(place, held)
            held, size = [], 0
            continue
        size += len(line)
        if size > LONGEST:
            raise ReadError(f"record {place + 1} of the library must have at most {LONGEST:,} characters, it has more: is it an SDF?")
        held.append(line)
    if any(line.strip() for line in held):
        yield _record(place + 1, held)


def _record(place: int, lines: list[str]) -> Entry:
    name = lines[0].strip() if lines else ""
    end = next((i for i, line in enumerate(lines) if line.startswith("M  END")), None)
    if end is None:
        return Entry(place, "", "mol", name, "has no 'M  END': the record is cut")
    return Entry(place, "\n".join([*lines[: end + 1], ""]), "mol", name)
