"""The table that everything in Osler takes and gives: one row is one prediction instance."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
import polars as pl

from osler.cohort.column import ROW, Column
from osler.cohort.lineage import Step, no_refusals
from osler.errors import ColumnError, nearest

#: What a column becomes when another takes its role: a person's number must not turn into a predictor.
_DISPLACED = {"target": "ignore", "unit": "id", "time": "ignore"}


@final
@dataclass(frozen=True)
class Cohort:
    """A typed table.

    Attributes:
        table: the data, with the reserved column `_row` (source row number, 1 = first data row).
        columns: the meaning of every other column, in table order.
        lineage: what was done to the table since it was read.
        root: the folder that relative paths in cells start from; no path may lead out of it.
        refusals: the ledger of refused rows and emptied cells (`osler.cohort.lineage.REFUSAL_SCHEMA`).
    """

    table: pl.DataFrame
    columns: tuple[Column, ...]
    lineage: tuple[Step, ...] = ()
    root: Path | None = None
    refusals: pl.DataFrame = field(default_factory=no_refusals)

    def __post_init__(self) -> None:
        if ROW not in self.table.columns:
            rows = pl.Series(ROW, np.arange(1, self.table.height + 1, dtype=np.int64))
            object.__setattr__(self, "table", self.table.with_columns(rows))
        named = [c.name for c in self.columns]
        held = [c for c in self.table.columns if c != ROW]
        if set(named) != set(held):
            lost = set(named) ^ set(held)
            raise ColumnError(f"columns and table must name the same columns, these differ: {sorted(lost)[:5]}")

    def __len__(self) -> int:
        return self.table.height

    # -- looking things up -------------------------------------------------------------------------------------

    def column(self, name: str) -> Column:
        """The meaning of one column.

        Raises:
            ColumnError: no column has this name; the nearest is suggested.
        """
        found = self._by_name.get(name)
        if found is None:
            raise ColumnError(f"column must be in the table, was '{name}': {nearest(name, self._by_name)}")
        return found

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    def role(self, role: str) -> tuple[Column, ...]:
        """All columns of a role, in table order."""
        return tuple(c for c in self.columns if c.role == role)

    def values(self, name: str) -> pl.Series:
        """One column's values."""
        return self.table[self.column(name).name]

    @property
    def rows(self) -> np.ndarray:
        """Source row numbers, shape (n,), int64."""
        return self.table[ROW].to_numpy()

    # -- making another ------------------------------------------------------------------------------------------

    def declare(self, **roles_or_columns: Any) -> Cohort:
        """A cohort with some columns' meaning replaced: `declare(columns={"age": {"modality": "number"}})` or
        `declare(target="num", unit=["patient_id"])`. A role that only one column may hold is taken from the others.

        Raises:
            ColumnError: a name is not in the table.
        """
        changes: Mapping[str, Mapping[str, Any]] = roles_or_columns.pop("columns", None) or {}
        new = {c.name: c for c in self.columns}
        for role, names in roles_or_columns.items():
            names = [names] if isinstance(names, str) else list(names or [])
            for name in names:
                self.column(name)
            if names:
                for name, column in new.items():
                    if column.role == role and name not in names:
                        new[name] = column.with_(role=_DISPLACED.get(role, "input"))
            for name in names:
                new[name] = new[name].with_(role=role, reason="declared")
        for name, change in changes.items():
            self.column(name)
            new[name] = new[name].with_(**change, reason="declared")
        return replace(self, columns=tuple(new.values()))

    def select(self, names: Iterable[str]) -> Cohort:
        """Only these columns, in this order."""
        names = list(names)
        columns = tuple(self.column(n) for n in names)
        step = Step("select", len(self), len(self), {"columns": names})
        return replace(self, table=self.table.select([ROW, *names]), columns=columns, lineage=(*self.lineage, step))

    def where(self, mask: np.ndarray | pl.Series | pl.Expr, why: str = "where") -> Cohort:
        """Only the rows where `mask` (n,) is true."""
        mask = pl.Series(mask) if isinstance(mask, np.ndarray) else mask
        table = self.table.filter(mask)
        step = Step(why, len(self), table.height)
        return replace(self, table=table, lineage=(*self.lineage, step))

    def take(self, positions: np.ndarray) -> Cohort:
        """Rows by position, shape (m,); order and repeats are kept."""
        return replace(self, table=self.table[np.asarray(positions, dtype=np.int64)])

    def with_column(self, values: pl.Series, column: Column) -> Cohort:
        """With one column added at the end, or replaced in its place; `values` has n entries."""
        table = self.table.with_columns(values.alias(column.name))
        columns = {c.name: c for c in self.columns} | {column.name: column}
        return replace(self, table=table, columns=tuple(columns.values()))

    def join(self, other: Cohort, on: str, how: str = "left") -> Cohort:
        """The other cohort's columns beside these, matched on a key that is unique in `other`.

        Raises:
            ColumnError: the key is absent, of another type there, repeats in `other` (rows would be doubled in
                silence), or two columns share a name.
        """
        keys, mine = other.values(on), self.values(on)
        if keys.dtype != mine.dtype and not (keys.dtype.is_integer() and mine.dtype.is_integer()):
            raise ColumnError(
                f"key '{on}' must be of one type in both tables, was {mine.dtype} and "
                f"{keys.dtype}: read it as a category in both",
                "column-kind",
            )
        if keys.drop_nulls().n_unique() != keys.drop_nulls().len():
            raise ColumnError(
                f"key '{on}' must be unique in the joined table, it repeats: aggregate it to one row per key first",
                "column-kind",
            )
        both = ({c.name for c in self.columns} & {c.name for c in other.columns}) - {on}
        if both:
            raise ColumnError(
                f"joined tables must not share column names besides the key, both hold {sorted(both)[:5]}: rename one",
                "column-kind",
            )
        table = self.table.join(other.table.drop(ROW), on=on, how=how, maintain_order="left")
        columns = (*self.columns, *(c for c in other.columns if c.name != on))
        step = Step("join", len(self), table.height, {"on": on, "how": how})
        return replace(self, table=table, columns=columns, lineage=(*self.lineage, step))

    # -- to disk -------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Columns and lineage (no values): what `cohort.json` holds."""
        return {
            "format": "osler.cohort/1",
            "rows": len(self),
            "rows_refused": int(self.refusals.filter(pl.col("action") == "row refused")["row"].n_unique()),
            "columns": [c.to_json() for c in self.columns],
            "lineage": [s.to_json() for s in self.lineage],
        }

    def write(self, folder: str | Path) -> Path:
        """Write `cohort.parquet`, `cohort.json` and `refusals.csv` into a folder; `osler.read(folder)` reads them
        back.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _private(folder / "cohort.parquet") as out:
            self.table.write_parquet(out)
        with _private(folder / "refusals.csv") as out:
            self.refusals.write_csv(out)
        with _private(folder / "cohort.json") as out:
            out.write(json.dumps(self.to_json(), indent=1, ensure_ascii=False).encode())
        return folder


def _private(path: Path) -> BinaryIO:
    """A new file that only the user may read, whatever the umask is."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
