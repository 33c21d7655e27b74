"""Looking at a table that is too large to be held: one pass over blocks of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import registry
from osler.cohort import cells, check, dates, encoding, guard, limits, molecules, profile, roles, sources
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
#: Rows counted together.
_ROWS = 50_000
#: From this size on, whole numbers are codes that a float would not tell apart.
_EXACT = 2.0**53


def is_large(path: Path, form: str) -> bool:
    """Whether a file is looked at block by block."""
    size = path.stat().st_size
    if form in ("csv", "molecules"):
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
        kind: "number", "date", "molecule" or "text": how cells are read, fixed by the first block.
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

    def add(self, values: pl.Series, rows: pl.Series) -> pl.Series:
        """Count a block; its cells as they were read."""
        read_as = self._read(values, rows) if values.dtype == pl.String else values
        self._count(read_as)
        return read_as

    def _count(self, read_as: pl.Series) -> None:
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
        if self.kind == "molecule":
            return self._molecules(values, rows)
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

    def _molecules(self, values: pl.Series, rows: pl.Series) -> pl.Series:
        values = self._words(values)
        why = molecules.reasons_of(values, Column(values.name, "molecule"))
        wrong = why != ""
        for reason, row in zip(why.filter(wrong), rows.filter(wrong)):
            self._count_bad(f"{molecules.REASON}: {reason}", row)
        return values.set(wrong, None) if wrong.any() else values

    def _note(self, text: str, row: int) -> None:
        self._count_bad(cells.reason_of(text, self.kind), row)

    def _count_bad(self, reason: str, row: int) -> None:
        n, first = self.bad.get(reason, (0, row))
        self.bad[reason] = (n + 1, first)


def stream(
    path: Path, form: str, options: dict[str, Any], progress: Callable[[str, int, int], None] | None = None
) -> Profile:
    """The profile of a large delimited text, Parquet file or file of molecules; see `osler.cohort.profile.profile`."""
    tallies: dict[str, _Tally] = {}
    sample = RowSample(SAMPLE, np.random.default_rng(0))
    reasons: Counter[str] = Counter()
    first: dict[str, int] = {}
    n_used = 0
    declared = dict(options.get("columns") or {})
    for table, refused in _blocks(path, form):
        for row, why in refused:
            reasons[why] += 1
            first.setdefault(why, row)
        if table.height:
            tallies = tallies or _kinds(table, declared, form)
            sample.add(_counted(table, tallies, n_used))
            n_used += table.height
        if progress is not None:
            progress("rows", n_used + sum(reasons.values()), 0)
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
    known = {name for name, tally in tallies.items() if tally.kind == "molecule"}
    known |= {"smiles"} if form == "molecules" else set()
    drawn = sources.Raw(sample.table(), path.name, "frame", readable=frozenset(known))
    columns, findings = _meaning(drawn, tallies, n_used, options)
    findings = (*_of_ledger(ledger), *findings)
    ledger = ledger.sort(["n", "reason", "column"], descending=[True, False, False])
    return Profile(path.name, n_used + n_refused, n_used, n_refused, columns, findings, ledger, min(SAMPLE, n_used))


def _blocks(path: Path, form: str) -> Iterator[tuple[pl.DataFrame, list[tuple[int, str]]]]:
    """Consecutive rows of a file of any form that is streamed, at most `_ROWS` at a time, and the refused ones."""
    if form == "molecules":
        yield from registry.load(sources.READERS, "readers", "molecules in blocks")(path)
        return
    for table, refused in csv_blocks(path) if form == "csv" else parquet_blocks(path):
        yield table[:_ROWS], refused
        for start in range(_ROWS, table.height, _ROWS):
            yield table[start : start + _ROWS], []


def _counted(table: pl.DataFrame, tallies: dict[str, _Tally], before: int) -> pl.DataFrame:
    """A block whose columns were counted, with the cells of molecules emptied that are none; a column that a block lacks,
    as those of records may, is missing in all its rows.
    """
    rows = table[ROW]
    for name in (n for n in table.columns if n != ROW and n not in tallies):
        tallies[name] = _Tally("text", missing=before)
    for name, tally in tallies.items():
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=pl.String).alias(name))
        read_as = tally.add(table[name], rows)
        if tally.kind == "molecule":
            table = table.with_columns(read_as)
    return table.select(ROW, *tallies)


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


def _kinds(table: pl.DataFrame, declared: dict[str, str], form: str) -> dict[str, _Tally]:
    """How each column is read, from the first block; the molecules of a list were read already."""
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
        elif form != "molecules" and values.dtype == pl.String and _holds_molecules(values, declared.get(name, "")):
            kind = "molecule"
        tallies[name] = _Tally(kind, formats)
    return tallies


def _holds_molecules(values: pl.Series, declared: str) -> bool:
    return declared == "molecule" or (not declared and molecules.is_molecules(facts_of(values)))


def _meaning(
    sample: sources.Raw, tallies: dict[str, _Tally], n: int, options: dict[str, Any]
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
    """One finding per column and kind of cell that was emptied; of molecules one for all reasons."""
    found: dict[tuple[str, str], int] = {}
    for reason, column, action, n, _ in ledger.iter_rows():
        if action == "set missing":
            key = cells.kind_of(reason), column
            found[key] = found.get(key, 0) + n
    return [
        Finding(
            cells.REASONS[kind], "warning", column, n, f"column '{column}' had {n:,} cells set missing: {kind}",
            f"--column {column}=category keeps them",
        )
        for (kind, column), n in found.items()
    ]  # fmt: skip
