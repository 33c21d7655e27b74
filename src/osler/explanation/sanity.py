"""Does a heat map depend on what the network has learnt? If weights drawn at random give the same map, it explains nothing.

Layers are made random one after the other, from the answer back to the picture (J. Adebayo et al., "Sanity Checks for Saliency
Maps", NeurIPS 2018, cascading randomisation), and each time the maps are compared with those of the trained network by rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from osler.explanation.heat import PictureNets, heat_maps

#: Rank correlation with all weights random from which on a map is said not to depend on what was learnt.
SAME = 0.5


@dataclass(frozen=True)
class Sanity:
    """What became of the maps.

    Attributes:
        method: how the maps were made.
        layers: names of the last layer that was random, from the answer back to the picture.
        correlations: mean rank correlation with the maps of the trained network, for each of them.
        n: pictures behind each.
    """

    method: str
    layers: tuple[str, ...]
    correlations: tuple[float, ...]
    n: int

    @property
    def passes(self) -> bool:
        """Whether the map of the wholly random network differs (below `SAME`)."""
        return self.correlations[-1] < SAME

    def to_json(self) -> dict[str, object]:
        """Everything as JSON values."""
        return {"method": self.method, "layers": list(self.layers), "correlations": list(self.correlations), "n": self.n, "passes": self.passes}


def check(nets: PictureNets, method: str, rng: np.random.Generator, looks: int = 6, draws: int = 3) -> Sanity:
    """Maps of the rows of `nets` while its networks lose what they learnt, some times over; afterwards they are as they were.

    Args:
        nets: with pictures. method: one of `osler.explanation.heat.METHODS`. rng: draws the weights.
        looks: states between the trained and the random network that are looked at, at most, the last layer and all among them.
        draws: of random weights, whose correlations are averaged.
    """
    seed = int(rng.integers(2**32))
    before = heat_maps(nets, method, np.random.default_rng(seed))
    each = [layers(net, nets.encoder(i)) for i, net in enumerate(nets.nets)]
    learnt = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in nets.nets]
    names = [name for name, _ in each[0]]
    places = np.unique(np.linspace(0, len(names) - 1, min(looks, len(names))).round().astype(int)).tolist()
    found = np.zeros((draws, len(places)))
    for draw in range(draws):
        for k in range(len(names)):
            for of_net in each:
                randomise(of_net[k][1], rng)
            if k in places:
                after = heat_maps(nets, method, np.random.default_rng(seed))
                pairs = zip(before[nets.present], after[nets.present])
                found[draw, places.index(k)] = np.mean([rank_correlation(a, b) for a, b in pairs])
        for net, state in zip(nets.nets, learnt):
            net.load_state_dict(state)
    return Sanity(method, tuple(names[k] for k in places), tuple(found.mean(axis=0).tolist()), int(nets.present.sum()))


def layers(net: nn.Module, encoder: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers with weights that a picture's answer runs through, from the answer back to the picture."""
    head = [("answer", net.head)]
    fused = [(f"fusion.{name}".rstrip("."), m) for name, m in net.fusion.named_modules() if _has_weights(m)]
    inner = [(name, m) for name, m in encoder.named_modules() if _has_weights(m)]
    return [*head, *reversed(fused), *reversed(inner)]


def _has_weights(module: nn.Module) -> bool:
    return any(p.ndim > 0 for p in module.parameters(recurse=False))


def randomise(module: nn.Module, rng: np.random.Generator) -> None:
    """New weights of a layer in place: normal with the spread of the old ones; single rows (norms, biases) are shuffled."""
    for parameter in module.parameters(recurse=False):
        old = parameter.detach().numpy()
        if parameter.ndim < 2:
            new = rng.permutation(old)
        else:
            new = rng.standard_normal(old.shape) * old.std()
        parameter.data = torch.from_numpy(np.ascontiguousarray(new, dtype=np.float32)).to(memory_format=torch.preserve_format)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape; 0 where one of them is the same everywhere."""
    from scipy.stats import rankdata

    ranks = [rankdata(m.ravel()) for m in (first, second)]
    spreads = [r.std() for r in ranks]
    if min(spreads) == 0:
        return 0.0
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spreads[0] * spreads[1]))
