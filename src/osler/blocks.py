"""The four layouts a model may see, and nothing else.

    dense      values (n, p)
    sequence   values (n, t, p) with lengths (n,), or ragged: values (sum t, p) with offsets (n + 1,)
    grid       values (n, c, y, x) or (n, c, z, y, x), with spacing (n, 2 or 3) and affine (n, 4, 4)
    graph      nodes (sum v, p), edges (2, sum e), edge_values (sum e, q), node_offsets (n + 1,), edge_offsets (n + 1,)

A column may be looked at in several ways: a molecule is a dense block of counts, and a graph of its atoms. The block
of the first way then carries the others as its `views`; a model takes the one it prefers (`Block.seen_as`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

LAYOUTS = ("dense", "sequence", "grid", "graph")

#: A dense feature is a real number, a code 0, 1, ... that points into its `levels`, or one of many counts (a fingerprint's bin)
#: that mean something together and little alone.
KINDS = ("continuous", "categorical", "count")


@dataclass(frozen=True)
class Block:
    """One column of a cohort as numbers.

    Attributes:
        layout: one of `LAYOUTS`.
        arrays: named arrays as drawn in this module's docstring; dense values are float64 and NaN where missing.
        present: (n,) bool, false where the cell was missing.
        names: one name per feature (p).
        kinds: one of `KINDS` per dense feature (p); empty for the other layouts.
        levels: per dense feature its level names if categorical, else () (p).
        geometry: spacing and affine (grids only).
        views: the same rows in other layouts, by layout; empty for most columns.
    """

    layout: str
    arrays: dict[str, np.ndarray]
    present: np.ndarray
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    geometry: dict[str, np.ndarray] = field(default_factory=dict)
    views: dict[str, Block] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.present)

    @property
    def values(self) -> np.ndarray:
        """The main array: `values`, or `nodes` for a graph."""
        return self.arrays["nodes" if self.layout == "graph" else "values"]

    def seen_as(self, layouts: Sequence[str]) -> Block:
        """The first of these layouts that this column has, without further views; itself where it has none of them."""
        for layout in layouts:
            if layout == self.layout:
                break
            if layout in self.views:
                return self.views[layout]
        return replace(self, views={}) if self.views else self

    def take(self, rows: np.ndarray) -> Block:
        """The block of some rows (positions, any order)."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if self.views:
            views = {layout: view.take(rows) for layout, view in self.views.items()}
            return replace(replace(self, views={}).take(rows), views=views)
        present = self.present[rows]
        geometry = {k: v[rows] for k, v in self.geometry.items()}
        if self.layout == "graph":
            return replace(self, arrays=_take_graph(self.arrays, rows), present=present)
        if "offsets" in self.arrays:
            pick, offsets = _ranges(self.arrays["offsets"], rows)
            return replace(self, arrays={"values": self.arrays["values"][pick], "offsets": offsets}, present=present)
        arrays = {k: v[rows] for k, v in self.arrays.items()}
        return replace(self, arrays=arrays, present=present, geometry=geometry)

    @staticmethod
    def concat(blocks: Sequence[Block]) -> Block:
        """Rows of several blocks of one column, one after the other."""
        first = blocks[0]
        if first.views:
            views = {layout: Block.concat([b.views[layout] for b in blocks]) for layout in first.views}
            return replace(Block.concat([replace(b, views={}) for b in blocks]), views=views)
        present = np.concatenate([b.present for b in blocks])
        geometry = {k: np.concatenate([b.geometry[k] for b in blocks]) for k in first.geometry}
        if first.layout == "graph":
            return replace(first, arrays=_concat_graphs([b.arrays for b in blocks]), present=present)
        arrays = {k: np.concatenate([b.arrays[k] for b in blocks]) for k in first.arrays if k != "offsets"}
        if "offsets" in first.arrays:
            arrays["offsets"] = _concat_offsets([b.arrays["offsets"] for b in blocks])
        return replace(first, arrays=arrays, present=present, geometry=geometry)


def dense(
    values: np.ndarray,
    names: Sequence[str],
    present: np.ndarray | None = None,
    kinds: Sequence[str] | None = None,
    levels: Sequence[Sequence[str]] | None = None,
) -> Block:
    """A dense block from values (n, p); all features continuous unless `kinds` says otherwise."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    n, p = values.shape
    if len(names) != p:
        raise ValueError(f"names must be as many as features ({p}), were {len(names)}")
    present = np.asarray(~np.isnan(values).all(axis=1) if present is None else present, dtype=bool)
    return Block(
        "dense",
        {"values": values},
        present if p else np.zeros(n, dtype=bool),
        tuple(names),
        tuple(kinds) if kinds is not None else ("continuous",) * p,
        tuple(tuple(l) for l in levels) if levels is not None else ((),) * p,
    )


def _ranges(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all items of some ragged rows, and the new offsets."""
    starts, lengths = offsets[:-1][rows], np.diff(offsets)[rows]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    pick = np.repeat(starts - new[:-1], lengths) + np.arange(new[-1])
    return pick, new


def _concat_offsets(offsets: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.concatenate([np.diff(o) for o in offsets])
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _take_graph(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    nodes, node_offsets = _ranges(arrays["node_offsets"], rows)
    edges, edge_offsets = _ranges(arrays["edge_offsets"], rows)
    shift = np.repeat(node_offsets[:-1] - arrays["node_offsets"][:-1][rows], np.diff(edge_offsets))
    return {
        "nodes": arrays["nodes"][nodes],
        "edges": arrays["edges"][:, edges] + shift,
        "edge_values": arrays["edge_values"][edges],
        "node_offsets": node_offsets,
        "edge_offsets": edge_offsets,
    }


def _concat_graphs(graphs: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    starts = np.cumsum([0, *(len(g["nodes"]) for g in graphs[:-1])])
    return {
        "nodes": np.concatenate([g["nodes"] for g in graphs]),
        "edges": np.concatenate([g["edges"] + s for g, s in zip(graphs, starts)], axis=1),
        "edge_values": np.concatenate([g["edge_values"] for g in graphs]),
        "node_offsets": _concat_offsets([g["node_offsets"] for g in graphs]),
        "edge_offsets": _concat_offsets([g["edge_offsets"] for g in graphs]),
    }
