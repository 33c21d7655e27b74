"""What a table holds, column by column: exactly for tables that fit in memory, in one pass and bounded memory for
larger ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort import check, sources
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.facts import is_missing_word
from osler.cohort.finding import Finding
from osler.cohort.read import Source, read
from osler.cohort.sketch import Levels, Moments

#: Files above these sizes (bytes; packed files count by their packed size) are streamed.
STREAM_BYTES = 128 << 20
STREAM_PACKED = 24 << 20
#: Rows above which a Parquet file is streamed.
STREAM_ROWS = 2_000_000

#: A level is shown only if at least this many rows have it, so that no person stands out.
SMALLEST_SHOWN = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Roles whose values may be shown; identifiers and what is ignored are only counted.
_SHOWN = ("input", "target", "event", "duration", "treatment", "site", "time")


@dataclass(frozen=True)
class ColumnProfile:
    """One column in figures.

    Attributes:
        column: its meaning.
        n: rows used.
        missing: rows without a value, missing words such as "NA" included.
        distinct: different values; an estimate within about 2 % if not `distinct_exact`.
        distinct_exact: whether `distinct` is a count.
        numbers: min, max, mean, sd, n and quantiles ("p5" to "p95") of a number column whose values may be shown, or
            nothing.
        dates: first and last day ("from", "to") of a date column whose values may be shown, or nothing.
        levels: up to 10 commonest levels with their rows, each with at least 10 rows.
    """

    column: Column
    n: int
    missing: int
    distinct: int
    distinct_exact: bool = True
    numbers: Mapping[str, float] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    levels: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            **self.column.to_json(), "n": self.n, "missing": self.missing, "distinct": self.distinct,
            "distinct_exact": self.distinct_exact, "numbers": dict(self.numbers), "dates": dict(self.dates),
            "levels": [list(pair) for pair in self.levels],
        }  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """A table in figures.

    Attributes:
        source: what it is called.
        rows_read: rows in the source; equals `rows_used` + `rows_refused`.
        rows_used: rows of the table.
        rows_refused: rows that could not be read.
        columns: one profile per column, in table order.
        findings: what was noticed, the gravest first.
        refusals: `reason`, `column` ("" for whole rows), `action`, `n` and `first_row`, one line per kind.
        sampled: rows that modalities, quantiles and findings rest on; 0 if all.
    """

    source: str
    rows_read: int
    rows_used: int
    rows_refused: int
    columns: tuple[ColumnProfile, ...]
    findings: tuple[Finding, ...]
    refusals: pl.DataFrame
    sampled: int = 0

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; no cell of an identifier and no level of fewer than 10 rows is in it."""
        return {
            "format": "osler.profile/1", "source": self.source, "rows_read": self.rows_read, "rows_used": self.rows_used,
            "rows_refused": self.rows_refused, "sampled": self.sampled, "columns": [c.to_json() for c in self.columns],
            "findings": [f.to_json() for f in self.findings], "refusals": self.refusals.to_dicts(),
        }  # fmt: skip


def profile(source: Source, progress: sources.Progress | None = None, **options: Any) -> Profile:
    """Look at a table without learning anything from it.

    Args:
        source: whatever `osler.read` reads. A delimited text, Parquet file or file of molecules that is too large to be
            held is streamed: counts, missing cells, ranges, means and refusals are of all rows, and every molecule is
            asked whether it can be read; modalities, quantiles and findings are of a uniform sample of rows; distinct
            values are estimated.
        progress: called with (stage, done, total) while much is read; a total of 0 is not known.
        options: `columns` and roles, as for `osler.read`.

    Raises:
        InputError: as `osler.read`.
    """
    if isinstance(source, (str, Path)) and "://" not in str(source):
        from osler.cohort import profile_stream

        path = sources.located(source)
        form = sources.format_of(path) if path.is_file() and path.stat().st_size else ""
        if profile_stream.is_large(path, form):
            return profile_stream.stream(path, form, options, progress)
    cohort = source if isinstance(source, Cohort) else read(source, progress=progress, **options)
    return of_cohort(cohort)


def of_cohort(cohort: Cohort) -> Profile:
    """The profile of a table in memory; every figure is exact."""
    columns = tuple(_column(cohort.table[c.name], c) for c in cohort.columns)
    refused = cohort.refusals.filter(pl.col("action") == "row refused")["row"].n_unique()
    name = str(cohort.lineage[0].detail.get("source", "the table")) if cohort.lineage else "the table"
    findings = tuple(check.check(cohort))
    return Profile(name, len(cohort) + refused, len(cohort), refused, columns, findings, summed(cohort.refusals))


def summed(ledger: pl.DataFrame) -> pl.DataFrame:
    """A ledger as one line per kind of refusal, most frequent first; the first row number of each."""
    keys = ["reason", "column", "action"]
    lines = ledger.group_by(keys).agg(pl.len().cast(pl.Int64).alias("n"), pl.col("row").min().alias("first_row"))
    return lines.sort(["n", *keys], descending=[True, False, False, False])


def _column(values: pl.Series, column: Column) -> ColumnProfile:
    missing = values.is_null() | is_missing_word(values) if values.dtype == pl.String else values.is_null()
    present = values.filter(~missing)
    moments, levels = Moments(), Levels()
    numbers: dict[str, float] = {}
    if values.dtype.is_numeric():
        x = present.cast(pl.Float64).to_numpy()
        x = x[np.isfinite(x)]
        moments.add(x)
        numbers = figures(moments, x)
    if not values.dtype.is_nested():
        levels.add(counted(present))
    n_distinct = 0 if values.dtype.is_nested() else present.n_unique()
    return described(column, len(values), int(missing.sum()), (n_distinct, True), numbers, span(present), levels)


def counted(present: pl.Series) -> pl.DataFrame:
    """Rows per value, as `level` (text) and `n`."""
    counts = present.alias("level").value_counts(name="n")
    if counts["level"].dtype.is_float() and bool((counts["level"] == counts["level"].round()).all()):
        counts = counts.with_columns(pl.col("level").cast(pl.Int64, strict=False))
    return counts.select(pl.col("level").cast(pl.String), pl.col("n").cast(pl.Int64))


def figures(moments: Moments, x: np.ndarray) -> dict[str, float]:
    """Range, mean and spread, with quantiles of the numbers x (m,)."""
    if not moments.n:
        return {}
    found = {"n": moments.n, "min": moments.low, "max": moments.high, "mean": moments.mean}
    if moments.n > 1:
        found["sd"] = moments.sd
    if len(x):
        found |= {f"p{round(100 * q)}": float(v) for q, v in zip(QUANTILES, np.quantile(x, QUANTILES))}
    return found


def span(present: pl.Series) -> dict[str, str]:
    """First and last day of a date column, or nothing."""
    if present.dtype not in (pl.Date, pl.Datetime) or not len(present):
        return {}
    return {"from": str(present.min())[:10], "to": str(present.max())[:10]}


def described(
    column: Column,
    n: int,
    missing: int,
    distinct: tuple[int, bool],
    numbers: dict[str, float],
    dates: dict[str, str],
    levels: Levels,
) -> ColumnProfile:
    """The profile of a column, with only the figures that its role and modality allow to be shown."""
    shown = column.role in _SHOWN
    is_number = column.modality == "number"
    top = () if not shown or is_number or column.modality in ("text", "date") else tuple(levels.top(10, SMALLEST_SHOWN))
    return ColumnProfile(
        column, n, missing, *distinct, numbers if shown and is_number else {}, dates if shown else {}, top
    )
