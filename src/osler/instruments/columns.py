"""What every instrument needs from a cohort: which columns, and as what plain numbers or words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.facts import FALSE_WORDS, TRUE_WORDS, is_missing_word
from osler.errors import ColumnError, OptionError

#: Modalities that a table of numbers and classes is made of.
PLAIN = ("number", "boolean", "category")


def pick(cohort: Cohort, names: Sequence[str], modalities: Iterable[str] = PLAIN) -> list[Column]:
    """The named columns, or all of role input whose modality fits.

    Raises:
        ColumnError: a name is not in the table or of another modality, or nothing fits.
    """
    fitting = tuple(modalities)
    if names:
        columns = [cohort.column(name) for name in names]
        for column in columns:
            if column.modality not in fitting:
                wanted = ", ".join(fitting)
                raise ColumnError(
                    f"column '{column.name}' must be one of {wanted}, it is {column.modality}", "column-kind"
                )
        return columns
    columns = [c for c in cohort.role("input") if c.modality in fitting]
    if not columns:
        raise ColumnError(
            f"the table must have an input column of kind {' or '.join(fitting)}, it has none: name columns"
        )
    return columns


def numbers(values: pl.Series) -> np.ndarray:
    """(n,) float64, NaN where missing, infinite or not a number."""
    out = values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    return np.where(np.isfinite(out), out, np.nan)


def words(values: pl.Series) -> np.ndarray:
    """(n,) str, "" where missing; whole numbers without a decimal point."""
    if values.dtype.is_float():
        whole = values.drop_nulls().drop_nans()
        if len(whole) and (whole == whole.round(0)).all() and whole.abs().max() < 2**53:
            values = values.fill_nan(None).cast(pl.Int64)
        else:
            values = values.fill_nan(None)
    text = values.cast(pl.String).str.strip_chars().fill_null("")
    return (
        text.zip_with(~is_missing_word(text), pl.Series([""] * len(text), dtype=pl.String))
        .to_numpy()
        .astype(str)
    )


def yes(values: pl.Series) -> np.ndarray:
    """(n,) float64 of 1, 0 and NaN for true, false and missing (or neither)."""
    if values.dtype == pl.Boolean:
        values = values.cast(pl.Int8)
    lower = np.char.lower(words(values))
    return np.where(
        np.isin(lower, list(TRUE_WORDS)), 1.0, np.where(np.isin(lower, list(FALSE_WORDS)), 0.0, np.nan)
    )


def missing(values: pl.Series) -> np.ndarray:
    """(n,) bool, true where there is no value: null, NaN, or a word for missing."""
    if values.dtype == pl.String:
        return (values.is_null() | is_missing_word(values.fill_null(""))).to_numpy()
    empty = values.is_null()
    return (empty | values.is_nan().fill_null(False) if values.dtype.is_float() else empty).to_numpy()


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse an option outside its range.

    Raises:
        OptionError: it is outside.
    """
    if not low <= value <= high:
        raise OptionError(f"option '{name}' must be between {low:g} and {high:g}, was {value:g}")


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse an option that is none of a few words.

    Raises:
        OptionError: it is another word.
    """
    if value not in allowed:
        raise OptionError(f"option '{name}' must be one of {', '.join(allowed)}, was '{value}'")
