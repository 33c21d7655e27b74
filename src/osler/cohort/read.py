"""From a file, a folder, a database or a frame to a cohort; every row that was there is used or refused, with its
reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from osler.cohort import cells, infer, labelled, molecules, proteins, scans, sources
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW
from osler.cohort.headers import checked
from osler.cohort.lineage import Step
from osler.cohort.sources import Progress, Raw
from osler.errors import ColumnError, ReadError, nearest

Names = str | Sequence[str] | None

#: What may be read: a path or database address, or a polars, pandas or pyarrow table.
Source = Any


def read(
    source: Source,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Names = None,
    site: Names = None,
    time: Names = None,
    target: Names = None,
    duration: Names = None,
    event: Names = None,
    inputs: Names = None,
    ignore: Names = None,
    labels: Source | None = None,
    on: str | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Read a table.

    Args:
        source: a file (CSV, TSV, other delimited text, Excel, Parquet, Arrow, JSON lines; text also packed by gzip,
            bzip2, xz or as the only member of a zip), a folder that `Cohort.write` made, a folder of pictures or scans, a database address such as
            `sqlite:///clinic.db?table=visits` or `postgresql://host/clinic?query=SELECT ...`, or a polars, pandas or
            pyarrow table. docs/reference/reading.md has all of it.
        columns: column → modality, where inference should not decide.
        unit, site, time, target, duration, event: columns of these roles.
        inputs: the only columns that may be inputs; all others that would be are ignored.
        ignore: columns to keep but not to use.
        labels: a second table whose columns are joined on a key; its key must be unique.
        on: the key; by default the one column name that both tables share. Labels of a folder of scans are matched by path, file
            name, folder, patient or series, whichever column names most of them.
        progress: called with (stage, done, total) while molecules are read; a total of 0 is not known.

    Raises:
        ReadError: the source is absent, empty, damaged or not of its format; names of columns are empty or doubled.
        ColumnError: a named column is not in the table.
        LimitError: the source is larger or more compressed than is safe.
    """
    raw = sources.open_source(source, progress)
    cohort = cohort_of(raw, columns or {}, progress)
    if labels is not None:
        cohort = _joined(cohort, labels, on, columns or {}, raw.format)
    roles = {"unit": unit, "site": site, "time": time, "target": target, "duration": duration, "event": event}
    return _with_roles(cohort, roles, _names(inputs), _names(ignore), columns or {})


def cohort_of(raw: Raw, columns: Mapping[str, str], progress: Progress | None = None, with_files: bool = True) -> Cohort:
    """A typed cohort from a table as it was read; a cohort from its own folder is taken as it is.

    Args:
        with_files: whether files that cells name are looked at: not those of a table of labels, whose paths start elsewhere.
    """
    if raw.cohort is not None:
        return raw.cohort
    names = checked([n for n in raw.table.columns if n != ROW], raw.name)
    table = (
        raw.table
        if ROW in raw.table.columns
        else raw.table.with_columns(pl.Series(ROW, np.arange(1, raw.table.height + 1)))
    )
    table = table.select([ROW, *(n for n in raw.table.columns if n != ROW)])
    table = table.rename({old: new for old, new in zip(table.columns[1:], names) if old != new})
    if not table.height:
        read_rows = raw.refused.height
        what = (
            f"all {read_rows:,} rows were refused: {raw.refused['reason'][0]} (row {raw.refused['row'][0]})"
            if read_rows
            else "it has none"
        )
        raise ReadError(
            f"'{raw.name}' must have at least one row below its header, {what}",
            "read-empty" if not read_rows else "read-format",
        )
    known = {n: m for n, m in {**{n: c.modality for n, c in raw.kinds.items()}, **columns}.items() if n in names}
    table, ledger = cells.typed(table, known)
    inferred, _ = infer.infer(table)
    inferred = [
        c if c.name not in ledger.notes else c.with_(reason=f"{c.reason}; {ledger.notes[c.name]}") for c in inferred
    ]
    inferred = [raw.kinds.get(c.name, c) for c in inferred]
    declared = [c.with_(modality=known.get(c.name, c.modality)) for c in inferred]
    table, unreadable = molecules.readable(table, declared, raw.readable, progress)
    table, no_proteins = proteins.readable(table, declared, raw.root)
    table, no_scans = scans.readable(table, declared if with_files and not raw.kinds else (), raw.root)
    refused = pl.concat([raw.refused, ledger.table(), unreadable, no_proteins, no_scans])
    n_refused = raw.refused["row"].n_unique()
    step = Step("read", table.height + n_refused, table.height, {"source": raw.name, "format": raw.format, **raw.notes})
    return Cohort(table, tuple(inferred), (step,), raw.root, refused)


def _joined(cohort: Cohort, labels: Source, on: str | None, columns: Mapping[str, str], form: str) -> Cohort:
    other = cohort_of(sources.open_source(labels), columns, with_files=False)
    if form == "scans":
        joined, matched = labelled.joined(cohort, other, on)
        unused = len(other) - joined.table[labelled.KEY].n_unique()
        facts = {"rows_without_label": len(cohort) - int(matched["matched"]), "labels_without_row": max(0, unused)}
        return _told(joined, {"labels": other.lineage[0].detail["source"], **matched, **facts})
    here, there = [c.name for c in cohort.columns], [c.name for c in other.columns]
    if on is None:
        shared = [n for n in here if n in there]
        if len(shared) != 1:
            what = f"they share {len(shared)}" + (f" ({', '.join(shared[:5])})" if shared else "")
            raise ColumnError(
                f"the table and its labels must share exactly one column name, the key; {what}: name the key with --on"
            )
        on = shared[0]
    for names in (here, there):
        if on not in names:
            raise ColumnError(f"key must be a column of both tables, was '{on}': {nearest(on, names)}")
    ours, theirs = cohort.values(on), other.values(on)
    if ours.dtype != theirs.dtype:
        raise ColumnError(
            f"key '{on}' must be written alike in both tables, it is {_kind(ours)} "
            f"in the one and {_kind(theirs)} in the other: "
            f"read both with --column {on}=category", "column-kind",
        )  # fmt: skip
    joined = cohort.join(other, on=on)
    unmatched = len(cohort) - int(ours.is_in(theirs.drop_nulls().implode()).sum())
    unused = len(other) - int(theirs.is_in(ours.drop_nulls().implode()).sum())
    return _told(
        joined,
        {"labels": other.lineage[0].detail["source"], "rows_without_label": unmatched, "labels_without_row": unused},
    )


def _told(joined: Cohort, detail: dict[str, Any]) -> Cohort:
    """The cohort with more said about its last step."""
    last = joined.lineage[-1]
    return replace(joined, lineage=(*joined.lineage[:-1], replace(last, detail={**last.detail, **detail})))


def _kind(values: pl.Series) -> str:
    return (
        "a number" if values.dtype.is_numeric() else "text" if values.dtype == pl.String else str(values.dtype).lower()
    )


def _names(given: Names) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _with_roles(
    cohort: Cohort, roles: Mapping[str, Names], inputs: list[str], ignore: list[str], columns: Mapping[str, str]
) -> Cohort:
    if columns:
        read_as = {n: {"modality": _modality(n, m)} for n, m in columns.items()}
        other = [n for n, m in columns.items() if cohort.column(n).role == "ignore" and cohort.column(n).modality != m]
        cohort = cohort.declare(columns=read_as)
        cohort = cohort.declare(columns={n: {"role": "input"} for n in other})
    asked = {role: _names(names) for role, names in roles.items() if _names(names)}
    cohort = cohort.declare(**asked)
    taken = {n for names in asked.values() for n in names}
    for name in (*inputs, *ignore):
        cohort.column(name)
    changes = {n: {"role": "ignore"} for n in ignore if n not in taken}
    changes |= {n: {"role": "input"} for n in inputs if n not in taken}
    if inputs:
        changes |= {
            c.name: {"role": "ignore"} for c in cohort.role("input") if c.name not in inputs and c.name not in taken
        }
    return cohort.declare(columns=changes)


def _modality(column: str, name: str) -> str:
    """The name, if a modality has it.

    Raises:
        ColumnError: none has; the nearest is suggested.
    """
    known = sources.modality_names()
    if name not in known:
        raise ColumnError(
            f"modality of column '{column}' must be one that Osler knows, was '{name}': {nearest(name, known)}",
            "column-kind",
        )
    return name
