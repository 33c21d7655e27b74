"""A log of stages: times, counts and verdicts from a list of allowed fields, never a value of the table."""

from __future__ import annotations

import json
import time
from pathlib import Path

#: The only fields that a line may hold; all are counts, names of stages or verdicts.
ALLOWED = frozenset({"rows", "units", "splits", "count", "verdict", "status", "model", "milliseconds", "code", "route"})


class Log:
    """Appends one JSON object per line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **fields: int | float | str) -> None:
        """One line: the time, the event, and allowed fields.

        Raises:
            AssertionError: a field is not allowed (a programming error).
        """
        strangers = set(fields) - ALLOWED
        if strangers:
            raise AssertionError(f"log fields not allowed: {sorted(strangers)}")
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": event, **fields})
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
