"""What `osler measure` and `osler quality` print of single scans: features down, regions or scans across."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: Most regions or scans side by side.
MOST = 4


def show_regions(findings: Any) -> None:
    """Facts, then every feature with its unit and IBSI code for the first regions; notes as sentences."""
    from osler.instruments.measure.features import INTENSITY, SHAPE

    codes = {name: about[1] for name, about in (SHAPE | INTENSITY).items()}
    rows = findings.cohort.table.head(MOST).to_dicts()
    heads = [f"region {row['region']}" for row in rows]
    _show(findings, rows, heads, codes, ("region",))
    if len(findings.cohort) > MOST:
        print(f"{len(findings.cohort) - MOST} more regions: write them with --out")


def show_quality(findings: Any) -> None:
    """Facts, every index of the first scans, then what was found in each scan; scans by their row, counted from 1."""
    rows = findings.cohort.table.to_dicts()
    heads = [f"scan {row['_row']}" for row in rows[:MOST]]
    _show(findings, rows[:MOST], heads, {}, ("quality_findings",))
    for row in rows:
        said = row["quality_findings"] or ("" if row["notes"] else "nothing found")
        if said:
            print(f"scan {row['_row']}: {said}")
    for row in rows[MOST:]:
        if row["notes"]:
            print(f"scan {row['_row']}: {row['notes']}")


def _show(findings: Any, rows: list[dict[str, Any]], heads: list[str], codes: dict[str, str], left_out: tuple[str, ...]) -> None:
    console = Console()
    for name, value in findings.facts.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("feature", "unit", *(["IBSI"] if codes else [])):
        table.add_column(name, no_wrap=True)
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    for column in findings.cohort.columns:
        if column.name not in (*left_out, "notes") and column.modality not in ("mask", "volume", "image"):
            code = [codes.get(column.name, "")] if codes else []
            table.add_row(column.name, escape(column.unit), *code, *(_shown(row[column.name]) for row in rows))
    console.print(table)
    for head, row in zip(heads, rows, strict=True):
        if row["notes"]:
            console.print(f"{head}: {row['notes']}", markup=False, soft_wrap=True)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) and abs(value) < 1e5 else f"{value:.0f}" if isinstance(value, float) else str(value)
