"""AffinityNetwork: pairs of things read by an encoder each and by cross attention. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler import registry
from osler.blocks import Block
from osler.errors import OptionError
from osler.models.base import Batches, Estimator, Params
from osler.models.neural.options import Training
from osler.tasks.base import Prediction


@dataclass(frozen=True)
class AffinityNetworkOptions(Training):
    """Options of `affinity_network`: those of `Training`, and

    Attributes:
        graph_steps: rounds of message passing over the atoms of a molecule.
        heads: heads of attention; `width` must be a multiple of it.
        max_length: residues of a protein that are read, from its first.
    """

    width: int = 96
    members: int = 1
    graph_steps: int = 3
    heads: int = 4
    max_length: int = 1000
    dropout: float = 0.1
    epochs: int = 30
    batch_size: int = 512
    learning_rate: float = 0.001
    schedule: str = "cosine"
    patience: int = 1000
    validation_folds: int = 0
    clip: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.graph_steps, self.heads, self.max_length) < 1 or self.width % self.heads:
            raise OptionError(
                "options 'graph_steps', 'heads' and 'max_length' of affinity_network must be at least 1, "
                f"and 'width' a multiple of 'heads', "
                f"were {self.graph_steps}, {self.heads}, {self.max_length} and {self.width}"
            )


class AffinityNetwork(Estimator):
    """A molecule by message passing over its atoms, a protein by convolutions over its residues, both also by their
    counts; the one attends to the parts of the other. Every distinct thing of a mini-batch is encoded once.
    """

    name: ClassVar[str] = "affinity_network"
    prefers: ClassVar[tuple[str, ...]] = ("graph", "sequence")
    answers: ClassVar[frozenset[str]] = frozenset({"regression", "binary"})
    copes_with_missing: ClassVar[bool] = True
    extra: ClassVar[str | None] = "neural"
    Options: ClassVar[type] = AffinityNetworkOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "learning_rate": ("log", 0.0003, 0.003), "dropout": ("float", 0.0, 0.3), "graph_steps": ("int", 2, 4),
    }  # fmt: skip

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Train on pairs.

        Raises:
            MissingExtraError: torch is not installed.
            ColumnError: there are not two columns of things.
            OptionError: training lost finite numbers (`model-diverged`).
        """
        registry.optional("torch", "neural")
        from osler.models.neural import affinity_training

        return affinity_training.fit(batches.all(), rng, self.options)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Answer for n pairs; a missing thing is answered by what the other one says.

        Raises:
            MissingExtraError: torch is not installed.
        """
        registry.optional("torch", "neural")
        from osler.models.neural import affinity_training

        return affinity_training.predict(params, blocks, self.options)
