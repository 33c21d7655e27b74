"""Looking at a table that is too large to be held: one pass over blocks of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort import cells, check, dates, encoding, guard, limits, profile, roles, sources
from osler.cohort.column import ROW, Column
from osler.cohort.delimited import Delimited
from osler.cohort.facts import facts_of, is_missing_word
from osler.cohort.finding import Finding
from osler.cohort.profile import ColumnProfile, Profile
from osler.cohort.read import read
from osler.cohort.sketch import Distinct, Levels, Moments, RowSample
from osler.errors import ReadError

#: Rows of the uniform sample; a quantile's rank is then within 0.6 % with 95 % confidence (Dvoretzky-Kiefer-Wolfowitz).
SAMPLE = 50_000
_PARQUET_ROWS = 500_000
#: From this size on, whole numbers are codes that a float would not tell apart.
_EXACT = 2.0**53


def is_large(path: Path, form: str) -> bool:
    """Whether a file is looked at block by block."""
    size = path.stat().st_size
    if form == "csv":
        with path.open("rb") as raw:
            packed = bool(limits.packing(raw.read(8)))
        return size > (profile.STREAM_PACKED if packed else profile.STREAM_BYTES)
    if form == "parquet" and size > 1 << 20:
        guard.reads_safely(path, form)
        with sources.native(path.name, "Parquet file"):
            return pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() > profile.STREAM_ROWS
    return False


@dataclass
class _Tally:
    """One column's counts so far.

    Attributes:
        kind: "number", "date" or "text": how cells are read, fixed by the first block.
        formats: of a date.
        bad: reason → (cells, first row) that were emptied.
    """

    kind: str
    formats: tuple[str, ...] = ()
    missing: int = 0
    distinct: Distinct = field(default_factory=Distinct)
    moments: Moments = field(default_factory=Moments)
    levels: Levels = field(default_factory=Levels)
    span: list[Any] = field(default_factory=list)
    bad: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, values: pl.Series, rows: pl.Series) -> None:
        """Count a block."""
        read_as = self._read(values, rows) if values.dtype == pl.String else values
        self.missing += read_as.null_count()
        present = read_as.drop_nulls()
        if present.dtype.is_nested():
            return
        if present.dtype.is_numeric():
            self.moments.add(present.cast(pl.Float64).to_numpy())
        elif present.dtype in (pl.Date, pl.Datetime) and len(present):
            self.span = [min([*self.span[:1], present.min()]), max([*self.span[1:], present.max()])]
        self.distinct.add(present)
        if self.levels.counts is None:
            return
        if self.distinct.is_exact or present.dtype == pl.String:
            self.levels.add(profile.counted(present))
        else:
            self.levels.counts = None

    def _read(self, values: pl.Series, rows: pl.Series) -> pl.Series:
        if self.kind == "text":
            return self._words(values)
        if self.kind == "number":
            out = values.cast(pl.Float64, strict=False)
            if out.null_count() == values.null_count() and bool(out.is_finite().all()):
                return out
            out = values.str.strip_chars().cast(pl.Float64, strict=False)
            wrong = values.is_not_null() & ~out.is_finite().fill_null(False)
        else:
            out = dates.parse(values, self.formats)
            wrong = values.is_not_null() & out.is_null()
        if not wrong.any():
            return out
        odd, where = values.filter(wrong), rows.filter(wrong)
        known = (is_missing_word(odd) | (odd.str.strip_chars() == "")).to_numpy()
        for text, row in zip(odd.filter(pl.Series(~known)), where.filter(pl.Series(~known))):
            self._note(text, row)
        return out.set(wrong, None)

    def _words(self, values: pl.Series) -> pl.Series:
        unique = values.drop_nulls().unique()
        absent = unique.filter(is_missing_word(unique) | (unique.str.strip_chars() == ""))
        return values.set(values.is_in(absent.implode()).fill_null(False), None) if len(absent) else values

    def _note(self, text: str, row: int) -> None:
        reason = cells.reason_of(text, self.kind)
        n, first = self.bad.get(reason, (0, row))
        self.bad[reason] = (n + 1, first)


def stream(path: Path, form: str, options: dict[str, Any]) -> Profile:
    """The profile of a large delimited text or Parquet file; see `osler.cohort.profile.profile`."""
    tallies: dict[str, _Tally] = {}
    sample = RowSample(SAMPLE, np.random.default_rng(0))
    reasons: Counter[str] = Counter()
    first: dict[str, int] = {}
    n_used = 0
    declared = dict(options.get("columns") or {})
    for table, refused in csv_blocks(path) if form == "csv" else parquet_blocks(path):
        for row, why in refused:
            reasons[why] += 1
            first.setdefault(why, row)
        if not table.height:
            continue
        tallies = tallies or _kinds(table, declared)
        n_used += table.height
        rows = table[ROW]
        for name, tally in tallies.items():
            tally.add(table[name], rows)
        sample.add(table)
    if not n_used:
        raise ReadError(
            f"'{path.name}' must have at least one row below its header, it has none that can be read", "read-empty"
        )
    lines = [
        {"reason": w, "column": "", "action": "row refused", "n": n, "first_row": first[w]} for w, n in reasons.items()
    ]
    lines += [
        {"reason": why, "column": name, "action": "set missing", "n": n, "first_row": row}
        for name, tally in tallies.items()
        for why, (n, row) in tally.bad.items()
    ]
    n_refused = sum(reasons.values())
    ledger = pl.DataFrame(
        lines,
        schema={"reason": pl.String, "column": pl.String, "action": pl.String, "n": pl.Int64, "first_row": pl.Int64},
    )
    columns, findings = _meaning(sample.table(), tallies, n_used, options)
    findings = (*_of_ledger(ledger), *findings)
    ledger = ledger.sort(["n", "reason", "column"], descending=[True, False, False])
    return Profile(path.name, n_used + n_refused, n_used, n_refused, columns, findings, ledger, min(SAMPLE, n_used))


def csv_blocks(path: Path) -> Iterator[tuple[pl.DataFrame, list[tuple[int, str]]]]:
    """Consecutive rows of a delimited text, all cells text, with their numbers; and the rows refused among them."""
    found = encoding.decide(limits.unpack(path, 1 << 44), path.name)
    steps = limits.unpack(path, 1 << 44)
    reader = Delimited(path.name, "\t" if path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")) else "")
    for block in reader.blocks(steps if found == "utf-8" else encoding.to_utf8(steps, found, path.name)):
        table = block.table(reader.header, reader.delimiter)
        yield table.with_columns(pl.Series(ROW, block.rows)), block.refused


def parquet_blocks(path: Path) -> Iterator[tuple[pl.DataFrame, list[tuple[int, str]]]]:
    """Consecutive rows of a Parquet file in its own types, with their numbers; none is refused."""
    at = 0
    while True:
        with sources.native(path.name, "Parquet file"):
            table = pl.scan_parquet(path, glob=False).slice(at, _PARQUET_ROWS).collect()
        if not table.height:
            return
        rows = pl.Series(ROW, np.arange(at + 1, at + table.height + 1))
        yield table.with_columns(rows), []
        at += table.height


def _kinds(table: pl.DataFrame, declared: dict[str, str]) -> dict[str, _Tally]:
    """How each column is read, from the first block."""
    head = table.head(100_000)
    read_as, _ = cells.typed(head, declared)
    tallies = {}
    for name in (n for n in table.columns if n != ROW):
        values = read_as[name]
        kind, formats = "text", ()
        if values.dtype.is_numeric() and abs(values.cast(pl.Float64).abs().max() or 0.0) < _EXACT:
            kind = "number"
        elif values.dtype in (pl.Date, pl.Datetime):
            kind, formats = "date", tuple(f for f in dates.FORMATS if f.startswith("%Y-%m-%d"))
            if head[name].dtype == pl.String:
                used, _ = dates.formats_of(head[name].drop_nulls().head(1000))
                formats = (*used, *(f for f in formats if f not in used))
        tallies[name] = _Tally(kind, formats)
    return tallies


def _meaning(
    sample: pl.DataFrame, tallies: dict[str, _Tally], n: int, options: dict[str, Any]
) -> tuple[tuple[ColumnProfile, ...], list[Finding]]:
    """Column profiles with modality and role from the sample, roles corrected by the counts of all rows."""
    cohort = read(sample, **options)
    facts = {}
    for column in cohort.columns:
        tally, seen = tallies[column.name], facts_of(cohort.table[column.name])
        present = n - tally.missing
        distinct = tally.distinct.count()
        unique = seen.is_unique and distinct > 0.9 * present
        facts[column.name] = replace(
            seen, n=n, n_present=present, distinct=present if unique else min(distinct, present)
        )
    columns = [_role(c, facts[c.name]) for c in cohort.columns]
    columns = roles.settle_times(roles.settle_units(columns, facts))
    cohort = replace(cohort, columns=tuple(columns))
    profiles = tuple(_profile(c, tallies[c.name], n, cohort.table[c.name]) for c in columns)
    return profiles, [
        f for f in check.check(cohort) if f.code not in ("missing", "mixed-types", "below-limit", "infinite-value")
    ]


def _role(column: Column, facts: Any) -> Column:
    if column.reason == "declared":
        return column
    role, why = roles.role_of(facts, column)
    return column.with_(role=role, reason=why) if role else column


def _profile(column: Column, tally: _Tally, n: int, sample: pl.Series) -> ColumnProfile:
    x = np.empty(0)
    if tally.kind == "number" and sample.dtype.is_numeric():
        x = sample.drop_nulls().cast(pl.Float64).to_numpy()
    distinct = (min(tally.distinct.count(), n - tally.missing), tally.distinct.is_exact)
    days = {"from": str(tally.span[0])[:10], "to": str(tally.span[1])[:10]} if tally.span else {}
    return profile.described(column, n, tally.missing, distinct, profile.figures(tally.moments, x), days, tally.levels)


def _of_ledger(ledger: pl.DataFrame) -> list[Finding]:
    findings = []
    for reason, column, action, n, _ in ledger.iter_rows():
        if action == "set missing":
            message = f"column '{column}' had {n:,} cells set missing: {reason}"
            findings.append(
                Finding(cells.REASONS[reason], "warning", column, n, message, f"--column {column}=category keeps them")
            )
    return findings
