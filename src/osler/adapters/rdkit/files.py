"""Files of molecules as tables: SMILES lists, SDF (V2000 and V3000) and MOL2, one record at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl

from osler.adapters.rdkit import readable
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

#: Records read together.
BLOCK = 5_000

#: A record: its text, or why it is refused.
Record = tuple[str, str]
#: Told (stage, done, total); a total of 0 is not known.
Progress = Callable[[str, int, int], None]


def read_molecules(
    path: Path, progress: Progress | None = None
) -> tuple[pl.DataFrame, list[tuple[int, str]], dict[str, Any]]:
    """The records of a file whose name ends in .smi, .smiles, .sdf, .sd, .mol or .mol2 (also packed).

    Args:
        path: the file.
        progress: called with ("molecules", done, 0) after every full block.

    Returns:
        A table with `smiles` (as written in a SMILES list, else RDKit's canonical SMILES), `name` if any record has
        one, the data fields of an SDF, and `_row`, the number of the record (1 = first); the refused records with their
        reasons; and notes on the format.

    Raises:
        ReadError: no record of the file can be read (code `read-format`), or there is none (code `read-empty`).
    """
    tables: list[pl.DataFrame] = []
    refused: list[tuple[int, str]] = []
    n = 0
    for table, lost in molecule_blocks(path):
        tables.append(table)
        refused += lost
        n += table.height + len(lost)
        if progress is not None and n % BLOCK == 0:
            progress("molecules", n, 0)
    if n == len(refused):
        raise nothing_in(path, refused)
    table = pl.concat(tables, how="diagonal")
    return (table.drop("name") if table["name"].is_null().all() else table), refused, {"kind": kind_of(path)}


def molecule_blocks(path: Path) -> Iterator[tuple[pl.DataFrame, list[tuple[int, str]]]]:
    """The records of a file as `read_molecules` gives them, some thousands at a time, and the refused ones among them; a
    block has the columns `_row`, `smiles`, `name` and those data fields that a record of it has.
    """
    kind = kind_of(path)
    with _opened(path) as lines:
        records = enumerate(_RECORDS[kind](lines), start=1)
        while block := list(islice(records, BLOCK)):
            table, refused = _BLOCKS[kind](block)
            yield table, [(number, f"not a molecule: {reason}") for number, reason in refused]


def nothing_in(path: Path, refused: list[tuple[int, str]]) -> ReadError:
    """The error for a file without any molecule."""
    if not refused:
        return ReadError(
            f"'{path.name}' must hold molecules, it holds no record: check that it was exported whole", "read-empty"
        )
    what = f"none of its {len(refused):,} records can be read; record {refused[0][0]} is {refused[0][1]}"
    return ReadError(f"'{path.name}' must hold molecules, {what}: export it again", "read-format")


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


def _delimited(stream: IO[str], is_start: Any, is_end: Any, is_cut: Any) -> Iterator[Record]:
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
    return _delimited(stream, lambda line: False, lambda line: line.startswith(_END), _is_cut_sdf)


def _is_cut_sdf(text: str) -> bool:
    return "M  END" not in text and _END not in text


def _mol2_records(stream: IO[str]) -> Iterator[Record]:
    found = _delimited(stream, lambda line: line.startswith("@<TRIPOS>MOLECULE"), lambda line: False, lambda text: False)
    return (record for record in found if record[1] or "@<TRIPOS>" in record[0])


def _smiles_block(block: list[tuple[int, Record]]) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Lines as columns: none becomes a molecule here, it is only asked whether it can."""
    split = [text.strip().split(None, 1) for _, (text, _) in block]
    found = readable.reasons((parts[0] if parts else None for parts in split), "smiles")
    why = [reason or told for (_, (_, reason)), told in zip(block, found)]
    good = [(number, parts) for (number, _), parts, reason in zip(block, split, why) if not reason]
    table = pl.DataFrame(
        {
            "_row": pl.Series([number for number, _ in good], dtype=pl.Int64),
            "smiles": pl.Series([parts[0] for _, parts in good], dtype=pl.String),
            "name": pl.Series([parts[1].strip() if len(parts) > 1 else None for _, parts in good], dtype=pl.String),
        }
    )
    return table, [(number, reason) for (number, _), reason in zip(block, why) if reason]


def _record_block(
    row_of: Callable[[str], dict[str, Any]], block: list[tuple[int, Record]]
) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Records of an SDF or MOL2 file as columns, by what reads one of them."""
    rows: list[dict[str, Any]] = []
    refused = []
    for number, (text, reason) in block:
        row = {} if reason else row_of(text)
        reason = reason or row.pop("_reason", "")
        if reason:
            refused.append((number, reason))
        else:
            rows.append({"_row": number, **row})
    return _table(rows), refused


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
    names = dict.fromkeys(("_row", "smiles", "name", *(name for row in rows for name in row)))
    columns = {
        name: pl.Series(name, [row.get(name) for row in rows], dtype=pl.Int64 if name == "_row" else pl.String)
        for name in names
    }
    return pl.DataFrame(columns)


_RECORDS = {"smi": _smiles_records, "sdf": _sdf_records, "mol2": _mol2_records}
_BLOCKS = {"smi": _smiles_block, "sdf": partial(_record_block, _sdf_row), "mol2": partial(_record_block, _mol2_row)}
