"""Regions measured by the IBSI definitions, one line per region, or their growth between two dates: `osler measure`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters.imaging.labels import on_axes_of, same_geometry
from osler.adapters.imaging.scan import Scan, read
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import InputError, OptionError
from osler.instruments import scans
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import within
from osler.instruments.measure.features import INTENSITY, SHAPE, WHOLE
from osler.instruments.measure.growth import Lesion, compare, recist
from osler.instruments.measure.intensity import intensity_features, joint_features
from osler.instruments.measure.shape import Region, shape_features

_GROWTH_UNITS = {"mm3": "mm³", "mm": "mm", "percent": "%", "days": "d", "day": "%/d", "growth_error": "%/d"}
_GONE = Lesion(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class MeasureOptions:
    """Options of `osler measure`."""

    label: int = field(default=0, metadata={"help": "the label of the mask to measure; 0 measures each one"})
    image: str = field(default="", metadata={"help": "column of images, if the input is a table; found by modality or name"})
    mask: str = field(default="", metadata={"help": "column of masks, if the input is a table; found by modality or name"})
    bin_width: float = field(default=25.0, metadata={"help": "width of a bin for entropy and uniformity, in units of the image"})
    before: str = field(default="", metadata={"help": "mask of the first date (a file, or a column of a table): measures growth"})
    after: str = field(default="", metadata={"help": "mask of the second date, whose labels name the same lesions"})
    days: float = field(default=0.0, metadata={"help": "days between both dates"})


class Measure(Instrument):
    """Volume, surface, diameters, axes and first-order intensities of each region; growth between two dates."""

    name = "measure"
    summary = "measure marked regions: volume, surface, diameters, shape, intensities, growth"
    example = "osler measure ct.nii.gz tumour.nii.gz --out tumour.csv"
    needs = "a mask, with an image for intensities; or a table with columns of both"
    gives = "one row per region with its features; with --before and --after one row per lesion with its growth"
    extra = "imaging"
    references = (
        "Zwanenburg, Vallières, Abdalah et al.: The Image Biomarker Standardization Initiative. Radiology 2020",
        "Lorensen, Cline: Marching cubes: a high resolution 3D surface construction algorithm. SIGGRAPH 1987",
        "Eisenhauer, Therasse, Bogaerts et al.: New response evaluation criteria in solid tumours (RECIST 1.1). Eur J Cancer 2009",
        "Mehrara, Forssell-Aronsson, Ahlman, Bernhardt: Specific growth rate versus doubling time. Cancer Res 2007",
    )
    Options = MeasureOptions

    def run(self, cohort: Cohort, options: MeasureOptions) -> Findings:
        """Measure every region of every row; a row that cannot be measured keeps one line with the reason in `notes`.

        Raises:
            InputError: no row can be measured (the first reason), or an option is not what it must be.
            MissingExtraError: the extra `imaging` is not installed.
        """
        within("label", options.label, 0, 2**31 - 1)
        within("bin_width", options.bin_width, 1e-9, 1e9)
        if options.before or options.after:
            return _growth(cohort, options)
        mask = scans.needed(scans.column_of(cohort, options.mask, ("mask",), ("mask", "label", "segmentation")), "masks", "mask")
        image = scans.column_of(cohort, options.image, ("image", "volume"), ("image", "volume", "scan"), mask)
        lines: list[dict[str, Any]] = []
        failed: list[InputError] = []
        for position, (one, other) in scans.cells(cohort, mask, image):
            try:
                lines += [{"position": position, **line} for line in regions(one, other, cohort.root, options)]
            except InputError as error:
                failed.append(error)
                lines.append({"position": position, "notes": scans.refused(error)})
        return _finished(cohort, lines, failed, _facts(options, lines, image is not None), self.name)


def of_files(path: str | None, mask: str | None, options: MeasureOptions) -> tuple[Cohort, MeasureOptions]:
    """A cohort of one row from files named on the command line, and the options that fit it.

    Args:
        path: an image, or a mask if `mask` is None; None where the options name two dates.

    Raises:
        OptionError: nothing was named.
    """
    if options.before or options.after:
        dates = {"before": options.before, "after": options.after}
        return scans.files([dates]), replace(options, **{name: name if value else "" for name, value in dates.items()})
    if path is None:
        raise OptionError("something must be measured, nothing was named: give IMAGE MASK, MASK alone, a table, or --before and --after")
    return scans.files([{"mask": path} if mask is None else {"image": path, "mask": mask}]), options


def regions(mask: str | None, image: str | None, root: Path | None, options: MeasureOptions) -> list[dict[str, Any]]:
    """The features of every region of one mask, with its label.

    Raises:
        InputError: as `scans.mask_of`, `scans.labels_of` and `labels.same_geometry`.
    """
    marked = scans.mask_of(mask, root)
    labels = scans.labels_of(marked, options.label)
    scan = read(image, root, dims=3) if image else None
    if scan is not None:
        marked = on_axes_of(marked, scan)
        same_geometry(scan, marked)
    return [{"label": label, **measured(marked, label, scan, options.bin_width)} for label in labels]


def measured(mask: Scan, label: int, image: Scan | None, bin_width: float) -> dict[str, Any]:
    """The features of one region; of an image with several channels the first is measured.

    Raises:
        InputError: the image has no finite value there.
    """
    inside = mask.values[0] == label
    region = Region.of(inside, mask.affine)
    found: dict[str, Any] = shape_features(region)
    found["touches_border"] = _touches(inside)
    if image is not None:
        values = image.values[0][inside]
        found |= intensity_features(values, bin_width)
        found |= joint_features(values, region.places, found["volume_mm3"])
    return found


def _touches(mask: np.ndarray) -> bool:
    """Whether a region reaches the first or last plane of an axis, where a part of it may be missing."""
    return any(bool(np.take(mask, end, axis).any()) for axis in range(3) for end in (0, -1))


def _growth(cohort: Cohort, options: MeasureOptions) -> Findings:
    if not options.before or not options.after:
        raise OptionError("growth must have both masks, one is missing: give --before and --after")
    if not 0 < options.days <= 36_525:
        raise OptionError(f"option 'days' must be above 0 and at most 36525, was {options.days:g}: give the days between both masks")
    lines, failed, sums = [], [], []
    for position, (one, other) in scans.cells(cohort, options.before, options.after):
        try:
            before, after = lesions(one, cohort.root, options.label), lesions(other, cohort.root, options.label)
            if not before and not after:
                raise InputError("masks of two dates must mark a lesion on one of them, they mark none: check the files and --label")
            answer = recist(before, after)
        except InputError as error:
            failed.append(error)
            lines.append({"position": position, "notes": scans.refused(error)})
            continue
        sums.append(answer)
        for label in sorted({*before, *after}):
            line = compare(before.get(label, _GONE), after.get(label, _GONE), options.days)
            lines.append({"position": position, "label": label, **line, "recist": answer["category"], "notes": _caution(answer)})
    facts: dict[str, Any] = {"days": options.days, "rows_measured": len(sums), "rows_refused": len(failed)}
    if len(sums) == 1:
        facts |= sums[0]
    facts["volume_error"] = "what the volume changes by if the whole boundary lies half a voxel farther out or in"
    facts["caution"] = "the first date stands for the smallest sum on study; lymph nodes, which RECIST measures by their short axis, are not known here"
    return _finished(cohort, lines, failed, facts, "measure")


def lesions(mask: str | None, root: Path | None, label: int = 0) -> dict[int, Lesion]:
    """Label → what growth needs of it; an empty mask has none, or only the label asked for.

    Raises:
        InputError: as `scans.mask_of`.
    """
    marked = scans.mask_of(mask, root)
    held = [k for k in scans.labels_held(marked) if label in (0, k)]
    found = {k: shape_features(Region.of(marked.values[0] == k, marked.affine)) for k in held}
    return {k: Lesion(v["volume_mm3"], v["volume_error_mm3"], v["long_axis_mm"], v["pixel_mm"]) for k, v in found.items()}


def _caution(answer: dict[str, Any]) -> str:
    said = []
    if not answer["measurable"]:
        said.append("no lesion of the first date is 10 mm long: RECIST 1.1 does not measure these")
    if len(answer["within_error"]) > 1:
        said.append(f"within the error of the diameters: {' or '.join(answer['within_error'])}")
    return "; ".join(said)


def _finished(cohort: Cohort, lines: list[dict[str, Any]], failed: list[InputError], facts: dict[str, Any], step: str) -> Findings:
    """The cohort with its rows repeated for every region and the features as columns."""
    if failed and len(failed) == len(cohort):
        raise failed[0]
    out = cohort.take(np.array([line["position"] for line in lines], dtype=np.int64))
    names = list(dict.fromkeys(name for line in lines for name in line if name not in ("position", "notes")))
    for name in [*names, "notes"]:
        column = scans.free_name(cohort, "region" if name == "label" else name)
        values = pl.Series([_cell(line.get(name)) for line in lines], dtype=_kind(name))
        modality = {pl.String: "text", pl.Boolean: "boolean"}.get(_kind(name), "number")
        role = "ignore" if name in ("label", "notes", "pixel_mm", "long_axis_slice") else "input"
        out = out.with_column(values, Column(column, modality, role, _unit(name), reason="osler measure"))
    done = Step(step, len(cohort), len(lines), {k: v for k, v in facts.items() if isinstance(v, (int, float, str))})
    return Findings(Cohort(out.table, out.columns, (*out.lineage, done), out.root, out.refusals), facts)


def _kind(name: str) -> Any:
    if name in ("notes", "recist"):
        return pl.String
    if name in ("touches_border", "beyond_error"):
        return pl.Boolean
    return pl.Int64 if name in ("label", *WHOLE) else pl.Float64


def _unit(name: str) -> str:
    if name in SHAPE or name in INTENSITY:
        return (SHAPE | INTENSITY)[name][0].replace("·", "[image]")
    return _GROWTH_UNITS.get(name, _GROWTH_UNITS.get(name.rpartition("_")[2], ""))


def _cell(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_, str)) or value is None:
        return bool(value) if isinstance(value, np.bool_) else value
    return value if isinstance(value, int) else float(value) if math.isfinite(value) else None


def _facts(options: MeasureOptions, lines: list[dict[str, Any]], has_image: bool) -> dict[str, Any]:
    n = sum("label" in line for line in lines)
    facts: dict[str, Any] = {"regions": n, "rows_refused": sum("label" not in line for line in lines)}
    facts["definitions"] = "IBSI reference manual; surface by marching cubes at 0.5, in mm of the patient through the affine"
    if has_image:
        facts["bins"] = f"{options.bin_width:g} wide, beginning at multiples of that"
    cut = sum(bool(line.get("touches_border")) for line in lines)
    if cut:
        facts["caution"] = f"{cut} of {n} regions touch the border of the scan: a part may be missing"
    return facts
