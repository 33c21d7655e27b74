"""From cells as they are written to columns of one type: what does not fit is emptied and written into the ledger.

A column of text becomes numbers if at least 90 % of its cells that hold anything are finite numbers; the rest are
listed. It stays text if a whole number is written with leading zeros ("0042"), if its header names a code (ICD, zip),
or if it is declared so. Dates written as year-month-day become dates; dates in other forms stay text, because the
modality fixes one reading for the whole column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from osler.cohort import dates, limits, molecules
from osler.cohort.column import ROW, STRUCTURES
from osler.cohort.facts import is_missing_word
from osler.cohort.infer import CODES
from osler.cohort.lineage import no_refusals, refusals
from osler.cohort.names import words

#: Largest share of cells that are no numbers in a column that is read as numbers.
BAD_SHARE = 0.10
#: Largest share of cells that are no dates in a column that is read as dates.
BAD_DATES = 0.05

_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d{1,2}$|^[+-]?\d{1,3}(\.\d{3})+,\d+$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_SURE_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3}){2,}(\.\d+)?$|^[+-]?\d{1,3}(,\d{3})+\.\d+$"
_LIMIT = r"^[<>≤≥]=?\s*\d"
_ISO = frozenset(f for f in dates.FORMATS if f.startswith("%Y-%m-%d"))

#: Reasons of the ledger → the finding that sums them up.
REASONS = {
    "not a number, in a column of numbers": "mixed-types",
    "a limit of measurement (such as '<5'), not a number": "below-limit",
    "not a finite number": "infinite-value",
    "not a date, in a column of dates": "mixed-types",
    "holds a NUL character": "mixed-types",
    "longer than a cell may be": "mixed-types",
    "not a molecule, in a column of molecules": "mixed-types",
}
_NOT_NUMBER, _BELOW, _INFINITE, _NOT_DATE, _NUL, _LONG, _NOT_MOLECULE = REASONS


@dataclass
class Ledger:
    """Cells that were emptied while a table was typed, and notes on how columns were read.

    Attributes:
        parts: ledger tables in `REFUSAL_SCHEMA`.
        notes: column → how it was read, where that was a decision.
    """

    parts: list[pl.DataFrame] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def empty(self, values: pl.Series, where: pl.Series, rows: pl.Series, reason: str) -> pl.Series:
        """The values without the cells at `where` (n,) bool, which are listed."""
        where = where.fill_null(False)
        if not where.any():
            return values
        self.parts.append(refusals(rows.filter(where).to_list(), values.name, reason, "set missing"))
        return values.set(where, None) if not values.dtype.is_nested() else values

    def table(self) -> pl.DataFrame:
        """All parts as one ledger."""
        return pl.concat([no_refusals(), *self.parts])


def typed(table: pl.DataFrame, declared: dict[str, str] | None = None) -> tuple[pl.DataFrame, Ledger]:
    """Every column in one type that the rest of Osler reads: Int64, Float64, Boolean, Date, Datetime, Time, String.

    Args:
        table: columns as read, with `_row`.
        declared: column → modality that the user named; "category", "text", "molecule" and "protein" keep a column
            as it is written.
    """
    ledger, declared = Ledger(), declared or {}
    rows = table[ROW]
    columns = [rows]
    for values in table.iter_columns():
        if values.name != ROW:
            columns.append(_typed(values, rows, declared.get(values.name, ""), ledger))
    return pl.DataFrame(columns), ledger


def _typed(values: pl.Series, rows: pl.Series, modality: str, ledger: Ledger) -> pl.Series:
    values = _plain(values)
    if values.dtype.is_float():
        values = values.fill_nan(None)
        return ledger.empty(values, values.is_infinite(), rows, _INFINITE)
    if values.dtype != pl.String:
        return values
    values = ledger.empty(values, values.str.contains("\0", literal=True), rows, _NUL)
    values = ledger.empty(values, values.str.len_bytes() > limits.MAX_CELL, rows, _LONG)
    text = values.str.strip_chars()
    values = values.set((text == "").fill_null(False), None)
    if modality in ("category", "text") or modality in STRUCTURES:
        return values
    present = text.is_not_null() & ~is_missing_word(text)
    n = int(present.sum())
    if not n:
        return values
    if modality != "date":
        found = _numbers(values, text, present, rows, modality == "number", ledger)
        if found is not None:
            return found
    return _dates(values, text, present, rows, modality == "date", ledger)


def _plain(values: pl.Series) -> pl.Series:
    """The column in one of the few types that are kept; nothing is lost."""
    kind = values.dtype
    if kind in (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.Date, pl.Time):
        return values
    if kind.is_integer():
        wide = kind in (pl.UInt64, pl.Int128, pl.UInt128)
        return values.cast(pl.Float64 if wide and (values.max() or 0) > 2**63 - 1 else pl.Int64)
    if kind.is_float() or kind.is_decimal():
        return values.cast(pl.Float64)
    if isinstance(kind, pl.Datetime):
        return values.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if kind == pl.Binary:
        return values.bin.encode("hex")
    if kind == pl.Null or kind in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    if kind == pl.Object:
        return pl.Series(values.name, [None if v is None else str(v) for v in values.to_list()], dtype=pl.String)
    return values


def is_code(name: str) -> bool:
    """Whether the header names a code, whose digits are no quantity."""
    return bool(set(words(name)) & CODES)


def _numbers(
    values: pl.Series, text: pl.Series, present: pl.Series, rows: pl.Series, declared: bool, ledger: Ledger
) -> pl.Series | None:
    n = int(present.sum())
    if not declared and (is_code(values.name) or text.str.contains(r"^[+-]?0\d+$").any()):
        return None
    plain, how = text, ""
    number = text.cast(pl.Float64, strict=False)
    if int((number.is_not_null() & present).sum()) < n:
        plain, how = _decimal(text, present)
        number = plain.cast(pl.Float64, strict=False) if how else number
    good = number.is_finite().fill_null(False) & present
    n_good = int(good.sum())
    if not n_good or (not declared and n - n_good > BAD_SHARE * n):
        return None
    whole = plain.str.contains(r"^[+-]?\d+$")
    exact = plain.cast(pl.Int64, strict=False) if bool(whole.filter(good).all()) else None
    if exact is not None and int((exact.is_not_null() & good).sum()) < n_good:
        return None
    if how:
        ledger.notes[values.name] = how
    out = (exact if exact is not None else number).rename(values.name).set(~present, None)
    bad = present & ~good
    if bad.any():
        infinite = bad & number.is_infinite().fill_null(False)
        below = bad & text.str.contains(_LIMIT)
        for where, why in ((infinite, _INFINITE), (below, _BELOW), (bad & ~infinite & ~below, _NOT_NUMBER)):
            out = ledger.empty(out, where, rows, why)
    return out.set(bad, None) if bad.any() else out


def _decimal(text: pl.Series, present: pl.Series) -> tuple[pl.Series, str]:
    """Numbers with a decimal comma or with commas between thousands in plain spelling, and how they were read; "" if
    neither.
    """
    n = int(present.sum())
    if int((text.str.contains(_COMMA) & present).sum()) > 0.05 * n:
        plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return plain, "numbers with a decimal comma"
    thousands = text.str.contains(_THOUSANDS) & present
    commas = text.str.contains(",", literal=True) & present
    if text.filter(present).str.contains(_SURE_THOUSANDS).any() and int(thousands.sum()) == int(commas.sum()):
        return text.str.replace_all(",", "", literal=True), "numbers with commas between thousands"
    return text, ""


def _dates(
    values: pl.Series, text: pl.Series, present: pl.Series, rows: pl.Series, declared: bool, ledger: Ledger
) -> pl.Series:
    shown = text.filter(present)
    head = shown.head(1000)
    like = head.str.contains(r"\d{1,4}[-/. ]") & (head.str.len_chars() <= 32) & (head.str.len_chars() >= 6)
    if not declared and float(like.mean() or 0.0) < 1.0 - 2 * BAD_DATES:
        return values
    formats, _ = dates.formats_of(shown.unique(maintain_order=True).head(5_000))
    if not formats:
        return values
    read = dates.parse(text, formats)
    bad = present & read.is_null()
    if not declared and int(bad.sum()) > BAD_DATES * len(shown):
        return values
    if not set(formats) <= _ISO:
        return ledger.empty(values.set(~present, None), bad, rows, _NOT_DATE)
    read = read.rename(values.name)
    read = read.cast(pl.Date) if set(formats) == {"%Y-%m-%d"} else read
    return ledger.empty(read, bad, rows, _NOT_DATE)


def reason_of(text: str, kind: str) -> str:
    """Why a cell of a column of numbers or dates (kind "number", "date") is emptied: a key of `REASONS`."""
    if kind == "date":
        return _NOT_DATE
    if re.match(_LIMIT, text):
        return _BELOW
    return _INFINITE if text.strip().lstrip("+-").lower() in ("inf", "infinity") else _NOT_NUMBER


def kind_of(reason: str) -> str:
    """The key of `REASONS` that a reason of the ledger belongs to: all reasons of molecules are one."""
    return _NOT_MOLECULE if reason.startswith(molecules.REASON) else reason


def findings_of(ledger: pl.DataFrame) -> Iterable[tuple[str, str, int, str]]:
    """(finding code, column, cells, reason) of every kind of cell that was emptied at reading."""
    told = pl.when(pl.col("reason").str.starts_with(molecules.REASON)).then(pl.lit(_NOT_MOLECULE)).otherwise("reason")
    part = ledger.with_columns(told.alias("reason"))
    part = part.filter((pl.col("action") == "set missing") & pl.col("reason").is_in(list(REASONS)))
    counts = part.group_by(["column", "reason"], maintain_order=True).len()
    return [(REASONS[reason], column, n, reason) for column, reason, n in counts.iter_rows()]
