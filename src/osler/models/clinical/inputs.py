"""The inputs of published scores: how a column is recognised, read and brought to the score's unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from osler.blocks import Block
from osler.cohort.column import Column
from osler.cohort.facts import FALSE_WORDS, TRUE_WORDS
from osler.errors import OptionError, nearest

_FEMALE = {"f", "female", "woman", "women", "w"}
_MALE = {"m", "male", "man", "men"}
_BLACK = {
    "black",
    "african american",
    "african-american",
    "aa",
    "black or african american",
    "africanamerican",
    "black/african american",
}


@dataclass(frozen=True)
class Input:
    """One input of a score.

    Attributes:
        name: the score's word for it.
        kind: "number", "yes" (1 or 0), "sex" (1 male, 0 female) or "race" (1 African American, 0 other).
        aliases: column names that mean it, compared without case, spaces and punctuation.
        units: unit → factor to the score's unit, which comes first with factor 1; empty for a number
            without units.
        low, high: the range the score was made for, in its unit.
        default: what an absent column means (0 for a disease that nobody has recorded), or None if it is
            needed.
    """

    name: str
    kind: str = "number"
    aliases: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)
    low: float = -np.inf
    high: float = np.inf
    default: float | None = None


def plain(name: str) -> str:
    """A name without case, spaces, punctuation and a trailing unit in brackets."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\(\[].*?[\)\]]", "", name.lower()))


def match(
    inputs: Iterable[Input], columns: Sequence[Column] | Sequence[str], named: Mapping[str, str]
) -> dict[str, str]:
    """Input name → column name, by what the user named and then by alias; targets and ignored columns are
    passed over.

    Raises:
        OptionError: the user named an input that the score has not.
    """
    inputs = list(inputs)
    unknown = set(named) - {i.name for i in inputs}
    if unknown:
        first = sorted(unknown)[0]
        raise OptionError(
            f"input must be one of the score's, was '{first}': {nearest(first, [i.name for i in inputs])}"
        )
    held = [
        c if isinstance(c, str) else c.name
        for c in columns
        if isinstance(c, str) or c.role in ("input", "treatment", "time")
    ]
    by_plain: dict[str, str] = {}
    for name in held:
        by_plain.setdefault(plain(name), name)
    found = {k: v for k, v in named.items() if v in held}
    for i in inputs:
        for alias in (i.name, *i.aliases):
            if i.name not in found and plain(alias) in by_plain and i.name not in named:
                found[i.name] = by_plain[plain(alias)]
    return found


def factor_of(i: Input, unit: str, x: np.ndarray) -> tuple[str, float]:
    """The unit a column is in and the factor to the score's unit.

    A unit that is not written is taken to be the first one in which the median lies inside the score's
    range.

    Raises:
        OptionError: the unit is written but is none that the score knows.
    """
    known = {_unit(u): (u, f) for u, f in i.units.items()}
    if unit:
        if _unit(unit) not in known:
            raise OptionError(f"unit of '{i.name}' must be one of {', '.join(i.units)}, was '{unit}'")
        return known[_unit(unit)]
    middle = float(np.nanmedian(x)) if np.isfinite(x).any() else np.nan
    for u, f in i.units.items():
        if i.low <= middle * f <= i.high:
            return u, f
    return next(iter(i.units.items()))


def read(i: Input, block: Block, marked: str, column: str) -> np.ndarray:
    """(n,) float64 of one input from its block; NaN where it is missing or not understood.

    Args:
        marked: for sex and race, the value that means male or African American ("" to go by words).
        column: its name, which may itself say what 1 means ("male", "female", "black").
    """
    codes = block.values[:, 0]
    if block.kinds and block.kinds[0] == "categorical":
        table = np.array([_meaning(i, level, marked) for level in block.levels[0]] + [np.nan])
        return table[np.where(np.isnan(codes), len(block.levels[0]), codes).astype(np.int64)]
    if i.kind in ("number", "yes"):
        return np.where(np.isfinite(codes), codes, np.nan)
    if marked:
        try:
            one = float(
                {**dict.fromkeys(TRUE_WORDS, "1"), **dict.fromkeys(FALSE_WORDS, "0")}.get(
                    marked.lower(), marked
                )
            )
        except ValueError:
            return np.full(len(codes), np.nan)
        return np.where(np.isnan(codes), np.nan, (codes == one).astype(np.float64))
    name = plain(column)
    says = {
        "sex": {"male": 1.0, "ismale": 1.0, "female": -1.0, "isfemale": -1.0},
        "race": {"black": 1.0, "africanamerican": 1.0},
    }
    sign = says[i.kind].get(name, 0.0)
    if sign == 0.0:
        return np.full(len(codes), np.nan)
    truth = np.where(np.isin(codes, (0.0, 1.0)), codes, np.nan)
    return truth if sign > 0 else 1.0 - truth


def _meaning(i: Input, level: str, marked: str) -> float:
    word = level.strip().lower()
    if i.kind == "number":
        try:
            return float(word)
        except ValueError:
            return np.nan
    if i.kind in ("sex", "race") and marked:
        return float(word == marked.strip().lower())
    if i.kind == "sex":
        return 1.0 if word in _MALE else 0.0 if word in _FEMALE else np.nan
    if i.kind == "race":
        return float(word in _BLACK)
    return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else np.nan


def _unit(text: str) -> str:
    return text.lower().replace(" ", "").replace("µ", "u").replace("μ", "u").replace("°", "")
