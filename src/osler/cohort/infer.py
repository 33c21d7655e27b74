"""What each column is, from its values and its header, with the reason in words.

The rules, first that applies (docs/reference/inference.md says the same for readers):

    no value at all                                              category, ignored
    stored as true/false; 0 and 1 only; yes and no words only    boolean
    stored as dates; text of which 95 % reads as dates           date
    numbers that fit a known clinical quantity by name and size  number, with its possible range
    numbers under a header that names a code (icd, zip, *_cd)    category
    text numbers with leading zeros                              category (a code, never arithmetic)
    at most 6 distinct whole numbers in at least 20 rows         category, unless the header names a count or grade
    numbers, or text of which 90 % reads as numbers              number
    SMILES or InChI, by spelling and by reading a sample         molecule (where the library for them is installed)
    chains of residues, or names of structure files              protein
    names of pictures, or of volumes, by their ends              image, volume
    lists of boxes, or names of files of boxes                   boxes
    several words per value that seldom repeat                   text
    anything else                                                category
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from osler.cohort import dates, molecules, physiology, proteins, scans
from osler.cohort.column import ROW, STRUCTURES, Column
from osler.cohort.columnchecks import structure_of
from osler.cohort.facts import FALSE_WORDS, MANY, MISSING_WORDS, TRUE_WORDS, Facts, facts_of, is_missing_word
from osler.cohort.finding import Finding
from osler.cohort.names import unit_of, words
from osler.cohort.roles import has_leading_zeros, role_of, settle_times, settle_units
from osler.cohort.tablechecks import near_duplicate_columns

__all__ = ["FALSE_WORDS", "MISSING_WORDS", "TRUE_WORDS", "infer", "is_missing_word"]

#: A column of whole numbers with at most this many distinct values, in at least `FEW_ROWS` rows, is a code.
FEW_LEVELS = 6
FEW_ROWS = 20

#: Share of impossible values (zeros aside) above which the unit is doubted and no value is changed.
UNCLEAR = 0.05

#: Headers of whole numbers whose order and distance mean something, however few they are.
ORDERED = frozenset({
    "count", "counts", "n", "no", "number", "nodes", "stage", "grade", "score", "scale", "index", "age", "years",
    "year", "days", "day", "weeks", "months", "hours", "hour", "visits", "visit", "parity", "gravida", "children",
    "pregnant",
    "pregnancies", "killip", "nyha", "asa", "ecog", "apgar", "gcs", "dose", "duration", "time", "size", "level",
    "nprevist", "kids", "births", "deaths", "cases", "tests", "times", "quantile", "decile", "quintile", "percent",
})  # fmt: skip

#: Words of headers whose numbers are codes.
CODES = frozenset({
    "icd", "icd9", "icd10", "icd9code", "icd10code", "code", "codes", "cpt", "ndc", "atc", "loinc", "snomed", "zip",
    "zipcode", "postcode", "postal", "cd", "drg", "gsn", "gtc", "diag", "diagnosis", "hiclseqno", "region", "fips",
})  # fmt: skip


def infer(table: pl.DataFrame) -> tuple[list[Column], list[Finding]]:
    """The meaning of every column of a table, and what was noticed on the way.

    Args:
        table: natively typed columns (numbers, booleans, dates, text); the reserved row column is passed over.

    Returns:
        One `Column` per table column, in table order, each with a `reason`; and findings about structure (constants,
        identifiers, mixed kinds, several date formats, columns that say the same). `osler.cohort.check.check` finds
        these again and more.
    """
    names = [name for name in table.columns if name != ROW]
    facts: dict[str, Facts] = {}
    columns = []
    for name in names:
        counted = facts_of(table[name])
        columns.append(_column(table[name], counted))
        # The numbers of one column at a time: a copy of a large table is not kept.
        facts[name] = replace(counted, numbers=None) if counted.words is None else counted
    columns = settle_times(settle_units(columns, facts))
    findings = [f for c in columns for f in structure_of(table[c.name], c, facts[c.name])]
    return columns, [*findings, *near_duplicate_columns(table, columns)]


def _column(values: pl.Series, facts: Facts) -> Column:
    column = _modality(values, facts)
    if column.modality in STRUCTURES and facts.distinct > 1:
        return column
    role, why = role_of(facts, column)
    if not role:
        return column
    if role in ("id", "unit"):
        return Column(facts.name, "category", role, reason=why)
    if facts.distinct == 1 and column.options.get("missing_codes"):
        why = f"every value is 0, which cannot be for {column.options['quantity']}: it was never measured"
    return column.with_(role=role, reason=why)


def _modality(values: pl.Series, facts: Facts) -> Column:
    name = facts.name
    if facts.n_present == 0 and not values.dtype.is_nested():
        return Column(name, "category", "ignore", reason="every value is missing")
    if values.dtype.is_nested():
        return Column(name, "text", "ignore", reason="a list or structure in every cell, which no modality here reads")
    if values.dtype == pl.Boolean:
        return Column(name, "boolean", reason="stored as true and false")
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return Column(name, "date", reason="stored as dates")
    if values.dtype.is_temporal():
        return Column(name, "category", "ignore", reason="a time of day or a duration, which no modality here reads")
    if facts.words is None:
        return _of_numbers(facts)
    return _of_text(facts)


def _of_numbers(facts: Facts) -> Column:
    is_pair = facts.whole and facts.distinct == 2 and facts.n_present >= FEW_ROWS
    known = None if is_pair else physiology.match(facts.name, _finite(facts))
    _, unit = unit_of(facts.name)
    distinct = set(facts.finite[:10_000].tolist())
    if facts.whole and distinct <= {0.0, 1.0} and facts.distinct <= 2 and not (known and facts.distinct == 1):
        return Column(facts.name, "boolean", reason="0 and 1 only")
    options: dict[str, object] = {"decimal": facts.decimal} if facts.decimal != "." else {}
    if known:
        return _quantity(facts, known, unit, options)
    compact = _compact_dates(facts)
    if compact:
        return compact
    parts = words(facts.name)
    if (
        facts.whole
        and not unit
        and (set(parts) & CODES or (parts and parts[-1] in ("id", "type") and facts.distinct <= 50))
    ):
        return Column(facts.name, "category", reason="whole numbers under a header that names a code")
    ordered = set(parts) & ORDERED or bool(unit) or (parts and parts[0] in ("num", "n", "number", "count"))
    if len(parts) == 1 and parts[0] in ("num", "n", "no"):
        ordered = False
    if facts.whole and facts.distinct <= FEW_LEVELS and facts.n_present >= FEW_ROWS and not ordered:
        reason = f"{facts.distinct} distinct whole numbers in {facts.n_present:,} rows: a code, as far as one can tell"
        return Column(facts.name, "category", reason=reason)
    more = " or more" if not facts.whole and facts.n_present > MANY else ""
    stored = "text that reads as numbers" if facts.words is not None else "numbers"
    if facts.numeric < 1.0:
        stored += f" in {facts.numeric:.1%} of the rows with a value"
    return Column(
        facts.name, "number", unit=unit, options=options, reason=f"{stored}, {facts.distinct:,}{more} distinct"
    )


def _quantity(facts: Facts, known: physiology.Match, unit: str, options: dict[str, object]) -> Column:
    low, high = known.possible
    options = {**options, "quantity": known.quantity.name, "quantity_unit": known.unit, "possible": [low, high]}
    reason = f"{known.quantity.name} by header and size, read as {known.unit or 'a plain number'}"
    if low > 0 and bool((facts.finite == 0).any()):
        options["missing_codes"] = [0.0]
        reason += "; 0 cannot be and counts as not measured"
    x = facts.finite[facts.finite != 0]
    if x.size and float(((x < low) | (x > high)).mean()) > UNCLEAR:
        options["impossible"] = "keep"
        reason += "; too many values are impossible in this unit, so none is changed"
    return Column(facts.name, "number", unit=unit, options=options, reason=reason)


def _compact_dates(facts: Facts) -> Column | None:
    x = facts.finite
    if not facts.whole or not x.size or x.min() < 18_000_101 or x.max() > 23_001_231:
        return None
    sample = pl.Series([str(int(v)) for v in x[:1000]])
    if dates.parse(sample, ["%Y%m%d"]).is_not_null().mean() < 0.95 or facts.distinct < 3:
        return None
    return Column(
        facts.name, "date", options={"formats": ["%Y%m%d"]}, reason="eight digits that read as year, month, day"
    )


def _of_text(facts: Facts) -> Column:
    lower = facts.words.str.to_lowercase()
    if set(lower.to_list()) <= TRUE_WORDS | FALSE_WORDS:
        return Column(facts.name, "boolean", reason="yes and no words only")
    codes = bool(set(words(facts.name)) & CODES)
    if has_leading_zeros(facts.words) and facts.numeric >= 0.9:
        return Column(facts.name, "category", reason="digits with leading zeros: a code, not a quantity")
    if facts.numeric >= 0.9 and not (codes and facts.numeric < 1.0):
        return _of_numbers(facts)
    named = scans.kind_of(facts)
    if named:
        what = {"image": "names of files of pictures", "volume": "names of files of volumes", "boxes": "boxes in JSON, or names of files of boxes"}[named]
        return Column(facts.name, named, reason=f"{what}, {facts.distinct:,} distinct")
    if molecules.is_molecules(facts):
        return Column(facts.name, "molecule", reason=f"text that reads as molecules, {facts.distinct:,} distinct")
    if proteins.is_proteins(facts):
        return Column(facts.name, "protein", reason=f"text that reads as proteins, {facts.distinct:,} distinct")
    head = facts.words.head(1000)
    formats, _ = dates.formats_of(head)
    share = float(dates.parse(head, formats).is_not_null().mean())
    if share >= 0.95:
        return Column(
            facts.name, "date", options={"formats": formats}, reason=f"text of which {share:.0%} reads as dates"
        )
    return _words_or_text(facts)


def _words_or_text(facts: Facts) -> Column:
    n_words = float((facts.words.str.count_matches(r"\s+") + 1).mean())
    length = float(facts.words.str.len_chars().mean())
    seldom = facts.distinct > 0.3 * facts.n_present or facts.distinct > 1000
    if facts.distinct >= 20 and ((n_words >= 4 and seldom) or length > 60):
        return Column(
            facts.name, "text", reason=f"{n_words:.0f} words per value on average, {facts.distinct:,} distinct"
        )
    if facts.distinct > 0.5 * facts.n_present and facts.n_present >= FEW_ROWS:
        reason = f"{facts.distinct:,} distinct words in {facts.n_present:,} rows: too few rows per word to learn from"
        return Column(facts.name, "category", "ignore", reason=reason)
    return Column(facts.name, "category", reason=f"{facts.distinct:,} distinct words in {facts.n_present:,} rows")


def _finite(facts: Facts) -> np.ndarray:
    """(m,) finite numbers, each as often as it occurs, so that shares are shares of rows."""
    if facts.words is None:
        return facts.finite
    x = facts.numbers.repeat(facts.weights.astype(np.int64).clip(max=1000))
    return x[np.isfinite(x)]
