"""Drawn masks as DICOM segmentations of the series that they were drawn on: every class is a segment, numbered as the class, found or not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from osler.adapters.imaging import scan
from osler.adapters.imaging.dicom_results import Algorithm, Code, code_of, source_of
from osler.adapters.imaging.dicom_seg_write import segmentation
from osler.cohort.cohort import Cohort
from osler.errors import InputError, OptionError
from osler.modalities.image import texts_of
from osler.scenes import Asked

#: What `osler predict --masks` may be.
FORMS = ("nifti", "seg")
#: Names of classes that say nothing without what they are of.
BARE = ("1", "1.0", "true", "yes", "y", "positive", "present")


def meanings_of(asked: Asked, target: str, drawn: np.ndarray) -> dict[int, Code]:
    """Code in a drawing → what it means: every class, in the drawing or not; of things apart each that is there.

    Args:
        target: the name of the target column, which stands for a class whose name is a bare "1" or "yes".
    """
    if asked.instances:
        return {int(k): code_of(f"{target} {int(k)}") for k in np.unique(drawn) if k}
    return {k: code_of(target if str(c).lower() in BARE else str(c)) for k, c in enumerate(asked.classes) if k}


def algorithm_of(target: str) -> Algorithm:
    """Who drew."""
    return Algorithm(f"osler {target}"[:64])


def check_form(form: str, asked: Asked, cohort: Cohort, column: str) -> None:
    """Refuse a form of masks that these rows cannot have.

    Raises:
        OptionError: no such form, boxes are asked for, or a scan is no DICOM.
    """
    if form not in FORMS:
        raise OptionError(f"masks must be {' or '.join(FORMS)}, was '{form}'")
    if form == "nifti":
        return
    if asked.kind != "segmentation":
        raise OptionError("masks can be seg for a run that draws masks, this one finds boxes: leave --masks away")
    for reference in texts_of(cohort.values(column)).drop_nulls().unique(maintain_order=True).to_list():
        try:
            path, _ = scan.parts(reference, cohort.root or Path.cwd())
            kind = scan.kind_of(path)
        except InputError:
            continue  # the row will say why it has no answer
        if kind not in ("dicom", "series"):
            raise OptionError(f"masks can be seg where scans are DICOM, '{path.name}' is not: write --masks nifti")


def encoded(drawn: np.ndarray, reference: str, root: Path | None, asked: Asked, target: str) -> bytes:
    """A drawing ([z,] y, x) as the bytes of a segmentation of its series.

    Raises:
        ReadError, OptionError: the series lacks what a segmentation must refer to, or nothing at all was drawn where things were asked for.
        MissingExtraError: highdicom is not installed.
    """
    source = source_of(*scan.parts(reference, root or Path.cwd()))
    made = segmentation(drawn, source, meanings_of(asked, target, drawn), algorithm_of(target))
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
