"""What a mask costs: cross-entropy and soft Dice (Milletari et al. 2016) of classes, over several depths of the network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: A voxel outside of a scan: it costs nothing.
OUTSIDE = -1


def of_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean Dice of the classes but the background, over the whole batch.

    Args:
        logits: (n, k, [z,] y, x).
        labels: (n, [z,] y, x) int64, `OUTSIDE` where nothing is known.
    """
    logits = logits.float()
    entropy = F.cross_entropy(logits, labels, ignore_index=OUTSIDE)
    known = (labels != OUTSIDE).unsqueeze(1)
    p = logits.softmax(1) * known
    axes = [0, *range(2, logits.dim())]
    truth = torch.zeros_like(p).scatter_(1, labels.clamp(min=0).unsqueeze(1), 1.0) * known
    both, sums = (p * truth).sum(axes), (p + truth).sum(axes)
    dice = (2.0 * both[1:] + 1.0) / (sums[1:] + 1.0)
    return entropy + 1.0 - dice.mean()


def deep(answers: list[Tensor], labels: Tensor) -> Tensor:
    """The loss of answers at several depths, each coarser one counting half of the one before."""
    total, weight = labels.new_zeros((), dtype=torch.float32), 0.0
    for depth, logits in enumerate(answers):
        steps = tuple(slice(a // b // 2, None, a // b) for a, b in zip(labels.shape[1:], logits.shape[2:]))
        total = total + 0.5**depth * of_classes(logits, labels[(slice(None), *steps)])
        weight += 0.5**depth
    return total / weight
