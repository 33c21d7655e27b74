"""`osler predict`: answers for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="run folder, or a predictor folder")],
    path: Annotated[str, typer.Argument(help="table of new rows")],
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file to write")] = None,
) -> int:
    """Prediction columns, intervals and in/out of domain for every row of a table. Files of molecules are answered block
    by block, whatever their size.

    Example: osler predict runs/heart new_patients.csv --out answers.csv
    """
    from rich.console import Console

    from osler.engine.predict import open_predictor
    from osler.engine.predict import predict as predict_verb
    from osler.engine.progress import Progress
    from osler.engine.stream import can_stream, predict_stream
    from osler.engine.tables import write_table

    predictor, console = open_predictor(run), Console()
    if can_stream(predictor, path) and (out is None or out.suffix):
        with Progress() as progress:
            found = predict_stream(predictor, path, out, progress)
        n, inside, refused, first = found.rows, found.inside, found.refused, found.first
        head, written = found.head.select(["_row", *found.names]), [out] if out else []
    else:
        answered = predict_verb(predictor, path)
        n, inside = len(answered), int(answered.table["in_domain"].sum())
        refused, first = answered.refusals.height, answered.refusals
        head = answered.table.select(["_row", *(c.name for c in answered.role("prediction"))]).head(20)
        written = [] if out is None else write_table(answered, out)
    console.print(f"{n} rows answered, {inside} in domain, {refused} cells or rows refused")
    for row in first.head(5).iter_rows(named=True):
        console.print(f"  row {row['row']}: {row['column'] or 'the whole row'}: {row['reason']}", markup=False, highlight=False)
    if out is None:
        print(head.write_csv(), end="")
    for one in written:
        console.print(f"written: {one}", markup=False)
    return 0
