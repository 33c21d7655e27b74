"""What is counted once about a column, so that inference and checks do not count again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.cohort.numbers import floats

#: Words that stand for "no value" in text, in lower case. "none" is not one of them: it is often an answer.
MISSING_WORDS: frozenset[str] = frozenset({
    "", "?", ".", "-", "--", "na", "n/a", "n.a.", "nan", "null", "#n/a", "#na", "#null!", "<na>", "missing", "unk",
    "unknown", "not available", "not recorded", "not known",
})  # fmt: skip

TRUE_WORDS: frozenset[str] = frozenset({"1", "1.0", "yes", "y", "true", "t"})
FALSE_WORDS: frozenset[str] = frozenset({"0", "0.0", "no", "n", "false", "f"})

#: Distinct texts that are looked at one by one; counts are always over all rows.
SAMPLE = 20_000
#: Rows from which distinct fractional numbers are counted in a part only.
MANY = 200_000


def is_missing_word(values: pl.Series) -> pl.Series:
    """(n,) bool, true where a text value stands for "no value"; false where it is null already."""
    return values.str.strip_chars().str.to_lowercase().is_in(list(MISSING_WORDS)).fill_null(False)


@dataclass(frozen=True)
class Facts:
    """Counts over one column.

    Attributes:
        name: the header.
        n: rows.
        n_present: rows with a value that is no missing word.
        distinct: number of distinct present values; for fractional numbers in more than `MANY` rows a lower bound,
            counted in a part of the rows.
        words: distinct present texts without outer spaces, at most `SAMPLE` of them; None for other types.
        weights: rows of each of `words`.
        numbers: (m,) the present values as float64, NaN where one is no number; None if the column is neither numbers
            nor text. For text: one per distinct text in `words`.
        numeric: share of the present values that are finite numbers.
        whole: every finite number is whole.
        decimal: the decimal mark, "." or ",".
    """

    name: str
    n: int
    n_present: int
    distinct: int
    words: pl.Series | None
    weights: np.ndarray | None
    numbers: np.ndarray | None
    numeric: float
    whole: bool
    decimal: str = "."

    @property
    def finite(self) -> np.ndarray:
        """The finite numbers among `numbers`."""
        if self.numbers is None:
            return np.empty(0)
        return self.numbers if self.numeric == 1.0 else self.numbers[np.isfinite(self.numbers)]

    @property
    def is_unique(self) -> bool:
        """Whether no present value repeats."""
        return self.distinct == self.n_present

    @property
    def rows_per_value(self) -> float:
        """Mean number of rows that share a value."""
        return self.n_present / self.distinct if self.distinct else 0.0


def facts_of(values: pl.Series) -> Facts:
    """Count one column."""
    if values.dtype.is_nested() or values.dtype.is_temporal() or values.dtype == pl.Boolean:
        n_present = len(values) - values.null_count()
        distinct = 0 if values.dtype.is_nested() else values.drop_nulls().n_unique()
        return Facts(values.name, len(values), n_present, distinct, None, None, None, 0.0, False)
    if values.dtype.is_numeric():
        present = values.drop_nulls()
        present = present.filter(~present.is_nan()) if present.dtype.is_float() else present
        x = floats(present)
        finite = x[np.isfinite(x)] if present.dtype.is_float() else x
        share = finite.size / x.size if x.size else 0.0
        whole = bool((finite == np.floor(finite)).all()) and finite.size > 0
        some = present if whole or len(present) <= MANY else present.gather_every(len(present) // MANY + 1)
        return Facts(values.name, len(values), len(present), some.n_unique(), None, None, x, share, whole)
    return _of_text(values.cast(pl.String))


def _of_text(values: pl.Series) -> Facts:
    counts = values.drop_nulls().str.strip_chars().alias("word").value_counts(name="n")
    counts = counts.filter(~is_missing_word(counts["word"])).sort(["n", "word"], descending=[True, False])
    n_present, distinct = int(counts["n"].sum()), counts.height
    counts = counts.head(SAMPLE)
    words, weights = counts["word"], counts["n"].to_numpy().astype(np.float64)
    decimal, x = ".", floats(words)
    comma = words.str.contains(r"^-?\d+,\d{1,2}$|^-?\d{1,3}(\.\d{3})+,\d+$")
    if len(words) and float(weights[comma.to_numpy()].sum()) > 0.05 * weights.sum():
        decimal, x = ",", floats(words, ",")
    good = np.isfinite(x)
    share = float(weights[good].sum() / weights.sum()) if len(words) else 0.0
    whole = bool(good.any() and (x[good] == np.floor(x[good])).all())
    return Facts(values.name, len(values), n_present, distinct, words, weights, x, share, whole, decimal)
