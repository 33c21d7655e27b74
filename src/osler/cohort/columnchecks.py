"""Findings about one column at a time: how it is written (`structure_of`) and what its values are (`values_of`)."""

from __future__ import annotations

import numpy as np
import polars as pl

from osler.cohort import dates, physiology
from osler.cohort.column import STRUCTURES, Column
from osler.cohort.facts import Facts
from osler.cohort.finding import Finding, count
from osler.cohort.roles import role_of
from osler.cohort.units import mixed_with

#: Numbers that data managers write for "missing", besides empty cells.
NEGATIVE_CODES = (-1.0, -7.0, -8.0, -9.0, -77.0, -88.0, -99.0, -777.0, -888.0, -999.0, -9999.0)
POSITIVE_CODES = (9.0, 77.0, 88.0, 99.0, 777.0, 888.0, 999.0, 7777.0, 8888.0, 9999.0, 99999.0, 999999.0)

MOSTLY = 0.95
#: A level in fewer rows than this is not learnt (the default `min_count` of a category).
RARE = 5

_BELOW = r"^\s*[<>≤≥]=?\s*\d"
_FORMULA = r"^\s*(=|@|[+\-][A-Za-z(])"


def structure_of(values: pl.Series, column: Column, facts: Facts) -> list[Finding]:
    """How a column is written: empty, constant, an identifier, mixed kinds, date formats, spellings, formulas."""
    name = column.name
    if facts.n_present == 0 and not values.dtype.is_nested():
        return [Finding("column-empty", "warning", name, facts.n, f"column '{name}' has no value at all")]
    if facts.distinct == 1:
        message = f"column '{name}' has one value in all {facts.n_present:,} rows that have one"
        return [Finding("constant", "note", name, facts.n_present, message)]
    findings = _identity(column, facts)
    if facts.words is not None:
        findings += _mixed(column, facts)
        findings += _dates(values, column)
        findings += _spellings(values, column, facts)
        findings += _formulas(values, column)
    return findings


def values_of(values: pl.Series, column: Column, facts: Facts) -> list[Finding]:
    """What the values are: missing, impossible, in two units, standing for missing, far out, rare."""
    findings = _missing(column, facts)
    if facts.n_present == 0 or (facts.distinct < 2 and column.modality != "number"):
        return findings
    if column.modality == "number" and facts.numbers is not None:
        x = facts.finite if facts.words is None else _repeat(facts)
        findings += _impossible(column, x)
        findings += _codes_for_missing(column, x)
        findings += _far_out(column, x)
        n_infinite = int(np.isinf(facts.numbers).sum())
        if n_infinite:
            message = f"column '{column.name}' holds {n_infinite:,} infinite values, which count as missing"
            findings.append(Finding("infinite-value", "warning", column.name, n_infinite, message))
    if column.modality == "category" and column.role in ("input", "target"):
        findings += _levels(values, column, facts)
        findings += _codes_for_missing(column, facts.finite)
    return findings


# -- how it is written ------------------------------------------------------------------------------------------


def _identity(column: Column, facts: Facts) -> list[Finding]:
    name = column.name
    looks, why = role_of(facts, column)
    if looks == "id" and why.startswith("names a person directly"):
        message = f"column '{name}' {why}"
        return [Finding("direct-identifier", "warning", name, facts.n_present, message, "remove it from the file")]
    if column.role == "input" and looks in ("id", "unit") and column.modality not in STRUCTURES:
        message = f"column '{name}' is an input but identifies rows or persons: {why}"
        return [
            Finding("id-input", "warning", name, facts.n_present, message, f"--unit {name}, or leave it out of --input")
        ]
    if column.role not in ("id", "unit"):
        return []
    findings, twice = [], facts.n_present - facts.distinct
    if column.role == "id":
        message = f"column '{name}' is an identifier: {column.reason}"
        findings.append(Finding("identifier", "note", name, facts.distinct, message))
    elif twice:
        message = (
            f"{facts.n_present:,} rows belong to {facts.distinct:,} different '{name}' and stay together in every split"
        )
        findings.append(Finding("repeated-unit", "note", name, twice, message))
    if 0 < twice <= 0.1 * facts.n_present:
        message = f"identifier '{name}' is nearly unique, but {twice:,} of {facts.n_present:,} rows repeat one"
        findings.append(
            Finding("duplicate-id", "warning", name, twice, message, f"correct the source, or --unit {name}")
        )
    return findings


def _mixed(column: Column, facts: Facts) -> list[Finding]:
    name, findings = column.name, []
    if column.modality == "number":
        odd = ~np.isfinite(facts.numbers)
        below = facts.words.str.contains(_BELOW).to_numpy() & odd
        n_below, n_odd = int(facts.weights[below].sum()), int(facts.weights[odd & ~below].sum())
        if n_below:
            message = (
                f"column '{name}' has {count(n_below, 'result')} written as a limit such as '<5' or '>89', set missing"
            )
            advice = "write a number in their place before reading: for a lower limit of measurement often half of it"
            findings.append(Finding("below-limit", "warning", name, n_below, message, advice))
        if n_odd:
            message = f"column '{name}' holds numbers, but {count(n_odd, 'cell')} are none and are set missing"
            findings.append(Finding("mixed-types", "warning", name, n_odd, message, f"--column {name}=category"))
    elif column.modality == "category" and column.role == "input" and 0.5 <= facts.numeric < 0.9:
        n_odd = round((1.0 - facts.numeric) * facts.n_present)
        message = f"column '{name}' mixes numbers with {count(n_odd, 'cell')} of text, so it is read as a category"
        findings.append(Finding("mixed-types", "warning", name, n_odd, message, f"--column {name}=number"))
    return findings


def _dates(values: pl.Series, column: Column) -> list[Finding]:
    if column.modality != "date" or values.dtype != pl.String:
        return []
    name, findings = column.name, []
    formats, unclear = dates.formats_of(values)
    if len({f.split(" ")[0].split("T")[0] for f in formats}) > 1:
        message = f"dates in column '{name}' are written in {len(formats)} formats"
        findings.append(Finding("date-formats", "warning", name, len(values), message, "write all dates as YYYY-MM-DD"))
    if unclear:
        message = f"in column '{name}' no day is above 12, so day and month cannot be told apart; day first is assumed"
        findings.append(
            Finding("date-ambiguous", "warning", name, len(values), message, "write all dates as YYYY-MM-DD")
        )
    n_odd = int((dates.parse(values, formats).is_null() & values.is_not_null()).sum())
    if n_odd:
        message = f"column '{name}' holds dates, but {count(n_odd, 'cell')} are none and are set missing"
        findings.append(Finding("mixed-types", "warning", name, n_odd, message))
    return findings


def _spellings(values: pl.Series, column: Column, facts: Facts) -> list[Finding]:
    if column.modality not in ("category", "boolean") or facts.distinct > 5_000:
        return []
    raw = values.drop_nulls().cast(pl.String).unique()
    key = raw.str.strip_chars().str.replace_all(r"\s+", " ").str.to_lowercase()
    n = len(raw) - key.n_unique()
    if not n:
        return []
    spellings = count(n, "spelling")
    message = f"column '{column.name}' has {spellings} that only case or spaces tell from another level; read as one"
    return [Finding("level-spelling", "warning", column.name, n, message, "correct the spelling in the source")]


def _formulas(values: pl.Series, column: Column) -> list[Finding]:
    n = int(values.str.contains(_FORMULA).sum()) if values.dtype == pl.String else 0
    if not n:
        return []
    message = (
        f"column '{column.name}' has {count(n, 'cell')} that begin like a spreadsheet formula; they are kept as text"
    )
    return [Finding("formula-cell", "note", column.name, n, message)]


# -- what the values are ----------------------------------------------------------------------------------------


def _missing(column: Column, facts: Facts) -> list[Finding]:
    n, name = facts.n - facts.n_present, column.name
    if not n or not facts.n_present:
        return []
    share = n / facts.n
    message = f"column '{name}' is missing in {n:,} of {facts.n:,} rows ({share:.1%})"
    if share > MOSTLY:
        return [Finding("mostly-missing", "warning", name, n, message, f"leave '{name}' out of --input")]
    return [Finding("missing", "note", name, n, message)]


def _impossible(column: Column, x: np.ndarray) -> list[Finding]:
    known = physiology.match(column.name, x)
    if known is None:
        return []
    name, what = column.name, known.quantity.name
    given = column.options.get("possible") or known.possible
    low, high = float(given[0]), float(given[1])
    bad = (x < low) | (x > high)
    findings = []
    kept = column.options.get("impossible") == "keep"
    n, n_zero = int(bad.sum()), int((bad & (x == 0)).sum())
    if n:
        zeros = f", {n_zero:,} of them zeros that stand for 'not measured'" if n_zero else ""
        done = "they are kept" if kept else "they are set missing"
        limits = f"possible: {low:g} to {high:g} {known.unit}".rstrip()
        message = f"column '{name}' ({what}) has {count(n, 'value')} that cannot be ({limits}){zeros}; {done}"
        findings.append(Finding("impossible-value", "warning", name, n, message, "correct them at the source"))
    other, n_other = mixed_with(known, x[x != 0])
    if other:
        message = (
            f"column '{name}' ({what}) seems to hold {count(n_other, 'value')} in {other} among values in {known.unit}"
        )
        findings.append(
            Finding("mixed-units", "warning", name, n_other, message, f"convert the column to one unit ({known.unit})")
        )
    elif kept:
        message = f"column '{name}' ({what}) has too many impossible values for {known.unit}: is it another unit?"
        findings.append(
            Finding("unit-unclear", "warning", name, n, message, "write the unit into the header: 'name (unit)'")
        )
    low, high = known.plausible
    odd = ~bad & ((x < low) | (x > high))
    if odd.any() and not other:
        limits = f"{low:g} to {high:g} {known.unit}".rstrip()
        message = f"column '{name}' ({what}) has {count(int(odd.sum()), 'value')} outside {limits}: possible, but rare"
        findings.append(Finding("implausible-value", "note", name, int(odd.sum()), message))
    return findings


def _codes_for_missing(column: Column, x: np.ndarray) -> list[Finding]:
    if x.size < 20:
        return []
    declared = {float(c) for c in column.options.get("missing_codes", ()) if _is_number(c)}
    low, high = float(x.min()), float(x.max())
    candidates = [c for c in (*NEGATIVE_CODES, *POSITIVE_CODES) if low <= c <= high and c not in declared]
    found = [c for c in candidates if _stands_apart(x, c, column)]
    if not found:
        return []
    n = int(np.isin(x, found).sum())
    codes = " and ".join(f"{c:g}" for c in found[:3])
    cells = count(n, "cell")
    message = f"column '{column.name}' has {cells} of {codes}, which look like a code for 'missing'; they are kept"
    return [
        Finding(
            "sentinel-value",
            "warning",
            column.name,
            n,
            message,
            "empty these cells in the source, or declare missing_codes",
        )
    ]


def _stands_apart(x: np.ndarray, code: float, column: Column) -> bool:
    at = x == code
    n = int(at.sum())
    if n < 2 or n == x.size:
        return False
    rest = x[~at]
    rest = rest[~np.isin(rest, [c for c in (*NEGATIVE_CODES, *POSITIVE_CODES) if abs(c) >= abs(code)])]
    if not rest.size:
        return False
    low, high = float(rest.min()), float(rest.max())
    if code < 0:
        return low >= 0 and (code != -1.0 or column.modality == "category" or high > 2)
    if code == 9.0:
        return column.modality == "category" and low >= 0 and high <= 7 and np.unique(rest).size >= 2
    return high < code and code - high > 0.25 * (high - low) and low > -code / 10 and np.unique(rest).size >= 2


def _far_out(column: Column, x: np.ndarray) -> list[Finding]:
    if x.size < 50:
        return []
    far = _beyond(x)
    if x.min() > 0:
        far &= _beyond(np.log(x))
    n = int(far.sum())
    if not n or n > 0.01 * x.size:
        return []
    message = (
        f"column '{column.name}' has {count(n, 'value')} more than ten interquartile ranges away from the middle half"
    )
    return [Finding("outliers", "note", column.name, n, message, "look at these rows in the source")]


def _beyond(x: np.ndarray) -> np.ndarray:
    q1, q3 = np.quantile(x[:: max(1, x.size // 100_000)], [0.25, 0.75])  # quartiles of 100,000 are near enough
    width = 10.0 * (q3 - q1)
    return (x < q1 - width) | (x > q3 + width) if width > 0 else np.zeros(x.size, dtype=bool)


def _levels(values: pl.Series, column: Column, facts: Facts) -> list[Finding]:
    name, findings = column.name, []
    if column.role == "input" and (facts.distinct > 100 or facts.distinct > max(20, 0.2 * facts.n_present)):
        levels = count(facts.distinct, "level")
        message = f"category '{name}' has {levels} in {facts.n_present:,} rows; rare ones are read together"
        findings.append(Finding("high-cardinality", "warning", name, facts.distinct, message, "group the levels"))
    counts = values.drop_nulls().value_counts()
    rare = int((counts["count"] < RARE).sum())
    if rare and facts.distinct > 2:
        message = (
            f"category '{name}' has {count(rare, 'level')} in fewer than {RARE} rows, which are read together as one"
        )
        findings.append(Finding("rare-levels", "note", name, rare, message))
    return findings


def _repeat(facts: Facts) -> np.ndarray:
    x = facts.numbers.repeat(facts.weights.astype(np.int64))
    return x[np.isfinite(x)]


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
