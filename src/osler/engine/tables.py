"""Cohorts to files for people: CSV that no spreadsheet executes, or Parquet."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW
from osler.cohort.limits import safe_name
from osler.engine.files import write_atomic, write_parquet
from osler.errors import OptionError

#: Beginnings that a spreadsheet takes for a formula, full-width forms included.
_FORMULA = re.compile(r"^[=+\-@\t\r\n＝＋－＠|%]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def defused(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells and headers that start like a formula get a leading apostrophe; numbers, also as text, stay as they
    are.
    """
    columns = []
    for name, kind in frame.schema.items():
        if kind in (pl.String, pl.Categorical, pl.Enum):
            cells = [_defuse(v) for v in frame[name].cast(pl.String).to_list()]
            columns.append(pl.Series(_defuse(name), cells, dtype=pl.String))
        else:
            columns.append(frame[name].alias(_defuse(name)))
    return pl.DataFrame(columns)


def _defuse(text: str | None) -> str | None:
    if text is None or not _FORMULA.match(text) or _NUMBER.match(text):
        return text
    return "'" + text


def write_table(
    cohort: Cohort, out: str | Path, figures: dict[str, str] | None = None, files: dict[str, str | bytes] | None = None
) -> list[Path]:
    """Write a cohort to a .csv or .parquet file, or to a folder as `table.csv` with the figures as SVG and other files
    beside it.

    Raises:
        OptionError: another file type.
    """
    out = Path(out)
    frame = cohort.table.drop(ROW)
    if out.suffix == ".parquet":
        write_parquet(out, frame)
        return [out]
    if out.suffix == ".csv":
        write_atomic(out, defused(frame).write_csv().encode())
        return [out]
    if out.suffix:
        raise OptionError(f"out must end in .csv or .parquet, or be a folder, was '{out.suffix}'")
    out.mkdir(parents=True, exist_ok=True)
    written = write_table(cohort, out / "table.csv")
    for name, svg in (figures or {}).items():
        safe = re.sub(r"[^a-z0-9_-]", "_", name.lower())[:60]
        write_atomic(out / f"{safe}.svg", svg.encode())
        written.append(out / f"{safe}.svg")
    for name, held in (files or {}).items():
        write_atomic(out / safe_name(name), held.encode() if isinstance(held, str) else held)
        written.append(out / name)
    return written
