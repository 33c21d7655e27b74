"""Yes or no: one continuous feature of 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.cohort.infer import FALSE_WORDS, TRUE_WORDS, is_missing_word
from osler.modalities.base import Modality


@dataclass(frozen=True)
class BooleanOptions:
    """Options of a boolean column.

    Attributes:
        positive: a further word that means yes, such as "present".
        negative: a further word that means no, such as "notpresent".
        missing_codes: values that stand for "not known", such as 9.
    """

    positive: str = ""
    negative: str = ""
    missing_codes: tuple[str, ...] = ()


class Boolean(Modality):
    """Yes or no. Emits one continuous feature of 0 and 1; state: the words and the share of yes."""

    name = "boolean"
    Options = BooleanOptions

    def sniff(self, values: pl.Series) -> float:
        """Share of present values that mean yes or no."""
        present = values.drop_nulls()
        codes = zero_one(present, [], [])
        return float(np.isfinite(codes).mean()) if len(present) else 0.0

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but means neither yes nor no."""
        options = self.options_of(column)
        unread = np.isnan(zero_one(values, [options.positive], [options.negative]))
        if values.dtype.is_nested():
            return values.is_not_null()
        present = values.is_not_null()
        if values.dtype == pl.String:
            present &= ~is_missing_word(values)
        elif values.dtype.is_float():
            present &= ~values.is_nan().fill_null(False)
        text = values.cast(pl.String).str.strip_chars().str.replace(r"\.0$", "")
        codes = [str(c).strip().removesuffix(".0") for c in options.missing_codes]
        return pl.Series(unread & present.to_numpy() & ~text.is_in(codes).fill_null(False).to_numpy())

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the share of yes (for imputation)."""
        options = self.options_of(column)
        state: dict[str, Any] = {
            "modality": self.name, "version": self.version, "column": column.name,
            "positive": [options.positive.strip().lower()] if options.positive else [],
            "negative": [options.negative.strip().lower()] if options.negative else [],
        }  # fmt: skip
        x = zero_one(values, state["positive"], state["negative"])
        x = x[~np.isnan(x)]
        share = round(float(x.mean()), 4) if x.size else None
        return state | {"n": len(values), "n_present": int(x.size), "share": share}

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """One feature (n, 1): 1 yes, 0 no, NaN for anything else."""
        return dense(zero_one(values, state["positive"], state["negative"])[:, None], [state["column"]])

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing and the count of yes (null where either side is below 10)."""
        options = self.options_of(column)
        x = zero_one(values, [options.positive], [options.negative])
        n_yes, n_no = int((x == 1).sum()), int((x == 0).sum())
        hidden = min(n_yes, n_no) < 10
        return {"n": len(values), "missing": len(values) - n_yes - n_no, "yes": None if hidden else n_yes}


def zero_one(values: pl.Series, positive: list[str], negative: list[str]) -> np.ndarray:
    """(n,) float64: 1 for yes, 0 for no, NaN for anything else."""
    if values.dtype == pl.Boolean:
        return np.array(values.cast(pl.Float64).to_numpy(), dtype=np.float64)
    if values.dtype.is_numeric():
        x = np.array(values.cast(pl.Float64).to_numpy(), dtype=np.float64)
        return np.where((x == 0) | (x == 1), x, np.nan)
    if values.dtype != pl.String:
        return np.full(len(values), np.nan)
    key = values.str.strip_chars().str.to_lowercase()
    yes = key.is_in([*TRUE_WORDS, *(w.strip().lower() for w in positive if w)])
    no = key.is_in([*FALSE_WORDS, *(w.strip().lower() for w in negative if w)])
    codes = pl.select(pl.when(yes).then(1.0).when(no).then(0.0)).to_series()
    return np.array(codes.cast(pl.Float64).to_numpy(), dtype=np.float64)
