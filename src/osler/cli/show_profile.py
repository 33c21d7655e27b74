"""How `osler look` prints a profile: columns, findings by severity, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from osler.errors import OptionError

if TYPE_CHECKING:
    from osler.cohort.profile import ColumnProfile, Profile

_COLOURS = {"stop": "red", "warning": "yellow", "note": "cyan"}


def declared(given: list[str]) -> dict[str, str]:
    """NAME=MODALITY flags as a dict; a name may hold "=".

    Raises:
        OptionError: a flag has no "=".
    """
    for flag in given:
        if "=" not in flag:
            raise OptionError("--column must be NAME=MODALITY, it had no '=': write for example --column zip=category")
    return {name: modality for name, _, modality in (flag.rpartition("=") for flag in given)}


def show_profile(found: Profile, console: Console | None = None) -> None:
    """Print a profile for people."""
    if console is None:
        console = Console() if Console().is_terminal else Console(width=140)
    used = f"rows read {found.rows_read:,} = used {found.rows_used:,} + refused {found.rows_refused:,}"
    console.print(f"[bold]{escape(found.source)}[/]: {used}; {len(found.columns):,} columns", highlight=False)
    if found.sampled:
        console.print(
            f"large table: kinds, quantiles and findings are of {found.sampled:,} rows drawn at random", highlight=False
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("column", 0),
        ("modality", 0),
        ("role", 0),
        ("n", 1),
        ("missing", 1),
        ("distinct", 1),
        ("values", 0),
        ("why", 0),
    ):
        table.add_column(
            name,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=bool(right) or name in ("modality", "role"),
        )
    for part in found.columns:
        table.add_row(*(escape(cell) for cell in _cells(part)))
    console.print(table)
    _findings(found, console)
    _refusals(found, console)


def _cells(part: ColumnProfile) -> list[str]:
    column = part.column
    missing = f"{100 * part.missing / part.n:.1f} %" if part.missing else ""
    distinct = f"{'' if part.distinct_exact else '~'}{part.distinct:,}"
    unit = f" {column.unit}" if column.unit else ""
    return [
        column.name, column.modality, column.role, f"{part.n - part.missing:,}", missing, distinct, _values(part) + unit, column.reason,
    ]  # fmt: skip


def _values(part: ColumnProfile) -> str:
    x = part.numbers
    if x:
        middle = f", median {x['p50']:.4g}" if "p50" in x else ""
        return f"{x['min']:.4g} to {x['max']:.4g}{middle}"
    if part.dates:
        return f"{part.dates['from']} to {part.dates['to']}"
    shown = [f"{level[:24]} ({n:,})" for level, n in part.levels[:4]]
    more = part.distinct - len(shown)
    return ", ".join([*shown, *([f"{more:,} more"] if shown and more > 0 else [])])


def _findings(found: Profile, console: Console) -> None:
    if not found.findings:
        console.print("\nnothing noticed")
        return
    for severity in ("stop", "warning", "note"):
        part = [f for f in found.findings if f.severity == severity]
        if part:
            console.print(f"\n[bold {_COLOURS[severity]}]{severity}[/] ({len(part)})")
        for finding in part:
            console.print(f"  [{_COLOURS[severity]}]{finding.code}[/] {escape(finding.message)}", highlight=False)
            if finding.advice:
                console.print(f"    {escape(finding.advice)}", style="dim", highlight=False)


def _refusals(found: Profile, console: Console) -> None:
    if not found.refusals.height:
        return
    console.print("\n[bold]refused[/]")
    for line in found.refusals.head(20).iter_rows(named=True):
        where = f"column '{line['column']}': " if line["column"] else ""
        what = "rows refused" if line["action"] == "row refused" else "cells set missing"
        text = f"  {where}{line['n']:,} {what}: {line['reason']} (first in row {line['first_row']:,})"
        console.print(escape(text), highlight=False)
    if found.refusals.height > 20:
        console.print(f"  and {found.refusals.height - 20:,} more kinds")
