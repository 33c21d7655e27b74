"""Arithmetic of boxes in two and three dimensions: rows (k, 2d) of a lowest corner and then a highest, axes in the order of the array."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

#: Largest logarithm of a side over its anchor's: no box is more than 64 times as long.
LONGEST = math.log(64.0)
#: Boxes whose overlaps with each other are worked out at once.
BLOCK = 1024


def sides(boxes: Tensor) -> Tensor:
    """(k, d) lengths."""
    dims = boxes.shape[-1] // 2
    return boxes[..., dims:] - boxes[..., :dims]


def centres(boxes: Tensor) -> Tensor:
    """(k, d) middles."""
    dims = boxes.shape[-1] // 2
    return 0.5 * (boxes[..., dims:] + boxes[..., :dims])


def content(boxes: Tensor) -> Tensor:
    """(k,) area or volume; 0 where a side is not above 0."""
    return sides(boxes).clamp(min=0).prod(-1)


def clipped(boxes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Boxes cut off at the edges of a scan of this shape."""
    most = boxes.new_tensor(shape).repeat(2)
    return torch.minimum(boxes.clamp(min=0), most)


def _shared(a: Tensor, b: Tensor) -> Tensor:
    dims = a.shape[-1] // 2
    low, high = torch.maximum(a[..., :dims], b[..., :dims]), torch.minimum(a[..., dims:], b[..., dims:])
    return (high - low).clamp(min=0).prod(-1)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """(m, n) intersection over union of m boxes with n."""
    inner = _shared(a[:, None], b[None])
    return inner / (content(a)[:, None] + content(b)[None] - inner).clamp(min=1e-9)


def overlap_of_pairs(a: Tensor, b: Tensor) -> Tensor:
    """(k,) intersection over union of each box with its partner."""
    inner = _shared(a, b)
    return inner / (content(a) + content(b) - inner).clamp(min=1e-9)


def generalised_overlap(a: Tensor, b: Tensor) -> Tensor:
    """(k,) GIoU of pairs, -1 to 1: the overlap less the empty share of the smallest box round both (Rezatofighi et al. 2019)."""
    dims = a.shape[-1] // 2
    inner = _shared(a, b)
    union = (content(a) + content(b) - inner).clamp(min=1e-6)
    low, high = torch.minimum(a[..., :dims], b[..., :dims]), torch.maximum(a[..., dims:], b[..., dims:])
    hull = (high - low).clamp(min=0).prod(-1).clamp(min=1e-6)
    return inner / union - (hull - union) / hull


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """(k, 2d) boxes as steps from their anchors: the shift of the centre over the anchor's side, and the logarithm of the sides' ratio."""
    size = sides(anchors)
    return torch.cat([(centres(boxes) - centres(anchors)) / size, (sides(boxes) / size).clamp(min=1e-6).log()], dim=-1)


def decode(steps: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of `encode`."""
    dims, size = anchors.shape[-1] // 2, sides(anchors)
    middle = centres(anchors) + steps[..., :dims] * size
    half = 0.5 * size * steps[..., dims:].clamp(min=-LONGEST, max=LONGEST).exp()
    return torch.cat([middle - half, middle + half], dim=-1)


def suppress(boxes: Tensor, scores: Tensor, codes: Tensor, most_overlap: float, keep: int) -> Tensor:
    """Greedy non-maximum suppression of each class by itself: the best box stays, those that overlap it more than `most_overlap` go.

    Args:
        boxes: (k, 2d); scores: (k,); codes: (k,) a box suppresses boxes of its own code only.
        keep: most boxes that stay.

    Returns:
        (m,) positions, best first; equal scores in their own order.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    kept = order[:0]
    for block in order.split(BLOCK):
        if len(kept) >= keep:
            break
        if len(kept):
            block = block[~_alike(boxes, codes, block, kept, most_overlap).any(dim=1)]
        same = _alike(boxes, codes, block, block, most_overlap).cpu().numpy()
        gone, stay = np.zeros(len(block), dtype=bool), []
        for i in range(len(block)):
            if not gone[i]:
                stay.append(i)
                gone |= same[i]
        kept = torch.cat([kept, block[torch.tensor(stay, dtype=torch.long, device=boxes.device)]])
    return kept[:keep]


def _alike(boxes: Tensor, codes: Tensor, a: Tensor, b: Tensor, most_overlap: float) -> Tensor:
    """(m, n) whether boxes at positions a and b are of one class and overlap more than `most_overlap`."""
    return (overlap(boxes[a], boxes[b]) > most_overlap) & (codes[a][:, None] == codes[b][None])


def merge(boxes: Tensor, scores: Tensor, codes: Tensor, least_overlap: float, views: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted box fusion of what several views of one scan say (Solovyev et al. 2021): boxes of a class that overlap their group's box by at
    least `least_overlap` become their mean, weighted by score; the group's score is its mean, less where fewer than `views` views saw it.

    Returns:
        boxes (m, 2d), scores (m,) and codes (m,), best first.
    """
    groups: list[list[int]] = []
    fused: list[Tensor] = []
    for i in torch.sort(scores, descending=True, stable=True).indices.tolist():
        near = [g for g, members in enumerate(groups) if codes[members[0]] == codes[i]]
        found = overlap(boxes[i : i + 1], torch.stack([fused[g] for g in near]))[0] if near else boxes.new_zeros(0)
        if len(found) and float(found.max()) >= least_overlap:
            group = near[int(found.argmax())]
            groups[group].append(i)
            fused[group] = _weighted(boxes[groups[group]], scores[groups[group]])
        else:
            groups.append([i])
            fused.append(boxes[i])
    if not groups:
        return boxes, scores, codes
    means = torch.stack([scores[g].mean() * min(len(g), views) / views for g in groups])
    order = torch.sort(means, descending=True, stable=True).indices
    kinds = torch.stack([codes[g[0]] for g in groups])
    return torch.stack(fused)[order], means[order], kinds[order]


def _weighted(boxes: Tensor, scores: Tensor) -> Tensor:
    return (boxes * scores[:, None]).sum(0) / scores.sum().clamp(min=1e-9)
