"""Where things usually lie: the share of training scans that have a class at a place, and nothing of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.adapters.imaging.resample import to_grid
from osler.adapters.imaging.scan import Scan
from osler.errors import ColumnError
from osler.models.base import Params
from osler.models.drawing import Drawer, Tell
from osler.scenes import Drawing, Scene, Scenes

#: Most training scans that are averaged.
MOST = 400


@dataclass(frozen=True)
class AtlasOptions:
    """Options of `atlas`.

    Attributes:
        side: most pixels per axis of the grid that masks are averaged on; each scan is stretched onto it.
    """

    side: int = 48


class Atlas(Drawer):
    """The baseline of segmentation: the likeliest class of every place, the same for everyone but stretched to the scan."""

    name = "atlas"
    answers: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    Options = AtlasOptions

    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """The grid and how many scans are averaged."""
        picked = _picked(scenes)
        shapes = np.array([scenes[i].shape for i in picked[:16]])
        grid = [int(min(s, self.options.side)) for s in np.median(shapes, axis=0)]
        return {"grid": grid, "scans_averaged": len(picked), "why": "at most the usual shape of the scans, and at most the option side"}

    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Average the masks.

        Raises:
            ColumnError: a scan has no mask, or things are wanted apart.
        """
        grid, k = tuple(self.plan(scenes)["grid"]), len(scenes.asked.classes)
        total, picked = np.zeros((k, *grid)), _picked(scenes)
        for done, i in enumerate(picked):
            drawn = scenes[i].drawn
            if drawn is None or drawn.labels is None or drawn.instances:
                raise ColumnError("atlas averages masks of classes, a scan has none: name another model", "column-kind")
            total += _stretched(np.stack([drawn.labels == c for c in range(k)]).astype(np.float32), grid)
            if tell is not None:
                tell("masks averaged", done + 1, len(picked))
        return Params({"k": k}, {"share": (total / len(picked)).astype(np.float32)})

    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """The likeliest class of every place of this scan.

        Raises:
            ColumnError: the scan has other axes than those learnt from.
        """
        share = params.arrays["share"]
        if share.ndim - 1 != scene.dims:
            raise ColumnError(f"a scan must have {share.ndim - 1} axes as those that the atlas is of, it has {scene.dims}: give such scans", "image-dims")
        found = _stretched(share, scene.shape)
        return Drawing(found.argmax(axis=0).astype(np.uint16), probability=found.astype(np.float32) if probability else None)


def _picked(scenes: Scenes) -> np.ndarray:
    """At most `MOST` rows, evenly spread."""
    return np.unique(np.linspace(0, len(scenes) - 1, min(len(scenes), MOST)).astype(int))


def _stretched(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shares (k, ...) on a grid of another shape, each axis by itself."""
    unknown = np.full(len(shape), np.nan)
    return to_grid(Scan(values, unknown, np.eye(4)), tuple(shape), "stretch").values
