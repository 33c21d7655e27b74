"""SmilesRnn: molecules read as texts, each in several spellings. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from osler.errors import OptionError
from osler.models.neural.network import Network, NetworkOptions


@dataclass(frozen=True)
class SmilesRnnOptions(NetworkOptions):
    """Options of `smiles_rnn`: those of `network`, and

    A fold is held back; training goes on until its loss has not fallen for `patience` epochs, at most `epochs`, over which
    the rate falls to zero.

    Attributes:
        hidden: size of the state of the unit that reads a text, in each direction.
    """

    width: int = 256
    hidden: int = 128
    dropout: float = 0.1
    epochs: int = 45
    batch_size: int = 64
    learning_rate: float = 0.003
    schedule: str = "cosine"
    patience: int = 15
    clip: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1:
            raise OptionError(f"option 'hidden' of smiles_rnn must be at least 1, was {self.hidden}")


class SmilesRnn(Network):
    """Sequences of codes by a recurrent network (see `spelled`): every epoch draws one spelling of each molecule, and
    the answer is made from the mean over all; other columns as in `network`.
    """

    name: ClassVar[str] = "smiles_rnn"
    prefers: ClassVar[tuple[str, ...]] = ("sequence",)
    Options: ClassVar[type] = SmilesRnnOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hidden": ("choice", 128, 192, 256), "dropout": ("float", 0.0, 0.4), "learning_rate": ("log", 0.001, 0.006),
    }  # fmt: skip

    def architecture(self) -> dict[str, Any]:
        """What fixes the network besides its inputs, as JSON values."""
        return super().architecture() | {"hidden": self.options.hidden, "codes": True}
