"""What training scans are like: all that a plan is made from, as JSON. Looks at every scan once and keeps none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from osler.errors import ColumnError
from osler.scenes import Asked, Drawing, Scene, Scenes

#: Values of one scan's channel that enter the percentiles, at most.
SAMPLE = 20_000
#: Below this value nothing is measured but in Hounsfield units, where air is -1000.
AIR = -500.0


@dataclass(frozen=True)
class Fingerprint:
    """Training scans in short.

    Attributes:
        scans: how many.
        dims: 2 or 3.
        channels: of every scan.
        classes: names, the background first.
        instances: each thing is wanted apart.
        spacing: median mm per axis; ones where it is unknown.
        known_spacing: every scan says its spacing.
        shape: median voxels per axis, each scan's own.
        extent: median mm per axis (voxels where the spacing is unknown).
        largest: most voxels of a scan.
        total: voxels of all scans.
        shares: of all voxels that each class has, the background first.
        voxels: median count of each class per scan that has it, background left out.
        thing: median size of a thing in voxels; 0 where things are not wanted apart.
        intensities: per channel `low`, `high` (0.5 % and 99.5 %), `mean`, `spread` over what is drawn, and `least`, `zeros` over all.
    """

    scans: int
    dims: int
    channels: int
    classes: tuple[str, ...]
    instances: bool
    spacing: tuple[float, ...]
    known_spacing: bool
    shape: tuple[int, ...]
    extent: tuple[float, ...]
    largest: int
    total: int
    shares: tuple[float, ...]
    voxels: tuple[float, ...]
    thing: float
    intensities: tuple[dict[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {name: list(getattr(self, name)) for name in ("classes", "spacing", "shape", "extent", "shares", "voxels", "intensities")}


def classes_of(drawn: Drawing, asked: Asked) -> np.ndarray:
    """Labels of what is drawn as classes: itself, or with numbered things the class of each (the first but the background unless
    `boxes` say another).

    Raises:
        ColumnError: nothing is drawn, or a label has no class.
    """
    if drawn is None or drawn.labels is None:
        raise ColumnError("a mask of segmentation must hold labels, one scan has none: give every training scan its mask", "column-kind")
    labels = np.asarray(drawn.labels)
    most = int(labels.max(initial=0))
    if not drawn.instances:
        if most >= len(asked.classes):
            raise ColumnError(f"labels of a mask must be below {len(asked.classes)}, the number of classes, one was {most}: name every class", "mask-labels")
        return labels.astype(np.uint8)
    codes = np.ones(most, dtype=np.uint8)
    if drawn.boxes is not None and len(drawn.boxes) == most:
        codes = drawn.boxes.codes.astype(np.uint8)
    return np.concatenate([np.zeros(1, np.uint8), codes])[labels]


def of(scenes: Scenes) -> Fingerprint:
    """Look at every scan once.

    Raises:
        ColumnError: there are none, or they differ in channels, or one has no mask.
    """
    seen = [_of_one(scene, scenes.asked) for scene in scenes]
    if not seen:
        raise ColumnError("a drawing network must have training scans, there are none: look at the cohort's refusals", "target-rows")
    channels = {s["channels"] for s in seen}
    if len(channels) != 1:
        raise ColumnError(f"scans of one column must have equally many channels, they have {sorted(channels)}: leave the others out", "image-dims")
    spacings = np.array([s["spacing"] for s in seen])
    known = bool(np.isfinite(spacings).all())
    spacing = np.median(spacings, axis=0) if known else np.ones(scenes.asked.dims)
    shapes = np.array([s["shape"] for s in seen])
    extents = shapes * (spacings if known else 1.0)
    sizes = shapes.prod(axis=1)
    counts = np.array([s["counts"] for s in seen], dtype=float)
    things = np.concatenate([s["things"] for s in seen])
    return Fingerprint(
        len(seen), scenes.asked.dims, channels.pop(), tuple(scenes.asked.classes), scenes.asked.instances,
        tuple(float(v) for v in spacing), known, tuple(int(v) for v in np.median(shapes, axis=0)),
        tuple(float(v) for v in np.median(extents, axis=0)), int(sizes.max()), int(sizes.sum()),
        tuple(float(v) for v in counts.sum(axis=0) / max(counts.sum(), 1.0)),
        tuple(float(np.median(c[c > 0])) if (c > 0).any() else 0.0 for c in counts[:, 1:].T),
        float(np.median(things)) if len(things) else 0.0,
        tuple(_channel([s["samples"][c] for s in seen], [s["zeros"][c] for s in seen]) for c in range(len(seen[0]["samples"]))),
    )  # fmt: skip


def _of_one(scene: Scene, asked: Asked) -> dict[str, Any]:
    classes = classes_of(scene.drawn, asked)
    if classes.shape != scene.shape:
        raise ColumnError(
            f"a mask must have the shape of its scan, {list(scene.shape)}, one has {list(classes.shape)}: leave it out or draw it anew", "mask-geometry"
        )
    counts = np.bincount(classes.ravel(), minlength=max(2, len(asked.classes)))
    where = np.flatnonzero(classes) if counts[1:].any() else np.arange(classes.size)
    samples, zeros = [], []
    for channel in scene.values:
        flat = channel.reshape(-1)
        inside = flat[where]
        samples.append((inside[:: max(1, len(inside) // SAMPLE)], flat[:: max(1, len(flat) // SAMPLE)]))
        zeros.append(float((flat == 0).mean()))
    things = np.empty(0)
    if asked.instances:
        things = np.bincount(scene.drawn.labels.ravel())[1:]
        things = things[things > 0]
    return {
        "channels": len(scene.values), "spacing": scene.spacing, "shape": scene.shape, "counts": counts, "things": things,
        "samples": samples, "zeros": zeros,
    }  # fmt: skip


def _channel(samples: list[tuple[np.ndarray, np.ndarray]], zeros: list[float]) -> dict[str, float]:
    inside = np.concatenate([s[0] for s in samples]).astype(np.float64)
    inside = inside[np.isfinite(inside)]
    whole = np.concatenate([s[1] for s in samples])
    inside = inside if len(inside) else np.zeros(1)
    low, high = np.percentile(inside, (0.5, 99.5))
    clipped = np.clip(inside, low, high)
    return {
        "low": float(low), "high": float(high), "mean": float(clipped.mean()), "spread": float(max(clipped.std(), 1e-6)),
        "least": float(np.nanmin(whole)) if len(whole) else 0.0, "zeros": float(np.median(zeros)),
    }  # fmt: skip
