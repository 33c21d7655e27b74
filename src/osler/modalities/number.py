"""A measured quantity: one continuous feature."""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.cohort.infer import is_missing_word
from osler.cohort.numbers import floats
from osler.errors import OptionError
from osler.modalities.base import Modality

#: Digits kept of anything learnt from rows, so that no state holds a patient's exact long number.
DIGITS = 4


@dataclass(frozen=True)
class NumberOptions:
    """Options of a number column.

    Attributes:
        missing_codes: values that stand for "not measured", such as 0 for a cholesterol or 999.
        possible: (low, high): values outside cannot be; empty if not known.
        impossible: "missing" empties a value outside `possible`, "keep" leaves it.
        decimal: the decimal mark of numbers that are stored as text, "." or ",".
        winsor: share of the training rows at each end whose quantile limits the values, 0 for no limit.
    """

    missing_codes: tuple[float, ...] = ()
    possible: tuple[float, ...] = ()
    impossible: str = "missing"
    decimal: str = "."
    winsor: float = 0.0


class Number(Modality):
    """A measured quantity. Emits one continuous feature; state: median, range and quantile knots of training rows."""

    name = "number"
    Options = NumberOptions

    def sniff(self, values: pl.Series) -> float:
        """Share of present values that read as a finite number."""
        present = _present(values)
        return float(np.isfinite(floats(present)).mean()) if len(present) else 0.0

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is no finite number."""
        mark = self.options_of(column).decimal
        return pl.Series(~np.isfinite(floats(values, mark)) & _is_present(values).to_numpy())

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn median, range and quantile knots, each to 4 significant digits."""
        options = self.options_of(column)
        state: dict[str, Any] = {
            "modality": self.name, "version": self.version, "column": column.name,
            "decimal": options.decimal, "missing_codes": _codes(options.missing_codes, column.name),
            "possible": _codes(options.possible, column.name) if options.impossible == "missing" else [],
            "limits": [],
        }  # fmt: skip
        x = _numbers(values, state)
        x = x[np.isfinite(x)]
        state |= {"n": len(values), "n_present": int(x.size), "median": None, "min": None, "max": None, "knots": []}
        if x.size:
            knots = np.quantile(x, np.linspace(0.0, 1.0, 33))
            state |= {
                "median": rounded(float(np.median(x))),
                "min": rounded(float(x.min()), decimal.ROUND_FLOOR),
                "max": rounded(float(x.max()), decimal.ROUND_CEILING),
                "knots": sorted({rounded(float(k)) for k in knots[1:-1]}),
            }
            if options.winsor > 0:
                low, high = np.quantile(x, [options.winsor, 1.0 - options.winsor])
                state["limits"] = [rounded(float(low)), rounded(float(high))]
        return state

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """One feature (n, 1): the value, NaN where it is missing, unreadable, a missing code or impossible."""
        x = _numbers(values, state)
        if state["limits"]:
            x = np.clip(x, *state["limits"])
        return dense(x[:, None], [state["column"]])

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, mean, standard deviation and quantiles (hidden below 10 values)."""
        state = {"decimal": self.options_of(column).decimal, "missing_codes": [], "possible": []}
        x = _numbers(values, state)
        x = x[np.isfinite(x)]
        facts: dict[str, Any] = {"n": len(values), "missing": len(values) - int(x.size)}
        if x.size < 10:
            return facts
        low, q1, median, q3, high = (rounded(float(v)) for v in np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95]))
        return facts | {
            "mean": rounded(float(x.mean())), "sd": rounded(float(x.std(ddof=1))),
            "p5": low, "q1": q1, "median": median, "q3": q3, "p95": high,
        }  # fmt: skip


def rounded(value: float, rounding: str = decimal.ROUND_HALF_EVEN) -> float:
    """A finite value to `DIGITS` significant digits; `rounding` is one of the `decimal` module's."""
    return float(decimal.Context(prec=DIGITS, rounding=rounding).create_decimal(repr(float(value))))


def _codes(given: Any, name: str) -> list[float]:
    try:
        return [float(c) for c in given]
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"missing_codes and possible of number column '{name}' must be numbers, one was not"
        ) from error


def _numbers(values: pl.Series, state: dict[str, Any]) -> np.ndarray:
    x = floats(values, state["decimal"])
    lost = ~np.isfinite(x)
    if state["missing_codes"]:
        lost |= np.isin(x, state["missing_codes"])
    if state["possible"]:
        low, high = state["possible"]
        with np.errstate(invalid="ignore"):
            lost |= (x < low) | (x > high)
    x[lost] = np.nan
    return x


def _is_present(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return values.is_not_null() & ~is_missing_word(values)
    if values.dtype.is_float():
        return values.is_not_null() & ~values.is_nan().fill_null(False)
    return values.is_not_null()


def _present(values: pl.Series) -> pl.Series:
    return values.filter(_is_present(values))
