"""How a generator is trained and drawn from. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from osler.errors import OptionError, nearest

LOSSES = ("wasserstein", "least_squares", "vanilla")
PRECISIONS = ("float32", "bf16")


def _option(default: Any, text: str, hidden: bool = False) -> Any:
    """A field; the command line has flags of its own for hidden ones."""
    return field(default=default, metadata={"help": text, "hidden": hidden})


@dataclass(frozen=True)
class GeneratorOptions:
    """Options of `osler generate train`; metadata `help` says what each means."""

    model: str = _option("generator_gru", "generator_gru, generator_gan (SMILES) or generator_graph_gan")
    width: int = _option(384, "size of the recurrent state, or of an atom's state in graphs")
    epochs: float = _option(3.0, "passes over the training molecules by likelihood (not for graphs)")
    batch_size: int = _option(128, "molecules per step")
    learning_rate: float = _option(0.004, "of AdamW; falls to zero as half a cosine")
    adversarial_steps: int = _option(400, "steps of a generator against its critic (GANs)")
    loss: str = _option("wasserstein", "of the critic: wasserstein, least_squares or vanilla (GANs)")
    critic_rate: float = _option(0.0002, "learning rate of the critic (GANs)")
    adversarial_rate: float = _option(0.0001, "learning rate of the generator against the critic (GANs)")
    critic_steps: int = _option(2, "steps of the critic per step of the generator (GANs)")
    penalty: float = _option(10.0, "weight of the gradient penalty of the wasserstein loss (GANs)")
    likelihood: float = _option(0.2, "weight of likelihood beside the critic (generator_gan)")
    max_atoms: int = _option(20, "most heavy atoms of a molecule (generator_graph_gan)")
    longest: int = _option(100, "most tokens of a training SMILES")
    rarest: int = _option(5, "molecules that a token must occur in; those with a rarer one are left out")
    temperature: float = _option(1.0, "of drawing: below 1 the likely becomes likelier", hidden=True)
    grammar: bool = _option(True, "draw only tokens that keep brackets, ring numbers and valences in order (SMILES)")
    alternating: bool = _option(True, "learn aromatic rings as alternating bonds, which the grammar can check (SMILES)")
    held_out: float = _option(0.1, "share of scaffolds that are never trained on")
    checks: int = _option(8, "times that the generator is measured on the way")
    check_n: int = _option(1000, "molecules drawn for each measurement")
    fcd_checks: int = _option(2, "measurements with the Fréchet ChemNet distance, the last among them")
    uniqueness_floor: float = _option(0.5, "training stops if fewer of the valid molecules differ")
    diversity_floor: float = _option(0.6, "training stops if the internal diversity is lower")
    precision: str = _option("float32", "float32 or bf16 (matrix products of the recurrence)")
    seed: int = _option(1, "everything random follows from it", hidden=True)

    def __post_init__(self) -> None:
        for name, known in (("loss", LOSSES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                value = getattr(self, name)
                raise OptionError(
                    f"option '{name}' of a generator must be one of {', '.join(known)}, was '{value}': "
                    f"{nearest(str(value), known)}"
                )
        for name in ("width", "batch_size", "critic_steps", "rarest", "checks", "fcd_checks", "longest"):
            if getattr(self, name) < 1:
                raise OptionError(f"option '{name}' of a generator must be at least 1, was {getattr(self, name)}")
        for name in ("epochs", "adversarial_steps", "penalty", "likelihood", "seed"):
            if getattr(self, name) < 0:
                raise OptionError(f"option '{name}' of a generator must not be negative, was {getattr(self, name)}")
        for name in ("learning_rate", "critic_rate", "adversarial_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise OptionError(f"option '{name}' of a generator must be above 0, was {getattr(self, name):g}")
        for name in ("uniqueness_floor", "diversity_floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"option '{name}' of a generator must lie in [0, 1], was {getattr(self, name):g}")
        if not 0 < self.held_out < 1:
            raise OptionError(f"option 'held_out' of a generator must lie in (0, 1), was {self.held_out:g}")
        if not 100 <= self.check_n <= 100_000 or not 2 <= self.max_atoms <= 64:
            raise OptionError("options of a generator must be 100 to 100,000 for check_n and 2 to 64 for max_atoms")

    def to_json(self) -> dict[str, Any]:
        """Every option with its value."""
        return asdict(self)
