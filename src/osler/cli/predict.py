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
    """Prediction columns, intervals and in/out of domain for every row of a table.

    Example: osler predict runs/heart new_patients.csv --out answers.csv
    """
    from rich.console import Console

    from osler.engine.predict import predict as predict_verb
    from osler.engine.tables import write_table

    answered = predict_verb(run, path)
    names = [c.name for c in answered.role("prediction")]
    inside = int(answered.table["in_domain"].sum())
    console = Console()
    console.print(
        f"{len(answered)} rows answered, {inside} in domain, {answered.refusals.height} cells or rows refused"
    )
    if out is None:
        print(answered.table.select(["_row", *names]).head(20).write_csv(), end="")
        return 0
    for written in write_table(answered, out):
        console.print(f"written: {written}", markup=False)
    return 0
