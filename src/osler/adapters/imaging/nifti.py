"""NIfTI volumes through nibabel, turned from its axes (right, anterior, superior) to DICOM's."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np

from osler import registry
from osler.adapters.imaging.geometry import right_handed, spacing_of
from osler.adapters.imaging.scan import MAX_VALUES, Scan, check_size
from osler.cohort import limits
from osler.errors import ReadError

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(path: Path, index: int | None = None) -> Scan:
    """A NIfTI-1 or NIfTI-2 file (also .gz) as (c, z, y, x) float32, scaled by its slope; times and directions are channels.

    Args:
        index: the time or direction to take, as the only channel.

    Raises:
        ReadError: no NIfTI file (`image-format`), too few values (`image-truncated`). LimitError: it claims or unpacks too much.
    """
    nibabel = registry.optional("nibabel", "imaging")
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    data = b"".join(limits.unpack(path, 4 * MAX_VALUES + (1 << 20)))
    kind = nibabel.Nifti2Image if data[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
    try:
        header = kind.header_class.from_fileobj(io.BytesIO(data))
        shape, dtype, offset = header.get_data_shape(), header.get_data_dtype(), int(header.get_data_offset())
        affine = header.get_best_affine()
    except (nibabel.spatialimages.HeaderDataError, nibabel.wrapstruct.WrapStructError, ValueError, OverflowError) as error:
        raise ReadError(f"'{path.name}' must be a whole NIfTI file, its header is damaged: export it again", "image-format") from error
    if not 2 <= len(shape) <= 5 or dtype.kind not in "iufb":
        raise ReadError(f"'{path.name}' must hold a volume of numbers, it does not: export it again", "image-format")
    check_size(shape, path.name)
    n = int(np.prod(shape))
    if offset < 0 or len(data) < offset + n * dtype.itemsize:
        raise ReadError(f"'{path.name}' must hold as many voxels as its header says, it ends too early: copy it again", "image-truncated")
    values = np.frombuffer(data, dtype=dtype, count=n, offset=offset).reshape(shape, order="F").astype(np.float32)
    slope, intercept = header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1.0, 0.0):
        values = values * np.float32(slope) + np.float32(intercept or 0.0)
    return _scan(values, affine, index, path.name)


def _scan(values: np.ndarray, affine: np.ndarray, index: int | None, name: str) -> Scan:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ReadError(f"'{name}' must say where its voxels lie, its affine is singular: export it again", "series-geometry")
    values = values.reshape(*values.shape[:3], *([1] * (3 - values.ndim)), -1)
    values = np.transpose(values, (3, 2, 1, 0))
    if index is not None:
        if index >= len(values):
            raise ReadError(f"'{name}' must hold volume #{index}, it holds {len(values)}: count from 0", "image-frame")
        values = values[index : index + 1]
    values, lps, turned = right_handed(values, _TO_LPS @ affine)
    facts = {"applied": ["slices put in the opposite order (left-handed axes)"] if turned else []}
    return Scan(np.ascontiguousarray(values), spacing_of(lps), lps, facts)


def write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Write a volume (z, y, x) with its affine in DICOM's axes as NIfTI-1 (gzip if the name ends in .gz)."""
    nibabel = registry.optional("nibabel", "imaging")
    image = nibabel.Nifti1Image(np.ascontiguousarray(np.transpose(values, (2, 1, 0))), _TO_LPS @ affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
