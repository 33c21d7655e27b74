"""`osler targets`: what a molecule may bind."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.engine.discovery.known import Columns
from osler.engine.discovery.targets import TargetOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _targets(
    what: list[str],
    known: list[str],
    structures: list[str],
    out: Path | None,
    most: int,
    quiet: bool,
    columns: Columns,
    options: Any,
) -> int:
    """Rank targets for a molecule (SMILES, InChI or a file) by known ligands; with `train` first, read tables of known
    ligands once and judge such lists on left-out scaffolds.

    Example: osler targets "CC(=O)Oc1ccccc1C(=O)O" --known drugcentral --top 10

    Example: osler targets train assays.csv --molecule smiles --target target --affinity pki --least 6 --out
    runs/targets

    Example: osler targets new.smi --known runs/targets --out targets.csv
    """
    from osler.errors import OptionError

    if what[0] == "train":
        if out is None:
            raise OptionError("out must name a folder to write for train, it was not given: add --out FOLDER")
        return _train(what[1:] or known, structures, out, most, quiet, columns, options)
    return _rank(what, known, structures, out, columns, options)


def _train(
    tables: list[str],
    structures: list[str],
    out: Path,
    most: int,
    quiet: bool,
    columns: Columns,
    options: TargetOptions,
) -> int:
    from dataclasses import asdict

    from osler.cli.show_discovery import show_retrieval
    from osler.engine.discovery.target_folder import known_of, train
    from osler.engine.progress import Progress

    with Progress(quiet) as progress:
        known = known_of(tables, columns, structures)
        found = train(
            known, out, options, about={"tables": tables, "columns": asdict(columns)}, most=most, progress=progress
        )
    show_retrieval(found, known)
    print(f"written: {out}")
    return 0 if found.certificate["verdict"] == "clean" else 1


def _rank(
    what: list[str], known: list[str], structures: list[str], out: Path | None, columns: Columns, options: TargetOptions
) -> int:
    from osler.cli.show_discovery import show_refused, show_targets, write_rows
    from osler.engine.discovery import target_folder
    from osler.engine.discovery.molecules import asked
    from osler.engine.discovery.targets import rank

    found, bins = [asked(one) for one in what], []
    if len(known) == 1 and target_folder.is_folder(known[0]):
        pairs, scores, _ = target_folder.load(known[0])
        bins = scores["reliability"]
    else:
        pairs = target_folder.known_of(known or ["drugcentral"], columns, structures)
    rows = rank([q for queries, _ in found for q in queries], pairs, options, bins)
    show_targets(rows, pairs)
    show_refused([line for _, refused in found for line in refused])
    if out is not None:
        write_rows(rows, out)
    return 0


def _given(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, annotation=kind, default=default)


targets = flags_from(
    TargetOptions,
    lambda molecule, target, name, affinity, least, **rest: _targets(
        columns=Columns(molecule, target, name, affinity, least), **rest
    ),
    [
        _given(
            "what",
            list[str],
            typer.Argument(..., help="SMILES, InChI or files of molecules; or train, then tables of known ligands"),
        ),
        _given(
            "known",
            list[str],
            typer.Option(
                [],
                "--known",
                help="table of known ligands, folder of targets train, or drugcentral, moleculeace, davis, kiba",
            ),
        ),
        _given(
            "molecule",
            str,
            typer.Option("smiles", "--molecule", help="column of SMILES, or of names where --structures is given"),
        ),
        _given("target", str, typer.Option("target", "--target", help="column of targets")),
        _given("name", str, typer.Option("", "--name", help="column of the molecules' names")),
        _given(
            "affinity", str, typer.Option("", "--affinity", help="column of affinities; without it every line counts")
        ),
        _given("least", float, typer.Option(0.0, "--least", help="a line counts from this affinity on")),
        _given(
            "structures",
            list[str],
            typer.Option(
                [],
                "--structures",
                help="FILE:NAME_COLUMN:SMILES_COLUMN, for tables that only name molecules (may be repeated)",
            ),
        ),
        _given("out", Path | None, typer.Option(None, "--out", help="CSV file to write; folder to write (train)")),
        _given("most", int, typer.Option(2000, "--most", help="left-out molecules that are asked about (train)")),
        _given("quiet", bool, typer.Option(False, "--quiet", help="no progress (train)")),
    ],
)
targets.__name__ = "targets"
targets.__doc__ = _targets.__doc__
