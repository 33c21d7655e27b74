"""A small modality for tests of what the engine does with units, identities and views: words whose letters matter, not their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.modalities.base import Modality

LETTERS = "abcdefghij"


class Letters(Modality):
    """A word over a to j as the counts of its letters (dense), or as the sequence of its letters."""

    name = "letters"
    also = ("sequence",)
    suggests = ("boosting",)
    unit_kinds = ("first",)

    def sniff(self, values: pl.Series) -> float:
        """Never inferred."""
        return 0.0

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a word has another letter."""
        return values.str.contains(f"[^{LETTERS}]").fill_null(False)

    def fit(self, values: pl.Series, column: Column, root: Any = None) -> dict[str, Any]:
        """Nothing to learn."""
        return {"modality": self.name, "version": self.version, "column": column.name}

    def encode(self, values: pl.Series, state: dict[str, Any], root: Any = None) -> Block:
        """Counts (n, 10)."""
        words = values.cast(pl.String).to_list()
        counts = [[np.nan if v is None else v.count(c) for c in LETTERS] for v in words]
        return dense(np.array(counts, dtype=float).reshape(len(values), 10), list(LETTERS), kinds=["count"] * 10)

    def encode_as(self, layout: str, values: pl.Series, state: dict[str, Any], root: Any = None) -> Block:
        """One-hot letters (sum of lengths, 10), ragged."""
        if layout == self.emits:
            return self.encode(values, state, root)
        words = [v or "" for v in values.to_list()]
        at = [LETTERS.index(c) for w in words for c in w]
        offsets = np.concatenate([[0], np.cumsum([len(w) for w in words])]).astype(np.int64)
        present = values.is_not_null().to_numpy()
        return Block(
            "sequence", {"values": np.eye(10)[at].reshape(-1, 10), "offsets": offsets}, present, tuple(LETTERS)
        )

    def units(self, kind: str, values: pl.Series) -> pl.Series:
        """The first letter."""
        return values.str.slice(0, 1) if kind == "first" else super().units(kind, values)

    def identities(self, values: pl.Series, root: Any = None) -> dict[str, pl.Series]:
        """Words of the same letters are the same thing."""
        return {
            "anagram": pl.Series([None if v is None else "".join(sorted(v)) for v in values.to_list()], dtype=pl.String)
        }

    def summarise(self, values: pl.Series, column: Column, root: Any = None) -> dict[str, Any]:
        """n and missing."""
        return {"n": len(values), "missing": values.null_count()}
