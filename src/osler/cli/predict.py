"""`osler predict`: answers for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="run folder, or a predictor folder")],
    path: Annotated[str, typer.Argument(help="table of new rows, or a folder of scans")],
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file to write; for masks and boxes the folder of their files")] = None,
    masks: Annotated[str, typer.Option(help="files of masks: nifti (PNG of pictures), or seg: DICOM segmentations of scans in DICOM")] = "nifti",
) -> int:
    """Prediction columns, intervals and in/out of domain for every row of a table. Files of molecules are answered block
    by block, whatever their size. A run that draws writes one mask per scan, under the scan's name, and answers.csv.

    Example: osler predict runs/heart new_patients.csv --out answers.csv
    """
    from rich.console import Console

    from osler.engine.predict import open_predictor
    from osler.engine.predict import predict as predict_verb
    from osler.engine.progress import Progress
    from osler.engine.stream import can_stream, predict_stream
    from osler.engine.tables import write_table
    from osler.errors import OptionError
    from osler.tasks import DRAWN

    predictor, console = open_predictor(run), Console()
    if predictor.task in DRAWN and out is not None:
        return _drawn(predictor, path, out, masks, console)
    if masks != "nifti":
        raise OptionError("--masks says how masks are written to files, there are none here: it goes with --out FOLDER and a run that draws masks")
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


def _drawn(predictor: Any, path: str, out: Path, masks: str, console: Any) -> int:
    """Masks or boxes as files of a folder, and what was found in how much of it."""
    from osler.engine.predict import read_for
    from osler.engine.progress import Progress
    from osler.engine.scenes.predict import predict_files

    with Progress() as progress:
        found = read_for(predictor, path)
        answered = predict_files(predictor, found, out, progress, masks)
    refused = answered.table[f"{predictor.target[0]}_refused"]
    unread = found.refusals.filter(found.refusals["action"] == "row refused").select("row", "reason").rows()
    scans = len(answered) + len(unread)
    console.print(f"{refused.null_count()} of {scans} scans answered, {int(answered.table['in_domain'].sum())} in domain")
    for row, why in sorted([*unread, *zip(answered.rows.tolist(), refused.to_list())]):
        if why is not None:
            console.print(f"  row {row}: {why}", markup=False, highlight=False)
    console.print(f"written: {out / 'answers.csv'} and {refused.null_count()} files beside it", markup=False, highlight=False, soft_wrap=True)
    return 0
