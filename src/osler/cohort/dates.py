"""Dates as they are written: the known formats, which one a column uses, and reading values by it."""

from __future__ import annotations

import polars as pl

#: Formats in the order of trust. Each is tried on whole values; two-digit years are not guessed at.
FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ",
    "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%m/%d/%Y %H:%M", "%d-%m-%Y", "%m-%d-%Y",
    "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip

#: Pairs that read the same text in two ways; only a day above 12 tells them apart.
AMBIGUOUS = {"%d/%m/%Y": "%m/%d/%Y", "%d/%m/%Y %H:%M": "%m/%d/%Y %H:%M", "%d-%m-%Y": "%m-%d-%Y"}

#: Years outside these are a typing error or a code, not a date of care.
YEARS = (1800, 2300)


def parse(values: pl.Series, formats: tuple[str, ...] | list[str]) -> pl.Series:
    """Values (n,) as Datetime (microseconds, no zone) by the first format that reads each; null where none does."""
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if values.dtype.is_integer() and list(formats) == ["%Y%m%d"]:
        values = values.cast(pl.String)
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    text = values.str.strip_chars()
    if not len(formats):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    out = pl.select(pl.coalesce([_one(text, f) for f in formats])).to_series()
    year = out.dt.year()
    return pl.select(pl.when((year >= YEARS[0]) & (year <= YEARS[1])).then(out)).to_series().rename(values.name)


def formats_of(values: pl.Series) -> tuple[list[str], bool]:
    """The formats that a text column uses, commonest first, and whether day and month could not be told apart.

    A value counts for the first format that reads it. Of an ambiguous pair the one that reads more values stays.
    """
    text = values.drop_nulls().str.strip_chars()
    left, found = text, []
    unclear = False
    for form in FORMATS:
        if form in AMBIGUOUS.values() or not len(left):
            continue
        form, unclear_here = _day_or_month_first(left, form)
        done = _one(left, form).is_not_null()
        if done.any():
            found.append((int(done.sum()), form))
            unclear |= unclear_here
            left = left.filter(~done)
    return [f for _, f in sorted(found, key=lambda pair: -pair[0])], unclear


def _day_or_month_first(text: pl.Series, form: str) -> tuple[str, bool]:
    other = AMBIGUOUS.get(form)
    if other is None:
        return form, False
    n_day, n_month = int(_one(text, form).is_not_null().sum()), int(_one(text, other).is_not_null().sum())
    return (other, False) if n_month > n_day else (form, n_day == n_month and n_day > 0)


def _one(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, strict=False, time_unit="us", exact=True)
