"""What is wrong with a table, before anything is learnt from it; and the cells that knowledge alone can empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from osler.cohort import cells
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.columnchecks import structure_of, values_of
from osler.cohort.facts import facts_of
from osler.cohort.finding import FINDINGS, SEVERITIES, Finding, count
from osler.cohort.lineage import Step, refusals
from osler.cohort.numbers import floats
from osler.cohort.tablechecks import duplicate_rows, near_duplicate_columns, size_of, target_of

__all__ = ["FINDINGS", "Finding", "check", "clean"]


def check(cohort: Cohort) -> list[Finding]:
    """All findings about a cohort, the gravest first and else in table order.

    Nothing is changed; `clean` empties impossible values. A column that is ignored is only looked at for structure.
    """
    findings: list[Finding] = []
    for column in cohort.columns:
        values = cohort.table[column.name]
        facts = facts_of(values)
        findings += structure_of(values, column, facts)
        never_measured = column.role == "ignore" and facts.distinct == 1 and column.options.get("possible")
        if column.role not in ("ignore", "id", "unit", "prediction", "split") or never_measured:
            findings += values_of(values, column, facts)
    findings += _emptied_before(cohort)
    findings += near_duplicate_columns(cohort.table, cohort.columns)
    findings += duplicate_rows(cohort.table, cohort.columns)
    findings += size_of(cohort.table, cohort.columns)
    findings += target_of(cohort.table, cohort.columns)
    findings += _leaks(cohort)
    ordered = sorted(findings, key=lambda f: -SEVERITIES.index(f.severity))
    first: dict[tuple[str, str, str], Finding] = {}
    for finding in ordered:
        about = finding.message if finding.code in ("impossible-value", "mixed-types") or not finding.column else ""
        first.setdefault((finding.code, finding.column, about), finding)
    return list(first.values())


def clean(cohort: Cohort) -> Cohort:
    """The cohort with impossible numbers and declared missing codes emptied, each cell written into the ledger.

    This is knowledge, not statistics: it looks at one cell at a time, so it is the same before and after a split and
    for one new patient. A column says what is emptied by its options `possible` and `missing_codes` (filled by
    inference, shown by `osler look`), and `impossible: "keep"` turns it off for the column.
    """
    table, ledger, emptied = cohort.table, [cohort.refusals], {}
    for column in cohort.columns:
        if column.modality != "number" or column.role in ("id", "unit", "prediction", "split"):
            continue
        codes, outside = _emptied(table[column.name], column)
        lost = codes | outside
        if not lost.any():
            continue
        what = column.options.get("quantity", column.name)
        rows = table[ROW].to_numpy()
        if codes.any():
            why = f"a code for a missing value in {what}"
            ledger.append(refusals(rows[codes].tolist(), column.name, why, "set missing"))
        if outside.any():
            low, high = column.options["possible"]
            why = f"impossible: {what} must be from {low:g} to {high:g}"
            ledger.append(refusals(rows[outside].tolist(), column.name, why, "set missing"))
        keep = pl.Series(~lost)
        table = table.with_columns(pl.when(keep).then(pl.col(column.name)).alias(column.name))
        emptied[column.name] = int(lost.sum())
    if not emptied:
        return cohort
    step = Step("clean", len(cohort), len(cohort), {"set missing": emptied})
    return replace(cohort, table=table, refusals=pl.concat(ledger), lineage=(*cohort.lineage, step))


def _emptied(values: pl.Series, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool twice: cells that hold a missing code, and other cells outside the possible range."""
    x = floats(values, str(column.options.get("decimal", ".")))
    given = [float(c) for c in column.options.get("missing_codes", ())]
    codes = np.isin(x, given) if given else np.zeros(len(x), dtype=bool)
    possible = column.options.get("possible") or ()
    if not len(possible) or column.options.get("impossible", "missing") != "missing":
        return codes, np.zeros(len(x), dtype=bool)
    with np.errstate(invalid="ignore"):
        return codes, ~codes & ((x < possible[0]) | (x > possible[1]))


def _emptied_before(cohort: Cohort) -> list[Finding]:
    """What reading and `clean` have emptied already, so that the cohort does not look as if nothing had been wrong."""
    ledger, findings = cohort.refusals, []
    for code, name, n, reason in cells.findings_of(ledger):
        message = f"column '{name}' had {count(n, 'cell')} set missing: {reason}"
        findings.append(Finding(code, "warning", name, n, message, "correct them at the source"))
    ledger = ledger.filter((pl.col("action") == "set missing") & pl.col("reason").str.contains("^(impossible|a code)"))
    for (name, reason), part in ledger.group_by(["column", "reason"], maintain_order=True):
        message = f"column '{name}' had {count(part.height, 'value')} set missing: {reason}"
        findings.append(
            Finding("impossible-value", "warning", str(name), part.height, message, "correct them at the source")
        )
    return findings


def _leaks(cohort: Cohort) -> list[Finding]:
    """What `osler.cohort.leaks` finds: single inputs that give the target away."""
    if not cohort.role("target"):
        return []
    from osler.cohort.leaks import find_leaks  # here, because it needs `Finding` from this module

    return list(find_leaks(cohort))
