"""Findings about several columns or rows at once: duplicates, classes, size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from osler.cohort.column import PLAIN, Column
from osler.cohort.finding import Finding, count
from osler.cohort.numbers import floats

#: Rows looked at for columns that say the same.
SAMPLE_ROWS = 20_000
#: Pearson correlation from which two numbers are one.
SAME = 0.999
_MAX_COLUMNS = 2_000


def near_duplicate_columns(table: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Pairs of inputs that are linear in one another (|r| ≥ 0.999) or the same up to the names of their levels."""
    used = [c for c in columns if c.role in ("input", "target", "treatment", "event")][:_MAX_COLUMNS]
    sample = table.gather_every(max(1, table.height // SAMPLE_ROWS))
    pairs = [*_linear_pairs(sample, used), *_recoded_pairs(sample, used)]
    seen: set[frozenset[str]] = set()
    findings = []
    for first, second, how in pairs:
        if frozenset((first, second)) in seen:
            continue
        seen.add(frozenset((first, second)))
        message = f"'{first}' and '{second}' say the same: {how}"
        advice = f"leave '{second}' out of --input, or keep both and read their importances together"
        findings.append(Finding("near-duplicate-columns", "warning", second, table.height, message, advice))
    return findings


def _linear_pairs(sample: pl.DataFrame, used: list[Column]) -> list[tuple[str, str, str]]:
    names = [c.name for c in used if c.modality == "number"]
    if len(names) < 2 or sample.height < 10:
        return []
    x = np.column_stack([floats(sample[n]) for n in names])
    x[~np.isfinite(x)] = np.nan
    present = ~np.isnan(x)
    enough = present.sum(axis=0) >= 10
    filled = np.where(present, x, np.nanmean(np.where(enough, x, 0.0), axis=0))
    spread = filled.std(axis=0)
    z = (filled - filled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    near = np.abs(z.T @ z) / len(z)
    share = present.mean(axis=0)
    both_share = (present.T.astype(np.float64) @ present) / len(x)
    expected = both_share / np.sqrt(np.outer(np.maximum(share, 1e-9), np.maximum(share, 1e-9)))
    out = []
    for i, j in zip(*np.nonzero(np.triu(near > 0.9 * expected, 1))):  # filling gaps with the mean weakens r so much
        both = present[:, i] & present[:, j]
        if not (enough[i] and enough[j]) or both.sum() < max(10, 0.5 * max(present[:, i].sum(), present[:, j].sum())):
            continue
        a, b = x[both, i], x[both, j]
        if a.std() > 0 and b.std() > 0 and abs(np.corrcoef(a, b)[0, 1]) >= SAME:
            out.append((names[i], names[j], "their correlation is 0.999 or more"))
    return out


def _recoded_pairs(sample: pl.DataFrame, used: list[Column]) -> list[tuple[str, str, str]]:
    by_pattern: dict[tuple[int, bytes], list[str]] = {}
    for column in used:
        if column.modality not in ("category", "boolean"):
            continue
        codes = _first_seen_codes(sample[column.name])
        k = int(codes.max(initial=-1)) + 1
        if k >= 2 and sample.height >= 10:
            by_pattern.setdefault((k, codes.tobytes()), []).append(column.name)
    return [
        (names[0], other, "each level of one is one level of the other")
        for names in by_pattern.values()
        for other in names[1:]
    ]


def _first_seen_codes(values: pl.Series) -> np.ndarray:
    """(n,) int32: values numbered in the order of their first row, -1 where missing."""
    seen = values.drop_nulls().unique(maintain_order=True)
    if not len(seen):
        return np.full(len(values), -1, dtype=np.int32)
    place = pl.Series(np.arange(len(seen), dtype=np.int32))
    codes = values.replace_strict(seen, place, default=None, return_dtype=pl.Int32)
    return codes.fill_null(-1).to_numpy().astype(np.int32)


def duplicate_rows(table: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Rows that are the same in every column but identifiers and units."""
    names = [c.name for c in columns if c.role not in ("id", "unit", "split") and not table[c.name].dtype.is_nested()]
    n_full = sum(c.role in ("input", "target") for c in columns)
    if len(names) < 2 or n_full < 2 or not table.height:
        return []
    rows = table.select(names)
    doubled = rows.filter(rows.hash_rows(seed=0).is_duplicated())
    doubled = doubled.filter(doubled.is_duplicated())
    n = doubled.height
    if not n:
        return []
    groups = doubled.n_unique()
    message = f"{n:,} rows form {count(groups, 'group')} of rows that are the same in every column but the identifiers"
    advice = "ask whether one person was entered twice; rows of one --unit never fall on both sides of a split"
    return [Finding("duplicate-rows", "warning", "", n, message, advice)]


def size_of(table: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Whether there are fewer than ten rows per input."""
    inputs = sum(c.role == "input" for c in columns)
    if not inputs or table.height >= 10 * inputs:
        return []
    message = f"{table.height:,} rows for {inputs:,} inputs: below ten rows per input, results will vary widely"
    return [Finding("few-rows", "warning", "", table.height, message, "--input with fewer columns, or more rows")]


def target_of(table: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Missing targets and classes of very different size."""
    findings = []
    for column in columns:
        if column.role != "target":
            continue
        values = table[column.name]
        missing = values.null_count()
        if missing:
            message = (
                f"target '{column.name}' is missing in {missing:,} of {len(values):,} rows, which cannot be learnt from"
            )
            findings.append(Finding("target-missing", "warning", column.name, missing, message))
        present = values.drop_nulls()
        if column.modality not in (*PLAIN, "text"):
            continue
        if (column.modality == "number" and present.n_unique() > 20) or values.dtype.is_nested() or not len(present):
            continue
        counts = present.value_counts()["count"]
        smallest, largest = int(counts.min()), int(counts.max())
        if len(counts) > 1 and (smallest < 20 or smallest < 0.1 * len(present)):
            size = f"{smallest:,}" if smallest >= 10 else "fewer than 10"
            sizes = f"the smallest has {size} rows, the largest {largest:,}"
            message = f"target '{column.name}' has {len(counts)} classes; {sizes}"
            advice = "class weights and thresholds handle this; nothing is resampled"
            findings.append(Finding("class-balance", "note", column.name, smallest, message, advice))
    return findings
