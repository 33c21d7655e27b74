"""What was done to a table, step by step, and which rows and cells were refused on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Step:
    """One operation on a cohort: its name, its settings, rows before and after."""

    name: str
    rows_before: int
    rows_after: int
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "name": self.name,
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
            "detail": dict(self.detail),
        }


#: The refusal ledger: source row, column ("" for the whole row), reason code, action.
REFUSAL_SCHEMA = {"row": pl.Int64, "column": pl.String, "reason": pl.String, "action": pl.String}

#: `row refused` takes the row out; `set missing` empties one cell and keeps the row; `box left out` keeps the other boxes of a cell.
ACTIONS = ("row refused", "set missing", "box left out")

#: What stands between a reason and the file that it is of.
_FILE = ": file "


def no_refusals() -> pl.DataFrame:
    """An empty ledger."""
    return pl.DataFrame(schema=REFUSAL_SCHEMA)


def refusals(rows: list[int], column: str, reason: str, action: str) -> pl.DataFrame:
    """A ledger of one reason for many rows. Reasons are sentences without patients' values."""
    if action not in ACTIONS:
        raise AssertionError(action)
    n = len(rows)
    return pl.DataFrame(
        {"row": rows, "column": [column] * n, "reason": [reason] * n, "action": [action] * n}, schema=REFUSAL_SCHEMA
    )


def of_file(reason: str, file: object) -> str:
    """A reason with the file that it is of, for whoever looks at their own files."""
    return f"{reason}{_FILE}{file}"


def without_files(ledger: pl.DataFrame) -> pl.DataFrame:
    """The ledger without the names of files, which may be those of patients: what a run keeps and a report shows."""
    return ledger.with_columns(pl.col("reason").str.split(_FILE).list.first())
