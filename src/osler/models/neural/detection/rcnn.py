"""Rcnn: a two-stage detector with masks for pictures and volumes. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.errors import ColumnError, OptionError
from osler.models.base import Params
from osler.models.drawing import Drawer, Tell
from osler.models.neural.detection.retina import RetinaOptions
from osler.scenes import Drawing, Scene, Scenes


@dataclass(frozen=True)
class RcnnOptions(RetinaOptions):
    """Options of `rcnn`: those of `retina`, and

    Attributes:
        hidden: units of the two layers that say what lies in a box.
        sure: where masks are asked for, things less sure than this are not drawn.
    """

    width: int = 32
    depth: int = 1
    hidden: int = 128
    sure: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1 or not 0 < self.sure < 1:
            raise OptionError("option 'hidden' of rcnn must be at least 1, and 'sure' lie between 0 and 1")


class Rcnn(Drawer):
    """Proposals, and for each a class, a better box and a mask (Mask R-CNN; He et al. 2017), in two or three dimensions."""

    name: ClassVar[str] = "rcnn"
    answers: ClassVar[frozenset[str]] = frozenset({"detection", "segmentation"})
    extra: ClassVar[str | None] = "neural"
    Options: ClassVar[type] = RcnnOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """Grid, patch, levels, anchors, batch and steps, and why.

        Raises:
            ColumnError: masks are asked for that do not number things.
        """
        from osler.models.neural.detection.plan import planned

        if scenes.asked.kind == "segmentation" and not scenes.asked.instances:
            raise ColumnError("rcnn draws things one by one, masks hold classes: say instances=true of them, or name another model", "column-kind")
        made = planned(scenes, self.options)
        made["network"]["hidden"] = self.options.hidden
        return made | {"masks": scenes.asked.kind == "segmentation"}

    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Learn from numbered masks, or from boxes alone."""
        from osler.models.neural.detection import two_stage

        return two_stage.fit(scenes, self.plan(scenes), self.options, rng, tell)

    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """Boxes, the surest first; where masks were learnt, with things numbered on every pixel of the scan."""
        from osler.models.neural.detection import two_stage

        return two_stage.draw(params, scene, self.options)
