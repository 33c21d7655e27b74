"""Answers about a series as objects for its archive: a segmentation of a mask, a report of what was measured, a drawing of a heat map."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import labels, overlay, scan
from osler.adapters.imaging.dicom_capture import capture
from osler.adapters.imaging.dicom_results import Algorithm, Code, Source, code_of, source_of
from osler.adapters.imaging.dicom_seg_write import numbered, segmentation
from osler.adapters.imaging.dicom_sr import FEATURES, Finding, report
from osler.adapters.imaging.scan import Scan
from osler.cohort.atomic import write_atomic
from osler.errors import InputError, OptionError
from osler.instruments.measure.instrument import measured
from osler.scenes import Boxes

#: Most boxes of one answer, the surest.
LARGEST = 500


@dataclass(frozen=True)
class Answer:
    """What is known about one series.

    Attributes:
        labels: (z, y, x) or (y, x) whole numbers on its voxels, or None.
        meanings: label → what it means.
        heat: the same shape, from 0 to 1, or None.
        findings: meaning → probability, of the whole series.
        present: meaning → whether it is there, as an operating point decides, or because nothing was drawn.
        scores: label → probability of a thing that a box marks; what is measured of a box would not be of the thing.
        algorithm: who answered.
    """

    labels: np.ndarray | None = None
    meanings: dict[int, Code] = field(default_factory=dict)
    heat: np.ndarray | None = None
    findings: dict[Code, float] = field(default_factory=dict)
    present: dict[Code, bool] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    algorithm: Algorithm = field(default_factory=Algorithm)


def read_answer(series: str, mask: str, heat: str, meanings: list[str], findings: list[str]) -> tuple[Source, Scan, Answer]:
    """A series with the files and words that are known about it.

    Args:
        series: reference of a series or picture.
        mask, heat: references, "" for none; they are turned to the voxels of the series where only their axes run otherwise.
        meanings: `LABEL=MEANING` texts. findings: `MEANING=PROBABILITY` texts.

    Raises:
        ReadError, InputError: a file cannot be read or lies elsewhere. OptionError: a text is malformed.
    """
    path, fragment = scan.parts(series, None)
    source, image = source_of(path, fragment), scan.read_at(path, fragment)
    drawn = labels.upon(mask, image, None) if mask else None
    hot = _heat(heat, image) if heat else None
    said = {_number(one): code_of(one.partition("=")[2]) for one in meanings}
    if drawn is not None:
        held = [int(k) for k in np.unique(drawn) if k]
        said |= {k: code_of(f"label {k}") for k in held if k not in said}
    return source, image, Answer(drawn, said, hot, dict(_probability(one) for one in findings))


def _heat(reference: str, image: Scan) -> np.ndarray:
    found = labels.on_axes_of(scan.read(reference, None, image.dims), image)
    labels.same_geometry(image, found)
    values = np.nan_to_num(found.values[0])
    if values.min() < 0 or values.max() > 1:
        raise InputError("a heat map must hold numbers from 0 to 1, it holds others: write it with osler explain --overlay")
    return values


def _number(text: str) -> int:
    number = text.partition("=")[0].strip()
    if not number.isascii() or not number.isdigit() or not 0 < int(number) < 1 << 16:
        raise OptionError("option 'meaning' must be LABEL=NAME, one is not: write it as 1=tumour or 1=SCT:4147007:Mass")
    return int(number)


def _probability(text: str) -> tuple[Code, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise OptionError("option 'finding' must be NAME=PROBABILITY from 0 to 1, one is not: write it as pneumonia=0.83")
    return code_of(name), value


def objects(source: Source, image: Scan, answer: Answer) -> list[Any]:
    """The objects of an answer as pydicom data sets: segmentation, report and capture, as far as there is something for each.

    Raises:
        OptionError: there is nothing to say, or a label has no meaning.
    """
    made: list[Any] = []
    drawn = None
    told = {code: {"probability": answer.findings[code]} if code in answer.findings else {} for code in (*answer.findings, *answer.present)}
    found = [Finding(code, values, present=answer.present.get(code)) for code, values in told.items()]
    if answer.labels is not None and answer.labels.any():
        drawn = segmentation(answer.labels, source, answer.meanings, answer.algorithm)
        made.append(drawn)
        found += _measured(answer, image)
    if found:
        made.append(report(found, source, answer.algorithm, drawn))
    if answer.heat is not None:
        made.append(capture(_drawn(answer, image), source, answer.algorithm, "heat map"))
    if not made:
        raise OptionError("a result must say something, nothing was given: name --mask, --finding or --heat")
    return made


def _measured(answer: Answer, image: Scan) -> list[Finding]:
    """What is measured of each label; a label of a picture, or one too small to be measured, is named without numbers."""
    held = [int(k) for k in np.unique(answer.labels) if k]
    mask = Scan(answer.labels[None].astype(np.float32), image.spacing, image.affine)
    found = []
    segments = numbered(answer.meanings)
    for label in held:
        values: dict[str, float] = {}
        if label in answer.scores:
            values = {"probability": answer.scores[label]}
        elif image.dims == 3 and np.isfinite(image.spacing).all():
            features = measured(mask, label, None, 25.0)
            values = {k: float(features[k]) for k in FEATURES if k in features and np.isfinite(features[k])}
        found.append(Finding(answer.meanings[label], values, segments[label]))
    return found


def boxed(boxes: Boxes, names: tuple[str, ...], shape: tuple[int, ...], algorithm: Algorithm) -> Answer:
    """Things in boxes as an answer: each box is a label of its own, filled, the surer over the less sure; without a
    box every class is absent.

    Args:
        names: of the classes by code. shape: of the scan, ([z,] y, x).
    """
    found, meanings, scores = np.zeros(shape, dtype=np.uint16), {}, {}
    dims = len(shape)
    for label, k in enumerate(np.argsort(boxes.scores, kind="stable")[-LARGEST:].tolist(), 1):
        low, high = np.floor(boxes.corners[k, :dims]), np.ceil(boxes.corners[k, dims:])
        inside = tuple(slice(max(0, int(a)), max(0, int(b))) for a, b in zip(low, high))
        found[inside] = label
        meanings[label], scores[label] = code_of(names[boxes.codes[k]]), float(boxes.scores[k])
    absent = {} if scores else {code_of(name): False for name in names}
    return Answer(labels=found, meanings=meanings, scores=scores, present=absent, algorithm=algorithm)


def _drawn(answer: Answer, image: Scan) -> np.ndarray:
    marked = None if answer.labels is None else answer.labels > 0
    return overlay.overlaid(overlay.grey(image.values), answer.heat, marked)


def write(made: list[Any], folder: Path) -> list[Path]:
    """Objects as files named by what they are and their UID; each is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = []
    for one in made:
        buffer = io.BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        path = folder / f"{str(one.Modality).lower()}-{str(one.SOPInstanceUID).rpartition('.')[2]}.dcm"
        write_atomic(path, buffer.getvalue())
        paths.append(path)
    return paths
