"""`osler export`: a predictor as ONNX or as an MLflow model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a predictor folder")],
    format: Annotated[str, typer.Option(help="onnx or mlflow")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="file (onnx) or folder (mlflow); without it model.onnx joins the predictor's folder"),
    ] = None,
) -> int:
    """Write a predictor as one ONNX file, or as a folder for `mlflow models serve`; checked against Python before it
    is kept.

    Example: osler export runs/heart --format onnx --out heart.onnx
    """
    from osler.engine.deploy import export as export_verb

    written = export_verb(run, format, out)
    size = (
        written.stat().st_size
        if written.is_file()
        else sum(p.stat().st_size for p in written.rglob("*") if p.is_file())
    )
    print(f"written: {written} ({size} bytes)")
    return 0
