"""One thing that was noticed about a table, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("note", "warning", "stop")


@dataclass(frozen=True)
class Finding:
    """A finding about a table or a column.

    Attributes:
        code: stable name, a key of `osler.cohort.check.FINDINGS`.
        severity: "note" (good to know), "warning" (look at it) or "stop" (a result would not be believable).
        column: the column, or "" for the whole table.
        n: rows (or cells, levels) concerned.
        message: one sentence without any patient's value.
        advice: what to do, as an option that can be typed.
    """

    code: str
    severity: str
    column: str
    n: int
    message: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise AssertionError(self.severity)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return asdict(self)
