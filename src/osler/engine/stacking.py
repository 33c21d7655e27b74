"""Hold-out rows below those to learn from, as one table: references of both start in one folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW
from osler.cohort.lineage import Step
from osler.cohort.scans import NAMED
from osler.errors import OptionError

#: The column of a folder of scans that says where a row lies.
_FILE = "file"


def stacked(first: Cohort, second: Cohort) -> Cohort:
    """Development rows and then hold-out rows, told apart by the column `_holdout`; columns of the first.

    Raises:
        OptionError: both name files, on drives that have no folder in common.
    """
    first, second = _in_one_folder(first, second)
    names = [c.name for c in first.columns]
    have = [n for n in names if n in {c.name for c in second.columns}]
    below = second.table.select([ROW, *have]).with_columns((pl.col(ROW) + int(first.rows.max(initial=0))).alias(ROW))
    above = first.table.with_columns(pl.lit(False).alias("_holdout"))
    below = below.with_columns(pl.lit(True).alias("_holdout"))
    casts = [pl.col(n).cast(above.schema[n], strict=False) for n in have if below.schema[n] != above.schema[n]]
    table = pl.concat([above, below.with_columns(casts)], how="diagonal")
    columns = (
        *first.columns,
        first.columns[0].with_(
            name="_holdout",
            modality="boolean",
            role="split",
            options={},
            coding={},
            unit="",
            reason="the hold-out",
        ),
    )
    step = Step("hold-out joined below", len(first), table.height)
    ledger = pl.concat([first.refusals, second.refusals.with_columns(pl.col("row") + int(first.rows.max(initial=0)))])
    return replace(first, table=table, columns=columns, lineage=(*first.lineage, step), refusals=ledger)


def _in_one_folder(first: Cohort, second: Cohort) -> tuple[Cohort, Cohort]:
    """Both with cells that name files below the innermost folder that holds both their roots; as they are where none does, or both have one root."""
    names = [c.name for c in first.columns if c.modality in NAMED and c.name in second.table.columns]
    roots = [(one.root or Path.cwd()).resolve() for one in (first, second)]
    if not names or roots[0] == roots[1]:
        return first, second
    try:
        root = Path(os.path.commonpath(roots))
    except ValueError as error:
        raise OptionError("scans to learn from and held-out ones must lie on one drive, they do not: copy one of them") from error
    return tuple(_below(one, names, at.relative_to(root).as_posix(), root) for one, at in zip((first, second), roots))


def _below(cohort: Cohort, names: list[str], prefix: str, root: Path) -> Cohort:
    """A cohort whose cells that name files start in a folder above its own."""
    if prefix == ".":
        return replace(cohort, root=root)
    from_scans = cohort.lineage and cohort.lineage[0].detail.get("format") == "scans"
    table = cohort.table
    for name in [*names, *([_FILE] if from_scans and _FILE in table.columns else [])]:
        text = pl.col(name).str.strip_chars()
        table = table.with_columns(pl.when(text.str.starts_with("[")).then(pl.col(name)).otherwise(pl.format("{}/{}", pl.lit(prefix), text)).alias(name))
    return replace(cohort, table=table, root=root)
