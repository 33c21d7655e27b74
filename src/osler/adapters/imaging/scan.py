"""One front for every picture and scan: from a reference in a cell to numbers with their geometry.

A reference is a path relative to the folder of the table, with an optional `#part`: the k-th picture of a stack (`digits.gz#7`,
`set.npz#images/7`, a page of a TIFF, a frame of a DICOM file, counted from 0), or the SeriesInstanceUID of one series of a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osler.cohort import limits
from osler.errors import LimitError, OslerError, ReadError

#: Most values (voxels times channels) of one picture or volume.
MAX_VALUES = 1 << 29
#: Ends of names that are pictures or scans, by what they hold; `.gz` may follow volumes and stacks.
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm")
DICOM = (".dcm", ".dicom", ".ima")
VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
STACKS = (".npy", ".npz", "-ubyte", "-ubyte.gz", ".idx", ".idx.gz")


@dataclass(frozen=True)
class Scan:
    """One picture or volume in memory.

    Attributes:
        values: (c, y, x) or (c, z, y, x) float32 in physical units (HU, SUV) or the file's own numbers.
        spacing: (2,) or (3,) mm in the order of the axes (y, x) or (z, y, x); NaN where unknown.
        affine: (4, 4) voxel (x, y, z) to mm of the patient (left, posterior, superior); the spacing alone for pictures.
        facts: modality, unit, window, photometric, what was applied; never who is on it.
    """

    values: np.ndarray
    spacing: np.ndarray
    affine: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        """2 for a picture, 3 for a volume."""
        return self.values.ndim - 1


@dataclass(frozen=True)
class Facts:
    """What a header says, before pixels are decoded.

    Attributes:
        shape: (c, y, x) or (c, z, y, x).
        spacing: mm per axis, NaN where unknown.
        kind: "picture", "dicom", "series", "nifti", "nrrd", "mha" or "stack".
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    kind: str


def parts(reference: str, root: Path | None) -> tuple[Path, str]:
    """The path of a reference and what follows its last `#`, "" where nothing does.

    Raises:
        ReadError: there is no such file or folder (`read-missing`), or it is outside of `root` (`read-outside`).
    """
    whole = _located(reference, root)
    if whole is not None:
        return whole, ""
    name, mark, fragment = reference.rpartition("#")
    path = _located(name, root) if mark and name else None
    if path is None:
        raise ReadError("a reference must name a file or folder beside its table, this one is not there: copy it there", "read-missing")
    return path, fragment


def _located(name: str, root: Path | None) -> Path | None:
    if "\0" in name or not name.strip():
        raise ReadError("a reference must be a path, this one is none: correct the cell", "read-missing")
    try:
        path = limits.inside(root, name) if root is not None else Path(name)
        return path if path.is_file() or path.is_dir() else None
    except OSError as error:
        raise ReadError("a reference must be a path, this one is too long or loops: correct the cell", "read-missing") from error


def kind_of(path: Path) -> str:
    """Which reader a path needs, by its first bytes and then its name.

    Raises:
        ReadError: it is empty (`image-empty`), or nothing that Osler reads (`image-format`).
    """
    if path.is_dir():
        return "series"
    with path.open("rb") as raw:
        head = raw.read(352)
    name = path.name.lower()
    if not head:
        raise ReadError(f"'{path.name}' must be a picture or a scan, it is empty: copy it again", "image-empty")
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"NRRD"):
        return "nrrd"
    if name.endswith((".mha", ".mhd")):
        return "mha"
    if name.endswith((".nii", ".nii.gz")) or head[344:348] in (b"n+1\0", b"ni1\0") or head[4:12] == b"n+2\0\r\n\x1a\n":
        return "nifti"
    if head.startswith((b"\x93NUMPY", b"\0\0\x08")) or name.endswith(STACKS):
        return "stack"
    if name.endswith(PICTURES) or head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"BM")):
        return "picture"
    from osler.adapters.imaging import dicom_read

    if name.endswith(DICOM) or dicom_read.is_dicom(path):
        return "dicom"
    raise ReadError(f"'{path.name}' must be a picture or a scan of a known format, it is none: see the reference of images", "image-format")


def read(reference: str, root: Path | None, dims: int | None = None) -> Scan:
    """The picture or volume that a reference means.

    Args:
        root: the folder that no path may leave; None to take the reference as a path of its own.
        dims: 2 or 3 where one of both is asked for.

    Raises:
        ReadError, LimitError: one sentence with a code of its own; see docs/reference/errors.md.
        MissingExtraError: the library for this format is not installed.
    """
    return read_at(*parts(reference, root), dims)


def read_at(path: Path, fragment: str, dims: int | None = None) -> Scan:
    """As `read`, of a path that `parts` found.

    Raises:
        ReadError, LimitError: as `read`.
    """
    kind = kind_of(path)
    with _whole(path, kind):
        found = _read(kind, path, fragment, dims)
    if dims is not None and found.dims != dims:
        wanted, is_there = ("a picture", "a volume") if dims == 2 else ("a volume", "a picture")
        raise ReadError(f"'{path.name}' must be {wanted}, it is {is_there}: declare the column as the other kind", "image-dims")
    return found


@contextmanager
def _whole(path: Path, kind: str) -> Iterator[None]:
    """Any failure of a parser on a damaged file as one typed sentence.

    Raises:
        ReadError: the parser failed (code `image-format`).
    """
    try:
        yield
    except (OslerError, MemoryError, NameError, AssertionError):
        raise
    except Exception as error:
        raise ReadError(f"'{path.name}' must be a whole {_WORDS[kind]}, it is damaged: export it again", "image-format") from error


_WORDS = {
    "series": "DICOM series", "dicom": "DICOM file", "nrrd": "NRRD file", "mha": "MetaImage file", "nifti": "NIfTI file",
    "stack": "stack of pictures", "picture": "picture",
}  # fmt: skip


def _read(kind: str, path: Path, fragment: str, dims: int | None) -> Scan:
    if kind == "series":
        from osler.adapters.imaging import dicom_series

        return dicom_series.read_folder(path, fragment)
    if kind == "dicom":
        from osler.adapters.imaging import dicom_read, dicom_seg_read, dicom_series

        head, index = dicom_read.attributes(path), _index(fragment, path.name)
        if index is None and head.get("SOPClassUID") in dicom_seg_read.CLASSES:
            return dicom_seg_read.read(path, head)
        return dicom_series.read_file(path, head, index, dims)
    if kind == "nifti":
        from osler.adapters.imaging import nifti

        return nifti.read(path, _index(fragment, path.name))
    if kind in ("nrrd", "mha"):
        from osler.adapters.imaging import nrrd

        return nrrd.read_nrrd(path) if kind == "nrrd" else nrrd.read_mha(path)
    if kind == "stack":
        from osler.adapters.imaging import stacks

        return stacks.read(path, fragment)
    from osler.adapters.imaging import pictures

    return pictures.read(path, _index(fragment, path.name))


def _index(fragment: str, name: str) -> int | None:
    """The number after `#`.

    Raises:
        ReadError: it is no whole number (`image-frame`).
    """
    if not fragment:
        return None
    if not fragment.isascii() or not fragment.isdigit() or len(fragment) > 9:
        raise ReadError(f"'{name}' must be followed by #k with a whole number k, it is not: count pictures from 0", "image-frame")
    return int(fragment)


def header(reference: str, root: Path | None) -> Facts:
    """Shape, spacing and kind of what a reference means; pixels are decoded only where no header says it, or where the file may end too early.

    Raises:
        ReadError: as `read`.
    """
    path, fragment = parts(reference, root)
    kind = kind_of(path)
    with _whole(path, kind):
        return _header(kind, path, fragment)


def _header(kind: str, path: Path, fragment: str) -> Facts:
    from osler.adapters.imaging import complete

    if kind == "series":
        from osler.adapters.imaging import dicom_series

        drawn = dicom_series.segmentation_in(path, fragment)
        if drawn is not None:
            return _dicom_header(drawn, "")
        stack = dicom_series.chosen(path, fragment)
        for one, its in zip(stack.paths, stack.heads):
            complete.check(one, "dicom", head=its)
        head = stack.heads[0]
        n = len(stack.heads) if len(stack.heads) > 1 else max(1, head.get("NumberOfFrames", 1))
        shape = (head.get("SamplesPerPixel", 1), n, head["Rows"], head["Columns"])
        return Facts(shape, tuple(float(s) for s in stack.spacing), kind)
    if kind == "dicom":
        return _dicom_header(path, fragment)
    if kind == "picture":
        from osler.adapters.imaging import pictures

        index = _index(fragment, path.name)
        complete.check(path, kind, fragment)
        return Facts(pictures.shape(path, index), (float("nan"),) * 2, kind)
    if kind == "nifti":
        from osler.adapters.imaging import nifti

        facts = Facts(*nifti.shape_and_spacing(path, _index(fragment, path.name)), kind)
        complete.check(path, kind, fragment)
        return facts
    found = _read(kind, path, fragment, None)
    return Facts(found.values.shape, tuple(float(s) for s in found.spacing), kind)


def _dicom_header(path: Path, fragment: str) -> Facts:
    from osler.adapters.imaging import complete, dicom_pixels, dicom_read, dicom_seg_read

    head = dicom_read.attributes(path)
    count, rows, columns, samples = dicom_pixels.shape_of(head, path.name)
    index = _index(fragment, path.name)
    if index is None and head.get("SOPClassUID") in dicom_seg_read.CLASSES:
        found = dicom_seg_read.read(path, head)
        return Facts(found.values.shape, tuple(float(s) for s in found.spacing), "dicom")
    if index is not None and index >= count:
        raise ReadError(f"'{path.name}' must hold picture #{index}, it holds {count}: count from 0", "image-frame")
    complete.check(path, "dicom", fragment, head)
    one = {**head, **(head["frames"][0] if head.get("frames") else {})}
    spacing = one.get("PixelSpacing") or one.get("ImagerPixelSpacing") or (float("nan"),) * 2
    if count == 1 or index is not None:
        return Facts((samples, rows, columns), tuple(spacing[:2]), "dicom")
    return Facts((samples, count, rows, columns), (float("nan"), *spacing[:2]), "dicom")


def check_size(shape: tuple[int, ...], name: str) -> None:
    """Refuse a shape that no scan has.

    Raises:
        ReadError: an axis is empty. LimitError: more values than are read at once.
    """
    total = 1
    for length in shape:
        if length < 1:
            raise ReadError(f"'{name}' must have no empty axis, its header has one: export it again", "image-format")
        total *= int(length)
        if total > MAX_VALUES:
            raise LimitError(f"'{name}' must hold at most {MAX_VALUES:,} values, its header claims more: split it")
