"""Reading the cells of any column as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl


def floats(values: pl.Series, decimal: str = ".") -> np.ndarray:
    """(n,) float64 of any column, NaN where a value is missing or no number; infinities stay.

    Args:
        values: (n,) numbers, booleans or texts; anything else is all NaN.
        decimal: the decimal mark of numbers kept as text; with "," dots between thousands are dropped.
    """
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return np.array(values.cast(pl.Float64).to_numpy(), dtype=np.float64)
    if values.dtype != pl.String:
        return np.full(len(values), np.nan)
    text = values.str.strip_chars()
    if decimal == ",":
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return np.array(text.cast(pl.Float64, strict=False).to_numpy(), dtype=np.float64)
