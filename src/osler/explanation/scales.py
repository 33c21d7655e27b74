"""On which scale a prediction is explained: log odds, probability, mean, or log cumulative hazard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.errors import OptionError, nearest
from osler.tasks.base import Prediction

#: Task → scales, the usual one first.
SCALES = {
    "binary": ("log-odds", "probability"), "multiclass": ("log-odds", "probability"),
    "multilabel": ("log-odds", "probability"), "regression": ("mean",), "survival": ("log-hazard", "probability"),
}  # fmt: skip

#: Probabilities are kept this far from 0 and 1 before a logarithm is taken.
LEAST = 1e-9


@dataclass(frozen=True)
class Scale:
    """One number per row out of a prediction.

    Attributes:
        name: "log-odds", "probability", "mean", or "log-hazard" (log of the cumulative hazard until the horizon).
        output: class or label that is explained; 0 where there is one number only.
        horizon: survival only.
    """

    name: str
    output: int = 0
    horizon: float | None = None

    def of(self, prediction: Prediction) -> np.ndarray:
        """(n,) the prediction on this scale."""
        if self.name == "mean":
            return prediction.value[:, 0]
        if self.horizon is not None:
            p = prediction.event_probability(self.horizon)
        else:
            p = prediction.value[:, self.output]
        return p if self.name == "probability" else self.link(p)

    def link(self, p: np.ndarray) -> np.ndarray:
        """(n,) probabilities on this scale."""
        p = np.clip(p, LEAST, 1.0 - LEAST)
        return np.log(-np.log1p(-p)) if self.name == "log-hazard" else np.log(p) - np.log1p(-p)

    def bounded(self, values: np.ndarray) -> np.ndarray:
        """(n,) numbers on this scale, kept to what a probability between 1e-9 and 1 - 1e-9 can say."""
        if self.name in ("mean", "probability"):
            return values
        low, high = self.link(np.array([LEAST, 1.0 - LEAST]))
        return np.clip(values, low, high)


def scale_of(task: str, wanted: str = "auto", output: int = 0, horizon: float | None = None, family: str = "") -> Scale:
    """The scale that was asked for; "auto" is the first of `SCALES`, but probability for a single tree or forest, which
    adds up probabilities.

    Raises:
        OptionError: the task has no such scale.
    """
    known = SCALES[task]
    if wanted == "auto":
        wanted = "probability" if family in ("tree", "forest") and "probability" in known else known[0]
    if wanted not in known:
        raise OptionError(f"scale must be one that the task {task} has, was '{wanted}': {nearest(wanted, known)}")
    return Scale(wanted, output, horizon if task == "survival" else None)
