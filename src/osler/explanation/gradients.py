"""Integrated gradients over the atoms and bonds of one graph (M. Sundararajan, A. Taly, Q. Yan, ICML 2017, equation 1).

The features of all nodes and edges are led from 0 to their values in equal steps; what a part adds is the sum over its
features of the mean gradient times the value. All values together are the answer less the answer at the start, up to
an error of the steps, which are doubled until it is small. The other columns keep their values all the way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from osler.blocks import Block
from osler.explanation.parts import LOOSE, PartValues
from osler.explanation.scales import LEAST, Scale
from osler.models.base import Params
from osler.models.neural.assembly import branches_of, networks
from osler.models.neural.environments import each
from osler.models.neural.heads import Head
from osler.models.neural.inputs import Branch, Tensors, branch_arrays, put, scaled_graph

#: Steps of the first try, and the most that are taken.
STEPS, MOST_STEPS = 32, 512
#: Tasks whose answer is one number out of the logits, so that it has a gradient here.
KINDS = frozenset({"binary", "multiclass", "multilabel", "regression"})


def has_gradients(params: Params, column: str) -> bool:
    """Whether a network reads the graphs of this column, no other view of it, and answers a task of `KINDS`."""
    branches = params.meta.get("branches")
    if not isinstance(branches, list) or params.meta.get("head", {}).get("kind") not in KINDS:
        return False
    graphs = [b for b in branches if b["layout"] == "graph" and b["name"] == column]
    return len(graphs) == 1 and not any(column in b["columns"] for b in branches if b["layout"] != "graph")


def gradient_values(params: Params, blocks: dict[str, Block], column: str, scale: Scale, prediction: float) -> PartValues:
    """The values of v atoms, then of e bonds, of a graph whose edges 2k and 2k + 1 are bond k.

    Args:
        params: of a network with `has_gradients`. blocks: column → block of one row, as the network sees it.
        column: of the graph. scale: of the answer. prediction: the answer.
    """
    branches, head = branches_of(params), Head.from_json(params.meta["head"])
    nets = [copy.deepcopy(net).to("cpu").requires_grad_(False) for net in networks(params)]  # may be for inference only
    at = next(i for i, b in enumerate(branches) if b.name == column)
    graph = scaled_graph(branches[at], blocks[column])
    whole = {k: torch.from_numpy(graph[k]) for k in ("nodes", "edge_values")}
    zero = scaled_graph(branches[at], _empty(blocks[column]))
    start = {k: torch.from_numpy(zero[k]) for k in whole}
    others = [put("cpu", branch_arrays(b, blocks)) if i != at else None for i, b in enumerate(branches)]

    fixed = _fixed(branches[at], graph)

    def answer(nodes: Tensor, edges: Tensor) -> Tensor:
        inputs = list(others)
        inputs[at] = {**fixed, "nodes": nodes, "edges": edges}
        return _on_scale([net(inputs) for net in nets], head, scale)

    base = float(answer(start["nodes"], start["edge_values"]).detach())
    steps = STEPS
    while True:
        values = _walk(answer, start, whole, steps)
        if abs(prediction - base - values.sum()) <= 0.5 * LOOSE * np.abs(values).sum() or steps >= MOST_STEPS:
            return PartValues(values, base, 0.0, prediction, 0.0, "gradients")
        steps *= 2


def _walk(
    answer: Callable[[Tensor, Tensor], Tensor], start: dict[str, Tensor], whole: dict[str, Tensor], steps: int
) -> np.ndarray:
    """(v + e,) values by the midpoints of so many steps."""
    total = {k: torch.zeros_like(x, dtype=torch.float64) for k, x in whole.items()}
    for step in range(steps):
        share = (step + 0.5) / steps
        here = {k: (start[k] + share * (whole[k] - start[k])).requires_grad_() for k in whole}
        found = torch.autograd.grad(answer(here["nodes"], here["edge_values"]), list(here.values()), allow_unused=True)
        for k, gradient in zip(whole, found):  # a molecule of one atom has no bond with a gradient
            if gradient is not None:
                total[k] += gradient.double()
    values = [((whole[k] - start[k]).double() * total[k] / steps).sum(dim=1).numpy() for k in whole]
    return np.concatenate([values[0], values[1].reshape(-1, 2).sum(axis=1)])


def _empty(block: Block) -> Block:
    """The same graph with features of 0."""
    arrays = {k: np.zeros_like(v) if k in ("nodes", "edge_values") else v for k, v in block.arrays.items()}
    return Block(block.layout, arrays, block.present, block.names)


def _fixed(branch: Branch, graph: dict[str, np.ndarray]) -> Tensors:
    """What the encoder of a graph branch reads besides the features of nodes and edges."""
    if branch.encoder == "dmpnn":
        return put("cpu", each(graph, branch.spec["rounds"]).arrays())
    source, target = (torch.from_numpy(ends.astype(np.int64)) for ends in graph["edges"])
    row, present = torch.zeros(len(graph["nodes"]), dtype=torch.int64), torch.ones(1, dtype=torch.bool)
    return {"source": source, "target": target, "row": row, "present": present}


def _on_scale(logits: list[Tensor], head: Head, scale: Scale) -> Tensor:
    """The mean answer of the members for one row, on the scale, as `Head.answer` and `Scale.of` give it."""
    found = [_answer(l[0].double(), head, scale.output) for l in logits]
    mean = torch.stack(found).mean()
    if scale.name == "log-odds":
        mean = mean.clamp(LEAST, 1.0 - LEAST)
        return mean.log() - torch.log1p(-mean)
    return mean


def _answer(logits: Tensor, head: Head, output: int) -> Tensor:
    if head.kind == "regression":
        return head.center + head.spread * logits[0]
    if head.class_weight:
        logits = logits - torch.tensor(head.class_weight, dtype=torch.float64).log()
    if head.kind == "multilabel":
        return torch.sigmoid(logits[output])
    return nn.functional.softmax(logits, dim=0)[output]
