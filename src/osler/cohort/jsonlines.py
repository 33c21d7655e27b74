"""JSON lines: one object per line, one row per object; also one JSON list of objects."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from osler.cohort import limits
from osler.cohort.column import ROW
from osler.cohort.headers import checked
from osler.errors import LimitError, ReadError


class _Doubled(ValueError):
    """An object names a key twice."""


def parse(data: bytes, name: str) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Rows in the order of lines, with `_row`, and (row, reason) of lines that are no rows.

    Numbers, booleans and texts keep their type where a column holds one type; a column of several becomes text, and
    objects or lists in a cell become their JSON text. NaN and Infinity, which JSON does not have, count as infinite
    numbers.

    Raises:
        ReadError: there is no object at all.
        LimitError: it nests too deep (code `limit-depth`).
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise ReadError(f"'{name}' must hold a table, it is empty: check that it was exported whole", "read-empty")
    records, rows, refused = [], [], []
    for row, item in enumerate(_items(data, name), start=1):
        record, why = (
            _record(item)
            if isinstance(item, bytes)
            else (item, "" if isinstance(item, dict) else "the item is no object")
        )
        if why:
            refused.append((row, why))
        else:
            records.append(record)
            rows.append(row)
    if not records:
        raise ReadError(f"'{name}' must hold one JSON object per line, row {refused[0][0]} does not: {refused[0][1]}")
    names = list(dict.fromkeys(key for record in records for key in record))
    checked(names, name)
    if len(names) * len(records) > limits.MAX_CELLS:
        raise LimitError(f"'{name}' must hold at most {limits.MAX_CELLS:,} cells, it holds more: split it")
    table = {n: _column(n, [record.get(n) for record in records]) for n in names if n != ROW}
    own = [record.get(ROW) for record in records]
    if ROW in names and len(set(map(str, own))) == len(own) and all(type(v) is int and abs(v) < 2**62 for v in own):
        rows = own
    return pl.DataFrame(table | {ROW: pl.Series(ROW, np.asarray(rows, dtype=np.int64))}), refused


def _items(data: bytes, name: str) -> list[Any]:
    if data.lstrip()[:1] != b"[":
        return [line for line in data.split(b"\n") if line.strip()]
    limits.json_depth(data)
    try:
        items = json.loads(data, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"'{name}' must be JSON lines or one list of objects, it is neither: check that it is whole"
        ) from error
    return items


def _record(line: bytes) -> tuple[dict[str, Any], str]:
    try:
        limits.json_depth(line)
        record = json.loads(line, object_pairs_hook=_distinct)
    except LimitError:
        return {}, f"the object nests deeper than {limits.MAX_DEPTH} levels"
    except _Doubled:
        return {}, "the object names a key twice"
    except (ValueError, RecursionError):
        return {}, "the line is not JSON"
    return (record, "") if isinstance(record, dict) else ({}, "the line is no JSON object")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise _Doubled
    return record


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {bool}:
        return pl.Series(name, values, dtype=pl.Boolean if kinds else pl.String)
    if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float} and all(v is None or abs(v) < 1e308 or type(v) is float for v in values):
        return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)
    return pl.Series(name, [None if v is None else _text(v) for v in values], dtype=pl.String)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")
