"""What a screen is after: limits on columns, and one score out of what is to be large or small."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from osler.errors import ColumnError, OptionError, nearest

_LIMIT = re.compile(r"^\s*(.+?)\s*(<=|>=|==|=|<|>)\s*([^<>=]+?)\s*$")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "==": operator.eq,
}  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """One condition, such as `herg_prob_1<0.2` or `ames_pred=0`; a missing value does not meet it."""

    column: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.sign}{self.value}"

    def holds(self, row: dict[str, Any]) -> bool:
        """Whether a row meets it."""
        held = row[self.column]
        if held is None or (isinstance(held, float) and math.isnan(held)):
            return False
        if isinstance(held, bool):
            return _COMPARE[self.sign](held, self.value.lower() in ("true", "1", "yes"))
        if isinstance(held, (int, float)):
            return _COMPARE[self.sign](held, float(self.value))
        return _COMPARE[self.sign](str(held), self.value)


@dataclass(frozen=True)
class Aim:
    """A column that shall be large or small.

    Attributes:
        column: its name. sign: 1 for large, -1 for small.
        worst, best: where its desirability is 0 and 1; None where the column alone is the score.
    """

    column: str
    sign: int
    worst: float | None = None
    best: float | None = None

    def value(self, row: dict[str, Any]) -> float:
        """The value itself (turned so that more is better), or its desirability from 0 to 1; NaN if it is missing."""
        held = row[self.column]
        held = math.nan if held is None else float(held)
        if self.worst is None or self.best is None:
            return self.sign * held
        if math.isnan(held):
            return held
        return min(max((held - self.worst) / (self.best - self.worst), 0.0), 1.0)


def limits_of(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Conditions as typed.

    Raises:
        OptionError: a text that is no condition.
    """
    found = []
    for text in texts:
        parts = _LIMIT.match(text)
        if not parts:
            raise OptionError(f"want must be COLUMN, one of < <= > >= =, and a value, such as 'herg_prob_1<0.2', was '{text}'")
        found.append(Limit(*parts.groups()))
    return tuple(found)


def aims_of(maximise: Sequence[str], minimise: Sequence[str]) -> tuple[Aim, ...]:
    """Aims as typed: COLUMN alone, or COLUMN:WORST:BEST where there are several.

    Raises:
        OptionError: a text that is no aim, a range the wrong way round, or several aims without ranges.
    """
    aims = [_aim(t, 1, "maximise") for t in maximise] + [_aim(t, -1, "minimise") for t in minimise]
    for aim in aims:
        if len(aims) > 1 and aim.best is None:
            raise OptionError(
                f"of several aims each must say where it is worst and best, '{aim.column}' does not: write {aim.column}:WORST:BEST"
            )
    return tuple(aims)


def _aim(text: str, sign: int, option: str) -> Aim:
    name, *ends = text.split(":")
    if not ends:
        return Aim(name.strip(), sign)
    try:
        worst, best = (float(end) for end in ends)
    except ValueError as error:
        raise OptionError(f"{option} must be COLUMN or COLUMN:WORST:BEST with two numbers, was '{text}'") from error
    if not (best - worst) * sign > 0:
        raise OptionError(f"{option} must have its best value {'above' if sign > 0 else 'below'} its worst, was '{text}'")
    return Aim(name.strip(), sign, worst, best)


def score(aims: Sequence[Aim], row: dict[str, Any]) -> float:
    """One aim's value, or the geometric mean of the desirabilities of several; NaN where one is missing.

    Source: G. Derringer, R. Suich, Simultaneous optimization of several response variables. J Qual Technol 12:214 (1980).
    """
    values = [aim.value(row) for aim in aims]
    if len(values) == 1:
        return values[0]
    return math.prod(values) ** (1.0 / len(values))


def check(limits: Sequence[Limit], aims: Sequence[Aim], row: dict[str, Any]) -> None:
    """Whether every condition and aim fits the columns of a row, told before the library is read.

    Raises:
        ColumnError: a column that the screen does not make; the nearest is suggested.
        OptionError: a number is wanted of what is no number.
    """
    for column in (*(limit.column for limit in limits), *(aim.column for aim in aims)):
        if column not in row:
            raise ColumnError(f"a wanted column must be one that the screen makes, was '{column}': {nearest(column, row)}")
    for aim in aims:
        if isinstance(row[aim.column], str):
            raise OptionError(f"an aim must be a column of numbers, '{aim.column}' holds words: state a want such as {aim.column}=...")
    for limit in limits:
        held = row[limit.column]
        if isinstance(held, (int, float)) and not isinstance(held, bool) and not _is_number(limit.value):
            raise OptionError(f"want '{limit}' must compare a number with a number, it does not")
        if isinstance(held, (str, bool)) and limit.sign not in ("=", "=="):
            raise OptionError(f"want '{limit}' must ask with = for a column of words or yes and no, it asks with {limit.sign}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
