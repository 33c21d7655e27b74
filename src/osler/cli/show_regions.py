"""What `osler measure` prints of one scan: features down, regions across."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

#: Most regions side by side.
MOST = 4


def show_regions(findings: Any) -> None:
    """Facts, then every feature with its unit and IBSI code for the first regions; notes as sentences."""
    from osler.instruments.measure.features import INTENSITY, SHAPE

    console = Console()
    for name, value in findings.facts.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, soft_wrap=True)
    cohort = findings.cohort
    rows = cohort.table.head(MOST).to_dicts()
    table = Table(box=None, pad_edge=False)
    for name in ("feature", "unit", "IBSI", *(f"region {row['region']}" for row in rows)):
        table.add_column(name, justify="right" if name.startswith("region") else "left", no_wrap=True)
    for column in cohort.columns:
        if column.name in ("region", "notes") or column.modality in ("mask", "volume"):
            continue
        code = (SHAPE | INTENSITY).get(column.name, ("", "", ""))[1]
        table.add_row(column.name, column.unit, code, *(_shown(row[column.name]) for row in rows))
    console.print(table)
    if len(cohort) > MOST:
        console.print(f"{len(cohort) - MOST} more regions: write them with --out")
    for row in rows:
        if row["notes"]:
            console.print(f"region {row['region']}: {row['notes']}", markup=False, soft_wrap=True)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) and abs(value) < 1e5 else f"{value:.0f}" if isinstance(value, float) else str(value)
