"""How a network is trained: the options that every network shares. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osler.errors import OptionError, nearest

CHOICES = {
    "schedule": ("constant", "cosine", "geometric", "one_cycle"),
    "class_weight": ("none", "balanced"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("float32", "bf16"),
    "uncertainty": ("none", "quantile", "evidential"),
}


def check(options: Any, what: str, choices: Mapping[str, Sequence[str]], from_one: Sequence[str], from_nought: Sequence[str]) -> None:
    """Refuse options of a network that have no such value.

    Args:
        what: whose options they are, in words. choices: name → what it may be. from_one, from_nought: names of numbers with that least value.

    Raises:
        OptionError: one has.
    """
    for name, known in choices.items():
        value = getattr(options, name)
        if value not in known:
            raise OptionError(f"option '{name}' of {what} must be one of {', '.join(known)}, was '{value}': {nearest(str(value), known)}")
    for names, least, must in ((from_one, 1, "be at least 1"), (from_nought, 0, "not be negative")):
        for name in names:
            if getattr(options, name) < least:
                raise OptionError(f"option '{name}' of {what} must {must}, was {getattr(options, name)}")


@dataclass(frozen=True)
class Training:
    """Options of the training loop.

    Attributes:
        width: size of each branch's vector.
        dropout: share of hidden units dropped in training.
        members: networks that are trained and averaged, each stopped early on another inner fold; 0: 8 below 5,000
            rows, 4 below 50,000, else 2.
        epochs: most passes over the training rows.
        batch_size: rows per step; 0: a sixteenth of the rows, between 32 and 1,024.
        learning_rate: of AdamW, after the warm-up.
        weight_decay: of AdamW, on matrices only.
        schedule: `constant`, `cosine` (to zero over all epochs), `geometric` (to a tenth) or `one_cycle` (up over a quarter of
            the epochs, then to zero).
        warm_up: epochs over which the learning rate rises from zero.
        clip: longest gradient.
        patience: epochs without a better validation loss before training stops; the best epoch's weights are kept.
        validation_folds: inner folds (whole units, strata balanced) of which one stops the training; 0: none.
        class_weight: `none`, or `balanced` (probabilities are corrected back to the training shares).
        label_smoothing: share of a class label spread evenly over all classes while learning (binary, multiclass).
        huber: Huber's threshold in standard deviations for regression; 0: squared error.
        uncertainty: of a regression: `none` (intervals are equally wide for all rows), `quantile` (the network also learns
            where 5 % and 95 % of values lie) or `evidential` (it learns the parameters of a normal distribution's prior);
            intervals are then wide where the network is unsure.
        intervals: most survival intervals.
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` or `mps`.
        precision: `float32` or `bf16` (matrix products in bfloat16, weights in float32).
        threads: processor threads; the same seed gives the same bytes with 1.
    """

    width: int = 64
    dropout: float = 0.2
    members: int = 0
    epochs: int = 100
    batch_size: int = 0
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    schedule: str = "constant"
    warm_up: float = 2.0
    clip: float = 1.0
    patience: int = 12
    validation_folds: int = 5
    class_weight: str = "none"
    label_smoothing: float = 0.0
    huber: float = 0.0
    uncertainty: str = "none"
    intervals: int = 20
    device: str = "auto"
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        from_one = ("width", "epochs", "patience", "intervals", "threads")
        from_nought = ("members", "batch_size", "validation_folds", "weight_decay", "warm_up", "huber")
        check(self, "a network", CHOICES, from_one, from_nought)
        if not (self.learning_rate > 0 and self.clip > 0):
            raise OptionError("options 'learning_rate' and 'clip' of a network must be above 0")
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(f"option 'label_smoothing' of a network must lie in [0, 1), was {self.label_smoothing}")
        if not 0 <= self.dropout < 1 or self.validation_folds == 1:
            raise OptionError("option 'dropout' of a network must lie in [0, 1), and 'validation_folds' must not be 1")

    def members_for(self, n: int) -> int:
        """How many networks to train on n rows."""
        return self.members or (8 if n < 5_000 else 4 if n < 50_000 else 2)

    def batch_size_for(self, n: int) -> int:
        """Rows per step for n rows."""
        return self.batch_size or int(min(1024, max(32, 2 ** round(max(n, 1) / 16).bit_length() // 2)))
