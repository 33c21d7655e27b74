"""NIfTI volumes through nibabel, turned from its axes (right, anterior, superior) to DICOM's."""

from __future__ import annotations

import gzip
import io
import logging
from pathlib import Path
from typing import Any

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
    data = b"".join(limits.unpack(path, 4 * MAX_VALUES + (1 << 20)))
    header, shape, affine = _header(data, path.name)
    dtype, offset = header.get_data_dtype(), int(header.get_data_offset())
    n = int(np.prod(shape))
    if offset < 0 or len(data) < offset + n * dtype.itemsize:
        raise ReadError(f"'{path.name}' must hold as many voxels as its header says, it ends too early: copy it again", "image-truncated")
    values = np.frombuffer(data, dtype=dtype, count=n, offset=offset).reshape(shape, order="F").astype(np.float32)
    slope, intercept = header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1.0, 0.0):
        values = values * np.float32(slope) + np.float32(intercept or 0.0)
    return _scan(values, affine, index, path.name)


def shape_and_spacing(path: Path, index: int | None = None) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """(c, z, y, x) and mm per axis by the header alone.

    Raises:
        ReadError: as `read`.
    """
    _, shape, affine = _header(next(limits.unpack(path), b""), path.name)
    shape = (*shape, 1, 1, 1)[: max(3, len(shape))]
    channels = int(np.prod(shape[3:], dtype=np.int64))
    _checked(affine, channels, index, path.name)
    return (1 if index is not None else channels, *shape[2::-1]), tuple(spacing_of(affine).tolist())


def promised(path: Path) -> int:
    """How many bytes the file must hold, unpacked, by its header.

    Raises:
        ReadError: as `read`.
    """
    header, shape, _ = _header(next(limits.unpack(path), b""), path.name)
    return int(header.get_data_offset()) + int(np.prod(shape, dtype=np.int64)) * header.get_data_dtype().itemsize


def _header(data: bytes, name: str) -> tuple[Any, tuple[int, ...], np.ndarray]:
    """nibabel's header, the shape as stored (x, y, z, ...) and the affine in NIfTI's axes."""
    nibabel = registry.optional("nibabel", "imaging")
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    kind = nibabel.Nifti2Image if data[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
    try:
        header = kind.header_class.from_fileobj(io.BytesIO(data))
        shape, dtype, affine = header.get_data_shape(), header.get_data_dtype(), header.get_best_affine()
    except (nibabel.spatialimages.HeaderDataError, nibabel.wrapstruct.WrapStructError, ValueError, OverflowError) as error:
        raise ReadError(f"'{name}' must be a whole NIfTI file, its header is damaged: export it again", "image-format") from error
    if not 2 <= len(shape) <= 5 or dtype.kind not in "iufb":
        raise ReadError(f"'{name}' must hold a volume of numbers, it does not: export it again", "image-format")
    check_size(shape, name)
    return header, tuple(int(n) for n in shape), affine


def _checked(affine: np.ndarray, channels: int, index: int | None, name: str) -> None:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ReadError(f"'{name}' must say where its voxels lie, its affine is singular: export it again", "series-geometry")
    if index is not None and index >= channels:
        raise ReadError(f"'{name}' must hold volume #{index}, it holds {channels}: count from 0", "image-frame")


def _scan(values: np.ndarray, affine: np.ndarray, index: int | None, name: str) -> Scan:
    values = values.reshape(*values.shape[:3], *([1] * (3 - values.ndim)), -1)
    values = np.transpose(values, (3, 2, 1, 0))
    _checked(affine, len(values), index, name)
    values = values if index is None else values[index : index + 1]
    values, lps, turned = right_handed(values, _TO_LPS @ affine)
    facts = {"applied": ["slices put in the opposite order (left-handed axes)"] if turned else []}
    return Scan(np.ascontiguousarray(values), spacing_of(lps), lps, facts)


def encoded(values: np.ndarray, affine: np.ndarray) -> bytes:
    """A volume (z, y, x) with its affine in DICOM's axes as the bytes of a NIfTI-1 file; the same volume gives the same bytes."""
    nibabel = registry.optional("nibabel", "imaging")
    image = nibabel.Nifti1Image(np.ascontiguousarray(np.transpose(values, (2, 1, 0))), _TO_LPS @ affine)
    image.header.set_xyzt_units("mm")
    return image.to_bytes()


def write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Write a volume (z, y, x) with its affine in DICOM's axes as NIfTI-1 (gzip if the name ends in .gz)."""
    data = encoded(values, affine)
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
