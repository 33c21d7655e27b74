"""Networks that draw masks, as `Drawer`s. Importing this loads no torch."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from osler import registry
from osler.models.base import Params
from osler.models.drawing import Drawer, Tell
from osler.models.neural.segmentation import fingerprint, planning
from osler.models.neural.segmentation.options import DeepMedicOptions, UNetOptions
from osler.scenes import Drawing, Scene, Scenes


class Segmenter(Drawer):
    """What networks that draw masks share: a plan from the scans' fingerprint, training by patches, drawing by windows."""

    answers: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    extra: ClassVar[str | None] = "neural"

    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Learn from training scans as the plan says.

        Raises:
            MissingExtraError: torch is not installed.
            OptionError: training lost finite numbers (`model-diverged`), or the device is not there.
            ColumnError: a scan has no mask, or another shape than its mask, or other channels than the others.
        """
        registry.optional("torch", "neural")
        from osler.models.neural.segmentation import learning

        return learning.fit(self.plan(scenes), scenes, self.options, rng, tell)

    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """Answer for one scan at its own resolution.

        Raises:
            MissingExtraError: torch is not installed.
            ColumnError: the scan has other channels or axes than those learnt from.
        """
        registry.optional("torch", "neural")
        from osler.models.neural.segmentation import answering

        return answering.draw(params, scene, self.options, probability)


class UNet(Segmenter):
    """A U-Net that configures itself from the scans (see `planning` and `unet`)."""

    name: ClassVar[str] = "unet"
    Options: ClassVar[type] = UNetOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """Spacing, patch, levels, widths, batch, steps and why."""
        return planning.of_unet(fingerprint.of(scenes), self.options)


class DeepMedic(Segmenter):
    """Two pathways at two scales, for scans of several sequences (see `pathways`)."""

    name: ClassVar[str] = "deepmedic"
    Options: ClassVar[type] = DeepMedicOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """Spacing, segment, layers, widths, batch, steps and why."""
        return planning.of_deepmedic(fingerprint.of(scenes), self.options)
