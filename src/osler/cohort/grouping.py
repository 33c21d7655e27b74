"""What must stay together: the connected components of the unit columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort


def groups_of(cohort: Cohort) -> np.ndarray:
    """Codes of what must never be on both sides of a split.

    Rows that share a value of any unit column belong together, and so do rows joined through a chain of such rows (a
    patient seen under two numbers of which one is also in another family: connected components). A row without any
    unit is a unit of its own; so is every row of a cohort without unit columns.

    Returns:
        (n,) int64 codes 0, 1, ... in order of first appearance.
    """
    columns = [cohort.table[c.name] for c in cohort.role("unit")]
    return join_codes(len(cohort), [codes_of(c) for c in columns])


def codes_of(values: pl.Series) -> np.ndarray:
    """(n,) int64 codes of equal values, −1 where missing; texts that differ in outer blanks only are equal."""
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        values = values.cast(pl.String).str.strip_chars()
        values = pl.select(pl.when(values != "").then(values)).to_series()
    if values.dtype.is_numeric():
        x = values.cast(pl.Float64).fill_null(np.nan).to_numpy() if values.dtype.is_float() else _whole(values)
        known = ~np.isnan(x) if x.dtype.kind == "f" else values.is_not_null().to_numpy()
        codes = np.full(len(x), -1, dtype=np.int64)
        codes[known] = np.unique(x[known], return_inverse=True)[1]
        return codes
    missing = values.is_null()
    codes = values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    return np.where(missing.to_numpy(), -1, codes)


def join_codes(n: int, codes: Sequence[np.ndarray]) -> np.ndarray:
    """Connected components of n rows that are joined by equal codes (−1 joins nothing).

    Returns:
        (n,) int64 codes in order of first appearance.
    """
    if len(codes) == 0:
        return np.arange(n, dtype=np.int64)
    edges = []
    for code in codes:
        order = np.argsort(code, kind="stable")
        same = (code[order][1:] == code[order][:-1]) & (code[order][1:] >= 0)
        edges.append(np.stack([order[:-1][same], order[1:][same]]))
    return components(n, np.concatenate(edges, axis=1))


def components(n: int, edges: np.ndarray) -> np.ndarray:
    """Connected components of n rows and `edges` (2, m) between their positions: (n,) codes by first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(edges.shape[1], dtype=bool), (edges[0], edges[1])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1] if n else np.empty(0, dtype=np.int64)
    return _by_appearance(labels)


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _whole(values: pl.Series) -> np.ndarray:
    """Whole numbers (n,) without a loss of digits (record numbers exceed what a float holds); 0 where missing."""
    return values.fill_null(0).to_numpy()


def texts_of(values: pl.Series) -> pl.Series:
    """Values as texts (n) that are the same in every file: without outer blanks, whole floats without their '.0'."""
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        if ((whole.cast(pl.Float64) == values).fill_null(False) | values.is_null() | values.is_nan()).fill_null(True).all():
            values = whole
    return values.cast(pl.String).str.strip_chars()
