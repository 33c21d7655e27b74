"""One command per instrument, made from its Options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
#: Instruments whose commands take single files as well as a table.
OF_FILES = {
    "measure": "osler.cli.measure:measure",
    "mesh": "osler.cli.mesh:mesh",
    "quality": "osler.cli.quality:quality",
}


def command_of(name: str) -> Callable[..., Any]:
    """The command of an instrument: reads a table, runs it, prints facts and a table, writes it if asked."""
    from osler import instruments
    from osler.registry import load

    if name in OF_FILES:
        return load(OF_FILES, "commands", name)

    tool = instruments.get(name)

    def body(path: str, out: Path | None, options: Any) -> int:
        from osler.cli.show import show_findings
        from osler.cohort.read import read

        show_findings(tool.run(read(path), options), out)
        return 0

    body.__doc__ = f"{tool.summary}\n\nExample: {tool.example}"
    body.__name__ = name
    before = [
        inspect.Parameter("path", _KEYWORD, annotation=str, default=typer.Argument(..., help="table")),
        inspect.Parameter(
            "out",
            _KEYWORD,
            annotation=Path | None,
            default=typer.Option(None, "--out", help="CSV or Parquet file, or a folder for figures too"),
        ),
    ]
    return flags_from(tool.Options, body, before)
