"""What a critic and a generator want of the critic's scores, and how steep a critic may be.

vanilla: I. Goodfellow et al., NeurIPS 2014 (the generator in its non-saturating form); least_squares: X. Mao et al.,
ICCV 2017;
wasserstein with gradient penalty: I. Gulrajani et al., NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


def critic_loss(kind: str, real: Tensor, made: Tensor) -> Tensor:
    """Mean loss of a critic from its scores of real and made ones (any shapes)."""
    if kind == "wasserstein":
        return made.mean() - real.mean()
    if kind == "least_squares":
        return ((real - 1.0) ** 2).mean() + (made**2).mean()
    return softplus(-real).mean() + softplus(made).mean()


def reward(kind: str, made: Tensor) -> Tensor:
    """What each score is worth to the generator; its loss is the negative mean."""
    if kind == "wasserstein":
        return made
    if kind == "least_squares":
        return -((made - 1.0) ** 2)
    return logsigmoid(made)


def gradient_penalty(
    critic: Callable[..., Tensor], real: Sequence[Tensor], made: Sequence[Tensor], generator: torch.Generator
) -> Tensor:
    """Mean (|gradient| − 1)² of a critic at points drawn between real and made inputs.

    Args:
        critic: inputs → (n,) scores.
        real, made: the inputs, each (n, ...), the same shapes in both.
    """
    share = torch.rand(len(real[0]), generator=generator)
    between = []
    for a, b in zip(real, made):
        weight = share.view(-1, *[1] * (a.dim() - 1))
        between.append((weight * a + (1 - weight) * b).detach().requires_grad_(True))
    slopes = torch.autograd.grad(critic(*between).sum(), between, create_graph=True)
    squares = sum(slope.flatten(1).square().sum(1) for slope in slopes)
    return ((torch.sqrt(squares + 1e-12) - 1.0) ** 2).mean()
