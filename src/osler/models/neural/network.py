"""Network: any set of blocks through one encoder each and one fusion. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from osler import registry
from osler.blocks import LAYOUTS, Block
from osler.errors import OptionError
from osler.models.base import Batches, Estimator, Params
from osler.models.neural.options import Training
from osler.tasks.base import VALUED, Prediction

if TYPE_CHECKING:
    from osler.models.neural.assembly import Extras


@dataclass(frozen=True)
class NetworkOptions(Training):
    """Options of `network`: those of `Training`, and

    Attributes:
        fusion: `concat`, `gated` or `late`.
        joined: all dense columns through one encoder (they are one table); false: one encoder per column.
        depth: residual blocks of a dense encoder.
        embedding: values that one number or code becomes.
        bins: most quantile bins per number.
        graph_steps: rounds of message passing.
        max_length: a sequence keeps its last steps.
        hide: share of each row's branches that are hidden while learning, so that the network can do without any of them (none
            where all of a row's would be).
    """

    members: int = 1
    fusion: str = "concat"
    joined: bool = True
    depth: int = 1
    embedding: int = 8
    bins: int = 16
    graph_steps: int = 3
    max_length: int = 512
    hide: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.hide < 1:
            raise OptionError(f"option 'hide' of a network must lie in [0, 1), was {self.hide}")


class Network(Estimator):
    """Dense, sequence, grid and graph columns together; any of them may be missing in any row.

    Each branch is encoded by itself (see `encoders`), the present ones are fused (see `fusion`), one head answers.
    `extras` (a warm start, a checkpoint, a progress callback) may be set before `fit`.
    """

    name: ClassVar[str] = "network"
    accepts: ClassVar[frozenset[str]] = frozenset(LAYOUTS)
    prefers: ClassVar[tuple[str, ...]] = ("graph", "grid", "sequence")
    answers: ClassVar[frozenset[str]] = frozenset(VALUED)
    copes_with_missing: ClassVar[bool] = True
    extra: ClassVar[str | None] = "neural"
    Options: ClassVar[type] = NetworkOptions

    def __init__(self, options: NetworkOptions | None = None, extras: Extras | None = None) -> None:
        super().__init__(options)
        self.extras = extras

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Train on any columns, slice by slice.

        Raises:
            MissingExtraError: torch is not installed.
            OptionError: training lost finite numbers (`model-diverged`), or an unknown fusion.
            ColumnError: there is no usable column, or one holds infinite numbers.
        """
        registry.optional("torch", "neural")
        from osler.models.neural import assembly

        seen = self.as_seen(batches)
        return assembly.fit(seen, rng, self.architecture(), self.options, self.extras or assembly.Extras())

    def as_seen(self, batches: Batches) -> Batches:
        """Training rows as the network sees them."""
        return batches.seen_as(self.prefers)

    def architecture(self) -> dict[str, Any]:
        """What fixes the network besides its inputs, as JSON values."""
        names = (
            "width", "dropout", "depth", "embedding", "bins", "joined", "fusion", "graph_steps", "max_length", "hide",
        )  # fmt: skip
        return {name: getattr(self.options, name) for name in names}

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Answer for n rows.

        Raises:
            MissingExtraError: torch is not installed.
            ColumnError: a column of the training is not there or has another shape.
        """
        registry.optional("torch", "neural")
        from osler.models.neural import assembly

        return assembly.predict(params, {k: b.seen_as(self.prefers) for k, b in blocks.items()}, self.options)
