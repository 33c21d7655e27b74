"""A model of one's own: each class is its centroid, probabilities come from distances.

See docs/how-to/add-a-model.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import osler
from osler import catalogue, models
from osler.blocks import Block
from osler.models.base import Batches, Estimator, Params
from osler.models.design import Design
from osler.tasks.base import Prediction


@dataclass(frozen=True)
class CentroidOptions:
    """Options of `centroid`.

    Attributes:
        sharpness: how quickly probability falls with distance, per column.
    """

    sharpness: float = 0.5


class Centroid(Estimator):
    """Nearest centroid in standardised columns, with a softmax over squared distances."""

    name: ClassVar[str] = "centroid"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = CentroidOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Impute and scale on the training rows, then average the rows of each class."""
        data = batches.all()
        design = Design.fit(data.blocks)
        X = design.matrix(data.blocks)
        centres = np.stack([X[data.target.y == k].mean(axis=0) for k in range(len(data.target.classes))])
        meta, arrays = design.to_params()
        return Params(
            {"design": meta, "sharpness": self.options.sharpness / X.shape[1]}, {**arrays, "centres": centres}
        )

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class probabilities (n, k)."""
        X = Design.from_params(params).matrix(blocks)
        distance = ((X[:, None, :] - params.arrays["centres"][None]) ** 2).sum(axis=2)
        score = -params.meta["sharpness"] * distance
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        return Prediction(odds / odds.sum(axis=1, keepdims=True))


def main() -> None:
    """Compare it with logistic regression; a package would use the entry point `osler.models` for the first line."""
    models.INDEX["centroid"] = f"{__name__}:Centroid"
    options = {"model": ("logistic", "centroid:sharpness=2"), "repeats": 1, "boot": 200, "explain": False}
    run = osler.fit(catalogue.read("breast_cancer"), out="runs/own", workers=1, silent=True, **options)
    for name, scores in run.scores["parts"]["cv"].items():
        print(f"{name}: AUROC {scores['auroc']['value']:.3f}, Brier {scores['brier']['value']:.3f}")


if __name__ == "__main__":
    main()
