"""What may be wrong with scans: noise, blur, motion, ghosts, cut fields of view, clipping, thick slices: `osler quality`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.adapters.imaging.scan import read
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import InputError
from osler.instruments import scans
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import within
from osler.instruments.quality.indices import INDICES, THRESHOLDS, indices, judged
from osler.instruments.quality.sheet import sheet, thumbnail

_WHOLE = ("slices", "rows", "columns")


@dataclass(frozen=True)
class QualityOptions:
    """Options of `osler quality`."""

    image: str = field(default="", metadata={"help": "column of images, if the input is a table; found by modality or name"})
    pictures: int = field(default=60, metadata={"help": "most thumbnails on the contact sheet; 0 makes none"})


class Quality(Instrument):
    """Indices of noise, sharpness, motion, field of view and clipping per scan, findings by stated heuristics, a contact sheet."""

    name = "quality"
    summary = "look for noise, blur, motion, cut or clipped scans before they are used"
    example = "osler quality scans/*.nii.gz --out quality"
    needs = "pictures or volumes, or a table with a column of them"
    gives = "one column per index, 'quality_findings' and 'notes'; a contact sheet"
    extra = "imaging"
    references = (
        "Immerkær: Fast noise variance estimation. Comput Vis Image Underst 1996",
        "Otsu: A threshold selection method from gray-level histograms. IEEE Trans Syst Man Cybern 1979",
        "American College of Radiology: Large and medium phantom test guidance for the MRI accreditation program (percent-signal ghosting)",
    )
    Options = QualityOptions

    def run(self, cohort: Cohort, options: QualityOptions) -> Findings:
        """Work out every index of every scan; a scan that cannot be read keeps its line with the reason in `notes`.

        Raises:
            InputError: no scan can be read (the first reason), or an option is not what it must be.
            MissingExtraError: the extra `imaging` is not installed.
        """
        within("pictures", options.pictures, 0, 1000)
        column = scans.needed(scans.column_of(cohort, options.image, ("image", "volume"), ("image", "volume", "scan")), "scans", "image")
        lines: list[dict[str, Any]] = []
        pictures: list[tuple[int, np.ndarray, list[str]]] = []
        failed: list[InputError] = []
        for (_, (reference,)), row in zip(scans.cells(cohort, column), cohort.rows.tolist(), strict=True):
            try:
                if reference is None:
                    raise InputError("a row must name its scan, it names none: fill in the cell")
                scan = read(reference, cohort.root)
            except InputError as error:
                failed.append(error)
                lines.append({"notes": scans.refused(error)})
                continue
            found = indices(scan)
            words = judged(found)
            lines.append({**found, "quality_findings": "; ".join(f"{t.word}: {t.sentence}" for t in words)})
            if len(pictures) < options.pictures:
                pictures.append((row, thumbnail(scan), [t.word for t in words]))
        if failed and len(failed) == len(cohort):
            raise failed[0]
        figures = {"contact_sheet": sheet(pictures)} if pictures else {}
        return Findings(_with_indices(cohort, lines), _facts(lines), figures)


def _with_indices(cohort: Cohort, lines: list[dict[str, Any]]) -> Cohort:
    out = cohort
    for name in ("quality_findings", "notes", *INDICES):
        kind = pl.Int64 if name in _WHOLE else pl.Float64 if name in INDICES else pl.String
        values = [v if not isinstance(v := line.get(name), float) or math.isfinite(v) else None for line in lines]
        role, modality = ("input", "number") if name in INDICES else ("ignore", "text")
        unit = INDICES.get(name, ("",))[0]
        column = Column(scans.free_name(cohort, name), modality, role, unit, reason="osler quality")
        out = out.with_column(pl.Series(values, dtype=kind), column)
    step = Step("quality", len(cohort), len(cohort), {})
    return Cohort(out.table, out.columns, (*out.lineage, step), out.root, out.refusals)


def _facts(lines: list[dict[str, Any]]) -> dict[str, Any]:
    said = [line["quality_findings"] for line in lines if "quality_findings" in line]
    counts = {t.word: sum(f"{t.word}:" in text for text in said) for t in THRESHOLDS}
    return {
        "scans": len(said), "scans_refused": len(lines) - len(said), "with_findings": sum(bool(text) for text in said),
        "findings": {word: n for word, n in counts.items() if n},
        "caution": "thresholds are heuristics that fit no modality exactly: look at what is framed on the contact sheet",
    }  # fmt: skip
