"""A folder of DICOM files as volumes: files grouped before any pixel is read, and what is no volume named.

    by series; localizers apart; by orientation, size and spacing; by time, echo or acquisition where places repeat
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import decoder, dicom_pixels, dicom_read, dicom_seg_read, geometry
from osler.adapters.imaging.dicom_tags import EXPLICIT, IMPLICIT
from osler.adapters.imaging.scan import MAX_VALUES, Scan
from osler.errors import InputError, LimitError, ReadError

#: Most files of one folder that are looked at.
MAX_FILES = 100_000
_REPEATS = ("TemporalPositionIdentifier", "EchoTime", "AcquisitionNumber")


@dataclass(frozen=True)
class Stack:
    """Slices of one series that belong together.

    Attributes:
        uid: SeriesInstanceUID, "" where the files have none.
        part: which of the stacks of this series it is, from 0.
        paths, heads: files and their attributes (`dicom_read.attributes`), in the order of their place if it is a volume.
        affine, spacing: geometry of the volume, None where it is none.
        code, reason: why it is no volume (an error code and a sentence), "" where it is one.
    """

    uid: str
    part: int
    paths: tuple[Path, ...]
    heads: tuple[dict[str, Any], ...]
    affine: np.ndarray | None = None
    spacing: np.ndarray | None = None
    code: str = ""
    reason: str = ""


def heads_in(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every DICOM file of a folder (not below it) with its attributes; files of other kinds are passed over.

    Raises:
        LimitError: the folder holds more files than are looked at.
    """
    paths = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "DICOMDIR" and not p.name.startswith("."))
    if len(paths) > MAX_FILES:
        raise LimitError(f"folder '{folder.name}' must hold at most {MAX_FILES:,} files, it holds more: split it")
    for path in paths:
        try:
            if dicom_read.is_dicom(path):
                yield path, dicom_read.attributes(path)
        except InputError:
            continue


def stacks(found: Sequence[tuple[Path, dict[str, Any]]], name: str) -> list[Stack]:
    """The stacks of some files, series by series in order of their identifiers."""
    series: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path, head in found:
        if head.get("Rows"):
            series.setdefault(head.get("SeriesInstanceUID", ""), []).append((path, head))
    out = []
    for uid in sorted(series):
        groups = _groups(series[uid])
        many = len({head.get("PatientID", "") for _, head in series[uid]}) > 1
        for part, group in enumerate(groups):
            out.append(_stack(uid, part, group, len(groups), many, name))
    return out


def _groups(files: list[tuple[Path, dict[str, Any]]]) -> list[list[tuple[Path, dict[str, Any]]]]:
    """Files of one series by kind, orientation, size and spacing; then by time, echo or acquisition where places repeat."""
    groups: dict[tuple[Any, ...], list[tuple[Path, dict[str, Any]]]] = {}
    for path, head in files:
        cosines = tuple(round(x, 2) + 0.0 for x in head.get("ImageOrientationPatient", ()))
        spacing = tuple(round(x, 3) for x in head.get("PixelSpacing", ()))
        key = (_is_localizer(head), cosines, head["Rows"], head.get("Columns"), spacing)
        groups.setdefault(key, []).append((path, head))
    out = []
    for group in groups.values():
        places = {tuple(round(x, 2) for x in h.get("ImagePositionPatient", ())) for _, h in group}
        split = [group]
        if 1 < len(places) < len(group):
            for name in _REPEATS:
                values = sorted({h.get(name) for _, h in group if h.get(name) is not None})
                parts = [[f for f in group if f[1].get(name) == value] for value in values]
                if len(parts) > 1 and sum(map(len, parts)) == len(group) and all(len(p) <= len(places) for p in parts):
                    split = parts
                    break
        out += split
    return out


def _is_localizer(head: dict[str, Any]) -> bool:
    return bool({"LOCALIZER", "SCOUT"} & {str(one).upper() for one in head.get("ImageType", ())})


def _stack(uid: str, part: int, files: list[tuple[Path, dict[str, Any]]], n_groups: int, many: bool, name: str) -> Stack:
    paths, heads = tuple(p for p, _ in files), tuple(h for _, h in files)
    plain = Stack(uid, part, paths, heads)
    try:
        if many:
            raise ReadError(f"'{name}' must be of one patient, its files name several: separate them", "series-patients")
        if _is_localizer(heads[0]):
            raise ReadError(f"'{name}' must be a volume, these are localizers: name another series", "series-localizer")
        if len(heads) == 1 and heads[0].get("NumberOfFrames", 1) > 1:
            _, affine, spacing = geometry.stacked(_frames(heads[0]), name)
            return Stack(uid, part, paths, heads, affine, spacing)
        order, affine, spacing = geometry.stacked(heads, name)
    except ReadError as error:
        code, reason = error.code, error.message
        if code == "series-few" and n_groups > 1:
            code, reason = "series-orientation", (
                f"'{name}' must lie in one orientation, size and spacing, its {n_groups} stacks differ and this one has "
                f"{len(heads)} slices: name another series"
            )  # fmt: skip
        return Stack(plain.uid, part, paths, heads, code=code, reason=reason)
    return Stack(uid, part, tuple(paths[i] for i in order), tuple(heads[i] for i in order), affine, spacing)


def _frames(head: dict[str, Any]) -> list[dict[str, Any]]:
    """Frames of an enhanced object; nothing is known of those of an old multi-frame one."""
    return head.get("frames") or [{}] * head.get("NumberOfFrames", 1)


def chosen(folder: Path, fragment: str) -> Stack:
    """The one stack that a reference means: `UID` or `UID/part`, or the only volume of the folder.

    Raises:
        ReadError: the folder holds no volume (the code says why), several (`series-several`), or not the named one.
    """
    found = stacks(list(heads_in(folder)), folder.name)
    uid, _, part = fragment.partition("/")
    if uid:
        found = [s for s in found if s.uid == uid and (not part or str(s.part) == part)]
    usable = [s for s in found if not s.code]
    if len(usable) > 1:
        raise ReadError(
            f"folder '{folder.name}' must hold one volume, it holds {len(usable)}: name one as FOLDER#SeriesInstanceUID", "series-several"
        )
    if usable:
        return usable[0]
    if found:
        raise ReadError(found[0].reason, found[0].code)
    what = "not that series" if fragment else "none"
    raise ReadError(f"folder '{folder.name}' must hold a DICOM series with pixels, it holds {what}: name another", "image-pixels")


def segmentation_in(folder: Path, fragment: str = "") -> Path | None:
    """The only DICOM file of a folder, if it is a segmentation (of the series that is named)."""
    found = list(itertools.islice(heads_in(folder), 2))
    if len(found) != 1 or found[0][1].get("SOPClassUID") not in dicom_seg_read.CLASSES:
        return None
    return found[0][0] if fragment in ("", found[0][1].get("SeriesInstanceUID", "")) else None


def read_folder(folder: Path, fragment: str = "") -> Scan:
    """The volume of a folder, (c, z, y, x) float32; the mask of a folder that holds one segmentation."""
    drawn = segmentation_in(folder, fragment)
    if drawn is not None:
        return dicom_seg_read.read(drawn, dicom_read.attributes(drawn))
    return load(chosen(folder, fragment))


def load(stack: Stack) -> Scan:
    """The pixels of a stack in physical units.

    Raises:
        ReadError: the stack is no volume, or a file of it cannot be read.
    """
    if stack.code:
        raise ReadError(stack.reason, stack.code)
    head = stack.heads[0]
    if len(stack.paths) == 1:
        return read_file(stack.paths[0], head, None, dims=3)
    n, rows, columns = len(stack.paths), head["Rows"], head["Columns"]
    if n * rows * columns * head.get("SamplesPerPixel", 1) > MAX_VALUES:
        raise LimitError(f"a series must hold at most {MAX_VALUES:,} values, this one holds more: leave out slices")
    values, facts = _quick(stack) or _slowly(stack)
    return Scan(values, np.array(stack.spacing), np.array(stack.affine), {**of_head(head), **facts, "slices": n})


def _quick(stack: Stack) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Slices of 16 open bits, read straight into one volume; None where another way is needed."""
    head = stack.heads[0]
    same = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PhotometricInterpretation", "SamplesPerPixel", "BitsStored")
    if not all("pixels_at" in h and h["syntax"] in (IMPLICIT, EXPLICIT) and all(h.get(k) == head.get(k) for k in same) for h in stack.heads):
        return None
    if head.get("BitsAllocated") != 16 or head.get("SamplesPerPixel", 1) != 1 or head.get("PhotometricInterpretation") != "MONOCHROME2":
        return None
    if head.get("Units"):
        return None  # uptake values differ from slice to slice
    raw = np.empty((head["Rows"], head["Columns"]), dtype="<i2" if head.get("PixelRepresentation") == 1 else "<u2")
    values = np.empty((1, len(stack.paths), *raw.shape), dtype=np.float32)
    for i, (path, one) in enumerate(zip(stack.paths, stack.heads)):
        _into(raw, path, one["pixels_at"])
        kept = dicom_pixels.significant(raw, one)
        slope, intercept = one.get("RescaleSlope", (1.0,))[0], one.get("RescaleIntercept", (0.0,))[0]
        if slope == 1.0:
            np.add(kept, np.float32(intercept), out=values[0, i], dtype=np.float32, casting="unsafe")
        else:
            np.multiply(kept, np.float32(slope), out=values[0, i], dtype=np.float32, casting="unsafe")
            values[0, i] += np.float32(intercept)
    facts = dicom_pixels.physical(raw[None, :1, :1], head, stack.paths[0])[1]
    return values, facts


def _into(raw: np.ndarray, path: Path, at: int) -> None:
    """Fill an array from a place in a file.

    Raises:
        ReadError: the file ends before (code `image-truncated`).
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        view = memoryview(raw).cast("B")
        done = 0
        while done < len(view):
            got = os.preadv(handle, [view[done:]], at + done)
            if got == 0:
                raise ReadError(f"'{path.name}' must hold as many pixels as its header says, it ends too early: copy it again", "image-truncated")
            done += got
    finally:
        os.close(handle)


def _slowly(stack: Stack) -> tuple[np.ndarray, dict[str, Any]]:
    def slice_of(one: tuple[Path, dict[str, Any]]) -> tuple[np.ndarray, dict[str, Any]]:
        path, head = one
        return dicom_pixels.physical(dicom_pixels.frames(path, head), head, path)

    found = decoder.each(slice_of, list(zip(stack.paths, stack.heads)))
    first, facts = found[0]
    for path, (one, _) in zip(stack.paths, found):
        if one.shape[0] != 1 or one.shape != first.shape:
            raise ReadError(f"'{path.name}' must hold one slice like the others of its series, it does not: name it alone", "series-orientation")
    return np.stack([one[0] for one, _ in found], axis=1), facts


def read_file(path: Path, head: dict[str, Any], index: int | None, dims: int | None) -> Scan:
    """A picture, a frame, or all frames of one file.

    Raises:
        ReadError: as `dicom_pixels.frames`; several frames where a picture is asked for (`image-frame`).
    """
    count = max(1, head.get("NumberOfFrames", 1))
    if index is None and count > 1 and dims == 2:
        raise ReadError(f"'{path.name}' must be one picture, it holds {count}: name one as FILE#k, from 0", "image-frame")
    values, facts = dicom_pixels.physical(dicom_pixels.frames(path, head, index), head, path, index or 0)
    facts = {**of_head(head), **facts}
    if count == 1 or index is not None:
        if dims == 3:
            raise ReadError(f"'{path.name}' must be a volume, it is one picture: name its folder or another column kind", "series-few")
        frame = {**head, **(_frames(head)[index or 0] if head.get("frames") else {})}
        return _picture(values[0], frame, facts)
    volume = np.moveaxis(values, 0, 1)
    try:
        order, affine, spacing = geometry.stacked(_frames(head), path.name)
    except ReadError:
        if dims == 3:
            raise
        return Scan(volume, np.full(3, np.nan), np.eye(4), facts)
    return Scan(np.ascontiguousarray(volume[:, order]), spacing, affine, facts)


def _picture(values: np.ndarray, head: dict[str, Any], facts: dict[str, Any]) -> Scan:
    spacing = head.get("PixelSpacing") or head.get("ImagerPixelSpacing") or ()
    if len(spacing) != 2 or min(spacing) <= 0:
        return Scan(values, np.full(2, np.nan), np.eye(4), facts)
    affine = np.diag([spacing[1], spacing[0], 1.0, 1.0])
    axes = geometry.oriented(head)
    if axes is not None and len(head.get("ImagePositionPatient", ())) == 3:
        affine[:3, :3] = (axes * np.array([spacing[1], spacing[0], 1.0])[:, None]).T
        affine[:3, 3] = head["ImagePositionPatient"]
    return Scan(values, np.array(spacing[:2]), affine, facts)


def of_head(head: dict[str, Any]) -> dict[str, Any]:
    """What of a header may be told: how the scan was made, never who is on it."""
    kept = {"Modality": "modality", "Manufacturer": "manufacturer", "BodyPartExamined": "body_part", "Laterality": "laterality"}
    return {to: head[name] for name, to in kept.items() if head.get(name)}
