"""Pretrained: a pre-trained encoder that goes on learning from the labels at hand. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from osler import registry
from osler.errors import OptionError
from osler.models.base import Batches, Params
from osler.models.neural.network import Network, NetworkOptions


@dataclass(frozen=True)
class PretrainedOptions(NetworkOptions):
    """Options of `pretrained`: those of `network`, and

    Attributes:
        folder: of the encoder, the one that the column's option `encoder` names.
        frozen: its first layers, and its table of tokens, that keep their weights; 0: all of it learns.
    """

    folder: str = ""
    frozen: int = 0
    width: int = 256
    dropout: float = 0.1
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 0.0001
    schedule: str = "cosine"
    warm_up: float = 1.0
    patience: int = 10
    validation_folds: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frozen < 0:
            raise OptionError(f"option 'frozen' of pretrained must not be negative, was {self.frozen}")


class Pretrained(Network):
    """Sequences of an encoder's tokens by the encoder itself (see `transformer`), its weights learnt further: every epoch
    draws one spelling of each molecule, and the answer is made from the mean over all; other columns as in `network`.

    The saved model holds the weights, so that predicting needs the folder for its tokeniser only.
    """

    name: ClassVar[str] = "pretrained"
    prefers: ClassVar[tuple[str, ...]] = ("sequence",)
    extra: ClassVar[str | None] = "pretrained"
    Options: ClassVar[type] = PretrainedOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "learning_rate": ("log", 0.00002, 0.0005), "dropout": ("float", 0.0, 0.3), "frozen": ("int", 0, 4),
    }  # fmt: skip

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Train on any columns, those that are sequences read by the encoder.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            OptionError: the folder is not named or holds no encoder; training lost finite numbers (`model-diverged`).
            ColumnError: there is no usable column, or one holds infinite numbers.
        """
        registry.optional("transformers", "pretrained")
        params = super().fit(batches, rng)
        architecture = params.meta["architecture"] | {"start": "", "codes": True}
        return replace(params, meta=params.meta | {"architecture": architecture})

    def architecture(self) -> dict[str, Any]:
        """What fixes the network besides its inputs, as JSON values."""
        from osler.adapters import pretrained

        o = self.options
        if not o.folder:
            raise OptionError(
                "model pretrained must be given its encoder's folder, it was not: write --model pretrained:folder=FOLDER "
                "and --column COLUMN=molecule:encoder=FOLDER"
            )
        encoder = pretrained.encoder(o.folder)
        described = pretrained.description(encoder)
        own = {"pretrained": described, "codes": described["vocab_size"], "start": str(encoder.folder), "frozen": o.frozen}
        return super().architecture() | own | {"max_length": min(o.max_length, encoder.longest)}
