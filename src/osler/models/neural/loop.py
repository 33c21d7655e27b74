"""The training loop: mini-batches, AdamW, early stopping on whole units, and a state that can be taken up."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from osler.errors import InternalError, OptionError
from osler.models.base import Batches, Encoded
from osler.models.neural import pictures
from osler.models.neural.checkpoint import optimiser_arrays, restore_optimiser
from osler.models.neural.heads import Head
from osler.models.neural.inputs import Branch, Tensors, tensors
from osler.models.neural.options import Training
from osler.models.neural.rows import Rows

#: One mini-batch: a dict of tensors per branch, and the target's tensors.
Slice = tuple[list[Tensors], dict[str, torch.Tensor]]
Report = Callable[[dict[str, Any]], None]


class Feed:
    """Rows as mini-batches of tensors.

    Args:
        batches: n rows.
        branches: the network's inputs.
        head: what the target becomes.
        device: where the tensors are put.
        whole: keep all rows ready (tables, molecules, pictures; see `Rows`); otherwise encode slice by slice.
    """

    def __init__(self, batches: Batches, branches: list[Branch], head: Head, device: torch.device, whole: bool) -> None:
        self.batches, self.branches, self.head, self.device = batches, branches, head, device
        self.kept = self._keep(pictures.gathered(batches, branches)) if whole else None
        self.at_once = pictures.rows_at_once(branches)

    def __len__(self) -> int:
        return len(self.batches)

    def slices(self, size: int, rng: np.random.Generator | None) -> Iterator[Slice]:
        """All rows once, `size` at a time, shuffled if a generator is given."""
        if self.kept is None:
            yield from self._encoded(size, rng)
            return
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        inputs, target = self.kept
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            at = torch.from_numpy(rows).to(self.device)
            yield inputs.take(rows), {k: v[at] for k, v in target.items()}

    def _encoded(self, size: int, rng: np.random.Generator | None) -> Iterator[Slice]:
        """Rows encoded as they are needed; convolutions augment pictures themselves, so that a column does not do it too."""
        if rng is None or not any(b.encoder == pictures.ENCODER for b in self.branches):
            for part in self.batches.slices(size, rng):
                yield self._encode(part)
            return
        order = rng.permutation(len(self))
        for start in range(0, len(order), size):
            yield self._encode(self.batches.take(order[start : start + size]).all())

    def _keep(self, part: Encoded) -> tuple[Rows, dict[str, torch.Tensor]]:
        rows = Rows(self.branches, part.blocks, self.device)
        return rows, self.head.target_tensors(part.target, self.device)

    def _encode(self, part: Encoded) -> Slice:
        return tensors(self.branches, part.blocks, self.device), self.head.target_tensors(part.target, self.device)


@dataclass
class State:
    """A training between two epochs; `arrays` and `meta` are all that is needed to go on."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    epoch: int = 0
    step: int = 0
    best: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, best weights, optimiser moments and torch's generator, under one prefix each."""
        found = {"torch_rng": torch.get_rng_state().numpy()}
        if torch.cuda.is_available():
            found["cuda_rng"] = torch.cuda.get_rng_state().numpy()
        parts = {"net": weights_of(self.net), "best": self.best_weights, "optimiser": optimiser_arrays(self.optimiser)}
        return found | {f"{name}/{k}": v for name, part in parts.items() for k, v in part.items()}

    def meta(self) -> dict[str, Any]:
        """Counters and numpy's generator, as JSON values."""
        best = self.best if math.isfinite(self.best) else None
        return {
            "epoch": self.epoch, "step": self.step, "best": best, "best_epoch": self.best_epoch,
            "rng": self.rng.bit_generator.state,
        }  # fmt: skip

    def restore(self, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Take up a state that `arrays` and `meta` described."""
        part = lambda name: {k[len(name) + 1 :]: v for k, v in arrays.items() if k.startswith(f"{name}/")}  # noqa: E731
        load_weights(self.net, part("net"))
        restore_optimiser(self.optimiser, part("optimiser"))
        self.best_weights = part("best")
        self.rng.bit_generator.state = meta["rng"]
        self.epoch, self.step, self.best_epoch = meta["epoch"], meta["step"], meta["best_epoch"]
        self.best = math.inf if meta["best"] is None else meta["best"]
        torch.set_rng_state(torch.from_numpy(arrays["torch_rng"].copy()))
        if "cuda_rng" in arrays and torch.cuda.is_available():
            torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda_rng"].copy()))


def train(
    state: State, feed: Feed, valid: Feed | None, options: Training, save: Callable[[State], None], report: Report
) -> None:
    """Train `state.net` to its end and leave the best epoch's weights in it.

    Args:
        state: fresh, or restored from a checkpoint.
        feed: rows to learn from.
        valid: rows that stop the training, or None (then all epochs are run and the last weights are kept).
        save: called after every epoch with the state.
        report: called after every epoch with epoch, losses and learning rate.

    Raises:
        OptionError: the loss or a gradient stopped being a finite number; names where it was first seen.
    """
    size = options.batch_size_for(len(feed))
    steps = max(1, math.ceil(len(feed) / size))
    while state.epoch < options.epochs and state.epoch - state.best_epoch < options.patience:
        total = _epoch(state, feed, size, steps, options)
        state.epoch += 1
        judged = evaluate(state.net, valid, options) if valid is not None else None
        if judged is None or judged < state.best:
            state.best = math.inf if judged is None else judged
            state.best_epoch, state.best_weights = state.epoch, weights_of(state.net)
        report({
            "event": "epoch", "epoch": state.epoch, "epochs": options.epochs, "loss": total / max(len(feed), 1),
            "validation_loss": judged, "best_epoch": state.best_epoch,
            "learning_rate": learning_rate(options, state.step, steps),
        })  # fmt: skip
        save(state)
    load_weights(state.net, state.best_weights)


def _epoch(state: State, feed: Feed, size: int, steps: int, options: Training) -> float:
    """One pass over the rows; the summed loss."""
    net, device, total = state.net.train(), feed.device, 0.0
    weights = list(net.parameters())
    for number, (inputs, target) in enumerate(feed.slices(size, state.rng)):
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(options, state.step, steps)
        state.optimiser.zero_grad(set_to_none=True)
        with _precision(device, options):
            logits = net(inputs)
        loss = feed.head.loss(logits, target).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise _not_finite(net, inputs, logits, options, f"epoch {state.epoch + 1}, batch {number + 1}")
        loss.backward()
        length = nn.utils.clip_grad_norm_(weights, options.clip)
        if not torch.isfinite(length):
            raise _not_finite(net, inputs, logits, options, f"epoch {state.epoch + 1}, batch {number + 1}")
        state.optimiser.step()
        state.step += 1
        total += value * len(logits)
    return total


def evaluate(net: nn.Module, feed: Feed, options: Training) -> float:
    """Mean loss of the rows, without learning from them."""
    net.eval()
    total = 0.0
    with torch.inference_mode():
        for inputs, target in feed.slices(feed.at_once, None):
            with _precision(feed.device, options):
                logits = net(inputs)
            total += feed.head.loss(logits, target).sum().item()
    return total / max(len(feed), 1)


def learning_rate(options: Training, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step: a linear rise, then constant, half a cosine to zero or a geometric fall; `one_cycle` is the
    cosine after a rise over the first quarter of all steps (Smith and Topin 2019).
    """
    warm_up = options.epochs / 4 if options.schedule == "one_cycle" else options.warm_up
    rise = max(1, round(warm_up * steps_per_epoch))
    if step < rise:
        return options.learning_rate * (step + 1) / rise
    if options.schedule == "constant":
        return options.learning_rate
    gone = min(1.0, (step - rise) / max(1, options.epochs * steps_per_epoch - rise))
    if options.schedule == "geometric":
        return options.learning_rate * 0.1**gone
    return options.learning_rate * 0.5 * (1.0 + math.cos(math.pi * gone))


def optimiser_of(net: nn.Module, options: Training) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); biases, norms, embeddings and tokens do not decay."""
    matrices = {id(m.weight) for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Conv3d)}
    decayed = [p for p in net.parameters() if id(p) in matrices]
    others = [p for p in net.parameters() if id(p) not in matrices]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = next(net.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)


def weights_of(net: nn.Module) -> dict[str, np.ndarray]:
    """A copy of every weight as numpy float32."""
    return {k: v.detach().cpu().numpy().copy() for k, v in net.state_dict().items()}


def load_weights(net: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """The inverse of `weights_of`; every name and shape must match."""
    net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})


# -- where it runs --------------------------------------------------------------------------------------------------


def device_of(name: str) -> torch.device:
    """The device of an option.

    Raises:
        OptionError: the device is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(k for k in ("cuda", "mps", "cpu") if there[k])
    if not there[name]:
        raise OptionError(
            f"option 'device' must be a device of this machine, '{name}' is not: use device=auto or device=cpu"
        )
    return torch.device(name)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with this many processor threads, then put the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _precision(device: torch.device, options: Training) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.precision == "bf16")


# -- what went wrong ------------------------------------------------------------------------------------------------


def _not_finite(
    net: nn.Module, inputs: list[Tensors], logits: torch.Tensor, options: Training, when: str
) -> OptionError:
    """Names the first place where numbers are not finite: an input, a weight, a gradient, the output or the loss."""
    where = _first_not_finite(net, inputs)
    if not where:
        where = "the output of the network" if not torch.isfinite(logits).all() else "the loss of the target"
    return OptionError(
        f"training a network must keep finite numbers, in {when} they became infinite or NaN, first seen in {where}: "
        f"lower learning_rate (was {options.learning_rate:g}) or use precision=float32",
        "model-diverged",
    )


def _first_not_finite(net: nn.Module, inputs: list[Tensors]) -> str:
    names = [b.name for b in net.branches]
    for name, branch in zip(names, inputs):
        for value in branch.values():
            if value.is_floating_point() and not torch.isfinite(value).all():
                return f"the input of '{name}'"
    for what, pick in (("weight", lambda p: p), ("gradient", lambda p: p.grad)):
        for key, parameter in net.named_parameters():
            value = pick(parameter)
            if value is not None and not torch.isfinite(value).all():
                part, _, rest = key.partition(".")
                owner = f"the encoder of '{names[int(rest.split('.')[0])]}'" if part == "encoders" else f"the {part}"
                return f"a {what} of {owner}"
    with torch.no_grad():
        for name, encoder, branch in zip(names, net.encoders, inputs):
            if not torch.isfinite(encoder(branch)).all():
                return f"the output of the encoder of '{name}'"
    return ""


def due(every: float) -> Callable[[], bool]:
    """Says yes when at least `every` seconds have passed since it last said yes; time decides when, never what."""
    last = [time.monotonic()]

    def ask() -> bool:
        if time.monotonic() - last[0] < every:
            return False
        last[0] = time.monotonic()
        return True

    return ask


def check_outputs(logits: np.ndarray) -> np.ndarray:
    """Logits as they are.

    Raises:
        InternalError: some are not finite: the saved weights are not.
    """
    if not np.isfinite(logits).all():
        raise InternalError("a network must answer finite numbers, its saved weights do not give them: train it again")
    return logits
