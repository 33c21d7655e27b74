"""Files of molecules as tables: SMILES lists, SDF (V2000 and V3000) and MOL2, one record at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl

from osler.adapters.rdkit.parse import parse
from osler.cohort import limits
from osler.errors import ReadError
from osler.registry import optional

#: Longest record in characters; what is longer is passed over to the next separator and refused.
MAX_RECORD = 1 << 20
_STEP = 1 << 16
_FIELD = re.compile(r"^>.*?<([^>]*)>")
_END = "$$$$"
_HEADERS = frozenset({"smiles", "canonical_smiles", "smile", "isosmiles", "structure"})
_CUT = "ends in the middle of a record"
_LONG = f"longer than {MAX_RECORD:,} characters"

#: A record: its text, or why it is refused.
Record = tuple[str, str]


def read_molecules(path: Path) -> tuple[pl.DataFrame, list[tuple[int, str]], dict[str, Any]]:
    """The records of a file whose name ends in .smi, .smiles, .sdf, .sd, .mol or .mol2 (also packed).

    Returns:
        A table with `smiles` (as written in a SMILES list, else RDKit's canonical SMILES), `name` if any record has
        one, the data fields of an SDF, and `_row`, the number of the record (1 = first); the refused records with their
        reasons; and notes on the format.

    Raises:
        ReadError: no record of the file can be read (code `read-format`), or there is none (code `read-empty`).
    """
    kind = kind_of(path)
    rows: list[dict[str, Any]] = []
    refused: list[tuple[int, str]] = []
    with _opened(path) as lines:
        for number, (text, reason) in enumerate(_RECORDS[kind](lines), start=1):
            row = {} if reason else _READERS[kind](text)
            reason = reason or row.pop("_reason", "")
            if reason:
                refused.append((number, f"not a molecule: {reason}"))
            else:
                rows.append({"_row": number, **row})
    if not rows:
        if not refused:
            raise ReadError(
                f"'{path.name}' must hold molecules, it holds no record: check that it was exported whole", "read-empty"
            )
        what = f"none of its {len(refused):,} records can be read; record {refused[0][0]} is {refused[0][1]}"
        raise ReadError(f"'{path.name}' must hold molecules, {what}: export it again", "read-format")
    return _table(rows), refused, {"kind": kind}


def kind_of(path: Path) -> str:
    """How a file writes its molecules, by its name: "smi", "sdf" or "mol2"."""
    last = next((s.lower() for s in reversed(path.suffixes) if s.lower() in _KINDS), ".smi")
    return _KINDS[last]


_KINDS = {".smi": "smi", ".smiles": "smi", ".sdf": "sdf", ".sd": "sdf", ".mol": "sdf", ".mol2": "mol2"}


class _Unpacked(io.RawIOBase):
    """The bytes of `limits.unpack` as a stream."""

    def __init__(self, steps: Iterator[bytes]) -> None:
        self._steps, self._rest = steps, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            step = next(self._steps, None)
            if step is None:
                return 0
            self._rest = step
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n


def _opened(path: Path) -> IO[str]:
    """Lines that end in a newline, whatever ended them; bytes that are no UTF-8 become question marks."""
    raw = io.BufferedReader(_Unpacked(limits.unpack(path)), _STEP)
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline=None)


def _lines(stream: IO[str]) -> Iterator[str]:
    return iter(lambda: stream.readline(MAX_RECORD), "")


def _smiles_records(stream: IO[str]) -> Iterator[Record]:
    first = True
    for line in _lines(stream):
        if len(line) >= MAX_RECORD:
            yield "", _LONG
            while line and not line.endswith("\n"):
                line = stream.readline(MAX_RECORD)
            continue
        word = line.split(None, 1)
        if not word or (first and word[0].strip(",;").lower() in _HEADERS):
            first = first and not word
            continue
        first = False
        yield line, ""


def _blocks(stream: IO[str], is_start: Any, is_end: Any, is_cut: Any) -> Iterator[Record]:
    """Records between lines, each no longer than `MAX_RECORD`."""
    held: list[str] = []
    size = 0
    for line in _lines(stream):
        if is_start(line) and held:
            yield _record(held, size, is_cut)
            held, size = [], 0
        size += len(line)
        if size <= MAX_RECORD:
            held.append(line)
        if is_end(line):
            yield _record(held, size, is_cut)
            held, size = [], 0
    if any(line.strip() for line in held):
        yield _record(held, size, is_cut)


def _record(held: list[str], size: int, is_cut: Any) -> Record:
    if size > MAX_RECORD:
        return "", _LONG
    text = "".join(held)
    return (text, _CUT) if is_cut(text) else (text, "")


def _sdf_records(stream: IO[str]) -> Iterator[Record]:
    return _blocks(stream, lambda line: False, lambda line: line.startswith(_END), _is_cut_sdf)


def _is_cut_sdf(text: str) -> bool:
    return "M  END" not in text and _END not in text


def _mol2_records(stream: IO[str]) -> Iterator[Record]:
    found = _blocks(stream, lambda line: line.startswith("@<TRIPOS>MOLECULE"), lambda line: False, lambda text: False)
    return (record for record in found if record[1] or "@<TRIPOS>" in record[0])


def _smiles_row(text: str) -> dict[str, Any]:
    parts = text.strip().split(None, 1)
    found = parse(parts[0])
    if found.mol is None:
        return {"_reason": found.reason}
    return {"smiles": parts[0], "name": parts[1].strip() if len(parts) > 1 else None}


def _sdf_row(text: str) -> dict[str, Any]:
    block, _, rest = text.partition("M  END")
    found = parse(block + "M  END\n" if rest else text.partition(_END)[0], "mol")
    if found.mol is None:
        return {"_reason": found.reason}
    row = {"smiles": _canonical(found.mol), "name": block.partition("\n")[0].strip() or None}
    return row | {_free(name, row): value for name, value in _fields(rest).items()}


def _mol2_row(text: str) -> dict[str, Any]:
    found = parse(text, "mol2")
    if found.mol is None:
        return {"_reason": found.reason}
    after = text.partition("@<TRIPOS>MOLECULE")[2].split("\n", 2)
    return {"smiles": _canonical(found.mol), "name": after[1].strip() if len(after) > 1 else None}


def _fields(rest: str) -> dict[str, str | None]:
    """The data fields after a mol block, the first of a name; an empty one is None."""
    fields: dict[str, str | None] = {}
    name, value = "", []
    for line in rest.split("\n")[1:]:
        found = _FIELD.match(line) if line.startswith(">") else None
        if found or line.startswith(_END):
            if name and name not in fields:
                fields[name] = "\n".join(value).strip() or None
            name, value = (found[1].strip() if found else ""), []
        elif name:
            value.append(line)
    if name and name not in fields:
        fields[name] = "\n".join(value).strip() or None
    return fields


def _free(name: str, row: dict[str, Any]) -> str:
    """A column's name for a field, another where the reader's own columns have it."""
    return f"{name} (field)" if name in (*row, "_row") else name


def _canonical(mol: Any) -> str:
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {
        name: pl.Series(name, [row.get(name) for row in rows], dtype=pl.Int64 if name == "_row" else pl.String)
        for name in names
    }
    if columns["name"].null_count() == len(rows):
        del columns["name"]
    return pl.DataFrame(columns)


_RECORDS = {"smi": _smiles_records, "sdf": _sdf_records, "mol2": _mol2_records}
_READERS = {"smi": _smiles_row, "sdf": _sdf_row, "mol2": _mol2_row}
