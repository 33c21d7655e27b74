"""From a plan and training scans to what was learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from osler.models.base import Params
from osler.models.drawing import Tell
from osler.models.neural import loop
from osler.models.neural.segmentation import answering, cleaning, fingerprint, losses, scaling, things
from osler.models.neural.segmentation.networks import network_of
from osler.models.neural.segmentation.options import SegmentationOptions
from osler.models.neural.segmentation.sampling import Example, Patches, example
from osler.models.neural.segmentation.training import train
from osler.scenes import Scenes

#: Values of prepared scans that are kept in memory while learning; more are prepared anew each time.
KEPT = 1 << 28
#: Training scans on which the cleaning or the rule of things is chosen, at most.
JUDGED = 24


class Prepared:
    """Training scans as the network sees them, kept where all fit in memory."""

    def __init__(self, scenes: Scenes, plan: dict[str, Any]) -> None:
        self.scenes, self.plan = scenes, plan
        self.keep = plan["fingerprint"]["total"] * plan["channels"] <= KEPT
        self._kept: dict[int, Example] = {}

    def __call__(self, row: int) -> Example:
        """One scan."""
        if row in self._kept:
            return self._kept[row]
        scene = self.scenes[row]
        values = scaling.seen(self.plan, scene)
        labels = fingerprint.classes_of(scene.drawn, self.scenes.asked)
        size = values.shape[1:]
        depth = None
        if self.plan["instances"]:
            full = things.deepest(self.plan["fingerprint"]["thing"], len(size))
            depth = things.depth_of(scaling.labels_gridded(np.asarray(scene.drawn.labels), size), full)
        made = example(values, scaling.labels_gridded(labels, size), depth)
        if self.keep:
            self._kept[row] = made
        return made


def fit(plan: dict[str, Any], scenes: Scenes, options: SegmentationOptions, rng: np.random.Generator, tell: Tell | None) -> Params:
    """Train the plan's networks; returns arrays `member{m}/...` float32 and the plan as meta."""
    seed, device = int(rng.integers(2**62)), loop.device_of(options.device)
    plan = plan | {"precision": answering.precision_of(options, device)}
    prepared, arrays, history = Prepared(scenes, plan), {}, []
    margin = plan["network"]["margin"]
    with loop.threads(options.threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for member in range(plan["members"]):
            torch.manual_seed(int(np.random.default_rng([seed, 0, member]).integers(2**62)))
            net = network_of(plan["network"]).to(device)
            drawn = np.random.default_rng([seed, 1, member])
            patches = Patches(len(scenes), prepared, plan["patch"], margin, options.foreground, drawn)

            def report(step: int, steps: int, member: int = member) -> None:
                if tell is not None:
                    tell("training", member * steps + step, plan["members"] * steps)

            history.append(train(net, patches, plan, options, losses.whole, report))
            arrays |= {f"member{member}/{k}": v for k, v in loop.weights_of(net).items()}
    params = Params({"plan": plan, "training": history, "cleaning": "none"}, arrays)
    rows = np.linspace(0, len(scenes) - 1, min(JUDGED, len(scenes))).round().astype(int)
    if plan["instances"]:
        return Params(params.meta | {"rule": rule_of_things(params, scenes.take(rows), options)}, arrays)
    chosen = options.cleaning if options.cleaning != "auto" else chosen_cleaning(params, scenes.take(rows), options)
    return Params(params.meta | {"cleaning": chosen}, arrays)


def rule_of_things(params: Params, scenes: Scenes, options: SegmentationOptions) -> dict[str, float]:
    """How middles of things are found, by what agrees best with training scans."""
    answers = []
    for scene in scenes:
        found = answering.probabilities(params, scene, options)
        answers.append((1.0 - found[0], found[-1], np.asarray(scene.drawn.labels)))
    return things.chosen_rule(answers, params.meta["plan"]["fingerprint"]["thing"])


def chosen_cleaning(params: Params, scenes: Scenes, options: SegmentationOptions) -> str:
    """Whether keeping the largest part of each class raises the mean Dice of training scans."""
    gains = []
    for scene in scenes:
        found = answering.draw(params, scene, options, False).labels
        k = len(scenes.asked.classes)
        both = [cleaning.dice(scene.drawn.labels, labels, k) for labels in (found, cleaning.largest(found))]
        gains.append(np.nanmean(both[1] - both[0]) if np.isfinite(both[0]).any() else 0.0)
    return "largest" if gains and float(np.mean(gains)) > 0 else "none"
