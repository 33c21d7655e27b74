"""DICOM segmentations as masks: the segments of all frames on one grid, whoever made them (PS3.3 A.51)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import dicom_pixels, dicom_read, geometry
from osler.adapters.imaging.scan import Scan, check_size
from osler.errors import ReadError

#: SOP classes of segmentations: bits or shares per segment, and label maps.
CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
#: Most planes of a grid, however far apart two frames lie.
MAX_PLANES = 100_000


def read(path: Path, head: dict[str, Any]) -> Scan:
    """The mask of a segmentation: (1, z, y, x), or (1, y, x) where its frames lie nowhere in a patient; the value is the segment's number.

    Frames that are left out are empty. Where segments overlap the one with the higher number is kept, and `facts` say how often. Shares
    count from one half on. `facts["cut"]` says that planes or their steps were left out, so that the grid of the image may be larger.

    Raises:
        ReadError: it is damaged (`image-format`), or its frames lie in several orientations or at uneven steps.
    """
    dataset = dicom_read.dataset(path, with_pixels=False)
    raw = dicom_pixels.frames(path, head)
    numbers = _numbers(dataset, len(raw), path.name)
    marked = _marked(raw, dataset)
    places = _planes(head, dataset, len(raw), path.name)
    if places is None:
        planes, affine, spacing, cut = np.zeros(len(raw), dtype=np.int64), np.eye(4), np.full(3, np.nan), False
    else:
        planes, affine, spacing, cut = places
    shape = (int(planes.max()) + 1, *raw.shape[1:])
    check_size((1, *shape), path.name)
    labels, overlaps = np.zeros(shape, dtype=np.float32), 0
    for i in np.argsort(numbers, kind="stable"):
        there = marked[i] > 0
        overlaps += int((labels[planes[i]][there] > 0).sum())
        labels[planes[i]][there] = marked[i][there] if numbers[i] == 0 else numbers[i]
    facts = {"modality": "SEG", "segments": _segments(dataset), "overlaps": overlaps, "cut": cut}
    if places is None:
        return Scan(labels, spacing[1:], affine, facts)
    return Scan(labels[None], spacing, affine, facts)


def _numbers(dataset: Any, count: int, name: str) -> np.ndarray:
    """The segment of each frame; 0 in a label map, whose pixels are the numbers."""
    if str(dataset.get("SegmentationType", "")) == "LABELMAP":
        return np.zeros(count, dtype=np.int64)
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    found = []
    for i in range(count):
        items = groups[i].get("SegmentIdentificationSequence") if i < len(groups) else None
        items = items or (shared.get("SegmentIdentificationSequence") if shared is not None else None)
        number = int(items[0].get("ReferencedSegmentNumber", 0)) if items else 0
        if not 0 < number < 1 << 16:
            raise ReadError(f"'{name}' must say which segment each frame is of, it does not: export it again", "image-format")
        found.append(number)
    return np.array(found, dtype=np.int64)


def _marked(raw: np.ndarray, dataset: Any) -> np.ndarray:
    """What is marked in each frame, as 0 and 1 or, of a label map, as numbers of segments."""
    kind, padding = str(dataset.get("SegmentationType", "")), dataset.get("PixelPaddingValue")
    if kind == "LABELMAP" and padding is not None:
        return np.where(raw == padding, 0, raw)
    if kind != "FRACTIONAL":
        return raw
    most = int(dataset.get("MaximumFractionalValue", 255) or 255)
    return (2 * raw.astype(np.int64) >= most).astype(np.uint8)


def _planes(head: dict[str, Any], dataset: Any, count: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool] | None:
    """The plane of each frame, the affine, the spacing, and whether planes are missing; None where frames have no place."""
    frames = head.get("frames") or []
    axes = [geometry.oriented(f) for f in frames]
    if len(frames) != count or any(a is None for a in axes) or any(len(f.get("ImagePositionPatient", ())) != 3 for f in frames):
        return None
    spacing = frames[0].get("PixelSpacing", ())
    if len(spacing) != 2 or min(spacing) <= 0:
        return None
    if any(np.abs(a - axes[0]).max() > geometry.SAME_COSINES for a in axes):
        raise ReadError(f"'{name}' must lie in one orientation, its frames lie in several: split it", "series-orientation")
    places = np.array([f["ImagePositionPatient"] for f in frames], dtype=np.float64)
    along = places @ axes[0][2]
    rising = np.sort(along)
    gaps = np.diff(rising)
    gaps = gaps[gaps > geometry.SAME_PLACE * 10]
    said = next((float(v[0]) for v in (frames[0].get("SpacingBetweenSlices"), frames[0].get("SliceThickness")) if v and v[0] > 0), math.nan)
    step = _step(gaps, said)
    planes = np.round((along - rising[0]) / step).astype(np.int64)
    if planes.max() >= MAX_PLANES or np.abs((along - rising[0]) / step - planes).max() > geometry.STEP_SHARE * max(1, len(gaps)):
        raise ReadError(f"'{name}' must hold frames at equal steps, it does not: export it with every frame", "series-gap")
    first, last = places[np.argmin(along)], places[np.argmax(along)]
    towards = (last - first) / planes.max() if planes.max() else axes[0][2] * step
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = axes[0][0] * spacing[1], axes[0][1] * spacing[0], towards
    affine[:3, 3] = first
    cut = len(np.unique(planes)) <= int(planes.max()) or not _is_whole(dataset, planes)
    return planes, affine, np.array([np.linalg.norm(towards), spacing[0], spacing[1]]), cut


def _step(gaps: np.ndarray, said: float) -> float:
    """The step between planes: the least between two frames, or what the file says where this is smaller and divides it."""
    if not len(gaps):
        return said if math.isfinite(said) else 1.0
    least = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    if math.isfinite(said) and said < 0.9 * least and abs(least / said - round(least / said)) < 0.05:
        return said
    return least


def _is_whole(dataset: Any, planes: np.ndarray) -> bool:
    """Whether there are as many planes as the series that the segmentation refers to has objects."""
    series = dataset.get("ReferencedSeriesSequence") or []
    objects = sum(len(one.get("ReferencedInstanceSequence") or []) for one in series)
    return objects == int(planes.max()) + 1


def _segments(dataset: Any) -> dict[int, str]:
    """Number → coded meaning of each segment."""
    found = {}
    for item in dataset.get("SegmentSequence") or []:
        kind = item.get("SegmentedPropertyTypeCodeSequence") or []
        found[int(item.get("SegmentNumber", 0))] = str(kind[0].get("CodeMeaning", "")) if kind else ""
    return found


def filled(mask: Scan, image: Scan) -> Scan:
    """A mask from which empty planes were left out, on the grid of its image, where its voxels are those of the image; otherwise as it is."""
    if not mask.facts.get("cut") or mask.dims != 3 or image.dims != 3 or not np.isfinite(image.spacing).all():
        return mask
    way = np.linalg.solve(image.affine, mask.affine)
    start, shape = np.round(way[:3, 3]).astype(int)[::-1], image.values.shape[1:]
    ends = start + np.array(mask.values.shape[1:])
    close = np.allclose(way[:3, :3], np.eye(3), atol=0.01) and np.allclose(way[:3, 3], start[::-1], atol=0.1)
    if not close or (start < 0).any() or (ends > shape).any():
        return mask
    whole = np.zeros((1, *shape), dtype=np.float32)
    whole[:, start[0] : ends[0], start[1] : ends[1], start[2] : ends[2]] = mask.values
    return replace(mask, values=whole, affine=image.affine, spacing=image.spacing, facts={**mask.facts, "cut": False})
