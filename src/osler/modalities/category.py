"""A code or a word from a list: one categorical feature whose last level catches the rare and the unseen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.cohort.infer import is_missing_word
from osler.modalities.base import Modality

#: The level of rare and unseen values.
OTHER = "(other)"


@dataclass(frozen=True)
class CategoryOptions:
    """Options of a category column.

    Attributes:
        min_count: a level seen in fewer training rows joins "(other)": too few to learn from, and near to a person.
        max_levels: only the most frequent levels are kept; ties by name.
        fold_case: whether "No" and "no" are one level.
        missing_codes: values that stand for "not known", such as 9.
    """

    min_count: int = 5
    max_levels: int = 100
    fold_case: bool = True
    missing_codes: tuple[str, ...] = ()


class Category(Modality):
    """A code or word. Emits one categorical feature; state: the kept levels in natural order, "(other)" last."""

    name = "category"
    Options = CategoryOptions

    def sniff(self, values: pl.Series) -> float:
        """High where few values repeat often; 0 for a column without repeats."""
        present = values.drop_nulls()
        if not len(present) or values.dtype.is_nested():
            return 0.0
        return float(np.clip(1.0 - 2.0 * present.n_unique() / len(present), 0.0, 1.0))

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but cannot be a code (a list or a structure)."""
        return values.is_not_null() if values.dtype.is_nested() else pl.Series(np.zeros(len(values), dtype=bool))

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the levels that at least `min_count` training rows hold."""
        options = self.options_of(column)
        state: dict[str, Any] = {
            "modality": self.name, "version": self.version, "column": column.name, "fold_case": options.fold_case,
            "missing_codes": [str(c) for c in options.missing_codes],
        }  # fmt: skip
        shown = _spelled(values, state)
        counts = pl.DataFrame({"key": _key(shown, state), "shown": shown}).drop_nulls()
        counts = counts.group_by("key", "shown").len().sort(["len", "shown"], descending=[True, False])
        levels = counts.group_by("key", maintain_order=True).agg(pl.col("shown").first(), pl.col("len").sum())
        levels = levels.filter((pl.col("len") >= options.min_count) & (pl.col("key") != OTHER))
        levels = levels.sort(["len", "key"], descending=[True, False]).head(options.max_levels)
        kept = sorted(levels["shown"].to_list(), key=natural)
        labels = {str(k): str(v) for k, v in column.coding.items()}
        return state | {
            "n": len(values), "n_present": int(shown.is_not_null().sum()), "levels": [*kept, OTHER],
            "labels": {k: labels[k] for k in kept if k in labels},
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """One categorical feature (n, 1): the level's position, NaN where missing, the last position if unseen."""
        levels = state["levels"]
        known = _key(pl.Series(levels[:-1], dtype=pl.String), state)
        seen = values.drop_nulls().unique() if values.dtype == pl.String else values[:0]
        if 0 < len(seen) < len(values) // 4:  # spell each distinct text once
            each = _lookup(_key(_spelled(seen, state), state), known, len(levels) - 1)
            found = values.replace_strict(seen, pl.Series(each), default=None, return_dtype=pl.Float64)
            codes = np.array(found.to_numpy(), dtype=np.float64)
        else:
            codes = _lookup(_key(_spelled(values, state), state), known, len(levels) - 1)
        return dense(codes[:, None], [state["column"]], kinds=["categorical"], levels=[tuple(levels)])

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, number of levels, and the rows of each of the 20 commonest (counts below 10 hidden as null)."""
        state = {"fold_case": self.options_of(column).fold_case, "missing_codes": []}
        shown = _spelled(values, state)
        counts = shown.drop_nulls().value_counts(sort=True)
        name = counts.columns[0]
        counts = counts.sort(["count", name], descending=[True, False])
        seen = {k: n for k, n in zip(counts[name].to_list(), counts["count"].to_list()) if n >= 10}
        return {
            "n": len(values), "missing": int(shown.null_count()), "levels": counts.height,
            "counts": dict(list(seen.items())[:20]), "hidden_levels": counts.height - min(len(seen), 20),
        }  # fmt: skip


def natural(level: str) -> tuple[int, float, str]:
    """Sort key that puts numbers in their order before words."""
    try:
        return (0, float(level), level)
    except ValueError:
        return (1, 0.0, level)


def texts(values: pl.Series) -> pl.Series:
    """(n,) any column as text: 1.0 and 1 are both "1", outer and doubled spaces are dropped, missing words are null."""
    if values.dtype.is_float():
        whole = values.is_finite() & (values == values.round(0)) & (values.abs() < 1e15)
        as_int = pl.when(whole).then(values.cast(pl.Int64, strict=False).cast(pl.String))
        frame = as_int.otherwise(pl.when(values.is_finite()).then(values.cast(pl.String)))
        return pl.select(frame).to_series().rename(values.name)
    if values.dtype.is_nested():
        return pl.Series(values.name, [None] * len(values), dtype=pl.String)
    if values.dtype != pl.String:
        return values.cast(pl.String)
    text = values.str.strip_chars().str.replace_all(r"\s+", " ")
    number = text.str.contains(r"^-?\d{1,15}\.0+$")
    text = pl.select(pl.when(number).then(text.str.replace(r"\.0+$", "")).otherwise(text)).to_series()
    return pl.select(pl.when(~is_missing_word(text)).then(text)).to_series().rename(values.name)


def _spelled(values: pl.Series, state: dict[str, Any]) -> pl.Series:
    shown = texts(values)
    if state["missing_codes"]:
        codes = texts(pl.Series(state["missing_codes"], dtype=pl.String)).drop_nulls()
        shown = pl.select(pl.when(~shown.is_in(codes.implode())).then(shown)).to_series()
    return shown


def _key(shown: pl.Series, state: dict[str, Any]) -> pl.Series:
    return shown.str.to_lowercase() if state["fold_case"] else shown


def _lookup(key: pl.Series, known: pl.Series, other: int) -> np.ndarray:
    """(n,) float64 position of each key among the known ones, `other` if not there, NaN if null."""
    if not len(known):
        codes = pl.select(pl.when(key.is_not_null()).then(pl.lit(float(other)))).to_series()
    else:
        position = pl.Series(np.arange(len(known), dtype=np.float64))
        codes = key.replace_strict(known, position, default=float(other), return_dtype=pl.Float64)
        codes = pl.select(pl.when(key.is_not_null()).then(codes)).to_series()
    return np.array(codes.to_numpy(), dtype=np.float64)
