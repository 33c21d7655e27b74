"""`osler screen`: a funnel over a library of molecules."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.engine.screening.options import ScreenOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _screen(path: Path, out: Path, quiet: bool, options: Any) -> int:
    """Take a library of molecules of any size through filters, models, limits, a diverse choice and docking.

    Example: osler screen library.smi --filter pains --filter ro5 --run runs/herg --want "herg_prob_1<0.2" --out screened
    """
    from rich.console import Console
    from rich.table import Table

    from osler.engine.progress import Progress
    from osler.engine.screening.screen import screen as verb

    with Progress(quiet) as progress:
        found = verb(path, out, options, progress)
    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("molecules", justify="right")
    table.add_column("of the stage before", justify="right")
    before = 0
    for name, n in found.funnel:
        table.add_row(name, f"{n:,}", f"{100 * n / before:.1f} %" if before else "")
        before = n
    console.print(table)
    if found.facts["refused"]:
        console.print(f"{found.facts['refused']:,} entries could not be read: refused.csv says why", markup=False)
    console.print(f"written: {found.folder / 'hits.csv'}", markup=False, highlight=False)
    return 0


screen = flags_from(ScreenOptions, _screen, [
    inspect.Parameter("path", _KEYWORD, annotation=Path, default=typer.Argument(..., help="library: .smi, .csv, .tsv, .sdf, plain or packed")),
    inspect.Parameter("out", _KEYWORD, annotation=Path, default=typer.Option(..., "--out", help="folder to make")),
    inspect.Parameter("quiet", _KEYWORD, annotation=bool, default=typer.Option(False, "--quiet", help="print no progress")),
])  # fmt: skip
screen.__name__ = "screen"
