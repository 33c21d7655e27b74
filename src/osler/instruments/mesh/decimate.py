"""Fewer faces with the least loss, by collapsing edges in rounds of edges that are far enough apart not to meet.

Garland, Heckbert: Surface simplification using quadric error metrics. SIGGRAPH 1997. Only edges whose ends share exactly two neighbours are
collapsed (the link condition), so that a watertight surface stays watertight.
"""

from __future__ import annotations

import numpy as np

#: How far a face may turn when a corner moves: the cosine between its old and new normal.
_LEAST_COSINE = 0.2
#: How strongly a new vertex is drawn to the middle of its edge where the quadric leaves it free.
_PULL = 1e-3


def decimated(vertices: np.ndarray, faces: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `wanted` faces (a few more where no edge can go), and the vertices that they use.

    Args:
        vertices: (n, 3).
        faces: (m, 3) of a closed surface.
        wanted: number of faces, at least 4.
    """
    centre = vertices.mean(axis=0)
    places, faces = vertices - centre, faces.copy()
    quadrics = _quadrics(places, faces)
    banned = np.empty(0, dtype=np.int64)
    while len(faces) > wanted:
        edges, can = _edges(faces, len(places))
        keys = edges[:, 0] * len(places) + edges[:, 1]
        can &= ~np.isin(keys, banned)
        if not can.any():
            break
        edges, keys = edges[can], keys[can]
        target, cost = _targets(places, quadrics, edges)
        chosen = _apart(edges, cost, faces, len(places))
        chosen = chosen[np.argsort(cost[chosen], kind="stable")][: max(1, (len(faces) - wanted + 1) // 2)]
        bad = _turned(places, faces, edges[chosen], target[chosen])
        banned = np.union1d(banned, keys[chosen[bad]])
        chosen = chosen[~bad]
        kept, gone = edges[chosen].T
        places[kept] = target[chosen]
        quadrics[kept] += quadrics[gone]
        to = np.arange(len(places))
        to[gone] = kept
        faces = to[faces]
        faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    used, compact = np.unique(faces, return_inverse=True)
    return places[used] + centre, compact.reshape(faces.shape)


def _quadrics(places: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(n, 4, 4) sums of the squared distances to the planes of the faces around each vertex, weighted by area."""
    a, b, c = (places[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    double = np.linalg.norm(normal, axis=1, keepdims=True)
    unit = np.divide(normal, double, out=np.zeros_like(normal), where=double > 0)
    plane = np.hstack([unit, -np.einsum("ij,ij->i", unit, a)[:, None]])
    each = np.einsum("ij,ik->ijk", plane, plane) * double[:, :, None]
    out = np.zeros((len(places), 4, 4))
    for corner in range(3):
        np.add.at(out, faces[:, corner], each)
    return out


def _edges(faces: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(e, 2) edges and whether each may go: two faces, two shared neighbours, and no neighbour that would keep only two edges."""
    from scipy import sparse

    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    keys, inverse, count = np.unique(ends[:, 0] * n + ends[:, 1], return_inverse=True, return_counts=True)
    edges = np.stack([keys // n, keys % n], axis=1)
    degree = np.bincount(edges.ravel(), minlength=n)
    least = np.full(len(edges), n)
    np.minimum.at(least, inverse, degree[opposite])
    near = sparse.csr_matrix((np.ones(2 * len(edges)), (np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]])), shape=(n, n))
    shared = np.asarray(near[edges[:, 0]].multiply(near[edges[:, 1]]).sum(axis=1)).ravel()
    return edges, (count == 2) & (shared == 2) & (least > 3)


def _targets(places: np.ndarray, quadrics: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each edge's new vertex lies (e, 3), and what it costs (e,)."""
    both = quadrics[edges[:, 0]] + quadrics[edges[:, 1]]
    middle = places[edges].mean(axis=1)
    pull = _PULL * np.trace(both[:, :3, :3], axis1=1, axis2=2) + 1e-12
    left = both[:, :3, :3] + pull[:, None, None] * np.eye(3)
    target = np.linalg.solve(left, (pull[:, None] * middle - both[:, :3, 3])[:, :, None])[:, :, 0]
    whole = np.hstack([target, np.ones((len(edges), 1))])
    length = np.einsum("ij,ij->i", *(places[edges[:, 0]] - places[edges[:, 1]],) * 2)
    return target, np.maximum(np.einsum("ij,ijk,ik->i", whole, both, whole), 0.0) + 1e-9 * pull * length


def _apart(edges: np.ndarray, cost: np.ndarray, faces: np.ndarray, n: int) -> np.ndarray:
    """Indices of edges that are the cheapest among all edges at their ends and at the neighbours of their ends."""
    rank = np.empty(len(edges), dtype=np.int64)
    rank[np.argsort(cost, kind="stable")] = np.arange(len(edges))
    best = np.full(n, len(edges))
    for end in range(2):
        np.minimum.at(best, edges[:, end], rank)
    around = best.copy()
    for a, b in ((0, 1), (1, 2), (2, 0)):
        np.minimum.at(around, faces[:, a], best[faces[:, b]])
        np.minimum.at(around, faces[:, b], best[faces[:, a]])
    return np.flatnonzero(rank == np.minimum(around[edges[:, 0]], around[edges[:, 1]]))


def _turned(places: np.ndarray, faces: np.ndarray, edges: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(e,) whether collapsing an edge would turn over or flatten a face that stays."""
    owner = np.full(len(places), -1)
    owner[edges[:, 0]] = owner[edges[:, 1]] = np.arange(len(edges))
    moves = owner[faces] >= 0
    touched = np.flatnonzero(moves.sum(axis=1) == 1)
    corner = np.argmax(moves[touched], axis=1)
    by = owner[faces[touched, corner]]
    old = places[faces[touched]]
    new = old.copy()
    new[np.arange(len(touched)), corner] = target[by]
    before, after = (np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]) for t in (old, new))
    sizes = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    wrong = np.einsum("ij,ij->i", before, after) <= _LEAST_COSINE * sizes
    out = np.zeros(len(edges), dtype=bool)
    out[by[wrong]] = True
    return out
