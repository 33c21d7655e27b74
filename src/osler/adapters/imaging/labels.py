"""Masks beside scans: label maps read as whole numbers, and put on the voxels of the scan that they belong to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from osler.adapters.imaging import cache, dicom_seg_read, scan
from osler.adapters.imaging.scan import Scan
from osler.errors import InputError, ReadError

#: Largest number that a label may have: masks are kept as uint16.
LARGEST = (1 << 16) - 1
#: Ends of files whose numbers are not kept exactly.
LOSSY = (".jpg", ".jpeg")


def kept(reference: str, root: Path | None, dims: int | None = None) -> Scan:
    """As `scan.read`, through the cache: the scan of a reference at its own resolution, its arrays read-only.

    Raises:
        ReadError, LimitError: as `scan.read`.
    """
    path, fragment = scan.parts(reference, root)

    def made() -> cache.Arrays:
        found = scan.read_at(path, fragment, dims)
        cut = np.array(bool(found.facts.get("cut")))
        return {"values": found.values, "spacing": found.spacing, "affine": found.affine, "cut": cut}

    arrays = cache.store().get(path, {"whole": 2, "part": fragment, "dims": dims}, made)
    return Scan(arrays["values"], arrays["spacing"], arrays["affine"], {"cut": True} if arrays["cut"] else {})


def read(reference: str, root: Path | None, dims: int | None = None) -> Scan:
    """A label map: one channel of whole numbers from 0 to 65535, 0 where nothing is marked.

    Three equal channels (a grey mask that was saved in colour) are one.

    Raises:
        ReadError: it holds colours or other numbers (`mask-labels`), or as `scan.read`.
    """
    found = kept(reference, root, dims)
    values = found.values
    if len(values) == 3 and np.array_equal(values[0], values[1]) and np.array_equal(values[0], values[2]):
        values = values[:1]
    if scan.parts(reference, root)[0].suffix.lower() in LOSSY and len(np.unique(values)) > 2:
        raise ReadError("a mask must be saved without losses, this one is a JPEG of more than two numbers: save it as PNG or NIfTI", "mask-labels")
    whole = len(values) == 1 and np.isfinite(values).all() and np.array_equal(values, np.round(values))
    if not whole or values.min() < 0 or values.max() > LARGEST:
        raise ReadError(
            f"a mask must hold whole numbers from 0 to {LARGEST} in one channel, it does not: is it the image, or a mask saved with losses?",
            "mask-labels",
        )
    return replace(found, values=values)


def upon(reference: str, image: Scan, root: Path | None) -> np.ndarray:
    """The label map of a reference on the voxels of an image: (y, x) or (z, y, x) uint16, turned where only its axes run otherwise.

    Raises:
        ReadError: as `read`. InputError: it has another shape or lies elsewhere (`mask-geometry`).
    """
    mask = on_axes_of(read(reference, root, image.dims), image)
    same_geometry(image, mask)
    return mask.values[0].astype(np.uint16)


def held(reference: str, root: Path | None, dims: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The numbers above 0 that a mask holds, rising, and how many voxels have each.

    Raises:
        ReadError, LimitError: as `read`.
    """
    path, fragment = scan.parts(reference, root)

    def made() -> cache.Arrays:
        counts = np.bincount(read(reference, root, dims).values.ravel().astype(np.int64))
        numbers = np.flatnonzero(counts[1:]) + 1
        return {"numbers": numbers, "counts": counts[numbers]}

    arrays = cache.store().get(path, {"labels": 1, "part": fragment, "dims": dims}, made)
    return arrays["numbers"], arrays["counts"]


def on_axes_of(mask: Scan, image: Scan) -> Scan:
    """The mask with its axes in the order and direction of the image's, where only these differ (a NIfTI mask of a DICOM series); no value is
    changed. A mask that lies at an angle is given back as it is, and so is one of a picture or of an unknown place.
    """
    if mask.dims == 2 or image.dims == 2 or not (np.isfinite(mask.spacing).all() and np.isfinite(image.spacing).all()):
        return mask
    way = np.linalg.solve(image.affine[:3, :3], mask.affine[:3, :3])
    turn = np.round(way)
    if not np.allclose(way, turn, atol=0.01) or not np.array_equal(np.abs(turn).sum(axis=0), np.ones(3)) or abs(np.linalg.det(turn)) != 1:
        return mask
    source = np.abs(turn).argmax(axis=1)  # the mask's axis (x, y, z) that runs along each of the image's
    sign = turn[np.arange(3), source]
    values = np.transpose(mask.values, (0, *(3 - source[::-1])))
    values = np.flip(values, [3 - i for i in range(3) if sign[i] < 0])
    back = np.zeros((4, 4))
    back[source, np.arange(3)] = sign
    back[source, 3] = [mask.values.shape[3 - j] - 1 if s < 0 else 0 for j, s in zip(source, sign, strict=True)]
    back[3, 3] = 1
    turned = replace(mask, values=np.ascontiguousarray(values), affine=mask.affine @ back, spacing=mask.spacing[2 - source[::-1]])
    return dicom_seg_read.filled(turned, image)


def same_geometry(image: Scan, mask: Scan) -> None:
    """Refuse a mask that does not lie on its image's voxels; of pictures, and where a place is unknown, only the shapes are compared.

    Raises:
        InputError: another shape, or places that differ by more than a tenth of a voxel (`mask-geometry`).
    """
    if image.values.shape[1:] != mask.values.shape[1:]:
        shapes = [" x ".join(map(str, s.values.shape[:0:-1])) for s in (mask, image)]
        raise InputError(f"a mask must have its image's voxels, it has {shapes[0]} and the image {shapes[1]}: resample it", "mask-geometry")
    if image.dims == 2 or not (np.isfinite(mask.spacing).all() and np.isfinite(image.spacing).all()):
        return
    ends = np.array([[0, 0, 0, 1], [*(n - 1 for n in mask.values.shape[:0:-1]), 1]]).T
    off = np.linalg.norm(((image.affine - mask.affine) @ ends)[:3], axis=0).max()
    if off > 0.1 * mask.spacing.min():
        raise InputError(f"a mask must lie where its image lies, it lies up to {off:.1f} mm elsewhere: resample it", "mask-geometry")


def onto(image: Scan, first: Scan) -> Scan:
    """A volume on the voxels of another one of the same patient, by their affines, linear between voxels and 0 outside of it.

    Raises:
        InputError: one of them is a picture of another shape, or does not say where it lies (`mask-geometry`).
    """
    from scipy.ndimage import affine_transform

    same = image.values.shape[1:] == first.values.shape[1:]
    known = image.dims == 3 and np.isfinite(image.spacing).all() and np.isfinite(first.spacing).all()
    if same and (not known or np.allclose(image.affine, first.affine, atol=1e-3)):
        return image
    if not known or first.dims != 3:
        raise InputError("scans of one row must have the same pixels, these differ and do not say where they lie: resample them", "mask-geometry")
    swap = np.eye(4)[[2, 1, 0, 3]]  # (x, y, z) and (z, y, x)
    way = swap @ np.linalg.inv(image.affine) @ first.affine @ swap
    shape = first.values.shape[1:]
    values = np.stack([affine_transform(c, way[:3, :3], way[:3, 3], output_shape=shape, order=1) for c in image.values])
    return Scan(values.astype(np.float32), first.spacing, first.affine, image.facts)
