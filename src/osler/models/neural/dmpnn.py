"""Dmpnn: directed message passing over molecules, beside any other columns. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from osler.blocks import Block
from osler.errors import OptionError, nearest
from osler.models.base import Batches, Params
from osler.models.neural.beside import Beside, both
from osler.models.neural.network import Network, NetworkOptions
from osler.tasks.base import Prediction

AGGREGATIONS = ("mean", "sum", "norm")


@dataclass(frozen=True)
class DmpnnOptions(NetworkOptions):
    """Options of `dmpnn`: those of `network` (`graph_steps` is how many states an edge has, the first one counted), and

    All training rows are learnt from, for a fixed number of epochs while the rate falls to zero: rows held back to stop
    early, and weights taken before the rate has fallen, both cost accuracy (docs/reference/models/dmpnn.md).

    Attributes:
        hidden: size of the state of an edge and of an atom.
        features: a molecule's dense features (fingerprints, descriptors) stand beside its graph as a second input.
        aggregation: atoms become a molecule by their `mean`, `sum`, or `norm` (the sum over the mean number of atoms).
    """

    width: int = 300
    hidden: int = 300
    features: bool = False
    aggregation: str = "norm"
    dropout: float = 0.0
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.003
    schedule: str = "cosine"
    validation_folds: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregation not in AGGREGATIONS:
            hint = nearest(self.aggregation, AGGREGATIONS)
            given = self.aggregation
            raise OptionError(f"option 'aggregation' of dmpnn must be mean, sum or norm, was '{given}': {hint}")
        if self.hidden < 1 or self.graph_steps < 1:
            raise OptionError("options 'hidden' and 'graph_steps' of dmpnn must be at least 1")


class Dmpnn(Network):
    """Graphs by directed message passing (see `messages`), other columns as in `network`; every distinct environment of
    a batch is computed once.
    """

    name: ClassVar[str] = "dmpnn"
    prefers: ClassVar[tuple[str, ...]] = ("graph",)
    Options: ClassVar[type] = DmpnnOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hidden": ("choice", 200, 300, 500), "graph_steps": ("int", 2, 5), "dropout": ("float", 0.0, 0.4),
        "learning_rate": ("log", 0.0003, 0.003), "aggregation": ("choice", "mean", "norm"),
    }  # fmt: skip

    def as_seen(self, batches: Batches) -> Batches:
        """Training rows as the network sees them."""
        return Beside(batches, "graph") if self.options.features else super().as_seen(batches)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Answer for n rows.

        Raises:
            MissingExtraError: torch is not installed.
            ColumnError: a column of the training is not there or has another shape.
        """
        return super().predict(params, both(blocks, "graph") if params.meta["architecture"]["features"] else blocks)

    def architecture(self) -> dict[str, Any]:
        """What fixes the network besides its inputs, as JSON values."""
        o = self.options
        own = {"hidden": o.hidden, "aggregation": o.aggregation, "rounds": o.graph_steps - 1, "features": o.features}
        return super().architecture() | own
