"""pandas and pyarrow tables as polars tables; neither library is imported here, the object brings its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from osler.cohort.headers import checked
from osler.errors import ReadError


def to_polars(frame: Any) -> pl.DataFrame:
    """A pandas DataFrame, a pyarrow Table or RecordBatch, or a mapping of name to values as a polars table.

    A pandas index with a name becomes columns; one without is dropped. Object columns become text unless every value
    is a number or a boolean.

    Raises:
        ReadError: it is something else.
    """
    library = type(frame).__module__.split(".")[0]
    if library == "pandas" and hasattr(frame, "columns"):
        return _of_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    if isinstance(frame, dict):
        return pl.DataFrame(frame, strict=False)
    raise ReadError(
        f"a table must be a path, a database address or a polars, pandas or pyarrow table, was {type(frame).__name__}"
    )


def _of_pandas(frame: Any) -> pl.DataFrame:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(n) for n in frame.columns]
    if len(set(names)) != len(names):
        checked(names, "the table")
    return pl.DataFrame([_column(name, frame.iloc[:, i]) for i, name in enumerate(names)])


def _column(name: str, values: Any) -> pl.Series:
    kind = str(values.dtype)
    if kind.startswith("datetime64"):
        values = values.dt.tz_localize(None) if getattr(values.dtype, "tz", None) is not None else values
        return pl.Series(name, values.to_numpy().astype("datetime64[us]"))
    missing = values.isna().to_numpy()
    if not missing.any() and values.dtype.kind in "iufb" and kind == kind.lower():
        return pl.Series(name, values.to_numpy())
    found = [None if absent else _plain(value) for value, absent in zip(values.to_list(), missing)]
    kinds = {type(v) for v in found if v is not None}
    if kinds and all(issubclass(k, bool) for k in kinds):
        return pl.Series(name, found, dtype=pl.Boolean)
    if (
        kinds
        and all(issubclass(k, int) and k is not bool for k in kinds)
        and all(v is None or abs(v) < 2**63 for v in found)
    ):
        return pl.Series(name, found, dtype=pl.Int64)
    if kinds and all(issubclass(k, (int, float)) and k is not bool for k in kinds):
        return pl.Series(name, [None if v is None else float(v) for v in found], dtype=pl.Float64)
    if kinds and all(hasattr(k, "isoformat") for k in kinds):
        return pl.Series(name, found, strict=False)
    return pl.Series(name, [None if v is None else str(v) for v in found], dtype=pl.String)


def _plain(value: Any) -> Any:
    """A numpy number, text or truth value as Python's own; anything else as it is."""
    return (
        value.item()
        if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64))
        else value
    )
