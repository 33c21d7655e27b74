"""`osler verify`: is what a run says still true?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    run: Annotated[Path, typer.Argument(help="run folder")],
    data: Annotated[Path | None, typer.Option(help="the table, if it is no longer where the run found it")] = None,
) -> int:
    """Recompute a run's certificate from its artefacts, and from its table where that is at hand; exit 1 on a
    violation.

    Example: osler verify runs/heart --data patients.csv
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.engine.verify import verify as verify_verb

    certificate = verify_verb(run, data)
    colour = {"clean": "green", "violated": "red", "unknown": "yellow", "not applicable": "dim"}
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "verdict", "n", "detail"):
        table.add_column(heading, justify="right" if heading == "n" else "left", overflow="fold")
    for check in certificate.checks:
        verdict = f"[{colour[check.verdict]}]{check.verdict}[/]"
        table.add_row(escape(check.name), verdict, str(check.n), escape(check.detail))
    console = Console()
    console.print(table)
    console.print(f"unit of independence: {escape(certificate.unit)}")
    console.print(f"verdict: [{colour[certificate.verdict]}]{certificate.verdict}[/]")
    return 0 if certificate.verdict == "clean" else 1
