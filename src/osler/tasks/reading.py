"""Target columns as plain values: labels, numbers, units, weights, and why a row cannot be used."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import TargetError

#: Words that mean "it is so"; compared in lower case.
YES = frozenset({
    "yes", "y", "true", "t", "1", "positive", "pos", "present", "presence", "case", "dead", "died",
    "death", "deceased", "event", "diseased", "disease", "sick", "ill", "malignant", "abnormal",
    "readmitted", "relapse", "relapsed", "recurrence", "recurred", "progression", "progressed", "failure",
    "failed", "affected", "exposed", "detected", "reactive", "responder", "complication", "toxic",
    "active", "ja", "oui", "si",
})  # fmt: skip
#: Words that mean "it is not so".
NO = frozenset({
    "no", "n", "false", "f", "0", "negative", "neg", "absent", "absence", "control", "alive", "survived",
    "survivor", "censored", "healthy", "benign", "normal", "none", "unaffected", "unexposed",
    "undetected", "inactive", "non-reactive", "nonresponder", "nein", "non", "never",
})  # fmt: skip

_COMPARISON = re.compile(r"^\s*(>=|<=|==|!=|>|<|=)\s*(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*$")
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Comparison:
    """A rule such as `>0` that turns a number into yes or no."""

    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Comparison | None:
        """The rule in a text, or None if it is not one."""
        found = _COMPARISON.match(text)
        if not found:
            return None
        return cls("==" if found[1] == "=" else found[1], float(found[2]))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Apply the rule to numbers (n,); NaN gives false."""
        compare = {
            ">": np.greater,
            ">=": np.greater_equal,
            "<": np.less,
            "<=": np.less_equal,
            "==": np.equal,
            "!=": np.not_equal,
        }
        return compare[self.sign](values, self.bound) & ~np.isnan(values)

    @property
    def names(self) -> tuple[str, str]:
        """Class names (negative, positive): ("<=0", ">0")."""
        return f"{_OPPOSITE[self.sign]}{self.bound:g}", f"{self.sign}{self.bound:g}"


def target_columns(cohort: Cohort, role: str = "target") -> tuple[Column, ...]:
    """The columns of a role.

    Raises:
        TargetError: none is declared.
    """
    columns = cohort.role(role)
    if not columns:
        raise TargetError(
            f"a {role} column must be declared, none was: name it with --{role} or osler.read(..., "
            f"{role}=...)",
            "target-absent",
        )
    return columns


def one_target(cohort: Cohort) -> Column:
    """The only target column.

    Raises:
        TargetError: none or several are declared.
    """
    columns = target_columns(cohort)
    if len(columns) > 1:
        names = ", ".join(f"'{c.name}'" for c in columns[:5])
        raise TargetError(
            f"this task needs one target column, {len(columns)} were declared ({names}): name one, or ask "
            "for --task multilabel",
            "target-absent",
        )
    return columns[0]


def label(value: object) -> str:
    """One stored value as a class name: 1, 1.0 and "1" are the same label."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    text = str(value).strip()
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text


def labels(cohort: Cohort, column: Column) -> np.ndarray:
    """(n,) object array of class names (through the column's coding), None where missing."""
    series = cohort.values(column.name)
    unique = series.unique(maintain_order=True).to_list()
    gone = {label(v) for v in column.options.get("missing_codes", ())}
    coding = {label(k): v for k, v in column.coding.items()}
    names: dict[object, str | None] = {}
    for value in unique:
        text = None if value is None or (isinstance(value, float) and np.isnan(value)) else label(value)
        names[value] = None if text is None or text == "" or text in gone else coding.get(text, text)
    out = [names.get(v) if v == v else None for v in series.to_list()]
    return np.array(out, dtype=object)


def numbers(cohort: Cohort, column: Column) -> np.ndarray:
    """(n,) float64; NaN where missing, a code for "not measured", not a number, or infinite."""
    series = cohort.values(column.name)
    if series.dtype == pl.String:
        series = series.str.strip_chars()
    values = series.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    for code in column.options.get("missing_codes", ()):
        try:
            values = np.where(values == float(code), np.nan, values)
        except (TypeError, ValueError):
            continue
    return np.where(np.isfinite(values), values, np.nan)


def is_missing(cohort: Cohort, column: Column) -> np.ndarray:
    """(n,) bool: no usable value in this column."""
    if column.modality == "number" or cohort.values(column.name).dtype.is_numeric():
        return np.isnan(numbers(cohort, column))
    return np.array([v is None for v in labels(cohort, column)], dtype=bool)


def weights(cohort: Cohort) -> np.ndarray | None:
    """(n,) case weights of the column with role `weight`, or None; a weight below 0 is NaN."""
    columns = cohort.role("weight")
    if not columns:
        return None
    values = numbers(cohort, columns[0])
    return np.where(values >= 0, values, np.nan)


def units(cohort: Cohort) -> np.ndarray:
    """(n,) int64 codes of the unit of independence; a row without a unit is a unit of its own."""
    from osler.cohort.split import groups_of

    return groups_of(cohort)


def row_list(cohort: Cohort, mask: np.ndarray, most: int = 5) -> str:
    """The source row numbers where `mask` is true, as words for a message."""
    rows = cohort.rows[mask]
    shown = ", ".join(str(int(r)) for r in rows[:most])
    return (
        f"row{'s' if len(rows) != 1 else ''} "
        f"{shown}{f' and {len(rows) - most} more' if len(rows) > most else ''}"
    )


def need_complete(cohort: Cohort, name: str, missing: np.ndarray) -> None:
    """Refuse rows that should have been taken out before.

    Raises:
        TargetError: some target values are missing.
    """
    if missing.any():
        raise TargetError(
            f"target '{name}' must have a value in every row that is used, is missing in "
            f"{row_list(cohort, missing)}: keep only rows where Task.usable(cohort) is true",
            "target-rows",
        )


def need_units(cohort: Cohort, name: str, usable: np.ndarray, least: int = 2) -> None:
    """Refuse a table with too little to learn from.

    Raises:
        TargetError: fewer than `least` units have a usable target.
    """
    n = len(np.unique(units(cohort)[usable]))
    if n < least:
        raise TargetError(
            f"target '{name}' must be known for at least {least} independent units, is known for {n}: add "
            "patients or name another target",
            "target-rows",
        )
