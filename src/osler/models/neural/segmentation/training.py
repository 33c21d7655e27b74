"""Steps of a network that draws: AdamW or SGD, a rate that rises and falls, a moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from osler.errors import OptionError
from osler.models.neural.segmentation import transforming
from osler.models.neural.segmentation.options import SegmentationOptions
from osler.models.neural.segmentation.sampling import Patches

#: Steps over which `cosine` and `poly` rise.
RISE = 50
#: Longest gradient.
CLIP = 12.0


def learning_rate(options: SegmentationOptions, step: int, steps: int) -> float:
    """The rate of a step: up over a quarter and down along a cosine (`one_cycle`), or a short rise and then `cosine` or `poly`."""
    highest = options.learning_rate or (0.02 if options.optimiser == "adamw" else 0.01)
    rise = max(1, round(steps / 4) if options.schedule == "one_cycle" else min(RISE, round(steps / 10)))
    if step < rise:
        return highest * (step + 1) / rise
    gone = min(1.0, (step - rise) / max(1, steps - rise))
    if options.schedule == "poly":
        return highest * (1.0 - gone) ** 0.9
    return highest * 0.5 * (1.0 + math.cos(math.pi * gone))


def optimiser_of(net: nn.Module, options: SegmentationOptions) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) or Nesterov's momentum; norms and biases do not decay."""
    kernels = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = next(net.parameters()).device.type in ("cpu", "cuda")
    if options.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=0.99, nesterov=True, fused=fused)
    return torch.optim.AdamW(groups, lr=1.0, fused=fused)


class Average:
    """A moving average of weights and kept statistics over about a share of the steps (Polyak and Juditsky 1992)."""

    def __init__(self, net: nn.Module, share: float, steps: int) -> None:
        self.decay = 1.0 - 1.0 / max(1.0, share * steps)
        self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}
        self.count = 0

    def take(self, net: nn.Module) -> None:
        """One step's weights; the first ones weigh less."""
        self.count += 1
        decay = min(self.decay, (1.0 + self.count) / (10.0 + self.count))
        with torch.no_grad():
            mine, theirs = list(self.state.values()), [v.detach() for v in net.state_dict().values()]
            torch._foreach_lerp_(mine, theirs, 1.0 - decay)


def train(
    net: nn.Module, patches: Patches, plan: dict[str, Any], options: SegmentationOptions,
    loss_of: Callable[[list[Tensor], Tensor, Tensor | None], Tensor], report: Callable[[int, int], None],
) -> list[float]:  # fmt: skip
    """Train to the plan's last step and leave the averaged weights in the network.

    Args:
        patches: drawn from on the processor, changed there, and put where the network is.
        loss_of: from the network's answers, labels and fields.
        report: called with the step and how many there are, about a hundred times.

    Returns:
        Mean loss of each hundredth of the training.

    Raises:
        OptionError: the loss stopped being a finite number (`model-diverged`).
    """
    optimiser, steps, device = optimiser_of(net, options), plan["steps"], next(net.parameters()).device
    average = Average(net, options.average, steps) if options.average else None
    spacing = plan["spacing"] or [1.0] * plan["dims"]
    every, total, losses = max(1, steps // 100), 0.0, []
    bf16 = plan["precision"] == "bf16"
    net.train()
    for step in range(steps):
        values, labels, fields = (None if a is None else torch.from_numpy(a) for a in patches.batch(plan["batch_size"]))
        values, labels, fields = transforming.changed(values, labels, fields, options.augment, plan["mirror"], spacing)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options, step, steps)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            answers = net(values.to(device))
        loss = loss_of(answers, labels.to(device), None if fields is None else fields.to(device))
        value = loss.item()
        if not math.isfinite(value):
            raise OptionError(
                f"training a drawing network must keep finite numbers, in step {step + 1} the loss became infinite or NaN: lower "
                f"learning_rate (was {learning_rate(options, step, steps):g}) or use precision=float32",
                "model-diverged",
            )
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()
        if average is not None:
            average.take(net)
        total += value
        if (step + 1) % every == 0:
            losses.append(total / every)
            total = 0.0
            report(step + 1, steps)
    if average is not None:
        net.load_state_dict(average.state)
    return losses
