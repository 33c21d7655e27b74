"""Patches of scans for learning, changed at random: cut out, stretched, mirrored, turned by quarters, brightened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osler.models.neural.detection.boxes import content
from osler.models.neural.detection.preparing import Prepared, Store

#: Share of patches that are laid on a thing; the others lie anywhere.
ON_A_THING = 0.6
#: A thing of which less than this share lies in the patch is not asked for, and not told to be absent.
SEEN = 0.5
#: Largest random stretch, as a factor.
STRETCH = 1.25
#: Largest random change of contrast and of brightness, in spreads: of scans on their own scale, and of those on one scale for all, on which
#: another phase of a contrast agent is another brightness.
TONES = {"scan": (0.2, 0.2), "set": (0.3, 0.5)}


@dataclass(frozen=True)
class Patch:
    """A batch of patches.

    Attributes:
        x: (n, c, [z,] y, x).
        things, codes, ignored: per patch (k, 2d), (k,), and (j, 2d) boxes cut off so far that nobody asks for them.
        labels: (n, [z,] y, x) int32, at every pixel the thing's number in its scan, or None; numbers: per patch (k,) those of `things`.
    """

    x: Tensor
    things: list[Tensor]
    codes: list[Tensor]
    ignored: list[Tensor]
    labels: Tensor | None
    numbers: list[Tensor]


def batches(store: Store, plan: dict[str, Any], mirror: bool, rng: np.random.Generator) -> Any:
    """Without end: batches of patches, every scan as often as every other."""
    order: list[int] = []
    while True:
        rows = []
        for _ in range(plan["batch"]):
            order = order or rng.permutation(len(store)).tolist()
            rows.append(order.pop())
        yield _together([patch(store[row], plan["patch"], mirror, rng, TONES[plan["normalise"]]) for row in rows])


def _together(parts: list[dict[str, Any]]) -> Patch:
    labels = None if parts[0]["labels"] is None else torch.stack([p["labels"] for p in parts])
    lists = ([p[k] for p in parts] for k in ("things", "codes", "ignored"))
    return Patch(torch.stack([p["x"] for p in parts]), *lists, labels, [p["numbers"] for p in parts])


def patch(
    scan: Prepared, size: list[int], mirror: bool, rng: np.random.Generator, tones: tuple[float, float] = TONES["scan"]
) -> dict[str, Any]:
    """One patch of a scan with the things in it."""
    shape = np.array(scan.x.shape[1:])
    stretch = float(np.exp(rng.uniform(-1, 1) * np.log(STRETCH)))
    window = np.maximum(4, np.round(np.array(size) / stretch)).astype(int)
    low = _place(scan, shape, window, rng)
    x = _cut(scan.x.float(), low, window)
    x = F.interpolate(x[None], size=size, mode="bilinear" if len(size) == 2 else "trilinear", align_corners=False)[0]
    factor = np.array(size) / window
    things = (scan.things - torch.from_numpy(np.tile(low, 2))) * torch.from_numpy(np.tile(factor, 2))
    whole, most = content(things), torch.tensor(size).repeat(2)
    cut = torch.minimum(things.clamp(min=0), most).float()
    seen = content(cut) / whole.clamp(min=1e-6)
    asked, partly = (seen >= SEEN).nonzero()[:, 0], (seen > 0) & (seen < SEEN)
    labels = None
    if scan.labels is not None:
        labels = _cut(scan.labels[None].double(), low, window)
        labels = F.interpolate(labels[None], size=size, mode="nearest-exact")[0, 0].int()
    made = {"x": _toned(x, tones, rng), "things": cut[asked], "codes": scan.codes[asked], "ignored": cut[partly], "labels": labels, "numbers": asked + 1}
    return _mirrored(made, size, rng) if mirror else made


def _place(scan: Prepared, shape: np.ndarray, window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lowest corner of a window: somewhere round a thing, or anywhere; inside the scan where it is large enough, else round it."""
    low, high = np.minimum(0, shape - window), np.maximum(0, shape - window)
    if len(scan.things) and rng.random() < ON_A_THING:
        dims = len(shape)
        thing = scan.things[int(rng.integers(len(scan.things)))].numpy()
        middle = 0.5 * (thing[:dims] + thing[dims:])
        return np.clip(np.round(middle - window * rng.uniform(0.2, 0.8, dims)), low, high).astype(int)
    return rng.integers(low, high + 1)


def _cut(x: Tensor, low: np.ndarray, window: np.ndarray) -> Tensor:
    """(c, ...) of a window; 0 beyond the scan."""
    pads: list[int] = []
    for axis, (start, length) in enumerate(zip(low.tolist(), window.tolist()), start=1):
        inside = slice(max(0, start), min(x.shape[axis], start + length))
        pads = [inside.start - start, start + length - inside.stop, *pads]
        x = x[(slice(None),) * axis + (inside,)]
    return F.pad(x, pads) if any(pads) else x


def _toned(x: Tensor, tones: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """A patch of another contrast and brightness."""
    contrast, brightness = tones
    return x * float(rng.uniform(1 - contrast, 1 + contrast)) + float(rng.uniform(-brightness, brightness))


def _mirrored(made: dict[str, Any], size: list[int], rng: np.random.Generator) -> dict[str, Any]:
    """Mirrored along each axis, and its last two axes swapped where they are equally long, each half of the time."""
    dims = len(size)
    for axis in range(dims):
        if rng.random() < 0.5:
            made = _over_pixels(made, lambda t, a=axis: t.flip(t.dim() - dims + a))
            made = _over_boxes(made, lambda b, a=axis: _flipped(b, a, size[a]))
    if size[-1] == size[-2] and rng.random() < 0.5:
        swap = [*range(dims - 2), dims - 1, dims - 2]
        made = _over_pixels(made, lambda t: t.transpose(-1, -2))
        made = _over_boxes(made, lambda b: b[:, [*swap, *(dims + s for s in swap)]])
    return made


def _over_pixels(made: dict[str, Any], change: Any) -> dict[str, Any]:
    labels = None if made["labels"] is None else change(made["labels"])
    return made | {"x": change(made["x"]), "labels": labels}


def _over_boxes(made: dict[str, Any], change: Any) -> dict[str, Any]:
    return made | {k: change(made[k]) for k in ("things", "ignored")}


def _flipped(boxes: Tensor, axis: int, length: int) -> Tensor:
    dims, out = boxes.shape[1] // 2, boxes.clone()
    out[:, axis], out[:, dims + axis] = length - boxes[:, dims + axis], length - boxes[:, axis]
    return out
