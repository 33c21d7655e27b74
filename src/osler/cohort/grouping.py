"""What must stay together: the connected components of the unit columns, and of cells that are the same thing twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from osler import registry
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column


def groups_of(cohort: Cohort) -> np.ndarray:
    """Codes of what must never be on both sides of a split.

    Rows that share a value of any unit column belong together, and so do rows joined through a chain of such rows (a
    patient seen under two numbers of which one is also in another family: connected components). A row without any
    unit is a unit of its own; so is every row of a cohort without unit columns. Rows that are the same thing in any sense
    of `identities_of` (one molecule as two salts) belong together too.

    Returns:
        (n,) int64 codes 0, 1, ... in order of first appearance.
    """
    columns = [cohort.table[c.name] for c in cohort.role("unit")]
    return join_codes(len(cohort), [codes_of(c) for c in [*columns, *identities_of(cohort).values()]])


def identities_of(cohort: Cohort) -> dict[str, pl.Series]:
    """Senses in which rows are the same thing: name → (n,) text that is equal for the same, null where unknown.

    A modality says in which senses two of its cells are the same (`Modality.identities`); plain tables have none. Where several
    inputs have senses (a molecule and a protein), rows are the same if they are in every one of these columns.
    """
    found = _senses(cohort)
    if len(found) < 2:
        return {f"{name}: {sense}": keys for name, senses in found.items() for sense, keys in senses.items()}
    codes = np.stack([_joined(senses) for senses in found.values()], axis=1)
    keys = [None if min(row) < 0 else "|".join(map(str, row)) for row in codes.tolist()]
    return {" + ".join(found): pl.Series(keys, dtype=pl.String)}


def things_of(cohort: Cohort) -> dict[str, np.ndarray]:
    """The two inputs that hold things in a table of pairs (a molecule and a protein), by name: (n,) codes of cells that are
    the same in any sense, −1 where missing. {} where not exactly two inputs hold things.
    """
    found = _senses(cohort)
    return {name: _joined(senses) for name, senses in found.items()} if len(found) == 2 else {}


def replicates_of(cohort: Cohort) -> np.ndarray:
    """(n,) codes of rows that measure one thing again, −1 where that is unknown and in tables that know no things.

    Rows repeat one another if every input is the same: things in the first, strictest sense of their modality, all other
    inputs by value.
    """
    found = _senses(cohort)
    if not found:
        return np.full(len(cohort), -1, dtype=np.int64)
    inputs = [c.name for c in cohort.role("input")]
    keys = [next(iter(found[name].values())) if name in found else cohort.table[name] for name in inputs]
    codes = np.stack([codes_of(k) for k in keys], axis=1)
    known = np.all([codes[:, i] >= 0 for i, name in enumerate(inputs) if name in found], axis=0)
    same = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
    return np.where(known, _by_appearance(same), -1)


def _senses(cohort: Cohort) -> dict[str, dict[str, pl.Series]]:
    """Input column → its senses of sameness, for the inputs that have any."""
    every = {c.name: _modality(c).identities(cohort.table[c.name], cohort.root) for c in cohort.role("input")}
    return {name: senses for name, senses in every.items() if senses}


def _modality(column: Column) -> object:
    index = registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index")
    return registry.load(index, "modalities", column.modality)()


def _joined(senses: dict[str, pl.Series]) -> np.ndarray:
    """(n,) codes of cells that are the same in any sense, −1 where all senses are unknown."""
    codes = [codes_of(keys) for keys in senses.values()]
    known = np.max(codes, axis=0) >= 0
    return np.where(known, join_codes(len(known), codes), -1)


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
        if (
            ((whole.cast(pl.Float64) == values).fill_null(False) | values.is_null() | values.is_nan())
            .fill_null(True)
            .all()
        ):
            values = whole
    return values.cast(pl.String).str.strip_chars()
