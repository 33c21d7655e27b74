"""Graphs as their distinct environments: what a directed message passing network computes, each thing once.

The state of a directed edge v → w after t rounds depends on nothing but a tree: the node v and the bond, and below them
the edges u → v (u not w) with their states after t - 1 rounds. Molecules hold the same small trees over and over: two
aromatic carbons side by side, a methyl on a nitrogen. `environments` gives equal trees equal numbers (the refinement of
B. Weisfeiler and A. Leman 1968, on directed edges without their reverse), once per table of graphs; `Environments.take`
gives a batch in which every tree, and every node with what comes in, stands once. A network over these computes the
very sums of one over all edges, of which most are repetitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lists:
    """n lists of whole numbers side by side: list i is `items[offsets[i] : offsets[i + 1]]`."""

    items: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        """(n,) length of each list."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(items,) which list each item is of."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, rows: np.ndarray) -> Lists:
        """Some of the lists (positions)."""
        counts = self.counts[rows]
        offsets = ends(counts)
        return Lists(
            self.items[np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts) + np.arange(offsets[-1])], offsets
        )

    def turned(self, n: int) -> Lists:
        """For each of the numbers 0 ... n - 1: the lists that hold it."""
        order = np.argsort(self.items, kind="stable")
        return Lists(self.owner[order], ends(np.bincount(self.items, minlength=n)))


def ends(counts: np.ndarray) -> np.ndarray:
    """(n + 1,) offsets of lists of these lengths."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True)
class Environments:
    """The distinct environments of n graphs.

    Attributes:
        nodes: (a, p) float32, the distinct feature rows of nodes.
        edges: (b, q) float32, the distinct feature rows of edges.
        bonds: (u0, 2) row of `nodes` (where the edge starts) and row of `edges`, of each distinct edge of round 0.
        bases: per later round (u_t,) its edge of round 0.
        trees: per later round u_t lists of the edges of the round before that come in (the reverse edge is not).
        centres: (c,) row of `nodes` of each distinct node with what comes in.
        arrivals: c lists of edges of the last round.
        graphs: n lists of distinct nodes with what comes in, one per node.
        present: (n,) bool.
    """

    nodes: np.ndarray
    edges: np.ndarray
    bonds: np.ndarray
    bases: tuple[np.ndarray, ...]
    trees: tuple[Lists, ...]
    centres: np.ndarray
    arrivals: Lists
    graphs: Lists
    present: np.ndarray

    def __len__(self) -> int:
        return len(self.present)

    def take(self, rows: np.ndarray) -> Environments:
        """Some graphs (positions), with those environments only that occur in them."""
        kept, graphs = _renumbered(self.graphs.take(rows))
        centres = self.centres[kept]
        kept, arrivals = _renumbered(self.arrivals.take(kept))
        bases: list[np.ndarray] = []
        trees: list[Lists] = []
        for base, tree in zip(reversed(self.bases), reversed(self.trees)):
            bases.insert(0, base[kept])
            kept, taken = _renumbered(tree.take(kept))
            trees.insert(0, taken)
        first, bases = _used(kept, *bases)
        below = np.searchsorted(first, kept)
        if trees:
            trees[0] = Lists(below[trees[0].items], trees[0].offsets)
        else:
            arrivals = Lists(below[arrivals.items], arrivals.offsets)
        bonds = self.bonds[first]
        nodes, (starts, centres) = _used(np.zeros(0, dtype=np.int64), bonds[:, 0], centres)
        edges, (kinds,) = _used(np.zeros(0, dtype=np.int64), bonds[:, 1])
        return Environments(
            self.nodes[nodes], self.edges[edges], np.stack([starts, kinds], axis=1), tuple(bases), tuple(trees),
            centres, arrivals, graphs, self.present[rows],
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """What a network reads, by name; each list as its items and ends, and the same turned round (for gradients)."""
        found = {
            "nodes": self.nodes, "edges": self.edges, "starts": self.bonds[:, 0], "kinds": self.bonds[:, 1],
            "centres": self.centres, "present": self.present,
        }  # fmt: skip
        sizes = [len(self.bonds), *(len(b) for b in self.bases)]
        for i, (base, tree) in enumerate(zip(self.bases, self.trees)):
            found |= {f"base{i}": base} | _both_ways(f"tree{i}", tree, sizes[i])
        found |= _both_ways("arrivals", self.arrivals, sizes[-1])
        return found | _both_ways("graphs", self.graphs, len(self.centres))


def environments(arrays: dict[str, np.ndarray], present: np.ndarray, rounds: int) -> Environments:
    """The distinct environments of n graphs.

    Args:
        arrays: a graph block's arrays (`osler.blocks`), features already scaled; an edge runs from row 0 to row 1 of
            `edges` and its reverse is the edge between the same two nodes the other way.
        present: (n,) bool; a graph that is not present has no nodes here.
        rounds: how often states are passed on, the first state not counted.
    """
    source, target = arrays["edges"].astype(np.int64)
    nodes, node_kind = _distinct(arrays["nodes"])
    edges, edge_kind = _distinct(arrays["edge_values"])
    bonds, first = _distinct(np.stack([node_kind[source], edge_kind], axis=1))
    into = _by(target, len(node_kind))
    below = _before(source, target, into)
    bases, trees, state = [], [], first
    for _ in range(rounds):
        one, state, lists = _classes(first, below, state)
        bases.append(first[one])
        trees.append(lists)
    one, centre, arrivals = _classes(node_kind, into, state)
    sizes = np.where(present, np.diff(arrays["node_offsets"]), 0)
    graphs = Lists(centre, arrays["node_offsets"].astype(np.int64)).take(np.arange(len(present)))
    graphs = Lists(graphs.items[np.repeat(present, graphs.counts)], ends(sizes))
    return Environments(
        nodes, edges, bonds, tuple(bases), tuple(trees), node_kind[one], arrivals, graphs, present & (sizes > 0)
    )


def each(arrays: dict[str, np.ndarray], rounds: int) -> Environments:
    """The environments of n graphs with nothing put together: one per node, edge and round, in their order, so that
    what a network does with each of them can be told apart. Arguments as of `environments`; every graph is present.
    """
    source, target = arrays["edges"].astype(np.int64)
    offsets = arrays["node_offsets"].astype(np.int64)
    nodes, edges = np.arange(len(arrays["nodes"])), np.arange(len(source))
    into = _by(target, len(nodes))
    below = _before(source, target, into)
    return Environments(
        arrays["nodes"], arrays["edge_values"], np.stack([source, edges], axis=1), (edges,) * rounds, (below,) * rounds,
        nodes, into, Lists(nodes, offsets), np.diff(offsets) > 0,
    )  # fmt: skip


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of (n, p), and which of them each row is."""
    numbers: dict[bytes, int] = {}
    rows = np.ascontiguousarray(rows)
    which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64)
    return rows[np.unique(which, return_index=True)[1]], which


def _by(keys: np.ndarray, n: int) -> Lists:
    """For each key 0 ... n - 1: the places where it stands."""
    return Lists(np.argsort(keys, kind="stable"), ends(np.bincount(keys, minlength=n)))


def _before(source: np.ndarray, target: np.ndarray, into: Lists) -> Lists:
    """For each edge v → w: the edges u → v with u other than w."""
    near = into.take(source)
    kept = source[near.items] != np.repeat(target, near.counts)
    counts = np.bincount(near.owner[kept], minlength=len(source))
    return Lists(near.items[kept], ends(counts))


def _classes(own: np.ndarray, below: Lists, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, Lists]:
    """Numbers things so that equal ones have one number: the same `own`, and the same `state` below in any order.

    Returns:
        (u,) one thing of each number; (n,) the number of each thing; u lists of the states below.
    """
    state = state.astype(np.int64)
    order = np.lexsort((state[below.items], below.owner))
    items, counts = state[below.items][order], below.counts
    number = own.astype(np.int64)
    width = int(items.max(initial=0)) + 1
    for place in range(int(counts.max(initial=0))):
        there = np.flatnonzero(counts > place)
        number = number * (width + 1)
        number[there] += items[below.offsets[:-1][there] + place] + 1
        number = np.unique(number, return_inverse=True)[1].reshape(-1)
    _, one, number = np.unique(number, return_index=True, return_inverse=True)
    return one, number.reshape(-1), Lists(items, below.offsets).take(one)


def _renumbered(lists: Lists) -> tuple[np.ndarray, Lists]:
    """The numbers that occur in some lists, and the lists with their places among these."""
    kept, items = np.unique(lists.items, return_inverse=True)
    return kept, Lists(items.reshape(-1), lists.offsets)


def _used(*parts: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The numbers that occur in any of the parts; the parts but the first as places among these."""
    used = np.unique(np.concatenate(parts))
    return used, [np.searchsorted(used, part) for part in parts[1:]]


def _both_ways(name: str, lists: Lists, n: int) -> dict[str, np.ndarray]:
    turned = lists.turned(n)
    return {
        name: lists.items, f"{name}_ends": lists.offsets,
        f"{name}_back": turned.items, f"{name}_back_ends": turned.offsets,
    }  # fmt: skip
