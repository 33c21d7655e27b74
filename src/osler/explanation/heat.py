"""Heat maps: where in a picture or volume the evidence for an answer lies, by the gradients of the networks that gave it.

    grad-cam     features, each weighed by its mean gradient (Selvaraju et al., ICCV 2017)
    grad-cam++   weighed by the positive gradients with the pixel weights of Chattopadhay et al. (WACV 2018)
    layer-cam    each place of a feature weighed by its own gradient where that is positive (Jiang et al., IEEE TIP 2021, equations
                 8 and 9)
    path-cam     how much each place of a feature rises from an empty picture to this one, times its mean gradient on the way
                 (Integrated Grad-CAM: Sattarzadeh et al., ICASSP 2021, but place by place)
    fused        grad-cam++ of every stage, multiplied: coarse stages say what, fine ones where
    gradients    integrated gradients (Sundararajan et al., ICML 2017) from a picture of the training's mean, rising in equal steps
    smooth       the same, averaged over pictures with noise (SmoothGrad: Smilkov et al., 2017)

A method on features makes a map of every stage of the network, and for each picture keeps that whose hottest place, smeared, costs the
answer most: the last features, which the papers take, have few places, and what one of them sees is much wider than it stands for.

On planted lesions (benchmarks/pointing.py) `gradients` and `smooth` point best, then `path-cam`. `grad-cam` averages gradients over
places, which says little about networks that end in a maximum or in places of their own, as those here. `gradients`, `smooth` and `path-cam`
compare with an empty picture, so that evidence in what is as grey as the mean is not seen by them.

A map is for one class or label (the gradient of its log odds) or, of a number, for what raises it. Only what speaks for it is
shown: values are 0 or more, and every map is divided by its own largest value, so that two maps cannot be compared by their heights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from osler.blocks import Block
from osler.errors import OptionError, nearest
from osler.explanation.gradients import KINDS, on_scale
from osler.explanation.scales import Scale
from osler.models.base import Params
from osler.models.neural.assembly import branches_of, networks
from osler.models.neural.convolutions import Stage
from osler.models.neural.heads import Head
from osler.models.neural.inputs import branch_arrays, put
from osler.models.neural.pictures import rows_at_once

METHODS = ("gradients", "smooth", "path-cam", "fused", "layer-cam", "grad-cam", "grad-cam++")
#: Steps of a path, noisy pictures that are averaged, and their noise as a share of the picture's range.
STEPS, NOISY, NOISE = 24, 8, 0.1
#: A gradient of single voxels is smoothed by a Gaussian of this share of the longest side.
SMOOTHED = 1 / 48
#: Radius of the ball around a hottest place that is smeared to see what it costs, and the smear, as a share of the longest side.
SMEARED = 1 / 14


def has_heat(params: Params, column: str) -> bool:
    """Whether a network reads the pictures or volumes of this column and answers a task that has a gradient here."""
    branches = params.meta.get("branches")
    if not isinstance(branches, list) or params.meta.get("head", {}).get("kind") not in KINDS:
        return False
    return any(b["layout"] == "grid" and b["name"] == column for b in branches)


class PictureNets:
    """The trained networks as functions of one column of pictures; what other columns say is worked out once.

    Args:
        params: of a network with `has_heat`. blocks: column → block of n rows, as the network sees it.
        column: of the pictures. scale: of the answer, uncut.

    Attributes:
        nets: copies that may be changed. x: (n, c, [z,] y, x) pictures as the networks get them. present: (n,) where there is one.
    """

    def __init__(self, params: Params, blocks: dict[str, Block], column: str, scale: Scale) -> None:
        branches = branches_of(params)
        self.nets = [copy.deepcopy(net).to("cpu").requires_grad_(False) for net in networks(params)]
        self.head, self.scale = Head.from_json(params.meta["head"]), scale
        self.at = next(i for i, b in enumerate(branches) if b.name == column)
        rows = [put("cpu", branch_arrays(b, blocks)) for b in branches]
        self.x, self.there = rows[self.at]["x"].float(), torch.stack([r["present"] for r in rows], dim=1)
        self.present, self.together = self.there[:, self.at].numpy(), rows_at_once([branches[self.at]])
        with torch.no_grad():
            self.others = [
                [None if i == self.at else net.encoders[i](r).float() for i, r in enumerate(rows)] for net in self.nets
            ]

    def answer(self, member: int, x: Tensor, rows: Tensor) -> Tensor:
        """(k,) float64: the answer of one network for some rows, which have the pictures x (k, c, [z,] y, x)."""
        net = self.nets[member]
        seen = {"x": x, "present": torch.ones(len(x), dtype=torch.bool)}
        said = [net.encoders[i](seen).float() if other is None else other[rows] for i, other in enumerate(self.others[member])]
        return on_scale([net.head(net.fusion(torch.stack(said, dim=1), self.there[rows]))], self.head, self.scale)

    def encoder(self, member: int) -> nn.Module:
        """What reads the pictures."""
        return self.nets[member].encoders[self.at]


def heat_maps(nets: PictureNets, method: str = "gradients", rng: np.random.Generator | None = None) -> np.ndarray:
    """(n, [z,] y, x) float32 from 0 to 1, on the grid of the pictures; 0 where there is no picture. The mean of the networks' maps.

    Args:
        method: one of `METHODS`. rng: draws the noise of `smooth`.

    Raises:
        OptionError: there is no such method.
    """
    if method not in METHODS:
        raise OptionError(f"heat must be one of {', '.join(METHODS)}, was '{method}': {nearest(method, METHODS)}")
    rng = np.random.default_rng(0) if rng is None else rng
    out = np.zeros((len(nets.x), *nets.x.shape[2:]), dtype=np.float32)
    for part in torch.from_numpy(np.flatnonzero(nets.present)).split(max(1, nets.together // 4)):
        for member in range(len(nets.nets)):
            if method in ("gradients", "smooth"):
                found = smoothed(_along(nets, member, part, method == "smooth", rng).sum(axis=1))
            else:
                found = _by_features(nets, member, part, method)
            out[part.numpy()] += scaled(found) / len(nets.nets)
    return scaled(out)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Maps (n, ...) without what is below 0, each divided by its largest value; a map of nothing stays so."""
    kept = np.maximum(maps, 0.0)
    most = kept.reshape(len(kept), -1).max(axis=1, initial=0.0).reshape(-1, *(1,) * (kept.ndim - 1))
    return (kept / np.where(most > 0, most, 1.0)).astype(np.float32)


# -- features ---------------------------------------------------------------------------------------------------------


def _by_features(nets: PictureNets, member: int, rows: Tensor, method: str) -> np.ndarray:
    stages, shape = nets.encoder(member).features(), nets.x.shape[2:]
    if method == "path-cam":
        weighed = _risen(nets, member, rows, stages)
    else:
        weighed = [_weighed(a, g, method) for a, g in features_of(nets, member, rows, stages)]
    maps = np.stack([scaled(placed(m, stage, shape)) for m, stage in zip(weighed, stages)])
    if method == "fused":
        return np.prod(maps, axis=0) ** (1 / len(maps))
    return maps[0] if len(maps) == 1 else maps[dearest(nets, member, rows, maps), np.arange(len(rows))]


def dearest(nets: PictureNets, member: int, rows: Tensor, maps: np.ndarray) -> np.ndarray:
    """(k,) which of the maps (s, k, [z,] y, x) of k pictures has the hottest place that costs the answer most when it is smeared."""
    from scipy.ndimage import gaussian_filter

    x = nets.x[rows].numpy()
    reach = max(2.0, SMEARED * max(x.shape[2:]))
    smear = gaussian_filter(x, (0, 0, *(reach,) * (x.ndim - 2)))
    grid = np.ogrid[tuple(map(slice, x.shape[2:]))]
    left = []
    for of_stage in maps:
        at = np.unravel_index(of_stage.reshape(len(x), -1).argmax(axis=1), x.shape[2:])
        away = [sum((axis - m) ** 2 for axis, m in zip(grid, middle)) for middle in zip(*at)]
        changed = np.where(np.stack(away)[:, None] <= reach**2, smear, x)
        with torch.no_grad():
            left.append(nets.answer(member, torch.from_numpy(changed), rows).numpy())
    return np.argmin(left, axis=0)


def _risen(nets: PictureNets, member: int, rows: Tensor, stages: Sequence[Stage]) -> list[np.ndarray]:
    """Per stage (k, ...) how much the features rise from an empty picture to these, times their mean gradient on the way."""
    x, shares = nets.x[rows], np.linspace(0.0, 1.0, STEPS // 2 + 1)
    on_the_way = [_felt(nets, member, x * float(share), rows, stages) for share in shares]
    found = []
    for along in zip(*on_the_way):
        gradient = torch.stack([g for _, g in along]).mean(dim=0)
        found.append(torch.relu((gradient * (along[-1][0] - along[0][0])).sum(dim=1)).numpy())
    return found


def features_of(nets: PictureNets, member: int, rows: Tensor, stages: Sequence[Stage]) -> list[tuple[Tensor, Tensor]]:
    """Per stage its features (k, f, ...), 0 or more, and the gradients of the answer with respect to them."""
    return [(torch.relu(a), g) for a, g in _felt(nets, member, nets.x[rows], rows, stages)]


def _felt(nets: PictureNets, member: int, x: Tensor, rows: Tensor, stages: Sequence[Stage]) -> list[tuple[Tensor, Tensor]]:
    """Per stage what its module makes of the pictures x (k, c, ...) of some rows, and the gradients of the answer."""
    kept: list[Tensor] = []
    hooks = [stage.module.register_forward_hook(lambda _, __, made: kept.append(made)) for stage in stages]
    try:
        said = nets.answer(member, x.clone().requires_grad_(), rows)
    finally:
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(said.sum(), kept)
    return [(a.detach().float(), g.float()) for a, g in zip(kept, gradients)]


def _weighed(features: Tensor, gradients: Tensor, method: str) -> np.ndarray:
    """(k, ...) the features' sum, weighed as the method has it, without what is below 0."""
    space = tuple(range(2, features.ndim))
    if method == "layer-cam":
        weights = torch.relu(gradients)
    elif method == "grad-cam":
        weights = gradients.mean(dim=space, keepdim=True)
    else:
        below = 2 * gradients**2 + features.sum(dim=space, keepdim=True) * gradients**3
        share = gradients**2 / torch.where(below == 0, 1.0, below)
        weights = (share * torch.relu(gradients)).sum(dim=space, keepdim=True)
    return torch.relu((weights * features).sum(dim=1)).numpy()


def placed(maps: np.ndarray, stage: Stage, shape: Sequence[int]) -> np.ndarray:
    """Maps (k, ...) of a stage on the grid of the picture, linear between the centres of its places."""
    for axis, length in enumerate(shape, start=1):
        n = maps.shape[axis]
        at = np.clip((np.arange(length) - stage.start) / stage.step, 0, n - 1)
        low = np.minimum(at.astype(np.int64), max(n - 2, 0))
        share = (at - low).reshape(-1, *(1,) * (maps.ndim - 1 - axis))
        maps = np.take(maps, low, axis) * (1 - share) + np.take(maps, np.minimum(low + 1, n - 1), axis) * share
    return maps


# -- the picture itself -----------------------------------------------------------------------------------------------


def _along(nets: PictureNets, member: int, rows: Tensor, noisy: bool, rng: np.random.Generator) -> np.ndarray:
    x = nets.x[rows]
    if not noisy:
        return integrated_gradients(nets, member, x, rows)
    dims = tuple(range(1, x.ndim))
    spread = NOISE * (x.amax(dim=dims, keepdim=True) - x.amin(dim=dims, keepdim=True))
    total = np.zeros(tuple(x.shape))
    for _ in range(NOISY):
        noise = torch.from_numpy(rng.standard_normal(tuple(x.shape), dtype=np.float32))
        total += integrated_gradients(nets, member, x + spread * noise, rows, STEPS // 2)
    return total / NOISY


def integrated_gradients(nets: PictureNets, member: int, x: Tensor, rows: Tensor, steps: int = STEPS) -> np.ndarray:
    """(k, c, ...) float64: what every value of the pictures x adds to the answer, by the rule of trapezia.

    Together they are the answer less the answer for a picture of 0 (the training's mean), up to an error of the steps.
    """
    shares = np.linspace(0.0, 1.0, steps + 1)
    weights = np.zeros(steps + 1)
    for i, (a, b) in enumerate(pairwise(shares)):
        weights[[i, i + 1]] += 0.5 * (b - a)
    total = torch.zeros(x.shape, dtype=torch.float64)
    for share, weight in zip(shares, weights):
        at = (x * float(share)).requires_grad_()
        (gradient,) = torch.autograd.grad(nets.answer(member, at, rows).sum(), at)
        total += float(weight) * gradient.double()
    return (total * x.double()).numpy()


def smoothed(maps: np.ndarray) -> np.ndarray:
    """What speaks for the answer in maps (k, ...), each smoothed by a Gaussian (`SMOOTHED`)."""
    from scipy.ndimage import gaussian_filter

    width = max(1.0, SMOOTHED * max(maps.shape[1:]))
    return np.stack([gaussian_filter(np.maximum(m, 0.0), width) for m in maps])
