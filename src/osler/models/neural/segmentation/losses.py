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


def of_depths(logits: Tensor, depths: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of how deep inside a thing voxels lie (0 to 1), things and background counting alike, borders inside things most.

    Args:
        logits, depths, labels: (n, [z,] y, x).
    """
    each = F.binary_cross_entropy_with_logits(logits.float(), depths, reduction="none")
    inside, outside = (labels > 0) * (4.0 - 3.0 * depths), (labels == 0).float()
    return (each * inside).sum() / inside.sum().clamp(min=1) + (each * outside).sum() / outside.sum().clamp(min=1)


def whole(answers: list[Tensor], labels: Tensor, depths: Tensor | None) -> Tensor:
    """The loss of answers at several resolutions, each coarser one counting half of the one before.

    Args:
        answers: (n, k, ...) logits, finest first; with depths the last channel is theirs.
        labels: (n, ...) int64.
        depths: (n, ...) or None.
    """
    total, weight = labels.new_zeros((), dtype=torch.float32), 0.0
    for number, logits in enumerate(answers):
        steps = (slice(None), *(slice(a // b // 2, None, a // b) for a, b in zip(labels.shape[1:], logits.shape[2:])))
        here = labels[steps]
        if depths is None:
            loss = of_classes(logits, here)
        else:
            loss = of_classes(logits[:, :-1], here) + of_depths(logits[:, -1], depths[steps], here)
        total = total + 0.5**number * loss
        weight += 0.5**number
    return total / weight
