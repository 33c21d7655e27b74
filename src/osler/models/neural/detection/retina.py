"""Retina: a one-stage detector for pictures and volumes. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.errors import OptionError, nearest
from osler.models.base import Params
from osler.models.drawing import Drawer, Tell
from osler.scenes import Drawing, Scene, Scenes

CHOICES = {
    "normalise": ("auto", "set", "scan"),
    "merging": ("suppress", "fuse"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("float32", "bf16"),
}


@dataclass(frozen=True)
class RetinaOptions:
    """Options of `retina`.

    Attributes:
        filters: channels after the first halving; they double with every halving, up to eight times; 0: 16.
        width: channels of every level of the pyramid; 0: 48 of pictures, 24 of volumes.
        blocks: residual blocks per halving.
        depth: convolutions of each tower of the head; 0: 2.
        spacing: mm between pixels of the network's grid; 0: by the boxes and the scans.
        patch: longest side of a patch in pixels of that grid; 0: 320 in pictures, or twice a long thing; in volumes 2.5 long things.
        normalise: intensities by the training scans' numbers (`set`), each scan's own (`scan`), or `auto`: `set` for CT.
        mirror: patches mirrored and turned by quarters while learning; switch it off where left and right are different classes.
        epochs: how often each scan is seen, about; steps: of training, in its place where it is above 0.
        batch_size: patches per step; 0: 4 of pictures, 2 to 32 of volumes.
        learning_rate, weight_decay: of AdamW.
        least_score: boxes less sure than this are not told.
        most_overlap: of two boxes of a class that overlap more, the better one is told; 0: by how much things of the training scans overlap.
        most_things: boxes told per scan, at most.
        views: 1, or also the scan mirrored along its last axes (2, 4): their boxes are merged.
        merging: of views: `suppress` (the surest box) or `fuse` (the mean weighted by score).
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` or `mps`.
        precision: `float32` or `bf16`.
        threads: processor threads; the same seed gives the same bytes with 1.
    """

    filters: int = 0
    width: int = 0
    blocks: int = 1
    depth: int = 0
    spacing: float = 0.0
    patch: int = 0
    normalise: str = "auto"
    mirror: bool = True
    epochs: int = 30
    steps: int = 0
    batch_size: int = 0
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    least_score: float = 0.03
    most_overlap: float = 0.0
    most_things: int = 300
    views: int = 1
    merging: str = "suppress"
    device: str = "auto"
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                hint = nearest(str(getattr(self, name)), known)
                raise OptionError(f"option '{name}' of a detector must be one of {', '.join(known)}, was '{getattr(self, name)}': {hint}")
        for name in ("blocks", "epochs", "most_things", "threads"):
            if getattr(self, name) < 1:
                raise OptionError(f"option '{name}' of a detector must be at least 1, was {getattr(self, name)}")
        for name in ("filters", "width", "depth", "spacing", "patch", "steps", "batch_size", "weight_decay"):
            if getattr(self, name) < 0:
                raise OptionError(f"option '{name}' of a detector must not be negative, was {getattr(self, name)}")
        if not (self.learning_rate > 0 and 0 < self.least_score < 1 and 0 <= self.most_overlap < 1):
            raise OptionError("options 'learning_rate' and 'least_score' of a detector must be above 0, 'least_score' and 'most_overlap' below 1")
        if self.views not in (1, 2, 4):
            raise OptionError(f"option 'views' of a detector must be 1, 2 or 4, was {self.views}")


class Retina(Drawer):
    """One look at a pyramid of features says classes and boxes of all places (Lin et al. 2017), in two or three dimensions."""

    name: ClassVar[str] = "retina"
    answers: ClassVar[frozenset[str]] = frozenset({"detection"})
    extra: ClassVar[str | None] = "neural"
    Options: ClassVar[type] = RetinaOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """Grid, patch, levels, anchors, batch and steps, and why."""
        from osler.models.neural.detection.plan import planned

        return planned(scenes, self.options)

    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Learn from boxes, or from the boxes round numbered things of masks."""
        from osler.models.neural.detection import one_stage

        return one_stage.fit(scenes, self.plan(scenes), self.options, rng, tell)

    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """Boxes, the surest first."""
        from osler.models.neural.detection import one_stage

        return one_stage.draw(params, scene, self.options)

