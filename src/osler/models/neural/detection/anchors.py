"""Where each level of features looks, and which thing each place must answer for.

One anchor per place and level: its size is that of the usual training box of the level (`plan`). Which anchors are to find a thing is
chosen by its own candidates' overlaps (ATSS, Zhang et al. 2020), so no threshold of overlap has to fit boxes of every size and shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from osler.models.neural.detection import boxes as arithmetic

#: Anchors per level that are candidates for a thing, by the distance of their centres: in two and in three dimensions.
CANDIDATES = {2: 9, 3: 8}
#: What an anchor is to find, besides the number of a thing: nothing, or nobody asks.
NOTHING, UNASKED = -1, -2


def grid(shape: Sequence[int], stride: int, size: Sequence[float], device: torch.device) -> Tensor:
    """(places, 2d) anchors of one level, in the order of its flattened features.

    Args:
        shape: of the level's features.
        stride: pixels of the scan per step.
        size: sides of an anchor in pixels.
    """
    axes = [(torch.arange(n, device=device, dtype=torch.float32) + 0.5) * stride for n in shape]
    middle = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
    half = 0.5 * torch.tensor(list(size), device=device, dtype=torch.float32)
    return torch.cat([middle - half, middle + half], dim=1)


def assigned(levels: Sequence[Tensor], things: Tensor, ignored: Tensor) -> Tensor:
    """Which thing each anchor is to find.

    Args:
        levels: per level (places, 2d) anchors.
        things: (k, 2d) boxes that are asked for.
        ignored: (j, 2d) boxes of which nobody knows whether they must be found (cut off at a patch's edge).

    Returns:
        (all places,) position of a thing, `NOTHING`, or `UNASKED` (the centre lies in an ignored box and in no thing).
    """
    anchors = torch.cat(list(levels))
    found = torch.full((len(anchors),), NOTHING, dtype=torch.long, device=anchors.device)
    middle = arithmetic.centres(anchors)
    if len(ignored):
        found[_inside(middle, ignored).any(dim=1)] = UNASKED
    if not len(things):
        return found
    candidates = _nearest(levels, things)
    near = torch.stack([_shared_rows(anchors[rows], thing) for rows, thing in zip(candidates, things)])
    least = near.mean(dim=1) + near.std(dim=1)
    best = torch.full((len(anchors),), -1.0, device=anchors.device)
    for number, rows in enumerate(candidates):
        fits = (near[number] >= least[number]) & _inside(middle[rows], things[number : number + 1])[:, 0]
        if not fits.any():
            fits = torch.arange(len(rows), device=rows.device) == near[number].argmax()
        chosen, how = rows[fits], near[number][fits]
        better = how > best[chosen]
        best[chosen[better]], found[chosen[better]] = how[better], number
    return found


def _nearest(levels: Sequence[Tensor], things: Tensor) -> Tensor:
    """(k, candidates) positions of the anchors of every level whose centres are nearest to each thing's."""
    start, rows, dims = 0, [], things.shape[1] // 2
    for anchors in levels:
        distance = torch.cdist(arithmetic.centres(things), arithmetic.centres(anchors))
        count = min(CANDIDATES[dims], len(anchors))
        rows.append(distance.topk(count, dim=1, largest=False).indices + start)
        start += len(anchors)
    return torch.cat(rows, dim=1)


def _shared_rows(anchors: Tensor, thing: Tensor) -> Tensor:
    return arithmetic.overlap(anchors, thing[None])[:, 0]


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """(m, n) whether each of m points lies in each of n boxes."""
    dims = points.shape[1]
    at = points[:, None]
    return ((at >= boxes[None, :, :dims]) & (at < boxes[None, :, dims:])).all(dim=-1)
