"""Pixels of DICOM data sets for de-identification: frames to look at, slices to stack and faces to blank, through pydicom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from osler import registry
from osler.adapters.imaging.dicom_deid_file import silently

#: Most samples of one frame that are decoded.
MAX_SAMPLES = 1 << 28


@dataclass(frozen=True)
class Slice:
    """One slice of a volume.

    Attributes:
        values: (y, x) stored values.
        position: (3,) mm, patient coordinates of the first voxel.
        rows_along, columns_along: (3,) unit vectors in which the column index and the row index grow.
        spacing: mm between rows, between columns.
    """

    values: np.ndarray
    position: np.ndarray
    rows_along: np.ndarray
    columns_along: np.ndarray
    spacing: tuple[float, float]


def frames(dataset: Any) -> list[np.ndarray] | None:
    """First, middle and last frame, each (y, x) or (y, x, colours); None where they cannot be decoded."""
    pixels = registry.optional("pydicom.pixels", "imaging")
    count = _number(dataset.get("NumberOfFrames"), 1)
    size = (
        _number(dataset.get("Rows"), 0)
        * _number(dataset.get("Columns"), 0)
        * _number(dataset.get("SamplesPerPixel"), 1)
    )
    if not 0 < size <= MAX_SAMPLES:
        return None
    try:
        with silently():
            return [pixels.pixel_array(dataset, index=i) for i in sorted({0, count // 2, count - 1})]
    except Exception:
        return None


def has_pixels(dataset: Any) -> bool:
    """Whether there is a picture, or a document with pages."""
    return any(
        name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "EncapsulatedDocument")
    )


def slice_of(dataset: Any) -> Slice | None:
    """A data set as one grey slice with its place; None where it is none or lacks its geometry."""
    try:
        position = np.array(dataset.ImagePositionPatient, float)
        turned = np.array(dataset.ImageOrientationPatient, float)
        spacing = (float(dataset.PixelSpacing[0]), float(dataset.PixelSpacing[1]))
    except (AttributeError, TypeError, ValueError, IndexError):
        return None
    found = frames(dataset)
    if (
        not found
        or len(found) != 1
        or found[0].ndim != 2
        or turned.shape != (6,)
        or position.shape != (3,)
        or min(spacing) <= 0
    ):
        return None
    return Slice(found[0], position, turned[:3], turned[3:], spacing)


def blank(dataset: Any, where: np.ndarray, value: float) -> None:
    """Set the pixels of one slice to a value; compressed pixels are written uncompressed.

    Args:
        dataset: a data set with one grey frame.
        where: (y, x) bool.
        value: stored value to write.
    """
    pixels = registry.optional("pydicom.pixels", "imaging")
    with silently():
        values = pixels.pixel_array(dataset).copy()
        values[where] = value
        dataset.set_pixel_data(
            values, dataset.PhotometricInterpretation, int(dataset.BitsStored), generate_instance_uid=False
        )


def _number(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
