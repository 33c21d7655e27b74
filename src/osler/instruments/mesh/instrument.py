"""Surfaces of marked regions in millimetres of the patient: `osler mesh`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters.imaging.scan import Scan
from osler.adapters.skimage_surface import surface
from osler.adapters.trimesh_files import KINDS, Body, checked, written
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import InputError
from osler.instruments import scans
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import one_of, within
from osler.instruments.mesh.decimate import decimated
from osler.instruments.mesh.smooth import enclosed, holding_volume, smoothed

#: Colours of labels, in turn (Okabe and Ito's, which most colour-blind people can tell apart).
COLOURS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66), (204, 121, 167), (86, 180, 233), (230, 159, 0))
_COLUMNS = {
    "row": pl.Int64, "region": pl.Int64, "file": pl.String, "vertices": pl.Int64, "faces": pl.Int64, "volume_mm3": pl.Float64,
    "volume_change_percent": pl.Float64, "watertight": pl.Boolean, "outward": pl.Boolean, "notes": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class MeshOptions:
    """Options of `osler mesh`."""

    label: int = field(default=0, metadata={"help": "the label of the mask to mesh; 0 meshes each one"})
    mask: str = field(default="", metadata={"help": "column of masks, if the input is a table; found by modality or name"})
    smooth: int = field(default=10, metadata={"help": "steps of smoothing; 0 keeps the voxels' corners"})
    faces: int = field(default=0, metadata={"help": "most faces of one surface; 0 keeps all"})
    kind: str = field(default="stl", metadata={"help": "stl, obj, ply or glb; of a single mask the ending of --out says it"})
    axes: str = field(default="lps", metadata={"help": "lps (as DICOM: left, posterior, superior) or ras (right, anterior, superior)"})


class Mesh(Instrument):
    """One watertight surface per region, smoothed without losing volume, with as few faces as wanted."""

    name = "mesh"
    summary = "make surfaces of marked regions for viewers and printers"
    example = "osler mesh tumour.nii.gz --faces 20000 --out tumour.stl"
    needs = "a mask, or a table with a column of masks"
    gives = "STL, OBJ, PLY or GLB files in mm of the patient, and one row per surface with its checks"
    extra = "imaging"
    references = (
        "Lorensen, Cline: Marching cubes: a high resolution 3D surface construction algorithm. SIGGRAPH 1987",
        "Taubin: A signal processing approach to fair surface design. SIGGRAPH 1995",
        "Garland, Heckbert: Surface simplification using quadric error metrics. SIGGRAPH 1997",
    )
    Options = MeshOptions

    def run(self, cohort: Cohort, options: MeshOptions) -> Findings:
        """Mesh every region of every row; a row without a mask keeps one line with the reason in `notes`.

        Raises:
            InputError: no row can be meshed (the first reason), or an option is not what it must be.
            MissingExtraError: the extra `imaging` is not installed.
        """
        _check(options)
        column = scans.needed(scans.column_of(cohort, options.mask, ("mask",), ("mask", "label", "segmentation")), "masks", "mask")
        lines: list[dict[str, Any]] = []
        files: dict[str, str | bytes] = {}
        failed: list[InputError] = []
        for (_, (reference,)), row in zip(scans.cells(cohort, column), cohort.rows.tolist(), strict=True):
            try:
                found, made = _of_row(row, reference, cohort.root, options)
                lines += found
                files |= made
            except InputError as error:
                failed.append(error)
                lines.append({"row": row, "notes": scans.refused(error)})
        if failed and len(failed) == len(cohort):
            raise failed[0]
        table = pl.DataFrame([{"notes": "", **line} for line in lines], schema=_COLUMNS)
        columns = tuple(Column(c, _modality(k), "prediction") for c, k in _COLUMNS.items())
        facts = {"surfaces": len(lines) - len(failed), "rows_refused": len(failed), "axes": f"{options.axes}, mm of the patient"}
        step = Step("mesh", len(cohort), table.height, {"smooth": options.smooth, "faces": options.faces})
        return Findings(Cohort(table, columns, (*cohort.lineage, step)), facts, files=files)


def _check(options: MeshOptions) -> None:
    within("label", options.label, 0, 2**31 - 1)
    within("smooth", options.smooth, 0, 200)
    within("faces", options.faces, 0, 10**9)
    one_of("kind", options.kind, KINDS)
    one_of("axes", options.axes, ("lps", "ras"))


def _of_row(row: int, reference: str | None, root: Path | None, options: MeshOptions) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    mask = scans.mask_of(reference, root)
    bodies, lines = [], []
    for label in scans.labels_of(mask, options.label):
        body, line = meshed(mask, label, options)
        name = f"row{row}.glb" if options.kind == "glb" else f"row{row}_label{label}.{options.kind}"
        bodies.append(body)
        lines.append({"row": row, "region": label, "file": name, **line})
    if options.kind == "glb":
        return lines, {lines[0]["file"]: written(bodies, "glb")}
    return lines, {line["file"]: written([body], options.kind) for line, body in zip(lines, bodies, strict=True)}


def meshed(mask: Scan, label: int, options: MeshOptions) -> tuple[Body, dict[str, Any]]:
    """The surface of one region in mm of the patient, and its line: counts, volume, its change by smoothing and decimation, checks."""
    corners, faces = surface(mask.values[0] == label)
    to_mm = mask.affine if options.axes == "lps" else np.diag([-1.0, -1.0, 1.0, 1.0]) @ mask.affine
    vertices = corners @ to_mm[:3, :3].T + to_mm[:3, 3]
    if np.linalg.det(to_mm[:3, :3]) < 0:
        faces = faces[:, ::-1]
    volume = enclosed(vertices, faces)
    vertices = smoothed(vertices, faces, options.smooth)
    if options.faces and len(faces) > options.faces:
        vertices, faces = decimated(vertices, faces, max(4, options.faces))
        vertices = holding_volume(vertices, faces, volume)
    last = enclosed(vertices, faces)
    checks = checked(vertices, faces)
    notes = [] if checks["watertight"] else ["the surface is not watertight"]
    if options.faces and len(faces) > options.faces:
        notes.append("no further edge could go without a hole or a fold")
    line = {
        "vertices": len(vertices), "faces": len(faces), "volume_mm3": last, "volume_change_percent": 100 * (last / volume - 1),
        "watertight": checks["watertight"], "outward": checks["outward"], "notes": "; ".join(notes),
    }  # fmt: skip
    return Body(f"label {label}", vertices, faces, COLOURS[(label - 1) % len(COLOURS)]), line


def _modality(kind: Any) -> str:
    return "text" if kind == pl.String else "boolean" if kind == pl.Boolean else "number"
