"""Pairs of things as tensors: every distinct thing of a mini-batch once, and which two each pair is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from osler.blocks import Block
from osler.models.neural.heads import Head
from osler.models.pairs import Things
from osler.tasks.base import Target

Tensors = dict[str, torch.Tensor]
#: Pairs that are answered at a time without learning, and sequences that are drawn together for learning.
MOST, LOT = 1024, 32


@dataclass(frozen=True)
class Side:
    """The distinct things of one column, the last one for a missing cell.

    Attributes:
        name: the column.
        layout: what their parts are: "graph" (atoms), "sequence" (residues) or "dense" (none: counts only).
        counts: (d + 1, p) float32, log(1 + count).
        parts: (d + 1 rows) the block of their parts, or None.
        code: (n,) which thing each row holds.
    """

    name: str
    layout: str
    counts: np.ndarray
    parts: Block | None
    code: np.ndarray

    @classmethod
    def of(cls, name: str, block: Block, max_length: int) -> Side:
        """The things of a dense block and, where it has such a view, their atoms or residues."""
        things = Things.of(block)
        first = np.zeros(len(things.counts) + 1, dtype=np.int64)
        there = np.flatnonzero(things.code >= 0)[::-1]
        first[things.code[there]] = there
        made = things.with_none()
        layout = next((v for v in ("graph", "sequence") if v in block.views), "dense")
        parts = None
        if layout != "dense":
            last = np.flatnonzero(~block.present)[:1]
            parts = block.views[layout].take(np.append(first[:-1], last if len(last) else first[:1]))
            parts = _emptied(parts) if not len(last) else parts
            parts = _cut(parts, max_length) if layout == "sequence" else parts
        return cls(name, layout, np.log1p(made.counts).astype(np.float32), parts, made.code)

    def spec(self) -> dict[str, Any]:
        """What fixes the shape of its encoder, as JSON values."""
        spec: dict[str, Any] = {"name": self.name, "layout": self.layout, "p": int(self.counts.shape[1])}
        if self.layout == "graph":
            spec |= {k: int(self.parts.arrays[a].shape[1]) for k, a in (("nodes", "nodes"), ("edges", "edge_values"))}
        return spec

    def tensors(self, which: np.ndarray, device: torch.device) -> Tensors:
        """Some things (places): `counts`, and `nodes`, `source`, `target`, `edges`, `row`, `at` or `codes`."""
        found: dict[str, np.ndarray] = {"counts": self.counts[which]}
        if self.layout == "graph":
            a = self.parts.take(which).arrays
            sizes = np.diff(a["node_offsets"])
            row = np.repeat(np.arange(len(which)), sizes)
            at = np.arange(len(row)) - np.repeat(a["node_offsets"][:-1], sizes)
            found |= {
                "nodes": a["nodes"].astype(np.float32), "edges": a["edge_values"].astype(np.float32),
                "source": a["edges"][0].astype(np.int64), "target": a["edges"][1].astype(np.int64),
                "row": row, "at": at,
            }  # fmt: skip
        elif self.layout == "sequence":
            part = self.parts.take(which)
            lengths = np.diff(part.arrays["offsets"])
            step = np.arange(max(int(lengths.max(initial=0)), 1))
            real = step < lengths[:, None]
            codes = np.zeros(real.shape, dtype=np.int64)
            codes[real] = part.values[:, 0].astype(np.int64) + 1
            found["codes"] = codes
        return {k: torch.from_numpy(np.ascontiguousarray(v)).to(device) for k, v in found.items()}


def _emptied(parts: Block) -> Block:
    """The last row without parts."""
    last = len(parts) - 1
    kept = parts.take(np.arange(last))
    a = dict(kept.arrays)
    for name in [k for k in a if k.endswith("offsets")]:
        a[name] = np.append(a[name], a[name][-1])
    return Block(parts.layout, a, np.append(kept.present, False), parts.names)


def _cut(parts: Block, most: int) -> Block:
    """Sequences of at most so many steps, the first ones."""
    offsets = parts.arrays["offsets"]
    at = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    lengths = np.minimum(np.diff(offsets), most)
    arrays = {"values": parts.values[at < most], "offsets": np.concatenate([[0], np.cumsum(lengths)])}
    return Block("sequence", arrays, parts.present, parts.names)


class PairFeed:
    """Pairs as mini-batches: what `osler.models.neural.loop.train` walks.

    Args:
        sides: the things of either column.
        rest: (n, q) float32 of other columns.
        head: what the target becomes.
        target: n values, or None where nothing is learnt.
        device: where tensors are put.
    """

    def __init__(
        self, sides: tuple[Side, Side], rest: np.ndarray, head: Head, target: Target | None, device: torch.device
    ) -> None:
        self.sides, self.rest, self.head, self.device = sides, rest, head, device
        self.target = {} if target is None else head.target_tensors(target, device)
        self.at_once = 64

    def __len__(self) -> int:
        return len(self.sides[0].code)

    def slices(self, size: int, rng: np.random.Generator | None) -> Iterator[tuple[list[Tensors], Tensors]]:
        """All pairs once; without a generator in their order, `MOST` at a time.

        With one, sequences (the dear things) are drawn in lots of `LOT`, pairs are dealt to mini-batches by lot, and
        the mini-batches are shuffled: each holds few sequences and many partners.
        """
        if rng is None:
            parts = np.split(np.arange(len(self)), range(MOST, len(self), MOST))
        else:
            dear = next((side for side in self.sides if side.layout == "sequence"), self.sides[1])
            lot = rng.permutation(len(dear.counts))[dear.code] // LOT
            order = np.lexsort((rng.random(len(self)), lot))
            parts = np.split(order, range(size, len(self), size))
            parts = [parts[k] for k in rng.permutation(len(parts))]
        for rows in parts:
            at = torch.from_numpy(rows).to(self.device)
            yield self.take(rows), {k: v[at] for k, v in self.target.items()}

    def take(self, rows: np.ndarray) -> list[Tensors]:
        """Some pairs: tensors of the distinct things of either side, and of the pairs (`first`, `second`, `rest`)."""
        found, pair = [], {"rest": torch.from_numpy(self.rest[rows]).to(self.device)}
        for word, side in zip(("first", "second"), self.sides):
            which, place = np.unique(side.code[rows], return_inverse=True)
            found.append(side.tensors(which, self.device))
            pair[word] = torch.from_numpy(place.reshape(-1).astype(np.int64)).to(self.device)
        return [*found, pair]
