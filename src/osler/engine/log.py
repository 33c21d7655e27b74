"""A log of stages: times, counts and verdicts from a list of allowed fields, never a value of the table."""

from __future__ import annotations

import json
import os
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
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as out:
            out.write(line + "\n")
