"""Explanations of molecules on the terminal: atoms and bonds of one row, its nearest measured molecules, matched pairs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from osler.errors import OptionError

#: Lines that are shown of atoms and bonds, and of exchanges.
MOST_PARTS, MOST_CHANGES = 10, 20


def whole(row: int | None, svg: Path | None, measured: str, pairs: bool) -> None:
    """Refuse flags that do not go together.

    Raises:
        OptionError: a drawing or neighbours without a row, or pairs with one.
    """
    if row is None and (svg is not None or measured):
        raise OptionError("--svg and --measured must come with --row, it was not given: add --row 1")
    if pairs and row is not None:
        raise OptionError("--pairs must come without --row, pairs are of a whole table: leave --row out")


def row(run: Path, path: str, number: int, asked: dict[str, str], of_molecules: tuple[str, Path | None, str]) -> None:
    """One row: its columns, then the atoms and bonds of each molecule, the drawing and the nearest measured molecules.

    Args:
        asked: method, scale and output. of_molecules: way of the atoms, file of the drawing, table of measured molecules.

    Raises:
        OptionError: something about molecules is wanted of a row without one.
    """
    from osler.cli.show_explanation import show_row
    from osler.engine.explain import chosen_rows, explain, is_molecules_alone, is_scans_alone, table_of
    from osler.engine.parts import explain_parts, molecule_columns
    from osler.engine.predict import open_predictor

    way, svg, measured = of_molecules
    predictor = open_predictor(run)
    cohort = chosen_rows(table_of(predictor, path), [number])
    if not is_molecules_alone(predictor) and not is_scans_alone(predictor):
        show_row(explain(predictor, path, rows=[number], **asked, atoms="none", heat="none"))
    names = molecule_columns(predictor) if way != "none" else []
    of_row = [explain_parts(predictor, cohort, name, way, asked["scale"], asked["output"])[0] for name in names]
    told = [one.to_json() for one in of_row if one is not None]
    if not told and (svg is not None or measured or is_molecules_alone(predictor)):
        raise OptionError("row must have a molecule that can be read to explain its atoms, this one has none: name another")
    for one in told:
        show_parts(one)
    if svg is not None:
        draw(told, svg)
        print(f"written: {svg}")
    if measured:
        from osler.engine.neighbours import measured as measured_of
        from osler.engine.neighbours import neighbours

        show_neighbours(neighbours(predictor, cohort, measured_of(predictor, measured))[0], predictor)


def draw(told: list[dict[str, Any]], path: Path) -> None:
    """The first molecule as a file, others beside it as NAME-2.svg, NAME-3.svg ..."""
    from osler.engine.files import write_atomic
    from osler.report.attribution import picture

    for i, one in enumerate(told, 1):
        figure = picture(f"molecule-{i}", one, f"What the atoms of {one['column']} add")
        target = path if i == 1 else path.with_name(f"{path.stem}-{i}{path.suffix}")
        if figure is not None:
            write_atomic(target, str(figure.svg(alone=True)).encode())


def show_parts(told: dict[str, Any]) -> None:
    """The strongest atoms and bonds with bars, and the sum."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.report.attribution import named_parts, strongest, sum_text

    names, values = named_parts(told)
    shown = strongest(values, MOST_PARTS)
    most = max((abs(v) for v in values), default=0.0) or 1.0
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "kind", "why", "lowers", "raises"):
        table.add_column(heading, justify="left" if heading in ("part", "kind", "raises") else "right")
    for i in shown:
        bar = "█" * round(18 * abs(values[i]) / most) or "▏"
        sides = ("", f"[red]{bar}[/]") if values[i] > 0 else (f"[blue]{bar}[/]", "")
        table.add_row(escape(names[i]), "atom" if i < len(told["atoms"]) else "bond", f"{values[i]:+.3f}", *sides)
    console = Console()
    of = f", class {told['output']}" if told.get("output") else ""
    console.print(f"{told['column']}: {told['smiles']}{of}", markup=False, soft_wrap=True)
    console.print(table)
    others = sum(values) - sum(values[i] for i in shown)
    console.print(f"{len(values) - len(shown)} other atoms and bonds {others:+.3f}", markup=False)
    console.print(sum_text(told), markup=False)


def show_neighbours(found: list[dict[str, Any]], predictor: Any) -> None:
    """The nearest measured molecules of one row."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    what = predictor.target[0] if predictor.task == "regression" else f"{predictor.target[0]} is {predictor.classes[1]}"
    table = Table(box=None, pad_edge=False, title=f"nearest measured molecules: {escape(what)}", title_justify="left")
    for heading in ("row", "similarity", "measured", "predicted", "molecule"):
        table.add_column(heading, justify="left" if heading == "molecule" else "right", overflow="fold")
    for one in found:
        same = " (the same molecule)" if one["same"] else ""
        table.add_row(
            str(one["row"]), f"{one['similarity']:.2f}", f"{one['measured']:.3g}", f"{one['predicted']:.3g}",
            escape(one["smiles"] + same),
        )  # fmt: skip
    Console().print(table)


def pairs(run: Path, path: str, out: Path | None) -> int:
    """Exchanges in a table; with `out` all of them as a CSV file. Exit code 1 where there is none."""
    from osler.engine.pairs import matched_pairs
    from osler.engine.predict import open_predictor

    predictor = open_predictor(run)
    found = matched_pairs(predictor, path)
    told = found.to_json(len(found.changes))
    show_changes(told, predictor.target[0])
    if out is not None and told["changes"]:
        import polars as pl

        from osler.engine.files import write_atomic
        from osler.engine.tables import defused

        write_atomic(out, defused(pl.DataFrame(told["changes"])).write_csv().encode())
        print(f"written: {out}")
    return 0 if told["changes"] else 1


def show_changes(told: dict[str, Any], target: str) -> None:
    """The clearest exchanges as a table, and how many there are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    said = f"{told['pairs']} matched pairs among {told['molecules']} molecules; {told['exchanges']} exchanges of at least 3 kept parts"
    console.print(f"{said}, {told['rare']} rarer ones left out", markup=False)
    if not told["changes"]:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("from", "to", "n", f"change of {target}", "95 %", "model"):
        table.add_column(heading, justify="left" if heading in ("from", "to") else "right", overflow="fold")
    for one in told["changes"][:MOST_CHANGES]:
        limits = f"{one['low']:+.2f} to {one['high']:+.2f}" if math.isfinite(one["low"]) else ""
        table.add_row(
            escape(one["before"]), escape(one["after"]), str(one["n"]), f"{one['mean']:+.2f}", limits, f"{one['predicted']:+.2f}"
        )
    console.print(table)
    console.print("n counts different kept parts. Intervals are one by one: among many exchanges some are far from 0 by chance.", style="dim")
