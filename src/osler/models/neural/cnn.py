"""Cnn: a convolutional network for pictures and volumes, beside any other columns. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from osler.errors import OptionError, nearest
from osler.models.neural.network import Network, NetworkOptions

CHOICES = {
    "kind": ("plain", "resnet", "densenet", "efficientnet"),
    "augment": ("none", "light", "full", "strong"),
    "normalise": ("none", "image", "equalise"),
}


@dataclass(frozen=True)
class CnnOptions(NetworkOptions):
    """Options of `cnn`: those of `network`, and

    All training rows are learnt from, for a fixed number of epochs, while the rate rises and falls once.

    Attributes:
        kind: `plain` (a convolution per halving, fast), `resnet`, `densenet` or `efficientnet` (see `convolutions`).
        filters: channels of the first stage; they double with every halving, up to eight times.
        blocks: of every stage: convolutions (`plain`), blocks (`resnet`, `efficientnet`) or pairs of layers (`densenet`).
        stages: halvings; 0: until the longest side is four or less, five at most.
        augment: `none`, `light` (moved) or `full` (turned, stretched, moved, toned, partly wiped) or `strong`
            (more of it, each axis by itself, blurred or sharpened: for pictures of several devices); see `augmenting`.
        normalise: intensities of each picture by itself: `none`, `image` (its own mean and spread) or `equalise` (ranks).
        channels_last: the order in memory that convolutions on processors are fastest in.
        stochastic_depth: share of rows that pass by the last block of an `efficientnet` while learning, fewer by earlier ones.
        weights: a folder with the weights of an encoder of the same kind and shape to start from (`*.safetensors`), or "".
    """

    kind: str = "plain"
    filters: int = 16
    blocks: int = 1
    stages: int = 0
    augment: str = "light"
    normalise: str = "none"
    channels_last: bool = True
    stochastic_depth: float = 0.0
    weights: str = ""
    dropout: float = 0.1
    epochs: int = 20
    batch_size: int = 0
    learning_rate: float = 0.004
    schedule: str = "one_cycle"
    validation_folds: int = 0
    label_smoothing: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                hint = nearest(str(value), known)
                raise OptionError(f"option '{name}' of cnn must be one of {', '.join(known)}, was '{value}': {hint}")
        for name, least in (("filters", 1), ("blocks", 1), ("stages", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"option '{name}' of cnn must be at least {least}, was {getattr(self, name)}")
        share = self.stochastic_depth
        if not 0 <= share < 1 or (share and self.kind != "efficientnet"):
            raise OptionError(
                f"option 'stochastic_depth' of cnn must lie in [0, 1), and be 0 where kind is not efficientnet, was {share}"
            )


class Cnn(Network):
    """Pictures and volumes by convolutions (see `convolutions`), other columns as in `network`."""

    name: ClassVar[str] = "cnn"
    prefers: ClassVar[tuple[str, ...]] = ("grid", "graph", "sequence")
    Options: ClassVar[type] = CnnOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "learning_rate": ("log", 0.001, 0.01), "filters": ("choice", 8, 16, 24, 32), "dropout": ("float", 0.0, 0.5),
        "augment": ("choice", "light", "full", "strong"), "normalise": ("choice", "none", "image", "equalise"),
    }  # fmt: skip

    def architecture(self) -> dict[str, Any]:
        """What fixes the network besides its inputs, as JSON values."""
        names = ("kind", "filters", "blocks", "stages", "augment", "normalise", "channels_last", "stochastic_depth")
        return super().architecture() | {name: getattr(self.options, name) for name in names}
