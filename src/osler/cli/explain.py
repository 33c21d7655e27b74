"""`osler explain`: why an answer is what it is, what would change it, and what other molecules say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[Path, typer.Argument(help="run folder, or a predictor folder")],
    path: Annotated[str, typer.Argument(help="table of rows")],
    row: Annotated[int | None, typer.Option(help="one row by its number (1 = first data row), with bars")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file to write")] = None,
    method: Annotated[str, typer.Option(help="shapley, kernel (shap library) or lime")] = "shapley",
    scale: Annotated[str, typer.Option(help="auto, log-odds, log-hazard, probability or mean")] = "auto",
    output: Annotated[str, typer.Option(help="class or label; default the predicted one")] = "",
    counterfactual: Annotated[
        bool, typer.Option("--counterfactual", help="the nearest changes of --row that lead to --want")
    ] = False,
    want: Annotated[float | None, typer.Option(help="wanted probability, or wanted mean")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="COLUMN=up|down|fixed|free (may be repeated)")] = None,
    atoms: Annotated[
        str, typer.Option(help="atoms and bonds of molecules: auto, shapley, gradients, masking or none")
    ] = "auto",
    svg: Annotated[Path | None, typer.Option(help="SVG file to write: the molecule of --row, coloured")] = None,
    heat: Annotated[
        str, typer.Option(help="maps of pictures and volumes: auto, gradients, smooth, path-cam, fused, layer-cam, grad-cam, grad-cam++, occlusion or none")
    ] = "auto",
    overlay: Annotated[
        Path | None, typer.Option(help="PNG file to write: the scan of --row with its map; of a volume also the map as NAME.nii.gz")
    ] = None,
    mask: Annotated[str, typer.Option(help="mask of the scan of --row, a file: how much of the map is inside")] = "",
    measured: Annotated[
        str, typer.Option(help="table of measured molecules: the nearest to --row, with their values")
    ] = "",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="matched pairs of the table: what exchanging one part did to the target")
    ] = False,
) -> int:
    """Attributions of every column that add up to each prediction; with --counterfactual what would have to differ; of
    molecules the atoms and bonds, the nearest measured ones, and matched pairs; of pictures and volumes a heat map.

    Example: osler explain runs/heart new_patients.csv --row 3
    """
    from osler.cli import show_atoms, show_explanation, show_heat

    show_explanation.whole(counterfactual, row, want, limit)
    show_atoms.whole(row, svg, measured, pairs)
    show_heat.whole(row, overlay, mask)
    if pairs:
        return show_atoms.pairs(run, path, out)
    if counterfactual:
        return show_explanation.counterfactual(run, path, row, want, limit)
    asked = {"method": method, "scale": scale, "output": output}
    if row is not None:
        show_atoms.row(run, path, row, asked, (atoms, svg, measured))
        show_heat.row(run, path, row, (heat, output), (overlay, mask))
    return _table(run, path, row, out, {**asked, "atoms": atoms, "heat": heat})


def _table(run: Path, path: str, row: int | None, out: Path | None, asked: dict[str, str]) -> int:
    """The attributions of all rows, printed or written, or those of one row written where a file is named."""
    from osler.cli.show_explanation import show_many
    from osler.engine.explain import explain as explain_verb
    from osler.engine.tables import write_table

    if row is None or out is not None:
        ways = {k: "" if row is None and asked[k] == "auto" else asked[k] for k in ("atoms", "heat")}
        answered = explain_verb(run, path, rows=None if row is None else [row], **{**asked, **ways})
    if row is None:
        show_many(answered, printed=out is None)
    for written in [] if out is None else write_table(answered, out):
        print(f"written: {written}")
    return 0
