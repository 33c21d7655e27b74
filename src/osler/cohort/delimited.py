"""Tables as delimited text, block by block: every record becomes a row or a refusal with its number and reason.

A block is parsed twice as fast as it can be read wrongly: numpy counts the fields of each record, whole records go to
polars as text, and where the two disagree, or quotes are broken, the block is read again line by line by Python's csv
module, which resynchronises at the next line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from osler.cohort import limits
from osler.cohort.headers import checked
from osler.errors import LimitError, ReadError

DELIMITERS = (",", "\t", ";", "|")
#: Bytes parsed at once.
BLOCK = 16 << 20
#: Lines that one quoted cell may span before its quote counts as never closed.
_MAX_SPAN = 500

_QUOTE, _LF, _CR = 34, 10, 13


@dataclass
class Block:
    """Some consecutive records.

    Attributes:
        rows: (n,) int64 source row number of each table row.
        refused: (row, reason) of records that are no rows.
        data: the bytes of the rows, where they parse as they are.
        cells: the rows themselves, where they were parsed already.
    """

    rows: np.ndarray
    refused: list[tuple[int, str]] = field(default_factory=list)
    data: bytes = b""
    cells: list[list[str]] | None = None

    def table(self, header: list[str], delimiter: str, schema: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
        """The rows as text, or typed by `schema` (a cell that does not fit raises polars' ComputeError)."""
        schema = schema or dict.fromkeys(header, pl.String())
        if self.cells is not None:
            columns = list(zip(*self.cells)) or [()] * len(header)
            table = pl.DataFrame({n: pl.Series(n, list(c), dtype=pl.String) for n, c in zip(header, columns)})
            return table.select(pl.when(pl.col(n) != "").then(pl.col(n)).alias(n).cast(t) for n, t in schema.items())
        if not len(self.rows):
            return pl.DataFrame(schema=schema)
        return parse(self.data, delimiter, schema)


@dataclass
class Delimited:
    """A delimited text: call `blocks` once; `header` and `delimiter` are known from the first block on.

    Attributes:
        name: file name for messages.
        delimiter: the separator, or "" to find it.
        header: column names, filled by the first block.
        n_read: records so far, header and blank lines not counted.
    """

    name: str
    delimiter: str = ""
    header: list[str] = field(default_factory=list)
    n_read: int = 0

    def blocks(self, steps: Iterable[bytes], size: int = BLOCK) -> Iterator[Block]:
        """Records of a UTF-8 text that comes in steps.

        Raises:
            ReadError: there is no header, or its names are empty or doubled, or no record fits it.
            LimitError: a record is longer than `limits.MAX_RECORD`.
        """
        buffer, started = bytearray(), False
        for step in steps:
            buffer += step
            if len(buffer) < size:
                continue
            data = _unix(bytes(buffer))
            data = data if started else self._start(data)
            started = True
            block, rest = self._block(data, last=False)
            if len(rest) > limits.MAX_RECORD:
                raise LimitError(
                    f"row {self.n_read + 1:,} of '{self.name}' must be shorter than "
                    f"{limits.MAX_RECORD >> 20} MiB, it is longer: "
                    "is a quote never closed?"
                )
            buffer = bytearray(rest)
            yield block
        data = _unix(bytes(buffer))
        data = data if started else self._start(data)
        if data.strip(b"\r\n"):
            yield self._block(data, last=True)[0]

    def _start(self, data: bytes) -> bytes:
        data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
        if not data.strip():
            raise ReadError(
                f"'{self.name}' must hold a table, it is empty: check that it was exported whole", "read-empty"
            )
        head = data[:262_144].decode("utf-8", "replace")
        self.delimiter = self.delimiter or sniff(head)
        first, length = _first_record(head, self.delimiter, self.name)
        self.header = checked(first, self.name)
        return data[length:]

    def _block(self, data: bytes, last: bool) -> tuple[Block, bytes]:
        if last and not data.endswith(b"\n"):
            data += b"\n"
        first_row = self.n_read + 1
        block, rest = _fast(data, self.delimiter, len(self.header), first_row, last)
        if block is None:
            block, rest = _careful(data, self.delimiter, len(self.header), first_row, last)
        self.n_read += len(block.rows) + len(block.refused)
        return block, rest


def _unix(data: bytes) -> bytes:
    """Old Macintosh line ends (CR alone) as LF."""
    return data.replace(b"\r", b"\n") if b"\r" in data[:262_144] and b"\n" not in data[:262_144] else data


def sniff(head: str) -> str:
    """The delimiter that splits the first lines into equal numbers of fields, most fields first; "," if none does."""
    lines = [line for line in head.splitlines()[:30] if line.strip()]
    lines = lines[:-1] if len(lines) > 1 and not head.endswith(("\n", "\r")) and len(head) >= 262_144 else lines
    best, score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not counts or counts[0] < 2:
            continue
        share = sum(c == counts[0] for c in counts) / len(counts)
        if (round(share, 1), counts[0]) > score:
            best, score = delimiter, (round(share, 1), counts[0])
    return best


def _first_record(head: str, delimiter: str, name: str) -> tuple[list[str], int]:
    """Cells of the header and its length in bytes of UTF-8."""
    reader = io.StringIO(head, newline="")
    try:
        cells = next(csv.reader(reader, delimiter=delimiter))
    except (csv.Error, StopIteration) as error:
        raise ReadError(
            f"the first line of '{name}' must name the columns, it cannot be read: check its quotes", "read-header"
        ) from error
    return cells, len(head[: reader.tell()].encode("utf-8"))


def parse(data: bytes, delimiter: str, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Whole records without header by polars; empty cells are null."""
    return pl.read_csv(
        data, has_header=False, separator=delimiter, schema={f"{i}": t for i, t in enumerate(schema.values())},
        quote_char='"', null_values=[""], raise_if_empty=False,
    ).rename(dict(zip(map(str, range(len(schema))), schema)))  # fmt: skip


def _fast(data: bytes, delimiter: str, width: int, first_row: int, last: bool) -> tuple[Block | None, bytes]:
    """Records by counting, or None where quotes make that unsafe. Also the bytes after the last whole record."""
    octets = np.frombuffer(data, dtype=np.uint8)
    quoted = b'"' in data
    ends, marks = octets == _LF, octets == ord(delimiter)
    if quoted:
        outside = (np.cumsum(octets == _QUOTE, dtype=np.uint8) & 1) == 0
        ends &= outside
        marks &= outside
    stops = np.flatnonzero(ends) + 1
    if not len(stops) or (last and stops[-1] != len(data)):
        return None, data
    starts = np.concatenate([[0], stops[:-1]])
    fields = np.add.reduceat(marks[: stops[-1]].view(np.uint8), starts, dtype=np.int32) + 1
    lengths = stops - starts - 1
    lengths -= (lengths > 0) & (octets[np.maximum(stops - 2, 0)] == _CR)
    record = lengths > 0
    if width == 1:
        record[: len(record) if not last else np.flatnonzero(record)[-1] + 1 if record.any() else 0] = True
    good = record & (fields == width) & (lengths <= limits.MAX_CELL * 4)
    if quoted and not good[record].all():
        return None, data
    numbers = first_row + np.cumsum(record) - 1
    refused = [(int(numbers[i]), _ragged(int(fields[i]), width)) for i in np.flatnonzero(record & ~good)]
    rest = data[stops[-1] :]
    kept = data[: stops[-1]] if good.all() else octets[: stops[-1]][np.repeat(good, stops - starts)].tobytes()
    block = Block(numbers[good].astype(np.int64), refused, kept)
    if quoted or b"\r" in kept:
        try:
            agrees = parse(kept, delimiter, {str(i): pl.String() for i in range(width)}).height == len(block.rows)
        except pl.exceptions.PolarsError:
            agrees = False
        if not agrees:
            return None, data
    return block, rest


def _ragged(n: int, width: int) -> str:
    return f"the row has {n:,} cell{'' if n == 1 else 's'} where the header has {width:,}"


def _careful(data: bytes, delimiter: str, width: int, first_row: int, last: bool) -> tuple[Block, bytes]:
    """Records line by line; a line whose quotes never close, or that does not fit, is refused and the next one starts
    afresh.
    """
    csv.field_size_limit(limits.MAX_CELL * 4)
    octets = data.split(b"\n")
    tail = octets.pop()  # may end inside a character, so that only whole lines are decoded
    lines = [line.decode("utf-8", "replace") for line in octets]
    cells, rows, refused = [], [], []
    row, i = first_row, 0
    while i < len(lines):
        if not lines[i].strip("\r") and width > 1:
            i += 1
            continue
        record, span, why = _record(lines, i, delimiter)
        if span == 0 and not last:
            break
        if record is not None and len(record) == width:
            cells.append(record)
            rows.append(row)
        else:
            refused.append((row, why or _ragged(len(record or ()), width)))
            span = 1
        row, i = row + 1, i + max(span, 1)
    rest = b"\n".join([*octets[i:], tail]) if not last else b""
    return Block(np.asarray(rows, dtype=np.int64), refused, b"", cells), rest


def _record(lines: list[str], i: int, delimiter: str) -> tuple[list[str] | None, int, str]:
    """Cells of the record that starts at line i, lines it spans (0: it may go on after the block), and why it is
    none.
    """
    text = lines[i].removesuffix("\r")
    for span in range(1, _MAX_SPAN + 1):
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True), [""]), span, ""
        except csv.Error as error:
            if "unexpected end of data" not in str(error):
                return (
                    None,
                    1,
                    "the quotes of the row are broken"
                    if "limit" not in str(error)
                    else "a cell of the row is too long",
                )
        if i + span >= len(lines):
            return None, 0, "a quote of the row is never closed"
        text += "\n" + lines[i + span].removesuffix("\r")
    return None, 1, "a quote of the row is never closed"
