"""FASTA files as tables: one record per row, read line by line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from osler.cohort import limits
from osler.cohort.encoding import decide, to_utf8
from osler.errors import ReadError

#: Longest sequence of a record in letters; a longer record is refused.
MAX_LETTERS = limits.MAX_CELL
#: How file names end.
SUFFIXES = (".fasta", ".fa", ".faa", ".fas")


def read_fasta(path: Path) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """The records of a FASTA file, also packed.

    Returns:
        A table with `name` (the first word of the header), `description` (the rest, if any record has one),
        `sequence` (letters as written, line ends taken out) and `_row`, the number of the record (1 = first); and the
        refused records with their reasons, which name the line of the header.

    Raises:
        ReadError: there is text before the first header (code `read-format`), or no record that can be used
            (`read-empty`).
    """
    rows, refused = [], []
    for number, (line, header, sequence, size) in enumerate(_records(path), start=1):
        name, _, description = header.partition(" ")
        if not size:
            refused.append((number, f"a header without a sequence (line {line})"))
        elif size > MAX_LETTERS:
            refused.append((number, f"longer than {MAX_LETTERS:,} letters (line {line})"))
        else:
            rows.append((number, name or None, description.strip() or None, sequence))
    if not rows:
        raise ReadError(
            f"'{path.name}' must hold sequences, it holds no record with one: check that it was exported whole",
            "read-empty",
        )
    schema = {"_row": pl.Int64, "name": pl.String, "description": pl.String, "sequence": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.drop([n for n in ("name", "description") if table[n].null_count() == len(rows)]), refused


def _records(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Line of the header, header, sequence and its number of letters, of every record; a sequence that is too long is
    not kept.
    """
    start, header, held, size = 0, None, [], 0
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if text.startswith(">"):
            if header is not None:
                yield start, header, "".join(held), size
            start, header, held, size = number, text[1:].strip(), [], 0
        elif text and not text.startswith(";"):
            if header is None:
                raise ReadError(
                    f"'{path.name}' must be a FASTA file, its first text (line {number}) is no header: "
                    "begin every record with '>'",
                    "read-format",
                )
            size += len(text)
            if size <= MAX_LETTERS:
                held.append(text)
    if header is not None:
        yield start, header, "".join(held), size


def _lines(path: Path) -> Iterator[str]:
    data = b"".join(limits.unpack(path, limits.MAX_JSON))
    found = decide(iter([data]), path.name)
    if found not in ("utf-8", "utf-8-sig"):
        data = b"".join(to_utf8(iter([data]), found, path.name))
    return iter(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=None))
