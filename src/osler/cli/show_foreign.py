"""What `osler evaluate predictions.csv` prints: how columns were taken, scores, differences, subgroups."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from osler.cli.show import SHOWN, number, show_scores


def show_foreign(found: dict[str, Any], console: Console | None = None) -> None:
    """Notes, rows left out, scores of each model, differences from the first, the main score per subgroup.

    Args:
        found: as `osler.evaluation.foreign.evaluate_predictions` returns it.
        console: where to print; a new one if None.
    """
    console = console or Console()
    for line in found["notes"]:
        console.print(f"{line[:1].upper()}{line[1:]}.", markup=False, highlight=False)
    console.print(f"{found['n']} rows scored, {found['units']} units", highlight=False)
    for entry in found["refused"]:
        n = len(entry["rows"])
        console.print(
            f"{n} {'row' if n == 1 else 'rows'} left out: {entry['reason']}", markup=False, highlight=False
        )
    console.print()
    show_scores({**found["scores"], "chosen": None}, found["task"], console)
    _differences(found, console)
    _subgroups(found, console)


def _differences(found: dict[str, Any], console: Console) -> None:
    if not found["comparison"]:
        return
    first = found["scores"]["chosen"]
    table = Table(
        title=escape(f"difference from {first} (same resamples)"),
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("model", max_width=22, overflow="fold")
    fits = max(1, (console.width - 22) // 31)
    names = [n for n in SHOWN[found["task"]] if any(n in m for m in found["comparison"].values())][:fits]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
        table.add_column("p", justify="right", no_wrap=True)
    for model, metrics in found["comparison"].items():
        cells = [cell for n in names for cell in (number(metrics.get(n)), _p_value(metrics.get(n)))]
        table.add_row(escape(model), *cells)
    console.print(table)
    console.print()


def _p_value(entry: dict[str, Any] | None) -> str:
    value = (entry or {}).get("p_delong", (entry or {}).get("p_value"))
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _subgroups(found: dict[str, Any], console: Console) -> None:
    name = SHOWN[found["task"]][0]
    for column, by_model in found["subgroups"].items():
        table = Table(
            title=escape(f"{name.replace('_', ' ')} by {column}"),
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        table.add_column("group")
        table.add_column("n", justify="right")
        for model in by_model:
            table.add_column(escape(model), justify="right", no_wrap=True)
        for levels in zip(*by_model.values()):
            shown = [
                "hidden: few" if level["hidden"] else number(level["scores"].get(name)) for level in levels
            ]
            table.add_row(
                escape(str(levels[0]["group"])), "" if levels[0]["hidden"] else str(levels[0]["n"]), *shown
            )
        console.print(table)
        console.print()
