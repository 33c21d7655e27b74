"""Blocks become one matrix: plain standardised numbers for linear models, raw values with NaN for trees.

`Design` (numbers): continuous features are imputed by the training median and standardised, with a missing indicator
where missingness was not rare; categorical features become one column per level seen in training (all levels: the
models that use it are penalised), centred. A missing or unseen category sits at the training average. Columns that do
not vary in training are dropped and named.

`TreeDesign`: continuous features stay as they are, NaN included when training had NaN (trees learn where missing goes),
otherwise the training median stands in; categorical features become one column per level, or codes if they have many.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from osler.blocks import Block
from osler.models.base import Params

#: A feature missing in this share of training rows (and in at least `INDICATOR_ROWS` of them) gets an indicator column.
INDICATOR_SHARE = 0.02
INDICATOR_ROWS = 5

#: Trees see a categorical feature with more levels than this as ordered codes, not as one column per level.
MAX_ONE_HOT = 12

Sources = tuple[tuple[str, int], ...]


def sources_of(blocks: dict[str, Block]) -> Sources:
    """(block name, number of features) of every dense block, in order: what `raw` puts side by side."""
    return tuple((name, len(b.names)) for name, b in blocks.items() if b.layout == "dense")


def raw(blocks: dict[str, Block], sources: Sources) -> np.ndarray:
    """(n, q) float64, the dense blocks side by side, NaN where missing; a block that is absent is all NaN. Not to be written
    to: a single block's values are given as they are.
    """
    n = len(next(iter(blocks.values())))
    parts = []
    for name, width in sources:
        block = blocks.get(name)
        parts.append(np.full((n, width), np.nan) if block is None else block.arrays["values"])
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, axis=1) if parts else np.zeros((n, 0))


def features_of(blocks: dict[str, Block]) -> tuple[list[str], np.ndarray, list[tuple[str, ...]]]:
    """Names (q), categorical flags (q,) and levels (q) of the columns of `raw`."""
    names: list[str] = []
    kinds: list[str] = []
    levels: list[tuple[str, ...]] = []
    for block in blocks.values():
        if block.layout == "dense":
            names.extend(block.names)
            kinds.extend(block.kinds)
            levels.extend(block.levels)
    return names, np.array([k == "categorical" for k in kinds], dtype=bool), levels


def _level(levels: tuple[str, ...], code: int) -> str:
    return levels[code] if code < len(levels) else f"level {code}"


def _median(values: np.ndarray) -> np.ndarray:
    """(q,) median of what is present in each column; 0 where nothing is."""
    ordered = np.sort(values, axis=0)  # NaN sorts last
    n = (~np.isnan(values)).sum(axis=0)
    low, high = np.maximum(n - 1, 0) // 2, n // 2
    columns = np.arange(values.shape[1])
    middle = 0.5 * (ordered[low, columns] + ordered[np.minimum(high, len(values) - 1), columns])
    return np.where(n > 0, middle, 0.0)


@dataclass(frozen=True)
class Design:
    """How blocks become numbers for a linear model or a kernel.

    Attributes:
        sources: (block, width) in the order in which raw columns are put side by side.
        names: (p) output columns: continuous, then missing indicators, then levels ("column = level").
        origin: (p) index of the raw column behind each output.
        dropped: names of outputs that did not vary in training.
        arrays: the numbers of the state; see `fit`.
    """

    sources: Sources
    names: tuple[str, ...]
    origin: tuple[int, ...]
    dropped: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def fit(cls, blocks: dict[str, Block]) -> Design:
        """Learn medians, means, scales and levels from training rows."""
        sources = sources_of(blocks)
        names, categorical, levels = features_of(blocks)
        values = raw(blocks, sources)
        missing = np.isnan(values)
        dropped: list[str] = []
        numbers = _fit_numbers(values, missing, np.flatnonzero(~categorical), names, dropped)
        absent = _fit_indicators(missing, names, dropped)
        one_hot = _fit_levels(values, np.flatnonzero(categorical), names, levels, dropped)
        outputs = [names[i] for i in numbers["number"]]
        outputs += [f"{names[i]} is missing" for i in absent["absent"]]
        seen = zip(one_hot["category"], one_hot["code"], strict=True)
        outputs += [f"{names[i]} = {_level(levels[i], int(c))}" for i, c in seen]
        origin = np.concatenate([numbers["number"], absent["absent"], one_hot["category"]]).tolist()
        return cls(sources, tuple(outputs), tuple(origin), tuple(dropped), {**numbers, **absent, **one_hot})

    def matrix(self, blocks: dict[str, Block]) -> np.ndarray:
        """(n, p) float64 without NaN; continuous columns have mean 0 and standard deviation 1 in training."""
        a = self.arrays
        values = raw(blocks, self.sources)
        out = np.empty((len(values), len(self.names)))
        k, m = len(a["number"]), len(a["absent"])
        numbers = values[:, a["number"]]
        np.copyto(numbers, a["fill"], where=np.isnan(numbers))
        numbers -= a["mean"]
        np.multiply(numbers, a["inverse_scale"], out=out[:, :k])
        if m:
            np.subtract(np.isnan(values[:, a["absent"]]), a["absent_mean"], out=out[:, k : k + m])
        if len(a["category"]):
            _write_levels(values, a, out[:, k + m :])
        return out

    def natural(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X (n, p) of `matrix` in the units of the data, and the scale (p,) and centre (p,) that were taken out."""
        a = self.arrays
        rest = len(self.names) - len(a["number"])
        scale = np.append(1.0 / a["inverse_scale"], np.ones(rest))
        centre = np.concatenate([a["mean"], a["absent_mean"], a["level_mean"]])
        return X * scale + centre, scale, centre

    def reference(self) -> np.ndarray:
        """Positions of the outputs without the first level of each category (which the others and a constant imply)."""
        before = len(self.names) - len(self.arrays["category"])
        first = np.unique(self.arrays["group_of"], return_index=True)[1] + before
        return np.setdiff1d(np.arange(len(self.names)), first)

    def to_params(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Meta (JSON) and arrays (prefixed `design/`) to put into `Params`."""
        meta = {
            "sources": [list(s) for s in self.sources],
            "names": list(self.names),
            "origin": list(self.origin),
            "dropped": list(self.dropped),
        }
        return meta, {f"design/{k}": v for k, v in self.arrays.items()}

    @classmethod
    def from_params(cls, params: Params) -> Design:
        """The inverse of `to_params`, from `params.meta["design"]`."""
        meta = params.meta["design"]
        arrays = {k[7:]: v for k, v in params.arrays.items() if k.startswith("design/")}
        return cls(meta["sources"], meta["names"], meta["origin"], meta["dropped"], arrays)


def _fit_numbers(
    values: np.ndarray, missing: np.ndarray, columns: np.ndarray, names: list[str], dropped: list[str]
) -> dict[str, np.ndarray]:
    """Medians, means and 1 / standard deviations of the continuous columns that vary."""
    part = values[:, columns]
    fill = _median(part)
    part = np.where(missing[:, columns], fill, part)
    mean, scale = part.mean(axis=0), part.std(axis=0)
    varies = scale > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    dropped.extend(names[i] for i in columns[~varies])
    return {
        "number": columns[varies].astype(np.int64),
        "fill": fill[varies],
        "mean": mean[varies],
        "inverse_scale": 1.0 / scale[varies],
    }


def _fit_indicators(missing: np.ndarray, names: list[str], dropped: list[str]) -> dict[str, np.ndarray]:
    """Which columns get a missing indicator, one per distinct pattern of missingness."""
    count = missing.sum(axis=0)
    n = len(missing)
    wanted = np.flatnonzero((count >= max(INDICATOR_ROWS, INDICATOR_SHARE * n)) & (count < n))
    seen: set[bytes] = set()
    kept = []
    for i in wanted:
        pattern = np.packbits(missing[:, i]).tobytes()
        if pattern in seen:
            dropped.append(f"{names[i]} is missing")
        else:
            seen.add(pattern)
            kept.append(i)
    absent = np.array(kept, dtype=np.int64)
    return {"absent": absent, "absent_mean": count[absent] / max(n, 1)}


def _fit_levels(
    values: np.ndarray, columns: np.ndarray, names: list[str], levels: list[tuple[str, ...]], dropped: list[str]
) -> dict[str, np.ndarray]:
    """One output per level seen in training, of each categorical column with two or more of them."""
    category, code, mean, group, group_of = [], [], [], [], []
    for i in columns:
        present = values[~np.isnan(values[:, i]), i]
        seen, counts = np.unique(present, return_counts=True)
        if len(seen) < 2:
            dropped.append(names[i])
            continue
        group_of.extend([len(group)] * len(seen))
        group.append(int(i))
        category.extend([int(i)] * len(seen))
        code.extend(int(c) for c in seen)
        mean.extend((counts / len(present)).tolist())
    position = np.full((len(group), max(code, default=0) + 2), -1, dtype=np.int64)
    position[group_of, code] = np.arange(len(code))
    return {
        "category": np.array(category, dtype=np.int64),
        "code": np.array(code, dtype=np.int64),
        "level_mean": np.array(mean, dtype=np.float64),
        "group": np.array(group, dtype=np.int64),
        "group_of": np.array(group_of, dtype=np.int64),
        "position": position,
    }


def _write_levels(values: np.ndarray, a: dict[str, np.ndarray], out: np.ndarray) -> None:
    """Centred level columns into `out` (n, m); all 0 where the category is missing or was not seen in training."""
    position = a["position"]
    last = position.shape[1] - 1  # always -1: where missing and unseen codes are looked up
    code = values[:, a["group"]]
    code = np.where((code >= 0) & (code < last), code, last).astype(np.int64)
    at = position[np.arange(len(position)), code]
    known = at >= 0
    np.multiply(known[:, a["group_of"]], -a["level_mean"], out=out)
    rows, groups = np.nonzero(known)
    out[rows, at[rows, groups]] += 1.0


@dataclass(frozen=True)
class TreeDesign:
    """How blocks become numbers for trees.

    Attributes:
        sources: (block, width) in the order in which raw columns are put side by side.
        names: (p) output columns.
        arrays: `column` (p,) the raw column; `code` (p,) the level an output stands for, NaN for a value as it is;
            `fill` (p,) what stands in for a missing value (the median, "not this level", code -1), NaN where training
            had missing values, so that trees know where to send them.
    """

    sources: Sources
    names: tuple[str, ...]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def fit(cls, blocks: dict[str, Block], max_one_hot: int = MAX_ONE_HOT) -> TreeDesign:
        """Learn levels and medians from training rows."""
        sources = sources_of(blocks)
        names, categorical, levels = features_of(blocks)
        values = raw(blocks, sources)
        missing = np.isnan(values).any(axis=0)
        median = _median(values)
        outputs: list[str] = []
        column, code = [], []
        for i, name in enumerate(names):
            seen = np.unique(values[~np.isnan(values[:, i]), i]) if categorical[i] else ()
            if not categorical[i] or len(seen) > max_one_hot:
                outputs.append(name)
                column.append(i)
                code.append(np.nan)
                continue
            for c in seen[: 1 if len(seen) == 2 else None]:
                outputs.append(f"{name} = {_level(levels[i], int(c))}")
                column.append(i)
                code.append(c)
        column = np.array(column, dtype=np.int64)
        hot = np.array(code, dtype=np.float64)
        fill = np.where(np.isnan(hot), median[column], 0.0)
        fill[categorical[column] & np.isnan(hot)] = -1.0
        fill[missing[column]] = np.nan
        arrays = {"column": column, "code": hot, "fill": fill}
        return cls(sources, tuple(outputs), arrays)

    def matrix(self, blocks: dict[str, Block]) -> np.ndarray:
        """(n, p) float64; NaN where a value is missing and trees decide where it goes."""
        a = self.arrays
        values = raw(blocks, self.sources)
        out = values if np.array_equal(a["column"], np.arange(values.shape[1])) else values[:, a["column"]]
        hot, missing = ~np.isnan(a["code"]), np.isnan(out)
        gaps = bool(missing.any())
        if (gaps or hot.any()) and out is values:
            out = values.copy()
        if hot.any():
            np.copyto(out, out == a["code"], where=hot & ~missing)
        if gaps:
            np.copyto(out, a["fill"], where=missing)
        return out

    def to_params(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Meta (JSON) and arrays (prefixed `design/`) to put into `Params`."""
        meta = {"sources": [list(s) for s in self.sources], "names": list(self.names)}
        return meta, {f"design/{k}": v for k, v in self.arrays.items()}

    @classmethod
    def from_params(cls, params: Params) -> TreeDesign:
        """The inverse of `to_params`, from `params.meta["design"]`."""
        meta = params.meta["design"]
        arrays = {k: params.arrays[f"design/{k}"] for k in ("column", "code", "fill")}
        return cls(meta["sources"], meta["names"], arrays)
