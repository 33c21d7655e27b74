"""Patches of training scans: anywhere, or around something that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from osler.models.neural.segmentation.losses import OUTSIDE

#: Places of one class that a scan remembers.
PLACES = 2000


@dataclass(frozen=True)
class Example:
    """One training scan as the network sees it.

    Attributes:
        values: (c, ...) float32.
        labels: (...) int16, a class each.
        field: (...) float32 beside the classes (distances of things), or None.
        places: per class that is there, the background left out, (m, d) voxels of it.
    """

    values: np.ndarray
    labels: np.ndarray
    field: np.ndarray | None
    places: tuple[np.ndarray, ...]


def example(values: np.ndarray, labels: np.ndarray, field: np.ndarray | None = None) -> Example:
    """One scan with the places of its classes, at most `PLACES` of each, evenly taken."""
    places = []
    for code in range(1, int(labels.max(initial=0)) + 1):
        at = np.flatnonzero(labels == code)
        if len(at):
            at = at[:: max(1, len(at) // PLACES)]
            places.append(np.stack(np.unravel_index(at, labels.shape), axis=1))
    return Example(values, labels.astype(np.int16), field, tuple(places))


class Patches:
    """Draws batches of patches: every scan once before any comes again.

    Args:
        count: scans.
        get: the k-th of them.
        size: voxels per axis of a patch.
        margin: voxels at each side that are read and have no label in the batch (networks that answer a smaller middle).
        foreground: share of patches that are centred on something drawn.
        rng: where patches are drawn from.
    """

    def __init__(
        self, count: int, get: Callable[[int], Example], size: list[int], margin: list[int], foreground: float, rng: np.random.Generator
    ) -> None:
        self.count, self.get, self.size, self.margin = count, get, np.array(size), np.array(margin)
        self.foreground, self.rng = foreground, rng
        self._order: list[int] = []

    def batch(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Values (n, c, ...) with the margin, labels (n, ...) int64 with `OUTSIDE` beyond a scan, fields (n, ...) or None."""
        parts = [self._one() for _ in range(n)]
        fields = None if parts[0][2] is None else np.stack([p[2] for p in parts])
        return np.stack([p[0] for p in parts]), np.stack([p[1] for p in parts]).astype(np.int64), fields

    def _one(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if not self._order:
            self._order = list(self.rng.permutation(self.count))
        scan = self.get(int(self._order.pop()))
        start = self._start(scan)
        values = cut(scan.values, start - self.margin, self.size + 2 * self.margin, None)
        labels = cut(scan.labels[None], start, self.size, OUTSIDE)[0]
        field = None if scan.field is None else cut(scan.field[None], start, self.size, 0)[0]
        return values, labels, field

    def _start(self, scan: Example) -> np.ndarray:
        room = np.array(scan.labels.shape) - self.size
        low, high = np.minimum(room, 0), np.maximum(room, 0)
        if scan.places and self.rng.random() < self.foreground:
            places = scan.places[int(self.rng.integers(len(scan.places)))]
            start = places[int(self.rng.integers(len(places)))] - self.size // 2
            return np.where(room > 0, np.clip(start, low, high), room // 2)
        return np.where(room > 0, self.rng.integers(low, high + 1), room // 2)


def cut(values: np.ndarray, start: np.ndarray, size: np.ndarray, beyond: float | None) -> np.ndarray:
    """A box of (c, ...) values; beyond the array `beyond`, or the nearest value where that is None."""
    shape = np.array(values.shape[1:])
    inside = tuple(slice(int(max(a, 0)), int(min(a + s, n))) for a, s, n in zip(start, size, shape))
    found = values[(slice(None), *inside)]
    lack = [(0, 0)] + [(int(max(-a, 0)), int(max(a + s - n, 0))) for a, s, n in zip(start, size, shape)]
    if not any(a or b for a, b in lack):
        return found
    return np.pad(found, lack, mode="edge") if beyond is None else np.pad(found, lack, constant_values=beyond)
