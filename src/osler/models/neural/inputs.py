"""From blocks to what a network sees: branches with their learnt scales, and tensors.

A branch is one input of the network with an encoder of its own: all dense columns side by side (`table`), or one
column. Its scale (centre, spread, bins) is learnt from training rows in float64 and applied in float64, so that dates
and large counts lose no precision; the network itself works in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from osler.blocks import Block
from osler.errors import ColumnError, OptionError
from osler.models.base import Batches
from osler.models.neural import pictures
from osler.models.neural.environments import Environments, environments

#: The branch of all dense columns together.
TABLE = "table"
#: Rows that scales are learnt from, at most: dense columns only, or with larger layouts among them.
SAMPLE_DENSE, SAMPLE_LARGE = 50_000, 4_000
#: Numbers are held within this many spreads of their centre: a typing error must not move a prediction without end.
FAR = 6.0
#: A branch with more continuous features than this gets no bins: each feature enters as one number.
WIDE = 512

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Branch:
    """One input of a network.

    Attributes:
        name: `table`, or the column's name.
        layout: one of `osler.blocks.LAYOUTS`.
        columns: the columns it is made of, in order (one, except for `table`).
        spec: JSON values that fix the encoder's shape.
        arrays: scales learnt from training rows, float64.
    """

    name: str
    layout: str
    columns: tuple[str, ...]
    spec: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def encoder(self) -> str:
        """What reads it, a name in `encoders.ENCODERS`: the layout's usual encoder unless the spec names another."""
        return self.spec.get("encoder", self.layout)

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON values."""
        return {"name": self.name, "layout": self.layout, "columns": list(self.columns), "spec": self.spec}

    def is_shaped_like(self, other: Branch) -> bool:
        """Whether an encoder of the other branch fits this one: same columns, features, levels and channels."""
        same = ("encoder", "features", "levels", "channels", "dims", "p", "q", "gaps", "rounds", "tokens", "stages")
        shape = lambda b: (b.name, b.layout, b.columns, [b.spec.get(k) for k in same])  # noqa: E731
        return shape(self) == shape(other)


# -- learning the scales --------------------------------------------------------------------------------------------


def plan_branches(
    batches: Batches,
    bins: int,
    joined: bool,
    max_length: int,
    rng: np.random.Generator,
    rounds: int = -1,
    codes: int = 0,
) -> list[Branch]:
    """Branches of the columns of some training rows, with scales learnt from (a sample of) these rows.

    Args:
        batches: n training rows.
        bins: most bins per number of a dense column.
        joined: all dense columns as one branch, or one branch each.
        max_length: a sequence keeps its last `max_length` steps.
        rng: draws the sample if there are more rows than are needed.
        rounds: of directed message passing over graph columns; -1: they have the layout's usual encoder.
        codes: sequences hold codes of tokens, one spelling per feature, and are read by `tokens`; above 1: of so many
            tokens of a pre-trained encoder, and are read by `pretrained`.

    Raises:
        ColumnError: there is no usable column, or one holds an infinite number.
    """
    first = next(iter(batches.slices(1)))
    large = any(b.layout != "dense" for b in first.blocks.values())
    cap = SAMPLE_LARGE if large else SAMPLE_DENSE
    if len(batches) > cap:
        batches = batches.take(np.sort(rng.choice(len(batches), cap, replace=False)))
    dense, others = [], {}
    for part in batches.slices(256 if large else cap):
        for name, block in part.blocks.items():
            check_finite(name, block)
        dense.append({k: b for k, b in part.blocks.items() if b.layout == "dense"})
        for name, block in part.blocks.items():
            if block.layout != "dense":
                others.setdefault(name, _Sums(block)).add(block)
    columns = {k: Block.concat([d[k] for d in dense]) for k in dense[0]}
    columns = {k: b for k, b in columns.items() if b.values.shape[1]}
    branches = []
    if columns:
        parts = {TABLE: columns} if joined else {k: {k: b} for k, b in columns.items()}
        branches = [_dense_branch(name, blocks, bins, joined) for name, blocks in parts.items()]
    branches += [sums.branch(name, max_length, rounds, codes) for name, sums in others.items()]
    if not branches:
        raise ColumnError("a network must have at least one input with a feature, there was none", "column-empty")
    return branches


def check_finite(name: str, block: Block) -> None:
    """Refuse infinite numbers.

    Raises:
        ColumnError: names the column and how many infinite numbers it holds.
    """
    for array in block.arrays.values():
        if array.dtype.kind == "f":
            n = int(np.isinf(array).sum())
            if n:
                raise ColumnError(
                    f"column '{name}' must hold finite numbers, {n} were infinite: mend or empty them", "column-kind"
                )


def _dense_branch(name: str, blocks: dict[str, Block], bins: int, joined: bool) -> Branch:
    values = np.concatenate([b.values for b in blocks.values()], axis=1)
    kinds = [k for b in blocks.values() for k in b.kinds]
    levels = [len(l) for b in blocks.values() for l in b.levels]
    numbers = [i for i, k in enumerate(kinds) if k != "categorical"]
    codes = [i for i, k in enumerate(kinds) if k == "categorical"]
    wide = len(numbers) > WIDE
    scales = [_scale(values[:, i], 0 if wide else bins) for i in numbers]
    stack = lambda key, width: np.array([s[key] for s in scales]).reshape(len(scales), *width)  # noqa: E731
    most = max((len(s["edges"]) - 1 for s in scales), default=0)
    lower, span = np.full((len(scales), most), FAR * 2), np.ones((len(scales), most))
    for row, scale in enumerate(scales):
        edges = scale["edges"]
        lower[row, : len(edges) - 1], span[row, : len(edges) - 1] = edges[:-1], np.diff(edges)
    spec = {
        "features": [f for b in blocks.values() for f in b.names],
        "widths": [len(b.names) for b in blocks.values()],
        "numbers": numbers,
        "codes": codes,
        "levels": [levels[i] for i in codes],
        "bins": 0 if wide else most,
        "wide": wide,
        "joined": joined,
    }
    arrays = {key: stack(key, ()) for key in ("center", "spread", "low", "high")}
    return Branch(name, "dense", tuple(blocks), spec, {**arrays, "lower": lower, "span": span})


def _scale(values: np.ndarray, bins: int) -> dict[str, Any]:
    """Centre, spread, range and bin edges of one number; all but the centre and spread in spreads from the centre."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return {"center": 0.0, "spread": 1.0, "low": 0.0, "high": 0.0, "edges": np.zeros(1)}
    core = np.clip(known, *np.quantile(known, [0.01, 0.99]))
    center, spread = float(core.mean()), float(core.std())
    spread = spread if spread > 1e-12 * max(1.0, abs(center)) else float(known.std()) or 1.0
    scaled = np.clip((known - center) / spread, -FAR, FAR)
    edges = np.unique(np.quantile(scaled, np.linspace(0.0, 1.0, bins + 1))) if bins else np.zeros(1)
    return {"center": center, "spread": spread, "low": scaled.min(), "high": scaled.max(), "edges": edges}


class _Sums:
    """Streaming mean and variance of the features of one sequence, grid or graph column."""

    def __init__(self, like: Block) -> None:
        self.layout = like.layout
        self.keys = ("nodes", "edge_values") if like.layout == "graph" else ("values",)
        axis = 1 if like.layout == "grid" else -1
        self.shapes = {k: like.arrays[k].shape for k in self.keys}
        self.sums = {k: np.zeros((3, like.arrays[k].shape[axis])) for k in self.keys}
        self.gaps, self.items, self.rows, self.most = False, 0, 0, 0.0

    def add(self, block: Block) -> None:
        """Count the present rows of one more block."""
        block = block.take(np.flatnonzero(block.present))
        self.rows += len(block)
        self.items += len(block.values)
        for key in self.keys:
            values = block.arrays[key].astype(np.float64)
            if self.layout == "grid":
                values = np.moveaxis(values, 1, -1)
            elif "lengths" in block.arrays:
                values = values[np.arange(values.shape[1]) < block.arrays["lengths"][:, None]]
            values = values.reshape(-1, values.shape[-1])
            known = ~np.isnan(values)
            self.gaps |= not known.all()
            values = np.where(known, values, 0.0)
            self.most = max(self.most, values.max(initial=0.0))
            self.sums[key] += np.stack([known.sum(axis=0), values.sum(axis=0), (values**2).sum(axis=0)])

    def branch(self, name: str, max_length: int, rounds: int, codes: int) -> Branch:
        """The branch of this column."""
        arrays = {}
        for key, (n, total, squares) in self.sums.items():
            n = np.maximum(n, 1.0)
            center = total / n
            spread = np.sqrt(np.maximum(squares / n - center**2, 0.0))
            spread = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(center)), spread, 1.0)
            if self.layout == "graph" and rounds >= 0:  # what is 0 or 1 stays so: a rare kind of atom is no outlier
                center, spread = np.where(total == squares, 0.0, center), np.where(total == squares, 1.0, spread)
            arrays[f"{key}_center"], arrays[f"{key}_spread"] = center, spread
        spec: dict[str, Any] = {"p": len(arrays[f"{self.keys[0]}_center"])}
        if self.layout == "sequence":
            spec |= {"gaps": self.gaps, "max_length": max_length}
            spec |= {"encoder": "tokens", "tokens": int(self.most)} if codes == 1 else {}
            spec |= {"encoder": "pretrained", "tokens": codes - 1} if codes > 1 else {}
        elif self.layout == "grid":
            spec |= {"channels": spec["p"], "dims": len(self.shapes["values"]) - 2}
            spec["shape"] = list(self.shapes["values"][2:])
        else:
            spec["q"] = len(arrays["edge_values_center"])
            spec |= {"encoder": "dmpnn", "rounds": rounds} if rounds >= 0 else {}
            arrays["size"] = np.array([self.items / max(self.rows, 1)])
        return Branch(name, self.layout, (name,), spec, arrays)


# -- tensors --------------------------------------------------------------------------------------------------------


def tensors(branches: Sequence[Branch], blocks: dict[str, Block], device: torch.device | str = "cpu") -> list[Tensors]:
    """One dict of tensors per branch, for n rows.

    Every dict has `present` (n,) bool. Dense: `x` (n, p) float32, `missing` (n, p) bool, `codes` (n, q) int64.
    Sequence: `x` (n, t, p), `lengths` (n,). Grid: `x` (n, c, [z,] y, x). Graph: `nodes` (v, p), `source` and `target`
    (e,), `edges` (e, q), `row` (v,) the row of each node; for `dmpnn` what `Environments.arrays` names. For `tokens`
    `x` (n, t, k) int16: 0 after the end of a spelling, otherwise 1 + the code, 1 for a code above those of training.

    Raises:
        ColumnError: a column is not there or has other features than the one that was learnt from.
    """
    return [put(device, branch_arrays(branch, blocks)) for branch in branches]


def branch_arrays(branch: Branch, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    """What `tensors` gives for one branch, before it is put on a device."""
    make = {"dense": _dense_tensors, "sequence": _sequence_tensors, "grid": _grid_tensors, "graph": _graph_tensors}
    if branch.encoder == "dmpnn":
        return environments_of(branch, blocks).arrays()
    for name in branch.columns:
        check_column(branch, name, blocks)
    if branch.encoder in ("tokens", "pretrained"):
        return token_arrays(branch, blocks[branch.name])
    return make[branch.layout](branch, blocks)


def put(device: torch.device | str, arrays: dict[str, np.ndarray]) -> Tensors:
    """Arrays as tensors of a device."""
    return {k: torch.from_numpy(np.ascontiguousarray(v)).to(device) for k, v in arrays.items()}


def check_column(branch: Branch, name: str, blocks: dict[str, Block]) -> None:
    """Refuse a column that is not there or differs from the one that was learnt from.

    Raises:
        ColumnError: names the column and what it had to be.
    """
    if name not in blocks:
        raise ColumnError(
            f"column '{name}' must be there, the network was trained with it: add it, empty if it is unknown"
        )
    block = blocks[name]
    axis = 1 if branch.layout in ("grid", "dense") else -1
    if branch.layout == "dense":
        asked = branch.spec["widths"][branch.columns.index(name)]
    else:
        asked = branch.spec["p"]
    given = block.values.shape[axis] if block.layout == branch.layout else -1
    if given != asked:
        raise ColumnError(
            f"column '{name}' must be {branch.layout} with {asked} features as in training, was {block.layout} with "
            f"{max(given, block.values.shape[-1])}: encode it with the state of the training run",
            "column-kind",
        )
    check_finite(name, block)


def _scaled(values: np.ndarray, center: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values in spreads from the centre as float32 with 0 for NaN, and where they were NaN."""
    scaled = (values.astype(np.float64) - center) / spread
    missing = np.isnan(scaled)
    return np.where(missing, 0.0, scaled).astype(np.float32), missing


def _dense_tensors(branch: Branch, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    values = np.concatenate([blocks[c].values for c in branch.columns], axis=1)
    arrays, spec = branch.arrays, branch.spec
    numbers = np.clip((values[:, spec["numbers"]] - arrays["center"]) / arrays["spread"], arrays["low"], arrays["high"])
    missing = np.isnan(numbers)
    raw = values[:, spec["codes"]]
    levels = np.array(spec["levels"], dtype=np.float64)
    codes = np.where(np.isnan(raw), levels, np.clip(raw, 0, np.maximum(levels - 1, 0))).astype(np.int64)
    present = np.ones(len(values), dtype=bool) if spec["joined"] else blocks[branch.columns[0]].present
    return {
        "x": np.where(missing, 0.0, numbers).astype(np.float32),
        "missing": missing,
        "codes": codes,
        "present": present,
    }


def _sequence_tensors(branch: Branch, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    block = blocks[branch.columns[0]]
    values, offsets = block.values, block.arrays.get("offsets")
    most = branch.spec["max_length"]
    lengths = (
        np.diff(offsets) if offsets is not None else block.arrays.get("lengths", np.full(len(block), values.shape[1]))
    )
    kept = np.where(block.present, np.minimum(lengths, most), 0).astype(np.int64)
    starts = offsets[:-1] if offsets is not None else np.arange(len(block)) * values.shape[1]
    step = np.arange(max(int(kept.max(initial=0)), 1))
    real = step < kept[:, None]
    at = np.where(real, (starts + lengths - kept)[:, None] + step, 0)
    flat = values.reshape(-1, values.shape[-1])
    if len(flat) == 0:
        flat = np.zeros((1, flat.shape[-1]))
    x, missing = _scaled(flat[at], branch.arrays["values_center"], branch.arrays["values_spread"])
    x = np.concatenate([x, missing.astype(np.float32)], axis=-1) if branch.spec["gaps"] else x
    return {"x": np.where(real[..., None], x, np.float32(0.0)), "lengths": kept, "present": kept > 0}


def token_arrays(branch: Branch, block: Block) -> dict[str, np.ndarray]:
    """Ragged codes (sum t, k), -1 after the end of a spelling, as `x` (n, t, k)."""
    offsets, values = block.arrays["offsets"], block.values
    kept = np.where(block.present, np.minimum(np.diff(offsets), branch.spec["max_length"]), 0)
    step = np.arange(max(int(kept.max(initial=0)), 1))
    real = step < kept[:, None]
    x = np.zeros((*real.shape, values.shape[1]), dtype=np.int16 if branch.spec["tokens"] < 32_000 else np.int32)
    codes = values[(offsets[:-1, None] + step)[real]]
    x[real] = np.where(codes < 0, 0, np.where(codes > branch.spec["tokens"], 0, codes) + 1)
    return {"x": x, "present": kept > 0}


def _grid_tensors(branch: Branch, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    block = blocks[branch.columns[0]]
    shape = (-1,) + (1,) * branch.spec["dims"]
    center, spread = (branch.arrays[f"values_{k}"].reshape(shape) for k in ("center", "spread"))
    if block.values.ndim != branch.spec["dims"] + 2:
        raise ColumnError(
            f"column '{branch.name}' must be a grid of {branch.spec['dims']} axes as in training, "
            f"had {block.values.ndim - 2}: encode it with the state of the training run",
            "column-kind",
        )
    if branch.encoder == pictures.ENCODER:
        return pictures.picture_arrays(branch, block)
    x, _ = _scaled(block.values, center, spread)
    x[~block.present] = 0.0
    return {"x": x, "present": block.present}


def _graph_tensors(branch: Branch, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    block = blocks[branch.columns[0]]
    a = scaled_graph(branch, block)
    sizes = np.diff(a["node_offsets"])
    return {
        "nodes": a["nodes"],
        "source": a["edges"][0].astype(np.int64),
        "target": a["edges"][1].astype(np.int64),
        "edges": a["edge_values"],
        "row": np.repeat(np.arange(len(block)), sizes),
        "present": block.present & (sizes > 0),
    }


def environments_of(branch: Branch, blocks: dict[str, Block]) -> Environments:
    """A graph column's distinct environments, its features scaled."""
    check_column(branch, branch.name, blocks)
    block = blocks[branch.name]
    return environments(scaled_graph(branch, block), block.present, branch.spec["rounds"])


def scaled_graph(branch: Branch, block: Block) -> dict[str, np.ndarray]:
    """A graph block's arrays, the features of nodes and edges scaled."""
    a = block.arrays
    if a["edge_values"].shape[1] != branch.spec["q"]:
        raise OptionError(
            f"edges of column '{branch.name}' must have {branch.spec['q']} features, had {a['edge_values'].shape[1]}"
        )
    nodes, _ = _scaled(a["nodes"], branch.arrays["nodes_center"], branch.arrays["nodes_spread"])
    edges, _ = _scaled(a["edge_values"], branch.arrays["edge_values_center"], branch.arrays["edge_values_spread"])
    return {**a, "nodes": nodes, "edge_values": edges}
