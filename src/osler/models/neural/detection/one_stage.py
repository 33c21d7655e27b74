"""The network of `retina`: a pyramid and a head, what is wrong with their answers, and boxes from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osler.models.base import Params
from osler.models.drawing import Tell
from osler.models.neural import loop
from osler.models.neural.detection import anchors, heads, saved, training, windows
from osler.models.neural.detection import boxes as arithmetic
from osler.models.neural.detection.preparing import prepared
from osler.models.neural.detection.pyramid import Pyramid
from osler.models.neural.detection.sampling import Patch
from osler.scenes import Boxes, Drawing, Scene, Scenes


def pyramid_of(plan: dict[str, Any]) -> Pyramid:
    """The pyramid of a plan; where intensities mean the same in every scan it sees each channel also by ranks."""
    shape, known = plan["network"], None
    if plan["normalise"] == "set":
        known = [(v - plan["centre"]) / max(plan["spread"], 1e-6) for v in plan["ranks"]]
    channels = plan["channels"] * (1 if known is None else 2)
    return Pyramid(plan["dims"], channels, shape["filters"], shape["width"], tuple(plan["strides"]), shape["blocks"], known)


class OneStage(nn.Module):
    """A pyramid and a head.

    Args:
        plan: dims, channels, classes, strides, anchors, and of `network` filters, width, blocks and depth.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__()
        shape = plan["network"]
        dims, strides = plan["dims"], tuple(plan["strides"])
        self.strides, self.sizes = strides, plan["anchors"]
        self.pyramid = pyramid_of(plan)
        self.head = heads.Head(dims, shape["width"], len(plan["classes"]), shape["depth"], len(strides))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(n, c, ...) → logits (n, places, k), steps (n, places, 2d), and per level its anchors (places, 2d)."""
        levels = self.pyramid(x)
        logits, steps = self.head(levels)
        return logits, steps, self.anchors(levels)

    def anchors(self, levels: list[Tensor]) -> list[Tensor]:
        """Per level (places, 2d)."""
        return [anchors.grid(f.shape[2:], s, size, f.device) for f, s, size in zip(levels, self.strides, self.sizes)]


def wrong(net: nn.Module, batch: Patch) -> dict[str, Tensor]:
    """The losses of a batch: of classes and of boxes."""
    logits, steps, levels = net(batch.x)
    said, boxed = heads.losses(logits, steps, levels, batch.things, batch.codes, batch.ignored)
    return {"classes": said, "boxes": boxed}


def found(logits: Tensor, steps: Tensor, levels: list[Tensor], least: float) -> windows.Found:
    """Boxes, scores and codes of one scan's answers that are at least so sure, the surest of each level."""
    rows, start = [], 0
    p = logits.sigmoid()
    for level in levels:
        here = p[start : start + len(level)].flatten()
        best = here.topk(min(windows.MOST, len(here))).indices
        rows.append(best[here[best] >= least] + start * p.shape[1])
        start += len(level)
    at = torch.cat(rows)
    place, codes = at // p.shape[1], at % p.shape[1]
    return arithmetic.decode(steps[place], torch.cat(levels)[place]), p.flatten()[at], codes


def fit(scenes: Scenes, plan: dict[str, Any], options: Any, rng: np.random.Generator, tell: Tell | None) -> Params:
    """A trained network as params.

    Raises:
        OptionError: training diverged.
    """
    with loop.threads(options.threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(rng.integers(2**62)))
        weights = training.trained(OneStage(plan), wrong, scenes, plan, options, rng, tell)
    return Params({"format": saved.FORMAT, "plan": plan}, weights)


def draw(params: Params, scene: Scene, options: Any) -> Drawing:
    """The boxes of one scan, at its own resolution, the surest first."""
    plan, device = saved.checked(params.meta), loop.device_of(options.device)
    with loop.threads(options.threads), torch.inference_mode():
        net = saved.rebuilt(params, OneStage).to(device)
        seen = prepared(scene, plan)

        def answer(x: Tensor) -> windows.Found:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.precision == "bf16"):
                logits, steps, levels = net(x)
            return found(logits[0], steps[0], levels, options.least_score)

        told = viewed(seen.x.float().to(device), plan, options, answer)
    return Drawing(boxes=on_scan(*told, seen.zoom, scene.shape))


def viewed(x: Tensor, plan: dict[str, Any], options: Any, answer: Any) -> windows.Found:
    """What is found in a scan and, where `views` says so, in its mirror images; overlapping boxes settled."""
    parts, most = [], options.most_overlap or plan["most_overlap"]
    last, dims = x.dim() - 1, x.dim() - 1
    for axes in [(), (last,), (last - 1,), (last, last - 1)][: options.views]:
        boxes, scores, codes = windows.everywhere(x.flip(axes) if axes else x, plan, answer)
        for axis in (a - 1 for a in axes):
            low, high = x.shape[axis + 1] - boxes[:, dims + axis], x.shape[axis + 1] - boxes[:, axis]
            boxes = boxes.clone()
            boxes[:, axis], boxes[:, dims + axis] = low, high
        boxes = arithmetic.clipped(boxes, tuple(x.shape[1:]))
        keep = arithmetic.suppress(boxes, scores, codes, most, options.most_things)
        parts.append((boxes[keep], scores[keep], codes[keep]))
    if len(parts) == 1:
        return parts[0]
    boxes, scores, codes = (torch.cat(part) for part in zip(*parts))
    if options.merging == "fuse":
        boxes, scores, codes = arithmetic.merge(boxes, scores, codes, most, len(parts))
        return boxes[: options.most_things], scores[: options.most_things], codes[: options.most_things]
    keep = arithmetic.suppress(boxes, scores, codes, most, options.most_things)
    return boxes[keep], scores[keep], codes[keep]


def on_scan(boxes: Tensor, scores: Tensor, codes: Tensor, zoom: np.ndarray, shape: tuple[int, ...]) -> Boxes:
    """Boxes of the network's grid on the scan's own; those without any extent are left out."""
    corners = boxes.double().cpu().numpy() / np.tile(zoom, 2)
    corners = np.clip(corners, 0, np.tile(np.array(shape, dtype=np.float64), 2))
    dims = len(shape)
    there = (corners[:, dims:] > corners[:, :dims]).all(axis=1)
    return Boxes(corners, codes.cpu().numpy().astype(np.int64), scores.double().cpu().numpy()).take(there)
