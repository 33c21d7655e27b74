"""Explanations on the terminal: bars for one row, CSV for many, changes for a counterfactual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osler.errors import OptionError


def whole(counterfactual: bool, row: int | None, want: float | None, limit: list[str] | None) -> None:
    """Refuse flags that do not go together.

    Raises:
        OptionError: a flag lacks its partner, or a limit is not COLUMN=DIRECTION.
    """
    if counterfactual and (row is None or want is None):
        raise OptionError("--counterfactual must come with --row and --want, one is missing: add --row 1 --want 0.2")
    if not counterfactual and (want is not None or limit):
        raise OptionError("--want and --limit must come with --counterfactual, it was not given: add it")
    for part in limit or []:
        if "=" not in part:
            raise OptionError(f"--limit must be COLUMN=up, down, fixed or free, was '{part}'")


def show_row(explained: Any) -> None:
    """One row's columns by size, with bars to the left and right of zero."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    line = explained.table.row(0, named=True)
    why = {name[4:]: value for name, value in line.items() if name.startswith("why:")}
    most = max((abs(v) for v in why.values()), default=0.0) or 1.0
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "value", "why", "lowers", "raises"):
        table.add_column(heading, justify="left" if heading in ("column", "raises") else "right", overflow="fold")
    for name, value in sorted(why.items(), key=lambda item: -abs(item[1])):
        bar = "█" * round(18 * abs(value) / most) or "▏"
        cell = "missing" if line.get(name) is None else _short(line[name])
        sides = ("", f"[red]{bar}[/]") if value > 0 else (f"[blue]{bar}[/]", "")
        table.add_row(escape(name), escape(cell), f"{value:+.3f}", *sides)
    console = Console()
    of = f", class {line['why_output']}" if line.get("why_output") else ""
    console.print(f"scale: {line['why_scale']}{of}", markup=False)
    console.print(f"on average {line['why_base']:+.3f}, this row {line['why_prediction']:+.3f}", markup=False)
    console.print(table)
    console.print(_sum(line), markup=False)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _sum(line: dict[str, Any]) -> str:
    if line.get("why_fit") is not None:
        return f"local line: it follows the model with R2 {line['why_fit']:.2f}; its slopes need not add up"
    sums = "adds up to the prediction" if line["why_adds_up"] else "does NOT add up to the prediction"
    error = line.get("why_error")
    return f"{sums}; standard error by sampling at most {error:.3g}" if error else sums


def show_many(explained: Any, printed: bool) -> None:
    """How many rows, and with `printed` the first twenty as CSV."""
    from osler.engine.tables import defused

    hidden = ("why_smiles:", "why_atoms:", "why_bonds:")  # a molecule is a cell of the table: in files only
    names = [c.name for c in explained.role("prediction") if not c.name.startswith(hidden)]
    adding = int(explained.table["why_adds_up"].sum()) if "why_adds_up" in names else 0
    print(f"{len(explained)} rows explained, {adding} add up to their prediction within 1e-6")
    if printed:
        print(defused(explained.table.select(["_row", *names]).head(20)).write_csv(), end="")


def show_counterfactuals(found: dict[str, Any]) -> None:
    """The changes of each answer, what was held, and how wide the search was."""
    from rich.console import Console

    console = Console()
    word = "probability" if found["scale"] == "probability" else "prediction"
    console.print(f"row {found['row']}: {word} {found['prediction']:.3f}, wanted {found['want']:g}", markup=False)
    for i, answer in enumerate(found["answers"], 1):
        moves = ", ".join(f"{m['column']} {_short(m['from'])} → {_short(m['to'])}" for m in answer["changes"])
        console.print(f"  {i}. {moves}: {word} {answer['prediction']:.3f}", markup=False)
    if found["message"]:
        console.print(found["message"], markup=False)
    for name, reason in found["held"].items():
        console.print(f"  held: {name} ({reason})", markup=False, style="dim")
    console.print(f"searched: {found['search']}.", markup=False, style="dim")
    console.print("This is what the model would answer, not what would happen.", markup=False, style="dim")


def counterfactual(run: Path, path: str, row: int, want: float | None, limit: list[str] | None) -> int:
    """Print what would change the answer for a row; 0 where something does, 1 where nothing was found."""
    from osler.engine.counterfactuals import counterfactuals

    limits = dict(part.rpartition("=")[::2] for part in limit or [])
    found = counterfactuals(run, path, row, want, limits=limits)
    show_counterfactuals(found)
    return 0 if found["answers"] else 1
