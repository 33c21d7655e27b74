"""Scans with something drawn on them: what a model that answers with masks or boxes sees, and what it answers with.

Axes are in the order of the array: (y, x) of a picture, (z, y, x) of a volume. `d` is 2 or 3. Everything here is at the resolution of the
scan itself; a model that needs another one resamples, and brings its answer back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """Things found in one scan.

    Attributes:
        corners: (k, 2d) float64, lowest corner and then highest, each (y, x) or (z, y, x), in pixels: the first pixel spans 0 to 1.
        codes: (k,) int64, a class of the target by its position in its names.
        scores: (k,) float64 from 0 to 1, how sure the model is; ones where a person drew them.
    """

    corners: np.ndarray
    codes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)

    def take(self, which: np.ndarray) -> Boxes:
        """Some of the boxes (positions or mask)."""
        return Boxes(self.corners[which], self.codes[which], self.scores[which])

    @staticmethod
    def none(dims: int) -> Boxes:
        """No boxes in a scan of `dims` axes."""
        return Boxes(np.empty((0, 2 * dims)), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Drawing:
    """What is drawn on one scan, by a person or by a model.

    Attributes:
        labels: (y, x) or (z, y, x) uint16, 0 is background: a class by its number, or with `instances` each thing by its own; None where
            only boxes are known.
        boxes: the things; None where only labels are known.
        probability: (k, y, x) or (k, z, y, x) float32, of each class with the background first; None where a person drew it or nobody asked.
        instances: labels number the things (1, 2, ...) and not classes; `boxes` then has one row per thing in the same order, if it is given.
    """

    labels: np.ndarray | None = None
    boxes: Boxes | None = None
    probability: np.ndarray | None = None
    instances: bool = False


@dataclass(frozen=True)
class Scene:
    """One scan, all its sequences as channels, and what is drawn on it.

    Attributes:
        values: (c, y, x) or (c, z, y, x) float32 in the scan's own units.
        spacing: (d,) mm per axis in the order of the array; NaN where unknown.
        affine: (4, 4) voxel (x, y, z) to mm of the patient (left, posterior, superior).
        drawn: what is asked for; None in a scan that is only to be answered for.
    """

    values: np.ndarray
    spacing: np.ndarray
    affine: np.ndarray
    drawn: Drawing | None = None

    @property
    def dims(self) -> int:
        """2 for a picture, 3 for a volume."""
        return self.values.ndim - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.values.shape[1:]


class Scenes(Protocol):
    """Scans of some rows, read when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Scene: ...
    def __iter__(self) -> Iterator[Scene]: ...
    def take(self, rows: np.ndarray) -> Scenes: ...
    @property
    def groups(self) -> np.ndarray: ...
    @property
    def asked(self) -> Asked: ...


@dataclass(frozen=True)
class Asked:
    """What is to be drawn.

    Attributes:
        kind: "segmentation" or "detection".
        classes: names by code; of a segmentation the first is the background.
        dims: 2 or 3.
        channels: names of the channels of a scene's values.
        instances: each thing is wanted apart (masks of nuclei), not only their class.
    """

    kind: str
    classes: tuple[str, ...]
    dims: int
    channels: tuple[str, ...] = ()
    instances: bool = False


@dataclass(frozen=True)
class HeldScenes:
    """Scenes that are in memory already.

    Attributes:
        scenes: one per row.
        asked: what is to be drawn.
        groups: (n,) int codes of the unit of independence.
    """

    scenes: tuple[Scene, ...]
    asked: Asked
    groups: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.scenes):
            object.__setattr__(self, "groups", np.arange(len(self.scenes)))

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, row: int) -> Scene:
        return self.scenes[row]

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)

    def take(self, rows: np.ndarray) -> HeldScenes:
        """Some rows (positions or mask)."""
        which = np.arange(len(self))[rows]
        return replace(self, scenes=tuple(self.scenes[i] for i in which), groups=self.groups[which])


def boxes_of(labels: np.ndarray) -> tuple[Boxes, np.ndarray]:
    """The smallest box round each thing of a picture or volume of numbered things, all of code 0 and sure.

    Args:
        labels: (y, x) or (z, y, x) whole numbers, 0 is background.

    Returns:
        the boxes in the order of their numbers, and (k,) int64 the numbers.
    """
    from scipy.ndimage import find_objects

    present, at = np.unique(labels, return_inverse=True)
    order = at.reshape(labels.shape) + (0 if len(present) and present[0] == 0 else 1)
    found = [s for s in find_objects(order.astype(np.int32)) if s is not None]
    corners = [[s.start for s in one] + [s.stop for s in one] for one in found]
    if not corners:
        return Boxes.none(labels.ndim), np.empty(0, np.int64)
    n = len(corners)
    return Boxes(np.array(corners, dtype=np.float64), np.zeros(n, np.int64), np.ones(n)), present[present > 0].astype(np.int64)
