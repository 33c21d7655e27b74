"""`osler data`: the catalogue of public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def data(
    action: Annotated[str, typer.Argument(help="list, get or where")] = "list",
    name: Annotated[str, typer.Argument(help="a data set's name (for get), or part of one (for list)")] = "",
    out: Annotated[Path | None, typer.Option(help="folder that `get` copies the file to")] = None,
    network: Annotated[
        bool, typer.Option("--network", help="allow `get` to fetch from the official address")
    ] = False,
) -> None:
    """List public data sets, get one (its SHA-256 checked), or say where they are looked for.

    Example: osler data get heart_cleveland --out .
    """
    from osler.errors import OptionError, nearest

    actions = {"list": _list, "get": _get, "where": _where}
    if action not in actions:
        raise OptionError(f"action must be list, get or where, was '{action}': {nearest(action, actions)}")
    actions[action](name, out, network)


def _list(name: str, out: Path | None, network: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from osler import catalogue

    table = Table("name", "domain", "rows", "here", "task", "licence")
    for entry in catalogue.entries():
        if name in entry.name:
            here = "yes" if catalogue.locate(entry) else ""
            table.add_row(entry.name, entry.domain, f"{entry.rows:,}", here, entry.task, entry.licence)
    Console().print(table)


def _get(name: str, out: Path | None, network: bool) -> None:
    import shutil

    from osler import catalogue
    from osler.catalogue.recipes import RECIPES

    known = catalogue.entry(name)
    path = catalogue.path(name, allow_network=network)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        path = Path(shutil.copyfile(path, out / path.name))
    typer.echo(path)
    note = RECIPES[name].note if name in RECIPES else ""
    typer.echo(f"{known.title}. Licence: {known.licence}. {note}".rstrip(), err=True)


def _where(name: str, out: Path | None, network: bool) -> None:
    from osler import catalogue

    for what, folder in [*catalogue.packages(), *catalogue.folders()]:
        typer.echo(f"{what}\t{folder}\t{'found' if folder.is_dir() else 'absent'}")
