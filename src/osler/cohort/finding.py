"""One thing that was noticed about a table, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("note", "warning", "stop")

#: Every code that inference, `check` and `leaks` give, and what it says; docs/reference/findings.md explains each.
FINDINGS: dict[str, str] = {
    "column-empty": "a column has no value at all",
    "constant": "a column has one value in every row",
    "mostly-missing": "more than 95 % of a column is missing",
    "missing": "part of a column is missing",
    "impossible-value": "a value cannot be: outside what has been measured in a living person, or 0 for not measured",
    "implausible-value": "values are possible but outside what patients in care have",
    "unit-unclear": "so many values are impossible that the unit is probably another one",
    "mixed-units": "a column holds one quantity in two units",
    "sentinel-value": "a number such as -9 or 999 seems to stand for a missing value",
    "infinite-value": "a column holds infinities",
    "outliers": "a few values lie very far from the rest",
    "mixed-types": "a column of numbers or dates holds cells that are none",
    "below-limit": "results such as '<5' are limits of measurement, not numbers",
    "date-formats": "dates are written in several formats",
    "date-ambiguous": "day and month cannot be told apart",
    "identifier": "a column identifies rows or persons",
    "id-input": "an identifier is used as an input",
    "direct-identifier": "a column names persons directly",
    "duplicate-id": "an identifier that should be unique repeats",
    "repeated-unit": "several rows belong to one person",
    "duplicate-rows": "rows are the same in every column but the identifiers",
    "high-cardinality": "a category has many levels for its rows",
    "rare-levels": "levels of a category have too few rows to be learnt",
    "level-spelling": "levels differ only in case or spaces",
    "near-duplicate-columns": "two columns say the same",
    "formula-cell": "cells begin like a spreadsheet formula",
    "replicates": "rows measure one thing again, and how far they differ bounds what any model can reach",
    "few-rows": "the table has few rows for its inputs",
    "class-balance": "classes of the target are of very different size",
    "class-voxels": "a class of a mask is in few scans or fills little of them",
    "mask-empty": "scans have masks in which nothing is drawn",
    "target-missing": "the target is missing in part of the rows",
    "target-copy": "an input is the target in another coding",
    "target-giveaway": "a single input tells the target almost perfectly",
    "target-mean": "an input is the mean of the target over a group of rows, computed before any split",
    "missingness-tells": "whether an input is missing tells the target",
    "after-time": "an input was recorded after the prediction time",
    "row-order": "the order of the rows tells the target",
    "order-input": "an input follows the order of the rows, which tells the target",
}


@dataclass(frozen=True)
class Finding:
    """A finding about a table or a column.

    Attributes:
        code: stable name: a key of `FINDINGS`.
        severity: "note" (good to know), "warning" (look at it) or "stop" (a result would not be believable).
        column: the column, or "" for the whole table.
        n: rows (or cells, levels) concerned.
        message: one sentence without any patient's value.
        advice: what to do, as an option that can be typed where there is one.
    """

    code: str
    severity: str
    column: str
    n: int
    message: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES or self.code not in FINDINGS:
            raise AssertionError(f"{self.severity} or {self.code}")

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return asdict(self)


def count(n: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: `count(1, "row")` → "1 row", `count(1200, "row")` → "1,200 rows"."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"
