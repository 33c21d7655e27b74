"""From what was learnt and a scan to a drawing on the scan's own grid."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osler.models.base import Params
from osler.models.neural import loop
from osler.models.neural.segmentation import cleaning, scaling, things, windows
from osler.models.neural.segmentation.networks import network_of
from osler.models.neural.segmentation.options import SegmentationOptions
from osler.scenes import Drawing, Scene


def precision_of(options: SegmentationOptions, device: torch.device) -> str:
    """`bf16` where it is asked for, or quick: on CUDA, and on processors with bfloat16 arithmetic; else `float32`."""
    if options.precision != "auto":
        return options.precision
    quick = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bf16" if quick else "float32"


def networks(params: Params, device: torch.device, precision: str) -> list[nn.Module]:
    """The members, ready to draw: norms folded into convolutions where they can be, weights in the precision of drawing."""
    found = []
    for member in range(params.meta["plan"]["members"]):
        net = network_of(params.meta["plan"]["network"])
        head = f"member{member}/"
        loop.load_weights(net, {k[len(head) :]: v for k, v in params.arrays.items() if k.startswith(head)})
        net = net.eval().folded().to(device)
        found.append(net.to(torch.bfloat16) if precision == "bf16" else net)
    return found


def answer_of(nets: list[nn.Module], plan: dict[str, Any], views: str, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """(1, c, ...) → (1, k, ...) float32 probabilities (and depths): the mean over members and views."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32

    def one(net: nn.Module, x: Tensor) -> Tensor:
        logits = net(x)[0].float()
        if not plan["instances"]:
            return logits.softmax(1)
        return torch.cat([logits[:, :-1].softmax(1), logits[:, -1:].sigmoid()], dim=1)

    def answer(x: Tensor) -> Tensor:
        x = x.to(device, kind)
        total, count = 0.0, 0
        for net in nets:
            for there, back in _views(views, plan, x.dim() - 2):
                total = total + back(one(net, there(x)))
                count += 1
        return (total / count).cpu()

    return answer


def _views(views: str, plan: dict[str, Any], dims: int) -> list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]]:
    if views == "mirrored" and plan["mirror"]:
        chosen = [[a + 2 for a, on in zip(plan["mirror"], ons) if on] for ons in product((0, 1), repeat=len(plan["mirror"]))]
        return [(lambda x, axes=axes: x.flip(axes), lambda y, axes=axes: y.flip(axes)) for axes in chosen]
    if views == "shifted":
        axes = tuple(range(2, dims + 2))
        return [
            (lambda x, by=by: x.roll(by, axes), lambda y, by=by: y.roll(tuple(-v for v in by), axes)) for by in product((0, 1), repeat=dims)
        ]
    return [(lambda x: x, lambda y: y)]


def probabilities(params: Params, scene: Scene, options: SegmentationOptions) -> np.ndarray:
    """(k, ...) float32 of each class on the scan's own grid; where things are told apart, their depth comes last."""
    plan, device = params.meta["plan"], loop.device_of(options.device)
    precision = precision_of(options, device)
    with loop.threads(options.threads), torch.inference_mode():
        nets = networks(params, device, precision)
        answer = answer_of(nets, plan, options.views, device, precision)
        x = scaling.seen(plan, scene)
        shared = [round(options.overlap * side) for side in plan["patch"]]
        found = windows.over(x, answer, plan["divisor"], prod(plan["window"]), plan["patch"], shared, plan["network"]["margin"])
    return scaling.gridded(found, scene.shape)


def draw(params: Params, scene: Scene, options: SegmentationOptions, probability: bool) -> Drawing:
    """Labels of one scan, cleaned or parted as chosen in training, and if asked for the probability of each class."""
    found = probabilities(params, scene, options)
    if params.meta["plan"]["instances"]:
        classes, depth = found[:-1], found[-1]
        labels = things.numbered(1.0 - classes[0], depth, params.meta["rule"])
        return Drawing(labels, things.boxes_of(labels, classes, depth), classes if probability else None, True)
    labels = found.argmax(axis=0).astype(np.uint16)
    if params.meta["cleaning"] == "largest":
        labels = cleaning.largest(labels)
    return Drawing(labels, None, found if probability else None)
