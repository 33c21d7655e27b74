"""Faces taken off MR and CT volumes of the head: a simple geometric and morphological method.

It is no registration to an atlas. The head is what is brighter than air. Its inside, of which the brain is most, is the
largest piece of what is as bright as the middle of the head and holds a disc of some millimetres, together with its
mirror image. Everything in the front of the head, from the level where the inside is widest downwards, that is further
than a margin from the inside is set to air: brow, eyes, nose, cheeks, lips. Where no inside can be told, nothing is
removed and the volume is called `unsure`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Radius of the ball that cuts skin from inside, and the margin that is left around the inside, in mm.
OPENING = 6.0
MARGIN = 10.0
#: Least depth of the brain below the skin in mm, and how many standard deviations from its middle count as alike.
SKIN = 6.0
LIKENESS = 4.0
#: Least share of the head that its inside must be.
LEAST_INSIDE = 0.2
#: Share of the head's depth, from the front, in which anything is removed.
FRONT = 0.5
_WORDS = ("head", "brain", "skull", "cranium", "face", "neuro", "schädel", "kopf", "hirn")


@dataclass(frozen=True)
class Defaced:
    """What was found.

    Attributes:
        face: (z, y, x) bool, what is to be set to air.
        share: of the head's voxels.
        verdict: `removed` or `unsure`.
    """

    face: np.ndarray
    share: float
    verdict: str


def is_head(shown: dict[str, object]) -> bool:
    """Whether attributes say that an MR or CT shows a head."""
    words = " ".join(
        str(shown.get(k) or "") for k in ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName")
    )
    return str(shown.get("Modality")) in ("MR", "CT") and any(word in words.casefold() for word in _WORDS)


def find_face(
    volume: np.ndarray, spacing: tuple[float, float, float], front: tuple[int, int], up: tuple[int, int]
) -> Defaced:
    """The face of a head.

    Args:
        volume: (z, y, x) intensities.
        spacing: mm between slices, rows and columns.
        front: axis (0 to 2) and sign of the direction in which the patient looks.
        up: axis and sign of the direction to the top of the head, another axis than `front`.
    """
    from scipy import ndimage

    nothing = Defaced(np.zeros(volume.shape, bool), 0.0, "unsure")
    if np.ptp(volume) == 0:
        return nothing
    head = _head(volume)
    if front[0] == up[0] or head.sum() < 1000:
        return nothing
    inside = _inside(volume, head, spacing)
    if not LEAST_INSIDE <= inside.sum() / head.sum() <= 0.9:
        return nothing
    inside |= _mirrored(inside, 3 - front[0] - up[0])
    distance = ndimage.distance_transform_edt(~inside, sampling=spacing)
    extent = np.nonzero(head.any(axis=tuple(a for a in range(3) if a != front[0])))[0]
    depth = FRONT * (extent.max() - extent.min())
    middle = extent.max() - depth if front[1] > 0 else extent.min() + depth
    widest = int(inside.sum(axis=tuple(a for a in range(3) if a != up[0])).argmax())
    below = _beyond(volume.shape, (up[0], -up[1]), widest)
    face = (distance > MARGIN) & _beyond(volume.shape, front, middle) & below & _near(head, spacing)
    share = float((face & head).sum() / head.sum())
    return Defaced(face, share, "removed") if share >= 0.005 else nothing


def _beyond(shape: tuple[int, ...], direction: tuple[int, int], start: float) -> np.ndarray:
    """Which voxels lie on or beyond a place along a direction; broadcasts to `shape`."""
    axis, sign = direction
    along = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
    return along >= start if sign > 0 else along <= start


def _mirrored(inside: np.ndarray, axis: int) -> np.ndarray:
    """The inside with left and right exchanged about its middle: what was missed on one side is kept by the other."""
    places = np.nonzero(inside)[axis]
    turned = round(2 * float(places.mean())) - np.arange(inside.shape[axis])
    valid = (turned >= 0) & (turned < inside.shape[axis])
    mirrored = np.take(inside, np.clip(turned, 0, inside.shape[axis] - 1), axis=axis)
    return mirrored & valid.reshape([-1 if a == axis else 1 for a in range(3)])


def air(volume: np.ndarray) -> float:
    """The value of air: the lowest hundredth of the volume."""
    return float(np.quantile(volume, 0.01))


def _head(volume: np.ndarray) -> np.ndarray:
    """The largest thing that is brighter than air, without holes in its slices."""
    from scipy import ndimage

    bright = volume > _otsu(volume)
    bright |= volume > air(volume) + 0.25 * (_otsu(volume) - air(volume)) * 2
    labels, count = ndimage.label(bright)
    if count == 0:
        return bright
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    return np.stack([ndimage.binary_fill_holes(s) for s in labels == largest])


def _inside(volume: np.ndarray, head: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The brain and what is like it around the middle of the head: intensities like those deepest in the head, opened by a
    disc of `OPENING` mm slice by slice, the largest piece in space, closed again by twice the disc."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(head, sampling=spacing)
    deep = volume[depth > 0.6 * depth.max()]
    middle = float(np.median(deep))
    spread = 1.4826 * float(np.median(np.abs(deep - middle)))
    alike = head & (np.abs(volume - middle) <= LIKENESS * spread) & (depth > SKIN)
    steps = (spacing[1], spacing[2])
    opened = np.stack([_opened(plane, steps, OPENING) for plane in alike])
    labels, count = ndimage.label(opened)
    if count == 0:
        return opened
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    closed = np.stack([~_opened(~np.pad(plane, 60), steps, 2 * OPENING)[60:-60, 60:-60] for plane in largest])
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed]) & head


def _opened(plane: np.ndarray, steps: tuple[float, float], radius: float) -> np.ndarray:
    """Morphological opening of a picture by a disc, through two distance maps."""
    from scipy import ndimage

    core = ndimage.distance_transform_edt(plane, sampling=steps) > radius
    if not core.any():
        return np.zeros_like(plane)
    return ndimage.distance_transform_edt(~core, sampling=steps) <= radius


def _near(head: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The head and a few millimetres of air around it, where the partial volume of the skin still draws the face."""
    from scipy import ndimage

    return ndimage.distance_transform_edt(~head, sampling=spacing) <= 6.0


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold (IEEE Trans SMC 1979) over 256 bins up to the 99.5th percentile."""
    top = float(np.quantile(values, 0.995))
    counts, edges = np.histogram(values[values <= top], 256)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    rest = weight[-1] - weight
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = weight * rest * (total / weight - (total[-1] - total) / rest) ** 2
    return float(centres[int(np.nanargmax(between[:-1]))])
