"""What a run keeps of its table so that its splits can be proved later: row numbers, keyed pseudonyms and hashes.

`splits.parquet` has one line per used row and no patient's value:

    row            source row number (1 = first data row)
    unit:NAME      keyed pseudonym of the row's value in each unit column, null where missing
    same:NAME      keyed pseudonym of what the row is, in each sense in which two rows may be the same thing
    thing:NAME     keyed pseudonym of the thing in each of the two columns of a table of pairs
    site           keyed pseudonym of the site, null where missing
    time           rank of the row's point in time (equal times share a rank), null where missing
    content        keyed hash of all predictors and outcomes of the row
    person         keyed name of the row's cluster of near duplicates, null for a row that resembles no other
    PART/REPEAT/FOLD   one column per split: train, test or neither
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.duplicates import Pairs, near_duplicates
from osler.cohort.grouping import identities_of, texts_of, things_of
from osler.cohort.instants import instants
from osler.cohort.split import Split, codes_of, components, join_codes, pseudonym, site_names

MEMBERSHIP = pl.Enum(["neither", "train", "test"])

#: Roles whose cells make a row's content; identifiers, sites, splits and predictions are not content.
CONTENT = ("input", "target", "event", "duration", "treatment")

_FIXED = ("row", "site", "time", "content", "person")


def rows_hash(rows: np.ndarray, key: bytes) -> str:
    """A keyed name for a set of rows: HMAC-SHA-256 (64 hex digits) over their sorted source row numbers (m,)."""
    ordered = np.sort(np.asarray(rows, dtype="<i8"))
    return hmac.new(key, ordered.tobytes(), hashlib.sha256).hexdigest()


def split_table(
    cohort: Cohort, splits: Sequence[Split], key: bytes, *, pairs: Pairs | None = None
) -> pl.DataFrame:
    """The table that `splits.parquet` holds, as drawn in this module's docstring.

    Args:
        cohort: the n used rows.
        splits: positions in this cohort.
        key: the run's key.
        pairs: near duplicates, if they were looked for already.
    """
    n = len(cohort)
    pairs = near_duplicates(cohort) if pairs is None else pairs
    columns = {"row": pl.Series(cohort.rows, dtype=pl.Int64)}
    for column in cohort.role("unit"):
        columns[f"unit:{column.name}"] = _pseudonyms(cohort.table[column.name], key)
    for name, keys in identities_of(cohort).items():
        columns[f"same:{name}"] = _pseudonyms(keys, key)
    for name, codes in things_of(cohort).items():
        columns[f"thing:{name}"] = _pseudonyms(pl.Series(codes).cast(pl.String).set(pl.Series(codes < 0), None), key)
    columns["site"] = _pseudonyms(pl.Series(site_names(cohort), dtype=pl.String), key)
    columns["time"] = _ranks(cohort, splits)
    columns["content"] = pl.Series([pseudonym(key, t) for t in content(cohort)], dtype=pl.String)
    columns["person"] = _persons(n, cohort.rows, pairs, key)
    for split in splits:
        code = np.zeros(n, dtype=np.uint8)
        code[split.train], code[split.test] = 1, 2
        columns[split.key] = pl.Series(np.array(MEMBERSHIP.categories)[code], dtype=pl.String).cast(MEMBERSHIP)
    return pl.DataFrame(columns)


def content(cohort: Cohort) -> list[str]:
    """One text per row that is equal for rows whose predictors and outcomes are all equal (n)."""
    names = [c.name for role in CONTENT for c in cohort.role(role)]
    if not names:
        return [f"row {r}" for r in cohort.rows]
    cells = []
    for name in sorted(names):
        values = cohort.table[name]
        if values.dtype.is_numeric():
            values = values.cast(pl.Float64).fill_nan(None)
        if values.dtype.is_nested():
            values = pl.Series([None if v is None else repr(v) for v in values.to_list()], dtype=pl.String)
        cells.append(values.cast(pl.String).fill_null("\x00").alias(name))
    return pl.DataFrame(cells).select(pl.concat_str(pl.all(), separator="\x1f")).to_series().to_list()


def _pseudonyms(values: pl.Series, key: bytes) -> pl.Series:
    codes = codes_of(values)
    text = texts_of(values).to_list()
    known: dict[int, str] = {-1: None}
    for at in np.unique(codes, return_index=True)[1]:
        if codes[at] >= 0:
            known[int(codes[at])] = pseudonym(key, text[at])
    return pl.Series([known[c] for c in codes.tolist()], dtype=pl.String)


def _ranks(cohort: Cohort, splits: Sequence[Split]) -> pl.Series:
    named = [s.by.partition(":")[2] for s in splits if s.by.startswith("time:")] + [c.name for c in cohort.role("time")]
    if not named:
        return pl.Series([None] * len(cohort), dtype=pl.Int64)
    at = instants(cohort.table[named[0]])
    ranks = np.unique(at, return_inverse=True)[1]
    return pl.Series([None if np.isnan(t) else int(r) for t, r in zip(at, ranks)], dtype=pl.Int64)


def _persons(n: int, rows: np.ndarray, pairs: Pairs, key: bytes) -> pl.Series:
    code = components(n, pairs.positions.T)
    size = np.bincount(code, minlength=code.max(initial=-1) + 1)
    first = {}
    for i in np.flatnonzero(size[code] > 1):
        first.setdefault(int(code[i]), pseudonym(key, f"cluster of row {rows[i]}"))
    return pl.Series([first.get(int(c)) for c in code], dtype=pl.String)


def splits_of(table: pl.DataFrame, by: dict[str, str] | None = None) -> list[Split]:
    """The splits that a split table holds; `by` (split key → how) comes from the certificate."""
    splits = []
    for name in table.columns:
        if name in _FIXED or name.startswith(("unit:", "same:", "thing:")) or name.count("/") < 2:
            continue
        part, repeat, fold = name.rsplit("/", 2)
        member = table[name].cast(pl.String)
        train, test = (np.flatnonzero((member == side).to_numpy()) for side in ("train", "test"))
        splits.append(Split(part, int(repeat), int(fold), train, test, (by or {}).get(name, "")))
    return splits


def unit_codes(table: pl.DataFrame) -> np.ndarray:
    """(n,) codes of the units of a split table, rebuilt from the pseudonyms of every unit column."""
    named = [c for c in table.columns if c.startswith("unit:")]
    return join_codes(table.height, [codes_of(table[c]) for c in named])


def table_hash(table: pl.DataFrame, key: bytes) -> str:
    """Keyed hash (64 hex digits) of a split table's names and values; one changed cell changes it."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for name in table.columns:
        cells = table[name].cast(pl.String).fill_null("\x00").to_list()
        digest.update(f"{name}\x1e".encode() + "\x1f".join(cells).encode() + b"\x1d")
    return digest.hexdigest()
