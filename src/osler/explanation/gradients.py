"""Integrated gradients over the atoms and bonds of one graph (M. Sundararajan, A. Taly, Q. Yan, ICML 2017, equation 1),
along a path on which they come into being.

Every atom and every bond has a share of being there, from 0 to 1. An atom's features count by its share; what a bond
carries counts by the product of its own share and those of its two ends, so that at 0 nothing is left but places without
features and without bonds, the state that `masking` reaches part by part (`osler.explanation.parts.cut_graphs`). All
shares rise together; what a part adds is the mean gradient of the answer with respect to its share. (Were features led
from 0 on whole bonds, messages would run through atoms without properties: a graph that no network has seen, and values
that point beside what decides.) All values together are the answer less the answer at the start, up to an error of the
steps. The other columns keep their values all the way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from osler.blocks import Block
from osler.explanation.parts import LOOSE, PartValues
from osler.explanation.scales import Scale
from osler.models.base import Params
from osler.models.neural.assembly import Net, branches_of, networks
from osler.models.neural.environments import each
from osler.models.neural.heads import Head
from osler.models.neural.inputs import Branch, Tensors, branch_arrays, put, scaled_graph

#: Steps of the first try, and a number after which none is halved.
STEPS, MOST_STEPS = 32, 512
#: Atoms of all copies of a molecule that are answered for at once.
TOGETHER = 4_000
#: Tasks whose answer is one number out of the logits, so that it has a gradient here.
KINDS = frozenset({"binary", "multiclass", "multilabel", "regression"})

#: (s,) shares of being there → (s,) answers and their (s, v + e) gradients.
Answer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def has_gradients(params: Params, column: str) -> bool:
    """Whether a network reads the graphs of this column, no other view of it, and answers a task of `KINDS`."""
    branches = params.meta.get("branches")
    if not isinstance(branches, list) or params.meta.get("head", {}).get("kind") not in KINDS:
        return False
    graphs = [b for b in branches if b["layout"] == "graph" and b["name"] == column]
    return len(graphs) == 1 and not any(column in b["columns"] for b in branches if b["layout"] != "graph")


def gradient_values(params: Params, blocks: dict[str, Block], column: str, scale: Scale) -> PartValues:
    """The values of v atoms, then of e bonds, of a graph whose edges 2j and 2j + 1 are bond j.

    The prediction that they add up to is the networks' own; log odds are not cut where a probability is next to 0 or 1,
    since there nothing would have a gradient.

    Args:
        params: of a network with `has_gradients`. blocks: column → block of one row, as the network sees it.
        column: of the graph. scale: of the answer.
    """
    branches, head = branches_of(params), Head.from_json(params.meta["head"])
    nets = [copy.deepcopy(net).to("cpu").requires_grad_(False) for net in networks(params)]  # may be for inference only
    at = next(i for i, b in enumerate(branches) if b.name == column)
    others = [put("cpu", branch_arrays(b, blocks)) if i != at else None for i, b in enumerate(branches)]
    answer = _Path(nets, head, scale, branches[at], _with_bare(branches[at], blocks[column]), others)
    return _walk(answer)


def _walk(answer: Answer) -> PartValues:
    """The values, by the rule of trapezia over steps from 0 to 1: those over which the gradients miss the change of the
    answer (rectifiers open and close on the way) are halved until all that is missed is small.
    """
    at = np.linspace(0.0, 1.0, STEPS + 1)
    said, slopes = answer(at)
    while True:
        gains = 0.5 * (slopes[1:] + slopes[:-1]) * np.diff(at)[:, None]
        missed, values = np.abs(np.diff(said) - gains.sum(axis=1)), gains.sum(axis=0)
        allowed = LOOSE * min(0.5 * np.abs(values).sum(), abs(said[-1] - said[0]))
        if missed.sum() <= allowed or len(at) > MOST_STEPS:
            return PartValues(values, float(said[0]), 0.0, float(said[-1]), 0.0, "gradients")
        between = (0.5 * (at[1:] + at[:-1]))[missed > allowed / len(missed)]
        found = answer(between)
        order = np.argsort(np.concatenate([at, between]))
        at = np.concatenate([at, between])[order]
        said, slopes = (np.concatenate([old, new])[order] for old, new in zip((said, slopes), found))


class _Path:
    """The mean answer of some networks for one row whose atoms and bonds are there to a share.

    Args:
        nets: not to be learnt from. head, scale: what is answered.
        branch: the graph's. graph: of `_with_bare`. others: tensors of the other branches, None in the graph's place.
    """

    def __init__(
        self, nets: list[Net], head: Head, scale: Scale, branch: Branch, graph: dict[str, np.ndarray],
        others: list[Tensors | None],
    ) -> None:  # fmt: skip
        self.nets, self.head, self.scale, self.branch, self.graph = nets, head, scale, branch, graph
        self.v, self.e = len(graph["nodes"]), graph["edges"].shape[1] // 2
        self.said = [[None if rows is None else encode(rows) for encode, rows in zip(n.encoders, others)] for n in nets]
        self.present = torch.tensor([rows is None or bool(rows["present"][0]) for rows in others])

    def __call__(self, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `Answer` says, some shares at a time."""
        size = max(1, TOGETHER // max(self.v, 1))
        parts = [self._answer(shares[i : i + size]) for i in range(0, len(shares), size)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _answer(self, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k = len(shares)
        there = torch.from_numpy(shares).float()[:, None].repeat(1, self.v + self.e).requires_grad_()
        atoms, bonds = there[:, : self.v], there[:, self.v :]
        first, second = torch.from_numpy(self.graph["edges"][:, ::2].astype(np.int64))
        held = (bonds * atoms[:, first] * atoms[:, second]).repeat_interleave(2, dim=1)
        rows = _copies(self.branch, self.graph, k)
        bare, whole = (torch.from_numpy(self.graph[name]) for name in ("bare", "nodes"))
        rows["nodes"] = (bare + atoms[:, :, None] * (whole - bare)).reshape(k * self.v, -1)
        rows["there"] = held.reshape(-1, 1)
        found = on_scale([self._logits(i, rows, k) for i in range(len(self.nets))], self.head, self.scale)
        (gradient,) = torch.autograd.grad(found.sum(), there)
        return found.detach().numpy(), gradient.double().numpy()

    def _logits(self, member: int, rows: Tensors, k: int) -> Tensor:
        """(k, n_outputs) of one network; the other branches say the same of all copies."""
        net = self.nets[member]
        said = [
            net.encoders[i](rows).float() if vector is None else vector.float().expand(k, -1)
            for i, vector in enumerate(self.said[member])
        ]
        return net.head(net.fusion(torch.stack(said, dim=1), self.present.expand(k, -1)))


def _with_bare(branch: Branch, block: Block) -> dict[str, np.ndarray]:
    """The scaled arrays of a graph, and `bare`: its nodes without features."""
    nodes = {**block.arrays, "nodes": np.zeros_like(block.values)}
    bare = scaled_graph(branch, Block("graph", nodes, block.present, block.names))["nodes"]
    return {**scaled_graph(branch, block), "bare": bare}


def _copies(branch: Branch, graph: dict[str, np.ndarray], k: int) -> Tensors:
    """What the encoder of a graph branch reads of k copies of one graph."""
    v, e = len(graph["nodes"]), graph["edges"].shape[1]
    many = {
        "nodes": np.tile(graph["nodes"], (k, 1)), "edge_values": np.tile(graph["edge_values"], (k, 1)),
        "edges": np.tile(graph["edges"].astype(np.int64), (1, k)) + np.repeat(np.arange(k) * v, e),
        "node_offsets": np.arange(k + 1) * v,
    }  # fmt: skip
    if branch.encoder == "dmpnn":
        return put("cpu", each(many, branch.spec["rounds"]).arrays())
    return put("cpu", {
        "nodes": many["nodes"], "edges": many["edge_values"], "source": many["edges"][0], "target": many["edges"][1],
        "row": np.repeat(np.arange(k), v), "present": np.ones(k, dtype=bool),
    })  # fmt: skip


def on_scale(logits: list[Tensor], head: Head, scale: Scale) -> Tensor:
    """(n,) float64: the mean answer of the members on the scale, as `Head.answer` and `Scale.of` give it, uncut."""
    each_of = [x.double() for x in logits]
    if head.kind == "regression":
        return torch.stack([head.center + head.spread * x[:, 0] for x in each_of]).mean(dim=0)
    yes, no = (torch.stack(part) for part in zip(*(_log_odds(x, head, scale.output) for x in each_of)))
    if scale.name == "log-odds":
        return torch.logsumexp(yes, dim=0) - torch.logsumexp(no, dim=0)
    return yes.exp().mean(dim=0)


def _log_odds(logits: Tensor, head: Head, output: int) -> tuple[Tensor, Tensor]:
    """(n,) logarithms of the probability of an output, and of the others."""
    if head.class_weight:
        logits = logits - torch.tensor(head.class_weight, dtype=torch.float64).log()
    if head.kind == "multilabel":
        return nn.functional.logsigmoid(logits[:, output]), nn.functional.logsigmoid(-logits[:, output])
    logged = nn.functional.log_softmax(logits, dim=1)
    rest = torch.arange(logged.shape[1]) != output
    return logged[:, output], torch.logsumexp(logged[:, rest], dim=1)
