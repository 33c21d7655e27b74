"""Masks as DICOM segmentations (PS3.3 A.51) through highdicom: one segment per label, each with a coded meaning.

Segments are numbered 1, 2, ... without a gap (C.8.20.2) in the order of all labels that have a meaning, whether they are in the mask or
not, so that a class has the same number in every object; one that is nowhere has a segment without a marked voxel.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from osler.adapters.imaging.dicom_results import Algorithm, Code, Source, check_labels, library
from osler.errors import OptionError, ReadError

_ABNORMAL = ("49755003", "SCT", "Morphologically Abnormal Structure")
_ORGAN = ("123037004", "SCT", "Anatomical Structure")
#: Segments that one object may have.
MAX_SEGMENTS = 1000
#: Largest segmentation with its empty planes in it, in bytes; of a larger one they are left out, and filled by the image's grid when it is read.
WHOLE = 128 << 20


def segmentation(labels: np.ndarray, source: Source, meanings: dict[int, Code], algorithm: Algorithm, described: str = "") -> Any:
    """A segmentation as a pydicom data set; every plane of the series is in it (up to `WHOLE`), so that it reads back on the
    same voxels.

    Args:
        labels: (z, y, x) or (y, x) whole numbers, planes in the order of `source.stack`; 0 is background.
        meanings: label → what it means; those of `labels` at least. Segments are numbered as `numbered` says.
        described: a line of the series' description.

    Raises:
        OptionError: another shape than the series, no label, or one without a meaning.
        MissingExtraError: highdicom is not installed.
    """
    highdicom = library()
    planes = check_labels(labels, source)
    held = [int(k) for k in np.unique(planes) if k > 0]
    without, segments = [k for k in held if k not in meanings], numbered(meanings)
    if not segments or without or len(segments) > MAX_SEGMENTS:
        what = f"label {without[0]} has none" if without else "nothing is marked" if not segments else f"there are {len(segments)} labels"
        raise OptionError(f"a segmentation must mark something, each label with a meaning and at most {MAX_SEGMENTS}, {what}: name them with --meaning 1=NAME")
    code = np.zeros(max(segments) + 1, dtype=np.uint16)
    code[list(segments)] = list(segments.values())
    pixels = code[planes.astype(np.int64)].astype(np.uint8 if len(segments) < 256 else np.uint16)
    told = repr([(k, meanings[k]) for k in segments] + [algorithm])
    seed = hashlib.sha256(pixels.tobytes() + told.encode()).digest()
    try:
        made = _made(highdicom, pixels, source, [(i, meanings[k]) for k, i in segments.items()], algorithm, seed, bool(held))
    except AttributeError as error:
        raise ReadError(
            f"a series must have what a segmentation repeats of it, its objects lack {error.name or 'an attribute'}: export it again", "image-format"
        ) from error
    made.SeriesDescription = (described or f"{algorithm.name}: segmentation")[:64]
    return made


def _made(
    highdicom: Any, pixels: np.ndarray, source: Source, segments: list[tuple[int, Code]], algorithm: Algorithm, seed: bytes, marks: bool
) -> Any:
    """highdicom's segmentation of pixels that hold numbers of segments; empty planes are left out of one that is large and marks something."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.seg.Segmentation(
            source_images=list(source.datasets), pixel_array=pixels, segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_described(highdicom, i, code, algorithm, source.uid("segment", seed, str(i))) for i, code in segments],
            series_instance_uid=source.uid("segmentation series", seed), series_number=9001, sop_instance_uid=source.uid("segmentation", seed),
            instance_number=1, manufacturer="Osler", manufacturer_model_name=algorithm.name, software_versions=algorithm.version,
            device_serial_number="0", omit_empty_frames=marks and len(segments) * pixels.size > 8 * WHOLE, content_label="SEGMENTATION",
        )  # fmt: skip


def numbered(meanings: Iterable[int]) -> dict[int, int]:
    """Label → number of its segment, for all labels that have a meaning."""
    return {k: i for i, k in enumerate(sorted(meanings), 1)}


def _described(highdicom: Any, number: int, code: Code, algorithm: Algorithm, tracking: str) -> Any:
    concept = highdicom.sr.CodedConcept
    return highdicom.seg.SegmentDescription(
        segment_number=number, segment_label=code.meaning, segmented_property_category=concept(*(_ORGAN if code.is_organ else _ABNORMAL)),
        segmented_property_type=concept(code.value, code.scheme, code.meaning), algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=algorithm.name, version=algorithm.version, family=concept("123109", "DCM", "Artificial Intelligence"),
        ),
        tracking_uid=tracking, tracking_id=f"{code.meaning} {number}",
    )  # fmt: skip
