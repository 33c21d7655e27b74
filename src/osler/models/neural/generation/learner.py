"""What every generator can do: take a step, be stopped and taken up, draw molecules, be saved and opened."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from osler.adapters import tensors
from osler.errors import OptionError, PredictorError
from osler.models.neural.checkpoint import optimiser_arrays, restore_optimiser
from osler.models.neural.generation import INDEX, get
from osler.models.neural.generation.options import GeneratorOptions
from osler.models.neural.loop import load_weights, weights_of

#: Changes when the meaning of a saved generator changes.
FORMAT = "osler.generator/1"
META, WEIGHTS = "generator.json", "weights.safetensors"
#: Purposes of derived random numbers: seed, purpose, step.
INIT, EPOCH, DRAW, REAL, NOISE, CHECK = range(6)


class Learner(ABC):
    """A generator in training or trained. Its randomness depends on the seed and the number of the step alone, so that
    a training that was stopped goes on to the same bytes.

    Class attributes: `networks` names the attributes that are networks, `optimisers` those that are optimisers.
    """

    name: ClassVar[str]
    networks: ClassVar[tuple[str, ...]]
    optimisers: ClassVar[tuple[str, ...]]
    options: GeneratorOptions

    # -- before training

    @classmethod
    @abstractmethod
    def learn_from(cls, smiles: Sequence[str], options: GeneratorOptions) -> tuple[Learner, np.ndarray]:
        """A fresh learner, and (n,) bool: which of the molecules it can be trained on.

        Raises:
            InputError: fewer molecules than one batch are left.
        """

    @classmethod
    @abstractmethod
    def from_meta(cls, meta: dict[str, Any], options: GeneratorOptions) -> Learner:
        """A learner without training molecules and with untrained weights, to load weights into."""

    # -- in training

    @property
    @abstractmethod
    def total(self) -> int:
        """Steps of the whole training."""

    @abstractmethod
    def step(self, number: int) -> dict[str, float]:
        """Learn; answers losses by name.

        Raises:
            OptionError: `model-diverged`: a loss is not finite.
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is needed to go on after this step."""
        parts = {n: weights_of(getattr(self, n)) for n in self.networks}
        parts |= {n: optimiser_arrays(getattr(self, n)) for n in self.optimisers}
        return {f"{name}/{k}": v for name, part in parts.items() for k, v in part.items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        for name in self.networks:
            load_weights(getattr(self, name), part_of(arrays, name))
        for name in self.optimisers:
            restore_optimiser(getattr(self, name), part_of(arrays, name))

    # -- trained

    @abstractmethod
    def draw(self, n: int, seed: Sequence[int], temperature: float | None = None) -> list[str]:
        """n strings, valid or not, that follow from the seed; `temperature` replaces the option's."""

    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """JSON values that `from_meta` needs."""


def part_of(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays below a name."""
    return {k[len(name) + 1 :]: v for k, v in arrays.items() if k.startswith(f"{name}/")}


def generator_of(*seed: int) -> torch.Generator:
    """A torch generator that follows from these numbers."""
    made = torch.Generator()
    made.manual_seed(int(np.random.default_rng(list(seed)).integers(2**62)))
    return made


def seeded(make: Any, *seed: int) -> Any:
    """What `make()` gives with torch's own generator set from these numbers, and put back after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng(list(seed)).integers(2**62)))
        return make()


def descend(loss: torch.Tensor, net: nn.Module, optimiser: torch.optim.Optimizer, what: str) -> float:
    """One step down a loss, gradients no longer than 1; its value.

    Raises:
        OptionError: `model-diverged`: the loss or a gradient is not finite.
    """
    optimiser.zero_grad(set_to_none=True)
    value = loss.item()
    loss.backward()
    length = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    if not (math.isfinite(value) and torch.isfinite(length)):
        raise OptionError(
            f"training a generator must keep finite numbers, the loss of the {what} became infinite or NaN: lower its "
            "learning rate",
            "model-diverged",
        )
    optimiser.step()
    return value


# -- saved ----------------------------------------------------------------------------------------------------------


def save(learner: Learner, folder: Path) -> None:
    """Write generator.json and weights.safetensors into a folder; only the generating network is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    main = learner.networks[0]
    weights = tensors.write(folder / WEIGHTS, weights_of(getattr(learner, main)), {"format": FORMAT})
    meta = {
        "format": FORMAT, "model": learner.name, "options": learner.options.to_json(), "meta": learner.meta(),
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }  # fmt: skip
    temporary = folder / f".{META}.part"
    temporary.write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(folder / META)


def load(folder: Path) -> Learner:
    """Open a saved generator.

    Raises:
        PredictorError: the folder holds none (`predictor-format`), one of another format (`predictor-version`), or
            weights that were changed (`predictor-changed`).
    """
    if not (folder / META).is_file() or not (folder / WEIGHTS).is_file():
        raise PredictorError(
            f"'{folder.name}' must hold a saved generator, it does not: train one with osler generate train"
        )
    try:
        told = json.loads((folder / META).read_text(encoding="utf-8"))
        kind, model = told["format"], told["model"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise PredictorError(f"'{META}' must be whole JSON of a generator, it is not: copy the run again") from error
    if kind != FORMAT or model not in INDEX:
        raise PredictorError(
            f"a generator must be of format {FORMAT}, this is of another: use the release that saved it",
            "predictor-version",
        )
    if hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() != told["sha256"]:
        raise PredictorError(
            f"'{WEIGHTS}' must match its SHA-256, it does not: copy the run again", "predictor-changed"
        )
    learner = get(model).from_meta(told["meta"], GeneratorOptions(**told["options"]))
    load_weights(getattr(learner, learner.networks[0]), tensors.read(folder / WEIGHTS)[0])
    return learner
