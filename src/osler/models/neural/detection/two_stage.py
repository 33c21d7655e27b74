"""The network of `rcnn`: proposals of things of any class, then for each a class, a better box and a mask (He et al. 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.base import Params
from osler.models.drawing import Tell
from osler.models.neural import loop
from osler.models.neural.detection import boxes as arithmetic
from osler.models.neural.detection import one_stage, regions, saved, training, windows
from osler.models.neural.detection.heads import losses
from osler.models.neural.detection.preparing import Prepared, prepared
from osler.models.neural.detection.pyramid import convolution
from osler.models.neural.detection.sampling import Patch
from osler.scenes import Boxes, Drawing, Scene, Scenes, boxes_of

#: Cells per axis of the grid in a box, for its class and for its mask: in two and in three dimensions.
CELLS, MASK_CELLS = {2: 7, 3: 5}, {2: 14, 3: 8}
#: Proposals that overlap more are one.
SAME = 0.7
#: Overlap with a thing from which a proposal is of it.
OF_A_THING = 0.5
#: Proposals per patch that are learnt from, and the share of them that may be of things.
LEARNT, OF_THINGS = 64, 0.5
#: Proposals per scan while learning, before they are drawn from.
PROPOSED = 200
#: How much less a mask's loss counts than it would.
MASK_WEIGHT = 1.0


class TwoStage(nn.Module):
    """A one-stage network that knows things from nothing, and heads for what lies in its boxes.

    Args:
        plan: dims, channels, classes, strides, anchors, and of `network` filters, width, blocks, depth and hidden.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__()
        dims, width, hidden = plan["dims"], plan["network"]["width"], plan["network"]["hidden"]
        self.dims, self.strides, self.n_classes = dims, tuple(plan["strides"]), len(plan["classes"])
        self.first = one_stage.OneStage(plan | {"classes": ["thing"]})
        self.shared = nn.Sequential(nn.Linear(width * CELLS[dims] ** dims, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.classes, self.steps = nn.Linear(hidden, self.n_classes + 1), nn.Linear(hidden, 2 * dims)
        nn.init.normal_(self.steps.weight, std=0.001)
        nn.init.zeros_(self.steps.bias)
        layers = [m for _ in range(2) for m in (convolution(dims, width, width), nn.ReLU(inplace=True))]
        self.mask = nn.Sequential(
            *layers, nn.Upsample(scale_factor=2.0), convolution(dims, width, width), nn.ReLU(inplace=True), convolution(dims, width, 1, 1)
        )
        nn.init.normal_(self.mask[-1].weight, std=0.01)

    def of_boxes(self, levels: list[Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (k, classes + 1), the last of nothing, and steps (k, 2d) of boxes in one scan, whose levels are (c, ...)."""
        x = self.shared(regions.align_levels(levels, boxes, self.strides, CELLS[self.dims]).flatten(1))
        return self.classes(x).float(), self.steps(x).float()

    def of_masks(self, levels: list[Tensor], boxes: Tensor) -> Tensor:
        """(k, cells, ...) logits of the pixels in each box, twice `MASK_CELLS` per axis."""
        return self.mask(regions.align_levels(levels, boxes, self.strides, MASK_CELLS[self.dims]))[:, 0].float()


# -- learning ---------------------------------------------------------------------------------------------------------


def wrong(net: TwoStage, batch: Patch) -> dict[str, Tensor]:
    """The losses of a batch: of both stages, and of masks where there are any."""
    levels = net.first.pyramid(batch.x)
    logits, steps = net.first.head(levels)
    places = net.first.anchors(levels)
    nothing = [torch.zeros_like(c) for c in batch.codes]
    said, boxed = losses(logits, steps, places, batch.things, nothing, batch.ignored)
    parts: dict[str, list[Tensor]] = {"second classes": [], "second boxes": [], "masks": []}
    shape = tuple(batch.x.shape[2:])
    for i in range(len(batch.x)):
        with torch.no_grad():
            boxes, _, _ = proposals(logits[i], steps[i], places, shape, PROPOSED)
            chosen, which = _drawn(boxes, batch.things[i], batch.ignored[i])
        if len(chosen):
            one = [level[i] for level in levels]
            _second(net, one, chosen, which, batch, i, parts)
    mean = {k: torch.stack(v).mean() for k, v in parts.items() if v}
    return {"classes": said, "boxes": boxed, **mean}


def _second(
    net: TwoStage, levels: list[Tensor], chosen: Tensor, which: Tensor, batch: Patch, i: int, parts: dict[str, list[Tensor]]
) -> None:
    """Add the losses of one patch's proposals; `which` is the thing of each, -1 for none."""
    logits, steps = net.of_boxes(levels, chosen)
    wanted = torch.full_like(which, net.n_classes)
    at = (which >= 0).nonzero()[:, 0]
    wanted[at] = batch.codes[i][which[at]]
    parts["second classes"].append(F.cross_entropy(logits, wanted))
    if not len(at):
        return
    true = batch.things[i][which[at]]
    made = arithmetic.decode(steps[at], chosen[at])
    parts["second boxes"].append((1 - arithmetic.generalised_overlap(made, true)).mean())
    if batch.labels is not None:
        found = net.of_masks(levels, chosen[at])
        target = regions.masks_in(batch.labels[i], batch.numbers[i][which[at]], chosen[at], found.shape[1])
        parts["masks"].append(MASK_WEIGHT * F.binary_cross_entropy_with_logits(found, target))


def _drawn(boxes: Tensor, things: Tensor, ignored: Tensor) -> tuple[Tensor, Tensor]:
    """Proposals to learn from, the things themselves among them, and the thing of each (-1: none)."""
    boxes = torch.cat([boxes, things])
    if not len(things):
        return boxes[:LEARNT], torch.full((min(LEARNT, len(boxes)),), -1, device=boxes.device)
    near = arithmetic.overlap(boxes, things)
    best, which = near.max(dim=1)
    which = torch.where(best >= OF_A_THING, which, -1)
    of_things = (which >= 0).nonzero()[:, 0]
    of_things = of_things[torch.randperm(len(of_things), device=boxes.device)][: int(LEARNT * OF_THINGS)]
    others = which < 0
    if len(ignored):
        others &= arithmetic.overlap(boxes, ignored).max(dim=1).values < 0.3
    others = others.nonzero()[:, 0][: LEARNT - len(of_things)]
    rows = torch.cat([of_things, others])
    return boxes[rows], which[rows]


def proposals(logits: Tensor, steps: Tensor, places: list[Tensor], shape: tuple[int, ...], keep: int, least: float = 0.0) -> windows.Found:
    """The boxes of one scan's first stage that are likeliest to hold a thing, those that are nearly the same but once."""
    boxes, scores, codes = one_stage.found(logits, steps, places, least)
    best = scores.topk(min(3 * keep, len(scores))).indices
    boxes, scores, codes = arithmetic.clipped(boxes[best], shape), scores[best], codes[best]
    there = (arithmetic.sides(boxes) > 0.5).all(dim=1)
    boxes, scores, codes = boxes[there], scores[there], codes[there]
    kept = arithmetic.suppress(boxes, scores, codes, SAME, keep)
    return boxes[kept], scores[kept], codes[kept]


def fit(scenes: Scenes, plan: dict[str, Any], options: Any, rng: np.random.Generator, tell: Tell | None) -> Params:
    """A trained network as params.

    Raises:
        OptionError: training diverged.
    """
    with loop.threads(options.threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(rng.integers(2**62)))
        weights = training.trained(TwoStage(plan), wrong, scenes, plan, options, rng, tell, masks=plan["masks"])
    return Params({"format": saved.FORMAT, "plan": plan}, weights)


# -- answering --------------------------------------------------------------------------------------------------------


def draw(params: Params, scene: Scene, options: Any) -> Drawing:
    """The boxes of one scan, the surest first; with numbered masks of those that are sure enough, where masks were learnt and are asked for."""
    plan, device = saved.checked(params.meta), loop.device_of(options.device)
    with loop.threads(options.threads), torch.inference_mode():
        net = saved.rebuilt(params, TwoStage).to(device)
        seen = prepared(scene, plan)
        x = seen.x.float().to(device)
        precise = torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.precision == "bf16")
        told = one_stage.viewed(x, plan, options, lambda part: _answer(net, part, options, precise))
        if plan["kind"] != "segmentation":
            return Drawing(boxes=one_stage.on_scan(*told, seen.zoom, scene.shape))
        sure = told[1] >= options.sure
        found = tuple(part[sure] for part in told)
        masks = _masks(net, x, found[0], plan, precise)
    return _numbered(found, masks, seen, scene.shape)


def _answer(net: TwoStage, x: Tensor, options: Any, precise: torch.autocast) -> windows.Found:
    """What is found in one window (1, c, ...): likely boxes of each class after the second stage."""
    with precise:
        levels = net.first.pyramid(x)
        logits, steps = net.first.head(levels)
        places = net.first.anchors(levels)
        boxes, objectness, _ = proposals(logits[0], steps[0], places, tuple(x.shape[2:]), options.most_things)
        said, better = net.of_boxes([level[0] for level in levels], boxes)
    p = said.softmax(dim=1)[:, : net.n_classes] * objectness[:, None].sqrt()
    made = arithmetic.decode(better, boxes)
    at, codes = (p >= options.least_score).nonzero(as_tuple=True)
    return made[at], p[at, codes], codes


def _masks(net: TwoStage, x: Tensor, boxes: Tensor, plan: dict[str, Any], precise: torch.autocast) -> np.ndarray:
    """(k, cells, ...) probability of the pixels in each box, each from a window round it."""
    cells = 2 * MASK_CELLS[plan["dims"]]
    out = np.zeros((len(boxes), *(cells,) * plan["dims"]), dtype=np.float32)
    margin = windows.margin_of(plan)
    size = windows.window_size(tuple(x.shape[1:]), plan["patch"], 2 * plan["strides"][-1], margin)
    middle = arithmetic.centres(boxes)
    for low, own in windows.tiles(tuple(x.shape[1:]), size, margin):
        mine = windows.owned(middle, own).nonzero()[:, 0]
        if not len(mine):
            continue
        with precise:
            levels = net.first.pyramid(windows.cut(x, low, size)[None])
            found = net.of_masks([level[0] for level in levels], boxes[mine] - boxes.new_tensor(low).repeat(2))
        out[mine.cpu().numpy()] = found.sigmoid().cpu().numpy()
    return out


def _numbered(found: windows.Found, masks: np.ndarray, seen: Prepared, shape: tuple[int, ...]) -> Drawing:
    """Masks on the scan itself with their boxes; things of which no pixel is left are left out."""
    corners = found[0].double().cpu().numpy() / np.tile(seen.zoom, 2)
    labels = regions.pasted(masks, corners, shape)
    boxes, numbers = boxes_of(labels)
    scores, codes = found[1].double().cpu().numpy()[numbers - 1], found[2].cpu().numpy()[numbers - 1]
    renumbered = np.zeros(len(corners) + 1, dtype=np.uint16)
    renumbered[numbers] = np.arange(1, len(numbers) + 1)
    return Drawing(renumbered[labels], Boxes(boxes.corners, codes.astype(np.int64) + 1, scores), instances=True)
