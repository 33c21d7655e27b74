"""MLP: a modern network for tables. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from osler import registry
from osler.blocks import Block
from osler.models.base import Batches, Estimator, Params
from osler.models.neural.options import Training
from osler.tasks.base import VALUED, Prediction

if TYPE_CHECKING:
    from osler.models.neural.assembly import Extras


@dataclass(frozen=True)
class MLPOptions(Training):
    """Options of `mlp`: those of `Training`, and

    Attributes:
        depth: residual blocks.
        embedding: values that one number or code becomes.
        bins: most quantile bins per number.
    """

    depth: int = 1
    embedding: int = 8
    bins: int = 16


class MLP(Estimator):
    """A residual MLP over piecewise-linear number embeddings and category embeddings, averaged over a few trainings.

    Source: Gorishniy et al. 2021 (residual MLP for tables) and 2022 (number embeddings); survival after Gensheimer and
    Narasimhan 2019. `extras` (a warm start, a checkpoint, a progress callback) may be set before `fit`.
    """

    name: ClassVar[str] = "mlp"
    accepts: ClassVar[frozenset[str]] = frozenset({"dense"})
    answers: ClassVar[frozenset[str]] = frozenset(VALUED)
    copes_with_missing: ClassVar[bool] = True
    extra: ClassVar[str | None] = "neural"
    Options: ClassVar[type] = MLPOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "width": ("choice", 32, 64, 128), "dropout": ("float", 0.0, 0.5), "learning_rate": ("log", 0.0003, 0.003),
        "weight_decay": ("log", 0.001, 0.1),
    }  # fmt: skip

    def __init__(self, options: MLPOptions | None = None, extras: Extras | None = None) -> None:
        super().__init__(options)
        self.extras = extras

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Train on dense columns; missing numbers and codes need no filling.

        Raises:
            MissingExtraError: torch is not installed.
            OptionError: training lost finite numbers (`model-diverged`).
            ColumnError: there is no usable column, or one holds infinite numbers.
        """
        registry.optional("torch", "neural")
        from osler.models.neural import assembly

        o = self.options
        architecture = {
            "width": o.width, "dropout": o.dropout, "depth": o.depth, "embedding": o.embedding, "bins": o.bins,
            "joined": True, "fusion": "concat", "graph_steps": 0, "max_length": 1,
        }  # fmt: skip
        return assembly.fit(batches, rng, architecture, o, self.extras or assembly.Extras())

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Answer for n rows.

        Raises:
            MissingExtraError: torch is not installed.
            ColumnError: a column of the training is not there or has another shape.
        """
        registry.optional("torch", "neural")
        from osler.models.neural import assembly

        return assembly.predict(params, blocks, self.options)
