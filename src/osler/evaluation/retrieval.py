"""How often a ranked list has the right answer near its top, with intervals over independent units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.evaluation.intervals import bootstrap_weights, percentile, wilson

#: Lengths of the list's head that are looked at.
HEADS = (1, 5, 10)


def first_right(score: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> int:
    """Place (from 1) of the best-placed right answer of one list; equal scores are in random order; 0 if none can be
    placed.

    Args:
        score: (k,) larger is better; -inf for what cannot be ranked at all.
        right: (k,) true for right answers.
    """
    able = right & np.isfinite(score)
    if not able.any():
        return 0
    best = score[able].max()
    above = int((score > best).sum())
    ties, right_ties = int((score == best).sum()), int((able & (score == best)).sum())
    return above + 1 + int(rng.permutation(ties)[:right_ties].min())


def retrieval(
    places: np.ndarray, groups: np.ndarray, rng: np.random.Generator, heads: Sequence[int] = HEADS, n_boot: int = 1000
) -> dict[str, dict[str, Any]]:
    """Hit rates and mean reciprocal rank of n lists: metric → value, low, high, n.

    Args:
        places: (n,) place of the first right answer, 0 where there is none.
        groups: (n,) unit of each query; whole units are drawn for the intervals.
    """
    columns = {f"hit_{k}": ((places > 0) & (places <= k)).astype(float) for k in heads}
    columns["mrr"] = np.where(places > 0, 1.0 / np.maximum(places, 1), 0.0)
    drawn = (
        np.concatenate(list(bootstrap_weights(groups, len(places), n_boot, rng))) if len(places) else np.zeros((0, 0))
    )
    found = {}
    for name, values in columns.items():
        value = float(values.mean()) if len(values) else float("nan")
        replicates = drawn @ values / np.maximum(drawn.sum(axis=1), 1e-300)
        low, high = percentile(value, replicates)
        if name != "mrr" and value in (0.0, 1.0):  # a bootstrap has no width there
            low, high = wilson(value, len(np.unique(groups)))
        found[name] = {"value": value, "low": float(low), "high": float(high), "n": len(places)}
    return found


def reliability(measure: np.ndarray, right: np.ndarray, edges: Sequence[float]) -> list[dict[str, Any]]:
    """Of answers whose measure lies between two edges, the share that is right, with Wilson's interval; empty bins
    are left out.

    Args:
        measure: (n,) such as the similarity behind each answer. right: (n,) true where it is right.
        edges: ascending; the last bin holds its upper edge.
    """
    found = []
    for low_edge, high_edge in itertools.pairwise(edges):
        inside = (measure >= low_edge) & ((measure < high_edge) | (high_edge == edges[-1]) & (measure == high_edge))
        n = int(inside.sum())
        if n:
            share = float(right[inside].mean())
            low, high = wilson(share, n)
            found.append(
                {
                    "from": float(low_edge),
                    "to": float(high_edge),
                    "n": n,
                    "right": share,
                    "low": float(low),
                    "high": float(high),
                }
            )
    return found


def reliability_at(bins: Sequence[dict[str, Any]], measure: float) -> dict[str, Any] | None:
    """The bin that a measure lies in, or None."""
    last = bins[-1]["to"] if bins else 0.0
    return next((b for b in bins if b["from"] <= measure < b["to"] or (measure == last == b["to"])), None)
