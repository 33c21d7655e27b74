"""How far values lie from a predicted mean: further outputs of a network, their losses, and what they say of a row.

Numbers are in standard deviations of the training target, as in `heads`.

quantile     (mean, a, b): 5 % of values lie below mean - softplus(a), 95 % below mean + softplus(b), learnt by the pinball
             loss of quantile regression (Koenker and Bassett, Econometrica 46:33, 1978). It leaves the mean alone.
evidential   (mean, v, a, b): a normal-inverse-gamma prior over the mean and variance of each row (Amini, Schwarting,
             Soleimany and Rus, Deep Evidential Regression, NeurIPS 2020); few data of a kind, little evidence, wide spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osler.tasks.base import Prediction

#: The share of values that lie between the two quantiles, and how many standard deviations that is in a normal distribution.
BETWEEN, WIDTH = 0.9, 2 * 1.6448536269514722
#: Weight of evidence for a wrong answer against the likelihood; Amini et al. use 0.01 to 1, chosen here on Lipophilicity.
_REGULAR = 0.2
#: The least of evidence parameters.
_LEAST = 1e-3
#: x with softplus(x) = 1.
_ONE = math.log(math.e - 1.0)

#: What the last layer starts from: a mean of 0 and a spread of about 1.
BIAS = {"none": (0.0,), "quantile": (0.0, _ONE, _ONE), "evidential": (0.0, _ONE, _ONE, _ONE)}


def quantile_loss(logits: Tensor, y: Tensor) -> Tensor:
    """(n, 3) logits and (n,) values → (n,) the pinball losses of both quantiles."""
    error = y - logits[:, 0].detach()
    low, high = error + F.softplus(logits[:, 1]), error - F.softplus(logits[:, 2])
    tail = 0.5 * (1.0 - BETWEEN)
    return torch.maximum(tail * low, (tail - 1) * low) + torch.maximum((1 - tail) * high, -tail * high)


def evidential_loss(logits: Tensor, y: Tensor) -> Tensor:
    """(n, 4) logits and (n,) values → (n,) negative log likelihood of Student's t (their equation 8), and the error times
    the evidence (equation 9).
    """
    error = y - logits[:, 0]
    v, a, b = (F.softplus(logits[:, i]) + _LEAST for i in (1, 2, 3))
    a = a + 1.0
    omega = 2.0 * b * (1.0 + v)
    likelihood = (
        0.5 * (math.log(math.pi) - torch.log(v)) - a * torch.log(omega)
        + (a + 0.5) * torch.log(v * error**2 + omega) + torch.lgamma(a) - torch.lgamma(a + 0.5)
    )  # fmt: skip
    return likelihood + _REGULAR * error.abs() * (2.0 * v + a)


def _quantile_spread(logits: np.ndarray) -> np.ndarray:
    return (_softplus(logits[:, 1]) + _softplus(logits[:, 2])) / WIDTH + _LEAST


def _evidential_spread(logits: np.ndarray) -> np.ndarray:
    """The scale of Student's t (their equation 7): unlike its standard deviation it has no pole at a = 1."""
    v, a, b = (_softplus(logits[:, i]) + _LEAST for i in (1, 2, 3))
    return np.sqrt(b / (a + 1.0) * (1.0 + 1.0 / v))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


#: Logits (n, k) float64 → (n,) the expected standard deviation of each row.
SPREADS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quantile": _quantile_spread, "evidential": _evidential_spread,
}  # fmt: skip


def mean(answers: Sequence[Prediction]) -> Prediction:
    """The mean of several networks' answers; its spread is that of their equal mixture: what they expect and how far they
    stand apart.
    """
    value = np.mean([a.value for a in answers], axis=0)
    if answers[0].spread is None:
        return replace(answers[0], value=value)
    apart = [a.spread**2 + (a.value - value)[:, 0] ** 2 for a in answers]
    return replace(answers[0], value=value, spread=np.sqrt(np.mean(apart, axis=0)))
