"""Bright or dark things by Otsu's threshold, touching ones parted by a watershed: the classical way to find nuclei."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np

from osler.adapters.skimage_regions import otsu, parted
from osler.errors import ColumnError
from osler.models.base import Params
from osler.models.drawing import Drawer, Tell
from osler.scenes import Drawing, Scene, Scenes

#: Training scans that the choices are tried on.
TRIED = 40
#: What is tried: how much a scan is blurred (pixels), and what Otsu's threshold is multiplied with (from the lowest value up).
BLURS, FACTORS = (0.0, 1.0, 2.0), (0.7, 0.85, 1.0, 1.15, 1.3)


@dataclass(frozen=True)
class ThresholdOptions:
    """Options of `threshold`.

    Attributes:
        channel: which channel is looked at, from 0; -1 takes the one that agrees best with the training masks.
        blur: Gaussian blur in pixels; below 0 takes the best of 0, 1 and 2.
    """

    channel: int = -1
    blur: float = -1.0


class Threshold(Drawer):
    """Otsu's threshold of every scan, times a factor that training scans chose; one class, or things apart."""

    name = "threshold"
    answers: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    extra = "imaging"
    Options = ThresholdOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """What is tried, and on how many scans."""
        return {
            "channels_tried": self._channels(scenes), "blurs_tried": self._blurs(), "factors_tried": list(FACTORS),
            "scans_tried_on": min(len(scenes), TRIED), "things_parted_by": "watershed of the distance" if scenes.asked.instances else "nothing",
        }  # fmt: skip

    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Take the channel, side, blur and factor of the best mean Dice, and the usual size of things.

        Raises:
            ColumnError: masks hold several classes, or a scan has none.
        """
        if len(scenes.asked.classes) != 2:
            raise ColumnError("threshold draws one class beside the background, masks hold another number: name another model", "column-kind")
        picked = rng.permutation(len(scenes))[:TRIED]
        choices = list(product(self._channels(scenes), (True, False), self._blurs(), FACTORS))
        total, sizes, widths = np.zeros(len(choices)), [], []
        for done, i in enumerate(picked.tolist()):
            scene = scenes[i]
            if scene.drawn is None or scene.drawn.labels is None:
                raise ColumnError("threshold learns from masks, a scan has none: name another model", "column-kind")
            truth = scene.drawn.labels > 0
            total += [_dice(truth, m) for m in _tried(scene.values, choices)]
            if scene.drawn.instances:
                sizes += np.bincount(scene.drawn.labels.ravel())[1:].tolist()
            if tell is not None:
                tell("scans tried on", done + 1, len(picked))
        channel, bright, blur, factor = choices[int(total.argmax())]
        known = [s for s in sizes if s > 0]
        widths = 2 * (np.array(known or [1.0]) / np.pi) ** 0.5 if scenes.asked.dims == 2 else 2 * (0.75 * np.array(known or [1.0]) / np.pi) ** (1 / 3)
        meta = {
            "channel": channel, "bright": bright, "blur": blur, "factor": factor, "instances": scenes.asked.instances,
            "apart": float(np.median(widths) / 3), "least": int(np.quantile(known, 0.02) / 2) if known else 0,
        }  # fmt: skip
        return Params(meta, {})

    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """What lies on the chosen side of the threshold; `probability` is 0 or 1.

        Raises:
            ColumnError: the scan lacks the chosen channel.
        """
        meta = params.meta
        if not 0 <= meta["channel"] < len(scene.values):
            raise ColumnError(f"a scan must have channel {meta['channel'] + 1}, it has {len(scene.values)}: give scans of the kind learnt from", "image-dims")
        mask = _marked(_blurred(scene.values[meta["channel"]], meta["blur"]), meta["bright"], meta["factor"])
        labels = parted(mask, meta["apart"], meta["least"]) if meta["instances"] else mask.astype(np.uint16)
        shares = np.stack([~mask, mask]).astype(np.float32) if probability else None
        return Drawing(labels, probability=shares, instances=meta["instances"])

    def _channels(self, scenes: Scenes) -> list[int]:
        return [self.options.channel] if self.options.channel >= 0 else list(range(len(scenes[0].values)))

    def _blurs(self) -> list[float]:
        return [self.options.blur] if self.options.blur >= 0 else list(BLURS)


def _tried(values: np.ndarray, choices: list[tuple[int, bool, float, float]]) -> list[np.ndarray]:
    """The mask of every choice; each channel is blurred once per blur."""
    held: dict[tuple[int, float], np.ndarray] = {}
    for channel, _, blur, _ in choices:
        if (channel, blur) not in held:
            held[channel, blur] = _blurred(values[channel], blur)
    return [_marked(held[channel, blur], bright, factor) for channel, bright, blur, factor in choices]


def _blurred(values: np.ndarray, blur: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, blur) if blur > 0 else values


def _marked(values: np.ndarray, bright: bool, factor: float) -> np.ndarray:
    """Pixels above (or below) the lowest value plus Otsu's distance from it times a factor."""
    lowest = float(values.min())
    limit = lowest + (otsu(values) - lowest) * factor
    return values > limit if bright else values < limit


def _dice(truth: np.ndarray, mask: np.ndarray) -> float:
    both = int((truth & mask).sum())
    return 2 * both / max(1, int(truth.sum()) + int(mask.sum()))
