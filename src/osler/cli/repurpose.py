"""`osler repurpose`: known drugs for an indication."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.engine.discovery.repurpose import RepurposeOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _repurpose(
    indication: str,
    known: str,
    drug: str,
    indication_column: str,
    feature: list[str],
    structures: str,
    out: Path | None,
    options: Any,
) -> int:
    """Rank known drugs for an indication by likeness to drugs used for it; with `evaluate` in its place, judge such
    rankings on drugs whose uses are hidden. A ranking for research, no advice on treatment.

    Example: osler repurpose "rheumatoid arthritis" --top 20 --out candidates.csv

    Example: osler repurpose evaluate --leave classes

    Example: osler repurpose gout --known uses.csv --drug name --indication-column disease --feature targets.csv:gene
    """
    from osler.engine.discovery.drugs import drugcentral, from_tables

    drugs = from_tables(known, drug, indication_column, feature, structures) if known else drugcentral(options.with_use)
    return _evaluate(drugs, out, options) if indication == "evaluate" else _rank(indication, drugs, out, options)


def _rank(indication: str, drugs: Any, out: Path | None, options: RepurposeOptions) -> int:
    from osler.cli.show_discovery import show_drugs, write_rows
    from osler.engine.discovery.repurpose import rank

    rows = rank(indication, drugs, options)
    show_drugs(rows, drugs)
    if out is not None:
        write_rows(rows, out)
    return 0


def _evaluate(drugs: Any, out: Path | None, options: RepurposeOptions) -> int:
    from osler.cli.show_discovery import show_judged
    from osler.engine.discovery.repurpose import judge
    from osler.engine.files import write_json

    found = judge(drugs, options)
    show_judged(found)
    if out is not None:
        write_json(out, {"scores": found.scores, "certificate": found.certificate, "facts": found.facts})
        print(f"written: {out}")
    return 0 if found.certificate["verdict"] == "clean" else 1


def _given(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, annotation=kind, default=default)


repurpose = flags_from(
    RepurposeOptions,
    _repurpose,
    [
        _given("indication", str, typer.Argument(..., help="an indication of the table, or evaluate")),
        _given(
            "known",
            str,
            typer.Option(
                "", "--known", help="table of drugs and what they are used for; default DrugCentral of the catalogue"
            ),
        ),
        _given("drug", str, typer.Option("drug", "--drug", help="column of drugs, in all of your tables")),
        _given(
            "indication_column", str, typer.Option("indication", "--indication-column", help="column of indications")
        ),
        _given(
            "feature",
            list[str],
            typer.Option(
                [], "--feature", help="FILE:COLUMN by which drugs are alike, such as targets.csv:gene (may be repeated)"
            ),
        ),
        _given("structures", str, typer.Option("", "--structures", help="FILE:COLUMN of SMILES")),
        _given("out", Path | None, typer.Option(None, "--out", help="CSV file to write; JSON file (evaluate)")),
    ],
)
repurpose.__name__ = "repurpose"
