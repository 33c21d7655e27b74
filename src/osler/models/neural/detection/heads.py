"""What a network says at every place of every level: how likely each class is, and where the box lies."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.models.neural.convolutions import BatchNorm
from osler.models.neural.detection import anchors as places
from osler.models.neural.detection import boxes as arithmetic
from osler.models.neural.detection.pyramid import convolution

#: Probability of a thing that every place begins with: background is nearly everything (Lin et al. 2017, section 4.1).
PRIOR = 0.01
#: A place that is to find a thing is to say its class with the overlap of its box, but with no less than this; in volumes the overlaps of
#: things a few voxels long say little, and a network that is asked for them learns nothing else for long: there it is to be sure.
LEAST_WANTED = {2: 0.3, 3: 1.0}


class Tower(nn.Module):
    """Convolutions that all levels share; what each channel's usual value and spread are, every level knows for itself."""

    def __init__(self, dims: int, width: int, depth: int, levels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(convolution(dims, width, width, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.ModuleList(BatchNorm(width) for _ in range(levels)) for _ in range(depth))

    def forward(self, x: Tensor, level: int) -> Tensor:
        """(n, width, ...) → the same shape."""
        for layer, norms in zip(self.layers, self.norms):
            x = torch.relu(norms[level](layer(x)))
        return x


class Head(nn.Module):
    """Two towers: logits of k classes, and steps from the anchor to the box.

    Args:
        dims: 2 or 3.
        width: channels of the levels.
        classes: k.
        depth: convolutions of each tower.
        levels: of the pyramid; each has a factor of its own for its steps.
    """

    def __init__(self, dims: int, width: int, classes: int, depth: int, levels: int) -> None:
        super().__init__()
        self.for_score, self.for_steps = (Tower(dims, width, depth, levels) for _ in range(2))
        self.score, self.steps = convolution(dims, width, classes), convolution(dims, width, 2 * dims)
        for layer in (self.score, self.steps):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(self.score.bias, -math.log((1 - PRIOR) / PRIOR))
        self.factor = nn.Parameter(torch.ones(levels))

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Levels (n, width, ...) → logits (n, places, k) and steps (n, places, 2d), the finest level first."""
        logits = [_rows(self.score(self.for_score(x, i))) for i, x in enumerate(levels)]
        steps = [_rows(self.steps(self.for_steps(x, i))) * self.factor[i] for i, x in enumerate(levels)]
        return torch.cat(logits, dim=1).float(), torch.cat(steps, dim=1).float()


def _rows(x: Tensor) -> Tensor:
    """(n, c, ...) → (n, places, c)."""
    return x.flatten(2).transpose(1, 2)


def focal(logits: Tensor, wanted: Tensor, sharpness: float = 2.0) -> Tensor:
    """Quality focal loss of every logit (Li et al. 2020): cross-entropy with a wanted value between 0 and 1, weighted by how far the
    answer is from it; where the wanted value is 0 or 1 it is Lin's focal loss.
    """
    p = logits.sigmoid()
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * (wanted - p).abs() ** sharpness


def losses(
    logits: Tensor, steps: Tensor, levels: list[Tensor], things: list[Tensor], codes: list[Tensor], ignored: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """What is wrong with the answers for a batch: of the classes, and of the boxes.

    A place that is to find a thing is to say its class with the overlap of its box, so that a box is as sure as it is good.

    Args:
        logits: (n, places, k); steps: (n, places, 2d); levels: per level (places, 2d) anchors.
        things, codes, ignored: per scan (m, 2d) boxes, (m,) classes, (j, 2d) boxes that nobody asks for.
    """
    anchors = torch.cat(levels)
    said, boxed, n_found = logits.new_zeros(()), logits.new_zeros(()), 0
    for i in range(len(logits)):
        which = places.assigned(levels, things[i], ignored[i])
        at = (which >= 0).nonzero()[:, 0]
        wanted = torch.zeros_like(logits[i])
        if len(at):
            true = things[i][which[at]]
            made = arithmetic.decode(steps[i][at], anchors[at])
            boxed = boxed + (1 - arithmetic.generalised_overlap(made, true)).sum()
            wanted[at, codes[i][which[at]]] = arithmetic.overlap_of_pairs(made.detach(), true).clamp(min=LEAST_WANTED[true.shape[1] // 2])
            n_found += len(at)
        asked = which != places.UNASKED
        said = said + focal(logits[i], wanted)[asked].sum()
    n_found = max(n_found, len(logits))
    return said / n_found, boxed / n_found
