"""`osler next`: what to make or measure next."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.engine.acquire.propose import NextOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _next(run: Path, pool: Path, out: Path | None, options: Any) -> int:
    """Choose a batch of molecules that a run's model finds worth measuring, not all alike, each with its reason.

    Example: osler next runs/potency pool.smi --batch 24 --strategy ei --out order.csv
    """
    from rich.console import Console

    from osler.engine.acquire.propose import propose
    from osler.engine.files import write_atomic
    from osler.engine.tables import defused

    found = propose(run, pool, options)
    console = Console()
    for name, value in found.facts.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, highlight=False, soft_wrap=True)
    for number, row in enumerate(found.batch.iter_rows(named=True), 1):
        console.print(f"{number:>3}  {row['name'] or row['place']}  {row['smiles']}\n     {row['why']}", markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        write_atomic(out, defused(found.batch).write_csv().encode())
        console.print(f"written: {out}", markup=False, highlight=False, soft_wrap=True)
    return 0


propose_next = flags_from(NextOptions, _next, [
    inspect.Parameter("run", _KEYWORD, annotation=Path, default=typer.Argument(..., help="run folder")),
    inspect.Parameter("pool", _KEYWORD, annotation=Path, default=typer.Argument(..., help="molecules that could be measured: .smi, .csv, .sdf")),
    inspect.Parameter("out", _KEYWORD, annotation=Path | None, default=typer.Option(None, "--out", help="CSV file to write")),
])  # fmt: skip
