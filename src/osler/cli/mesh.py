"""`osler mesh`: surfaces of one mask or of a table of masks."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.instruments.mesh import Mesh, MeshOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _mesh(path: str, out: Path, options: Any) -> int:
    from osler.cli.show import show_findings
    from osler.cohort.read import read
    from osler.engine.files import write_atomic
    from osler.instruments import scans

    if scans.is_table(path):
        show_findings(Mesh().run(read(path), options), out)
        return 0
    found = Mesh().run(scans.files([{"mask": path}]), replace(options, kind=out.suffix[1:].lower() or options.kind))
    show_findings(found, None)
    for name, data in found.files.items():
        named = out if len(found.files) == 1 else out.with_name(f"{out.stem}_{name.rpartition('_')[2]}")
        write_atomic(named, data)
        print(f"written: {named}")
    return 0


_mesh.__doc__ = f"{Mesh.summary}\n\nExample: {Mesh.example}"
mesh = flags_from(MeshOptions, _mesh, [
    inspect.Parameter("path", _KEYWORD, annotation=str, default=typer.Argument(..., help="mask, or a table of masks")),
    inspect.Parameter("out", _KEYWORD, annotation=Path, default=typer.Option(..., "--out", help=".stl, .obj, .ply or .glb; a folder for a table")),
])  # fmt: skip
