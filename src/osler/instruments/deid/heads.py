"""Series of heads stacked, their faces found, and each file told which of its pixels are face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import dicom_deid_file as reading
from osler.adapters.imaging import dicom_deid_pixels as pixels
from osler.errors import InputError
from osler.instruments.deid import deface

#: Fewest slices of a volume, and most voxels that are stacked.
MIN_SLICES = 8
MAX_VOXELS = 1 << 28


class Heads:
    """Faces of one series at a time.

    Args:
        series: series UID → paths of its files, only series of heads.
    """

    def __init__(self, series: dict[str, list[Path]]) -> None:
        self._series = series
        self._current = ""
        self._faces: dict[str, np.ndarray] = {}
        self._air = 0.0

    def __contains__(self, series: str) -> bool:
        return series in self._series

    def take_off(self, dataset: Any, series: str, instance: str) -> bool:
        """Blank the face in a data set; False where the series is no volume in which a face can be told."""
        if series != self._current:
            self._current, self._faces = series, self._found(self._series[series])
        if instance not in self._faces:
            return False
        if self._faces[instance].any():
            pixels.blank(dataset, self._faces[instance], self._air)
        return True

    def _found(self, paths: list[Path]) -> dict[str, np.ndarray]:
        """Instance UID → (y, x) bool, empty if unsure."""
        slices: dict[str, pixels.Slice] = {}
        for path in paths:
            try:
                dataset = reading.parse(path.read_bytes())
            except InputError:
                continue
            one = pixels.slice_of(dataset)
            if one is None:
                return {}
            slices[str(dataset.get("SOPInstanceUID", ""))] = one
        return self._stacked(slices)

    def _stacked(self, slices: dict[str, pixels.Slice]) -> dict[str, np.ndarray]:
        if len(slices) < MIN_SLICES or len({s.values.shape for s in slices.values()}) > 1:
            return {}
        first = next(iter(slices.values()))
        if len(slices) * first.values.size > MAX_VOXELS:
            return {}
        normal = np.cross(first.rows_along, first.columns_along)
        if any(not np.allclose(s.rows_along, first.rows_along, atol=1e-3) for s in slices.values()):
            return {}
        order = sorted(slices, key=lambda name: float(normal @ slices[name].position))
        places = [float(normal @ slices[name].position) for name in order]
        step = float(np.median(np.diff(places)))
        if step <= 0:
            return {}
        volume = np.stack([slices[name].values for name in order]).astype(np.float32)
        directions = np.array([normal, first.columns_along, first.rows_along])
        front, up = _axis(-directions[:, 1]), _axis(directions[:, 2])
        found = deface.find_face(volume, (step, *first.spacing), front, up)
        if found.verdict == "unsure":
            return {}
        self._air = deface.air(volume)
        return dict(zip(order, found.face, strict=True))


def _axis(along: np.ndarray) -> tuple[int, int]:
    """The axis that runs most along a direction, and its sign."""
    axis = int(np.abs(along).argmax())
    return axis, 1 if along[axis] > 0 else -1
