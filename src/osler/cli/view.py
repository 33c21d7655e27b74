"""`osler view`: a page that shows a scan with its mask, heat map and surface, for any browser, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    scan: Annotated[str, typer.Argument(help="picture or volume: NIfTI, NRRD, MetaImage, DICOM file or folder, PNG ...")],
    out: Annotated[Path, typer.Option(help="HTML file to write")],
    mask: Annotated[str, typer.Option(help="mask of the scan")] = "",
    heat: Annotated[str, typer.Option(help="heat map of the scan, as osler explain --overlay writes it")] = "",
    mesh: Annotated[str, typer.Option(help="surface: .stl, .obj, .ply or .glb, as osler mesh writes it")] = "",
    axes: Annotated[str, typer.Option(help="axes of the surface: lps or ras")] = "lps",
    title: Annotated[str, typer.Option(help="line at the top; default the file's name")] = "",
) -> int:
    """One HTML file with sliders for slice, window, opacity and threshold; all data are inside and nothing is fetched.

    Example: osler view ct.nii.gz --mask liver.nii.gz --mesh liver.stl --out liver.html
    """
    from osler.engine.files import write_atomic
    from osler.report import viewer

    shown = viewer.case_of_files(scan, mask, heat, mesh, axes)
    page = viewer.page(title or shown.name, [shown])
    write_atomic(out, page.encode("utf-8"))
    print(f"written: {out} ({len(page.encode('utf-8')) / 2**20:.1f} MiB)")
    for layer in shown.layers:
        print(f"  {', '.join(one.name for one in layer.labels if one.name) or layer.words}")
    return 0
