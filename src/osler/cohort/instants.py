"""What a cell of time means as a number: days since 1970-01-01 for dates, the number itself for numbers."""

from __future__ import annotations

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort

#: Text forms of a date that are tried in this order; a column takes the first that reads most of its cells.
DATE_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%Y-%m")

_DAY_US = 86_400_000_000.0


def is_time(cohort: Cohort, name: str) -> bool:
    """Whether a column holds points in time: by modality, role or type."""
    column = cohort.column(name)
    return column.modality == "date" or column.role == "time" or cohort.table[name].dtype.is_temporal()


def instants(values: pl.Series) -> np.ndarray:
    """Points in time as numbers.

    Args:
        values: (n,) dates, datetimes, numbers or texts.

    Returns:
        (n,) float64: days since 1970-01-01 for dates and texts that read as dates, the value itself for numbers; NaN
        where the cell is missing or does not read.
    """
    if values.dtype == pl.Date:
        return values.cast(pl.Int32).cast(pl.Float64).fill_null(np.nan).to_numpy()
    if values.dtype == pl.Datetime:
        return (values.dt.timestamp("us").cast(pl.Float64) / _DAY_US).fill_null(np.nan).to_numpy()
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return _of_text(values.cast(pl.String).str.strip_chars())
    return np.full(len(values), np.nan)


def _of_text(values: pl.Series) -> np.ndarray:
    numbers = values.cast(pl.Float64, strict=False)
    n = values.len() - values.null_count()
    if n and numbers.len() - numbers.null_count() == n and values.str.len_chars().max() < 8:
        return numbers.fill_null(np.nan).to_numpy()
    days = values.str.slice(0, 10)
    best: np.ndarray | None = None
    for form in DATE_FORMATS:
        read = _read(days, form)
        if best is None or np.isfinite(read).sum() > np.isfinite(best).sum():
            best = read
        if np.isfinite(best).sum() == n:
            break
    if np.isfinite(best).sum() == 0:
        return numbers.fill_null(np.nan).to_numpy()
    return best


def _read(days: pl.Series, form: str) -> np.ndarray:
    if form == "%Y-%m":
        days, form = days + "-01", "%Y-%m-%d"
    read = days.str.to_date(form, strict=False)
    return read.cast(pl.Int32).cast(pl.Float64).fill_null(np.nan).to_numpy()


def instant(text: str) -> float:
    """One point in time that a person typed (`2021`, `2021-06-01`, `365`) as a number; NaN if it does not read."""
    return float(instants(pl.Series([text]))[0])
