"""From whole predictions to the parts of one cell: which atoms and bonds of a molecule an answer leans on.

    shapley      boosted trees say what each feature adds (path-dependent TreeSHAP: S. M. Lundberg et al., Nature Machine
                 Intelligence 2:56, 2020); what a feature adds is shared among the parts that it comes from
    masking      any model: parts are left out one after the other in random orders (E. Štrumbelj, I. Kononenko, Knowl
                 Inf Syst 41:647, 2014), a part is worth the mean change of the answer when it comes in
    gradients    networks over graphs: parts come in all at once, little by little, see `gradients`

In each of them a base, what no part explains, and the values of all parts add up to the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from osler.blocks import Block
from osler.explanation.shapley import TOLERANCE
from osler.models.base import Params
from osler.models.boosting import booster
from osler.models.design import TreeDesign

#: Orders in which parts come in, each also walked backwards.
ROUNDS = 4
#: Share of the sizes of all values by which the sum of gradients may miss.
LOOSE = 0.01


@dataclass(frozen=True)
class PartValues:
    """What the parts of one cell add to its prediction.

    Attributes:
        values: (n,) per part, on the scale of the prediction.
        base: the answer from which the values start.
        rest: what features add that come from no part: what is absent, and other columns.
        prediction: the model's own answer.
        error: largest standard error of a value by sampling; 0 where nothing is drawn.
        way: "shapley", "masking" or "gradients".
    """

    values: np.ndarray
    base: float
    rest: float
    prediction: float
    error: float
    way: str

    @property
    def gap(self) -> float:
        """By how much the sum misses the prediction."""
        return float(self.prediction - self.base - self.rest - self.values.sum())

    @property
    def adds_up(self) -> bool:
        """Whether the sum gives the prediction within 1e-6 (gradients, which are a sum over steps: within 1 % of the
        sizes of all values together).
        """
        near = TOLERANCE * max(1.0, abs(self.prediction))
        if self.way == "gradients":
            near = max(LOOSE * float(np.abs(self.values).sum()), 10 * near)
        return abs(self.gap) <= near


def masking_values(
    worth: Callable[[np.ndarray], np.ndarray], n: int, rng: np.random.Generator, rounds: int = ROUNDS
) -> PartValues:
    """The values of n parts by leaving them out in random orders.

    Args:
        worth: (k, n) bool, true where a part is left out → (k,) answers.
        rng: draws the orders.
        rounds: orders, each also walked backwards, so that two parts that act on each other share exactly.
    """
    orders = np.stack([rng.permutation(n) for _ in range(rounds)])
    orders = np.stack([orders, orders[:, ::-1]], axis=1).reshape(2 * rounds, n)
    place = np.argsort(orders, axis=1)
    masks = place[:, None, :] >= np.arange(n + 1)[None, :, None]
    different, which = np.unique(masks.reshape(-1, n), axis=0, return_inverse=True)
    walk = worth(different)[which.reshape(-1)].reshape(2 * rounds, n + 1)
    gains = np.take_along_axis(np.diff(walk, axis=1), place, axis=1).reshape(rounds, 2, n).mean(axis=1)
    error = gains.std(axis=0, ddof=1).max(initial=0.0) / np.sqrt(rounds) if rounds > 1 else np.nan
    return PartValues(gains.mean(axis=0), float(walk[0, 0]), 0.0, float(walk[0, -1]), float(error), "masking")


def cut_graphs(graph: dict[str, np.ndarray], masks: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of k graphs, copies of the one that is given: a node that is left out loses its features and every edge
    at it, an edge that is left out is cut in both directions. What stays keeps its features, and every node its place.

    Args:
        graph: arrays of one graph (`osler.blocks`) whose edges 2j and 2j + 1 are bond j. masks: (k, v + e) bool, v nodes
            and e bonds.
    """
    nodes, edges = graph["nodes"], graph["edges"]
    k, v = len(masks), len(nodes)
    gone = masks[:, edges[0]] | masks[:, edges[1]] | np.repeat(masks[:, v:], 2, axis=1)
    kept = ~gone.reshape(-1)
    return {
        "nodes": (nodes * ~masks[:, :v, None]).reshape(k * v, -1),
        "edges": (np.tile(edges, (1, k)) + np.repeat(np.arange(k) * v, edges.shape[1]))[:, kept],
        "edge_values": np.tile(graph["edge_values"], (k, 1))[kept],
        "node_offsets": np.arange(k + 1, dtype=np.int64) * v,
        "edge_offsets": np.concatenate([[0], np.cumsum((~gone).sum(axis=1))]).astype(np.int64),
    }


def shared_values(
    contribution: np.ndarray, whole: np.ndarray, without: np.ndarray, kinds: Sequence[str]
) -> tuple[np.ndarray, float]:
    """(n,) what parts add, and the rest that belongs to no part.

    Args:
        contribution: (p,) what each feature adds. whole: (p,) the features. without: (n, p) without each part.
        kinds: (p,) of the features: a count belongs to the parts without which it is smaller, a quantity to those
            without which it is another.
    """
    change = np.nan_to_num(whole - without)
    counts = np.array([kind == "count" for kind in kinds], dtype=bool)
    size = np.where(counts, np.maximum(change, 0.0), np.abs(change))
    total = size.sum(axis=0)
    owned = total > 0
    values = size[:, owned] @ (contribution[owned] / total[owned])
    return values, float(contribution[~owned].sum())


def tree_contributions(
    params: Params, blocks: dict[str, Block], column: str, output: int
) -> tuple[np.ndarray, float, float] | None:
    """What each feature of one dense column adds to the margin of boosted trees (log odds, or the mean) for one row.

    Args:
        params: of a boosting model. blocks: column → block of one row. output: label, where there are several.

    Returns:
        (p,) per feature, what all other columns add, and the expected margin: their sum is the margin. None where the
        model is no single sum of trees (several classes), or does not read the column as dense features.
    """
    if "labels" in params.meta and "parts" in params.meta:
        params = params.part(str(output))
    if "text" not in params.meta or params.meta.get("classes", 0) > 2 or blocks[column].layout != "dense":
        return None
    design = TreeDesign.from_params(params)
    held = np.asarray(booster(params.meta["text"]).predict(design.matrix(blocks), pred_contrib=True, num_threads=1))[0]
    start = 0
    for name, width in design.sources:
        if name == column:
            break
        start += width
    p = len(blocks[column].names)
    at = design.arrays["column"] - start
    inside = (at >= 0) & (at < p)
    out = np.zeros(p)
    np.add.at(out, at[inside], held[:-1][inside])
    return out, float(held[:-1][~inside].sum()), float(held[-1])
