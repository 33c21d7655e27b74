"""What each column is, from its values and its header, with the reason in words."""

from __future__ import annotations

import polars as pl

from osler.cohort.column import ROW, Column
from osler.cohort.finding import Finding

#: Words that stand for "no value" in text, in lower case. "none" is not one of them: it is often an answer.
MISSING_WORDS: frozenset[str] = frozenset({
    "", "?", ".", "-", "--", "na", "n/a", "n.a.", "nan", "null", "#n/a", "#na", "#null!", "<na>", "missing", "unk",
    "unknown", "not available", "not recorded", "not known",
})  # fmt: skip

TRUE_WORDS: frozenset[str] = frozenset({"1", "1.0", "yes", "y", "true", "t"})
FALSE_WORDS: frozenset[str] = frozenset({"0", "0.0", "no", "n", "false", "f"})


def is_missing_word(values: pl.Series) -> pl.Series:
    """(n,) bool, true where a text value stands for "no value"; false where it is null already."""
    return values.str.strip_chars().str.to_lowercase().is_in(list(MISSING_WORDS)).fill_null(False)


def infer(table: pl.DataFrame) -> tuple[list[Column], list[Finding]]:
    """The meaning of every column of a natively typed table (the reserved row column is passed over)."""
    return [_column(table[name]) for name in table.columns if name != ROW], []


def _column(values: pl.Series) -> Column:
    from osler.cohort import dates

    present = values.drop_nulls()
    n, k = len(present), present.n_unique()
    if n == 0:
        return Column(values.name, "category", "ignore", reason="every value is missing")
    if values.dtype == pl.Boolean:
        return Column(values.name, "boolean", reason="stored as true and false")
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return Column(values.name, "date", reason="stored as a date")
    if values.dtype.is_numeric():
        whole = bool((present == present.round(0)).all()) if present.dtype.is_float() else True
        if whole and set(present.unique().to_list()) <= {0, 1}:
            return Column(values.name, "boolean", reason="0 and 1 only")
        if whole and k <= 6 and n >= 20:
            return Column(values.name, "category", reason=f"{k} distinct whole numbers")
        return Column(values.name, "number", reason="numbers")
    text = present.cast(pl.String).str.strip_chars().str.to_lowercase()
    if set(text.unique().to_list()) <= TRUE_WORDS | FALSE_WORDS:
        return Column(values.name, "boolean", reason="yes and no only")
    if dates.parse(present.cast(pl.String), dates.formats_of(present.cast(pl.String))[0]).is_not_null().mean() > 0.95:
        return Column(values.name, "date", reason="text that reads as dates")
    if text.str.count_matches(r"\s+").mean() >= 3 and k > 0.5 * n:
        return Column(values.name, "text", reason="several words per value, few repeats")
    return Column(values.name, "category", reason=f"{k} distinct words")
