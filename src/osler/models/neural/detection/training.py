"""The training loop of detectors: AdamW over random patches while the rate rises and falls once; the weights that are kept are a running mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osler.errors import OptionError
from osler.models.drawing import Tell
from osler.models.neural import loop
from osler.models.neural.detection.preparing import Store
from osler.models.neural.detection.sampling import Patch, batches
from osler.scenes import Scenes

#: Share of the steps over which the rate rises.
RISE = 0.1
#: Longest gradient.
CLIP = 5.0
#: Memory of the running mean of weights, in steps, at most; at the beginning it is a tenth of the steps gone.
MEMORY = 100
#: What is wrong with a network's answers for a batch of patches, part by part.
Losses = Callable[[nn.Module, Patch], dict[str, Tensor]]


def trained(
    net: nn.Module, losses: Losses, scenes: Scenes, plan: dict[str, Any], options: Any, rng: np.random.Generator, tell: Tell | None, masks: bool = False
) -> dict[str, np.ndarray]:
    """The weights of a network after the plan's steps.

    Raises:
        OptionError: the loss stopped being a finite number (`model-diverged`).
    """
    device = loop.device_of(options.device)
    net = net.to(device).train()
    store = Store(scenes, plan, masks)
    optimiser = loop.optimiser_of(net, options)
    weights = list(net.parameters())
    mean = {k: v.detach().clone() for k, v in net.state_dict().items()}
    drawn = batches(store, plan, options.mirror, rng)
    for step in range(plan["steps"]):
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * rate(step, plan["steps"])
        batch = on(next(drawn), device)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            parts = losses(net, batch)
        total = sum(parts.values())
        if not math.isfinite(total.item()):
            raise OptionError(
                f"training a detector must keep finite numbers, in step {step + 1} they became infinite or NaN: "
                f"lower learning_rate (was {options.learning_rate:g}) or use precision=float32",
                "model-diverged",
            )
        total.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        _averaged(mean, net, min(MEMORY, 1 + step / 10))
        if tell is not None:
            tell(", ".join(f"{k} {v.item():.3f}" for k, v in parts.items()), step + 1, plan["steps"])
    return {k: v.cpu().numpy() for k, v in mean.items()}


def rate(step: int, steps: int) -> float:
    """Share of the learning rate in a step: a linear rise, then half a cosine to zero."""
    rise = max(1, round(RISE * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _averaged(mean: dict[str, Tensor], net: nn.Module, memory: float) -> None:
    """Move a running mean of all weights one step on."""
    with torch.no_grad():
        for key, value in net.state_dict().items():
            mean[key].lerp_(value, 1.0 / memory)


def on(batch: Patch, device: torch.device) -> Patch:
    """A batch on a device."""
    lists = ([t.to(device) for t in part] for part in (batch.things, batch.codes, batch.ignored))
    labels = None if batch.labels is None else batch.labels.to(device)
    return Patch(batch.x.to(device), *lists, labels, [t.to(device) for t in batch.numbers])
