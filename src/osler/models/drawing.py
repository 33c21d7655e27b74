"""How something is learnt that draws: from scans with masks or boxes to params, and from params and a scan to a drawing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from osler.models.base import Params
from osler.scenes import Drawing, Scene, Scenes

#: Called with what is being done, how much of it is done, and how much there is.
Tell = Callable[[str, int, int], None]


class Drawer(ABC):
    """A way to learn to draw. Holds its options and nothing else: what is learnt is in the returned `Params`.

    Class attributes: `name`; `version` (stored with params); `answers` (task kinds: "segmentation", "detection"); `dims` (numbers of axes
    that it can work on); `extra` (the optional install it needs, or None); `Options` (frozen dataclass with documented defaults).
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    answers: ClassVar[frozenset[str]]
    dims: ClassVar[frozenset[int]] = frozenset({2, 3})
    extra: ClassVar[str | None] = None
    Options: ClassVar[type]

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @abstractmethod
    def plan(self, scenes: Scenes) -> dict[str, Any]:
        """What would be done with these training scans, as JSON: spacing, patch, levels, widths, batch, steps and why. `fit` follows it,
        and `plan.md` prints it. Looks at training scans only.
        """

    @abstractmethod
    def fit(self, scenes: Scenes, rng: np.random.Generator, tell: Tell | None = None) -> Params:
        """Learn from training scans; everything that is fitted (scaling, sizes, thresholds) is fitted in here."""

    @abstractmethod
    def draw(self, params: Params, scene: Scene, probability: bool = False) -> Drawing:
        """Answer for one scan, at its own resolution, in memory that is bounded by the scan; `probability` asks for that of each class too."""
