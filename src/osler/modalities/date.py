"""A calendar date: years since 2000 and the season."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort import dates
from osler.cohort.column import Column
from osler.cohort.infer import is_missing_word
from osler.modalities.base import Modality

_DAY = 86_400e6
_EPOCH_2000 = 10_957.0
_YEAR = 365.2425


@dataclass(frozen=True)
class DateOptions:
    """Options of a date column.

    Attributes:
        formats: how dates stored as text are written (strftime codes); empty to find it in the training rows.
        season: whether the time of year is a feature beside the years since 2000.
    """

    formats: tuple[str, ...] = ()
    season: bool = True


class Date(Modality):
    """A calendar date. Emits years since 2000-01-01 and, with `season`, sine and cosine of the time of year."""

    name = "date"
    Options = DateOptions

    def sniff(self, values: pl.Series) -> float:
        """Share of present values that read as a date."""
        if values.dtype.is_temporal():
            return 1.0 if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime) else 0.0
        present = values.drop_nulls().head(1000)
        if values.dtype != pl.String or not len(present):
            return 0.0
        return float(dates.parse(present, dates.formats_of(present)[0]).is_not_null().mean())

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is no date of the column's formats."""
        unread = dates.parse(values, self._formats(values, column)).is_null() & values.is_not_null()
        return unread & ~is_missing_word(values) if values.dtype == pl.String else unread

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the text formats and the range in whole years."""
        state: dict[str, Any] = {
            "modality": self.name, "version": self.version, "column": column.name,
            "formats": self._formats(values, column), "season": self.options_of(column).season,
        }  # fmt: skip
        year = dates.parse(values, state["formats"]).dt.year().drop_nulls()
        first, last = (int(year.min()), int(year.max())) if len(year) else (None, None)
        return state | {"n": len(values), "n_present": len(year), "first_year": first, "last_year": last}

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Features (n, 3) or (n, 1): years since 2000-01-01, and the sine and cosine of the time of year."""
        when = dates.parse(values, state["formats"])
        days = np.array(when.dt.epoch("us").cast(pl.Float64).to_numpy(), dtype=np.float64) / _DAY
        name = state["column"]
        years = (days - _EPOCH_2000) / _YEAR
        if not state["season"]:
            return dense(years[:, None], [f"{name} (years since 2000)"])
        angle = 2.0 * np.pi * np.array(when.dt.ordinal_day().cast(pl.Float64).to_numpy(), dtype=np.float64) / _YEAR
        names = [f"{name} (years since 2000)", f"{name} (season, sine)", f"{name} (season, cosine)"]
        return dense(np.column_stack([years, np.sin(angle), np.cos(angle)]), names)

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, and first and last year (hidden below 10 values)."""
        year = dates.parse(values, self._formats(values, column)).dt.year().drop_nulls()
        facts: dict[str, Any] = {"n": len(values), "missing": len(values) - len(year)}
        return facts if len(year) < 10 else facts | {"first_year": int(year.min()), "last_year": int(year.max())}

    def _formats(self, values: pl.Series, column: Column) -> list[str]:
        given = list(self.options_of(column).formats)
        if given or values.dtype != pl.String:
            return given
        return dates.formats_of(values)[0]
