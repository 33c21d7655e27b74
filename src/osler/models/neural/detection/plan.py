"""What would be done with these training scans: the grid, the levels and the anchors follow from the boxes. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osler.errors import OptionError, TargetError
from osler.scenes import Scene, Scenes, boxes_of

#: Pixels per side that small things (the tenth percentile of the class that has it lowest) get on the network's grid, at most.
SMALL = {2: 12.0, 3: 8.0}
#: Most that pictures are enlarged by where masks of things smaller than that are asked for.
MOST_ZOOM = 2.0
#: Least and largest overlap of two boxes of a class from which only the better one is told; between, what things of the training scans
#: overlap (but for one in a hundred), and a little more.
TOLD_ONCE, MORE = (0.15, 0.6), 0.1
#: Things that a class must have to set the grid.
ENOUGH = 5
#: A network's sizes where nobody says them: in volumes every channel costs as many times more as there are slices.
USUAL = {2: {"filters": 16, "width": 48, "blocks": 1, "depth": 2}, 3: {"filters": 16, "width": 24, "blocks": 1, "depth": 2}}
#: Longest side of a patch.
PATCH = {2: 320, 3: 64}
#: In volumes a patch is so many times as long as a long thing and no shorter than this, and a step has patches of so many voxels in all:
#: many small patches show a network many more things in a step than a few large ones, which is what it learns by.
SURROUND, SHORTEST, VOXELS = 2.5, 16, 1 << 17
#: Patches of a scan that stand for having seen it once, at most.
PER_SCAN = {2: 8, 3: 16}
#: An anchor of a level is meant for things about this many strides long.
STRIDES_PER_THING = 4.0
#: Deepest level: a stride of 64 pixels.
DEEPEST = 64
#: Shares of all values below and above which they are cut off.
PERCENTILES = (0.5, 99.5)
#: Values whose ranks are remembered, so that contrast is where the things' surroundings have their values.
RANKS = 65
#: A scan with values below this is taken for CT in Hounsfield units, where numbers mean the same in every scan.
HOUNSFIELD = -500.0


@dataclass(frozen=True)
class Look:
    """What was seen in the training scans.

    Attributes:
        sides: (k, d) of all things, in mm where every scan says its spacing, else in pixels; codes: (k,) their classes.
        spacing: (n, d) mm, or None where a scan does not say it.
        shared: (k,) overlap of each thing with that of its class in its scan that it overlaps most.
        shapes: (n, d) pixels.
        channels: of every scan.
        sample: (m,) values of all scans; around: (m,) values in boxes twice as long as those of the things.
    """

    sides: np.ndarray
    codes: np.ndarray
    shared: np.ndarray
    spacing: np.ndarray | None
    shapes: np.ndarray
    channels: int
    sample: np.ndarray
    around: np.ndarray

    @staticmethod
    def at(scenes: Scenes) -> Look:
        """Every scan read once.

        Raises:
            TargetError: there is nothing in any scan. OptionError: channels differ between scans.
        """
        sides, codes, shared, spacing, shapes, channels, sample, around = [], [], [], [], [], set(), [], []
        for scene in scenes:
            corners, kinds = things_of(scene)
            codes.append(kinds)
            shared.append(_shared(corners, kinds))
            sides.append(corners[:, scene.dims :] - corners[:, : scene.dims])
            spacing.append(scene.spacing)
            shapes.append(scene.shape)
            channels.add(len(scene.values))
            flat = scene.values.reshape(-1)
            sample.append(flat[:: max(1, len(flat) // 20_000)])
            around += [_around(scene, box) for box in corners]
        found = np.concatenate(sides) if sides else np.empty((0, 2))
        if not len(found):
            raise TargetError("at least one box must be drawn on the training scans, there is none: name another target", "target-constant")
        if len(channels) > 1:
            raise OptionError(f"scans must have as many channels as each other, these have {sorted(channels)}: choose with channels=grey")
        known: np.ndarray | None = np.stack(spacing)
        known = known if np.isfinite(known).all() else None
        if known is not None:
            found = np.concatenate([s * k for s, k in zip(sides, known)])
        values = np.concatenate(sample), np.concatenate(around)
        return Look(found, np.concatenate(codes), np.concatenate(shared), known, np.stack(shapes), channels.pop(), *values)

    @property
    def small(self) -> float:
        """Length of small things: the lowest tenth percentile of any class that has enough of them."""
        length = np.exp(np.log(np.maximum(self.sides, 1e-6)).mean(axis=1))
        enough = [length[self.codes == code] for code in np.unique(self.codes) if (self.codes == code).sum() >= ENOUGH]
        return float(min(np.percentile(one, 10) for one in enough or [length]))


def _around(scene: Scene, box: np.ndarray) -> np.ndarray:
    """At most 1,000 values of a scan in a box twice as long as that of a thing."""
    d = scene.dims
    half = 0.5 * (box[d:] - box[:d])
    at = tuple(slice(max(0, int(a)), int(np.ceil(b))) for a, b in zip(box[:d] - half, box[d:] + half))
    flat = scene.values[(slice(None), *at)].reshape(-1)
    return flat[:: max(1, len(flat) // 1000)]


def things_of(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Corners (k, 2d) and codes (k,) of what is drawn on a scan: its boxes, or those round each thing of its labels (all of code 0)."""
    drawn = scene.drawn
    if drawn is None:
        return np.empty((0, 2 * scene.dims)), np.empty(0, np.int64)
    if drawn.boxes is not None:
        return drawn.boxes.corners, drawn.boxes.codes
    found = boxes_of(drawn.labels)[0]
    return found.corners, found.codes


def _shared(corners: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(k,) largest intersection over union of each box with another of its class."""
    dims = corners.shape[1] // 2
    low, high = np.maximum(corners[:, None, :dims], corners[None, :, :dims]), np.minimum(corners[:, None, dims:], corners[None, :, dims:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    size = (corners[:, dims:] - corners[:, :dims]).prod(axis=1)
    share = inner / np.maximum(size[:, None] + size[None] - inner, 1e-9)
    share[(codes[:, None] != codes[None]) | np.eye(len(codes), dtype=bool)] = 0.0
    return share.max(axis=1, initial=0.0)


def planned(scenes: Scenes, options: Any) -> dict[str, Any]:
    """The plan of a detector, as JSON values; `options` are those of `retina`.

    Raises:
        TargetError, OptionError: as `Look.at`.
    """
    look = Look.at(scenes)
    dims = scenes.asked.dims
    classes = list(scenes.asked.classes)[scenes.asked.kind == "segmentation" :]  # without the background
    spacing, zoom, why = _grid(look, dims, options, MOST_ZOOM if scenes.asked.kind == "segmentation" else 1.0)
    pixels = look.sides / np.array(spacing) if spacing else look.sides * np.array(zoom)
    length = np.exp(np.log(np.maximum(pixels, 1e-3)).mean(axis=1))
    strides = _strides(length)
    level = np.abs(np.log2(length[:, None] / (STRIDES_PER_THING * np.array(strides)))).argmin(axis=1)
    anchors = [_usual(pixels[level == i], STRIDES_PER_THING * s, dims) for i, s in enumerate(strides)]
    patch = _patch(look, spacing, zoom, float(np.percentile(pixels.max(axis=1), 95)), strides[-1], dims, options)
    batch = options.batch_size or (4 if dims == 2 else int(np.clip(VOXELS // math.prod(patch), 2, 32)))
    grid = np.median(_working(look, spacing, zoom), axis=0)
    per_scan = int(np.clip(round(np.prod(grid) / np.prod(patch)), 1, PER_SCAN[dims]))
    steps = options.steps or max(1, math.ceil(options.epochs * len(scenes) * per_scan / batch))
    most_overlap = options.most_overlap or float(np.clip(np.percentile(look.shared, 99) + MORE, *TOLD_ONCE))
    why += [
        f"of two boxes of a class that overlap by {most_overlap:.2f} the better one is told",
        f"levels with strides {', '.join(map(str, strides))}: half of the things are "
        f"{np.percentile(length, 25):.0f} to {np.percentile(length, 75):.0f} pixels long",
        f"{steps} steps of {batch} patches"
        + (": asked for" if options.steps else f": {options.epochs} times {per_scan} of each of {len(scenes)} scans"),
    ]
    return {
        "dims": dims, "channels": look.channels, "kind": scenes.asked.kind, "classes": classes, "spacing": spacing, "zoom": zoom,
        "network": _network(dims, options), "strides": strides, "anchors": anchors, "patch": patch, "batch": batch, "steps": steps,
        **_intensities(look, options), "things": len(pixels), "most_overlap": most_overlap,
        "longest": float(np.percentile(pixels.max(axis=1), 99.5)), "why": why,
    }  # fmt: skip


def _network(dims: int, options: Any) -> dict[str, int]:
    """Widths and depths of the network, those of `USUAL` where the options do not say."""
    asked = {k: getattr(options, k) for k in ("filters", "width", "blocks", "depth")}
    return {k: v or USUAL[dims][k] for k, v in asked.items()}


def _grid(look: Look, dims: int, options: Any, most: float) -> tuple[list[float] | None, list[float] | None, list[str]]:
    """mm between pixels of the network's grid, or by how much scans are shrunk (or enlarged, by `most`) where nobody knows mm; and why."""
    small = look.small
    if look.spacing is not None:
        if options.spacing:
            return [float(options.spacing)] * dims, None, [f"grid of {options.spacing:g} mm: asked for"]
        finest = float(np.median(look.spacing.min(axis=1)))
        spacing = max(finest, small / SMALL[dims])
        return [spacing] * dims, None, [f"grid of {spacing:.3g} mm: small things are {small:.3g} mm long, scans have {finest:.3g} mm"]
    zoom = min(most, SMALL[dims] / small)
    return None, [zoom] * dims, [f"scans {'enlarged' if zoom > 1 else 'shrunk'} to {zoom:.0%}: small things are {small:.0f} pixels long"]


def _strides(length: np.ndarray) -> list[int]:
    """Powers of two from 2: levels whose anchors meet things from the smallest twentieth to the longest."""
    low, high = np.percentile(length, [5, 95]) / STRIDES_PER_THING
    first = int(np.clip(2 ** round(math.log2(max(low, 2.0))), 2, DEEPEST))
    last = int(np.clip(2 ** round(math.log2(max(high, first))), first, DEEPEST))
    return [2**k for k in range(first.bit_length() - 1, last.bit_length())]


def _usual(sides: np.ndarray, length: float, dims: int) -> list[float]:
    """Sides of a level's anchor: the median of its things, or a cube where it has none."""
    return [float(s) for s in (np.median(sides, axis=0) if len(sides) else [length] * dims)]


def _working(look: Look, spacing: Sequence[float] | None, zoom: Sequence[float] | None) -> np.ndarray:
    """(n, d) shapes on the network's grid."""
    return look.shapes * (look.spacing / np.array(spacing) if spacing else np.array(zoom))


def _patch(
    look: Look, spacing: Sequence[float] | None, zoom: Sequence[float] | None, longest: float, stride: int, dims: int, options: Any
) -> list[int]:
    """Sides of a patch: the usual scan's, but no longer than `PATCH` (or twice a long thing) nor, in volumes, than `SURROUND` long things;
    multiples of twice the last stride.
    """
    most = max(PATCH[dims], 2 * longest)
    if dims == 3:
        most = min(most, max(SHORTEST, SURROUND * longest))
    most = options.patch or most
    usual = np.median(_working(look, spacing, zoom), axis=0)
    return [int(math.ceil(min(s, most) / (2 * stride)) * 2 * stride) for s in usual]


def _intensities(look: Look, options: Any) -> dict[str, Any]:
    """How numbers of scans are put on one scale: by those around the training things where they mean the same in every scan (`set`)."""
    how = options.normalise
    if how == "auto":
        how = "set" if float(look.sample.min()) < HOUNSFIELD else "scan"
    low, high = (float(v) for v in np.percentile(look.sample, PERCENTILES))
    inner = np.clip(look.around, low, high).astype(np.float64)
    ranks = np.unique(np.percentile(inner, np.linspace(0, 100, RANKS)).round(4))
    return {
        "normalise": how, "window": [low, high], "centre": float(inner.mean()), "spread": float(max(inner.std(), 1e-6)),
        "ranks": [float(v) for v in ranks],
    }  # fmt: skip


def zoom_for(plan: dict[str, Any], scene: Scene) -> np.ndarray:
    """(d,) pixels of the network's grid per pixel of a scan; exact, as the grid has whole pixels."""
    wanted = scene.spacing / np.array(plan["spacing"]) if plan["spacing"] else np.array(plan["zoom"])
    shape = np.array(scene.shape)
    if not np.isfinite(wanted).all():
        raise OptionError("a scan must say its spacing as the training scans did, this one does not: give its spacing in its file")
    return np.maximum(1, np.round(shape * wanted)) / shape
