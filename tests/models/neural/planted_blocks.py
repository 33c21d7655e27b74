"""Blocks with a planted signal: what a label depends on is known, so what a network must learn is known."""

from __future__ import annotations

import numpy as np

from osler.blocks import Block, dense
from osler.models.base import Encoded
from osler.tasks.base import Target


def binary(
    blocks: dict[str, Block], y: np.ndarray, groups: np.ndarray | None = None, weight: np.ndarray | None = None
) -> Encoded:
    """Rows with a yes/no target."""
    target = Target("binary", ("y",), y.astype(np.int64), classes=("no", "yes"), weight=weight)
    return Encoded(blocks, target, np.arange(len(y)) if groups is None else groups)


def auroc(y: np.ndarray, score: np.ndarray) -> float:
    """Share of (yes, no) pairs in which the yes scores higher; ties count half."""
    yes, no = score[y == 1][:, None], score[y == 0][None, :]
    return float((yes > no).mean() + 0.5 * (yes == no).mean())


def numbers(values: np.ndarray) -> Block:
    """A dense block of columns x0, x1, ..."""
    return dense(values, [f"x{i}" for i in range(values.shape[1])])


def order_sequences(n: int, rng: np.random.Generator) -> tuple[Block, np.ndarray]:
    """Ragged sequences of two features: a spike in the first and one in the second; the label says which came first."""
    lengths = rng.integers(4, 12, n)
    y = rng.integers(0, 2, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.normal(0, 0.1, (offsets[-1], 2))
    for i in range(n):
        early, late = np.sort(rng.choice(lengths[i], 2, replace=False))
        values[offsets[i] + early, 1 - y[i]] += 3.0
        values[offsets[i] + late, y[i]] += 3.0
    return Block("sequence", {"values": values, "offsets": offsets}, np.ones(n, dtype=bool), ("a", "b")), y


def blob_images(n: int, rng: np.random.Generator, dims: int = 2, size: int = 12) -> tuple[Block, np.ndarray]:
    """Noise with a bright square (label 1), or the same brightness scattered (label 0): the mean tells nothing."""
    y = rng.integers(0, 2, n)
    values = rng.normal(0, 0.3, (n, 1) + (size,) * dims)
    edge = 3
    for i in range(n):
        if y[i]:
            start = rng.integers(0, size - edge, dims)
            values[(i, 0, *(slice(s, s + edge) for s in start))] += 1.5
        else:
            at = rng.choice(size**dims, edge**dims, replace=False)
            values[i, 0].reshape(-1)[at] += 1.5
    geometry = {"spacing": np.ones((n, dims)), "affine": np.tile(np.eye(4), (n, 1, 1))}
    return Block("grid", {"values": values}, np.ones(n, dtype=bool), ("v",), geometry=geometry), y


def motif_graphs(n: int, rng: np.random.Generator, by_edge: bool = False) -> tuple[Block, np.ndarray]:
    """Rings with two marked nodes; the label says whether they are neighbours, or of which kind their edge is."""
    y = rng.integers(0, 2, n)
    nodes, edges, kinds, sizes = [], [], [], []
    start = 0
    for i in range(n):
        v = int(rng.integers(6, 10))
        first = int(rng.integers(v))
        second = (first + 1) % v if y[i] or by_edge else (first + int(rng.integers(2, v - 1))) % v
        mark = np.zeros((v, 1))
        mark[[first, second]] = 1.0
        ring = np.stack([np.arange(v), (np.arange(v) + 1) % v])
        kind = rng.permutation(np.arange(v) % 2).astype(float)
        if by_edge and kind[first] != y[i]:
            other = int(np.flatnonzero(kind == y[i])[0])
            kind[[first, other]] = kind[[other, first]]
        nodes.append(mark)
        edges.append(np.concatenate([ring, ring[::-1]], axis=1) + start)
        kinds.append(np.concatenate([kind, kind])[:, None])
        sizes.append(v)
        start += v
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    arrays = {
        "nodes": np.concatenate(nodes), "edges": np.concatenate(edges, axis=1), "edge_values": np.concatenate(kinds),
        "node_offsets": offsets, "edge_offsets": 2 * offsets,
    }  # fmt: skip
    return Block("graph", arrays, np.ones(n, dtype=bool), ("marked",)), y


def sign_pair(n: int, rng: np.random.Generator) -> tuple[dict[str, Block], np.ndarray]:
    """A sequence that goes up or down and an image that is bright left or right; the label is their exclusive or."""
    up, left = rng.integers(0, 2, n), rng.integers(0, 2, n)
    values = (2.0 * up - 1.0)[:, None, None] * np.linspace(-1, 1, 6)[:, None] + rng.normal(0, 0.2, (n, 6, 1))
    images = rng.normal(0, 0.3, (n, 1, 6, 6))
    images[:, 0, :, :3] += left[:, None, None]
    images[:, 0, :, 3:] += 1 - left[:, None, None]
    present = np.ones(n, dtype=bool)
    trend = Block("sequence", {"values": values, "lengths": np.full(n, 6)}, present, ("v",))
    scan = Block("grid", {"values": images}, present, ("v",))
    return {"trend": trend, "scan": scan}, up ^ left
