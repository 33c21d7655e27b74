"""What a run has done: a journal that survives a kill, then a ledger of counts and a report without values."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

from osler.cohort.atomic import write_atomic
from osler.errors import OptionError

JOURNAL = ".deid-journal.jsonl"


class Journal:
    """One line per finished file, so that the same command goes on where it was stopped.

    Args:
        folder: the output folder.
        settings: what the run was asked for; another run into the same folder must ask for the same.

    Raises:
        OptionError: the folder holds a run with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._path = folder / JOURNAL
        self.lines: dict[str, dict[str, Any]] = {}
        known = json.dumps(settings, sort_keys=True)
        if self._path.exists():
            kept = [line for line in map(_line, self._path.read_bytes().split(b"\n")) if line is not None]
            if not kept or json.dumps(kept[0].get("settings"), sort_keys=True) != known:
                raise OptionError(
                    f"option 'out' must be a new folder or one of the same settings and key, '{folder.name}' has others: name another"
                )
            self.lines = {line["file"]: line for line in kept[1:]}
            body = b"".join(json.dumps(line).encode() + b"\n" for line in kept)
            write_atomic(self._path, body)
        else:
            write_atomic(self._path, json.dumps({"settings": settings}).encode() + b"\n")
        self._out = self._path.open("ab")

    def add(self, mark: str, outcome: str, name: str, counts: Counter[tuple[str, str]]) -> None:
        """A file is finished; its line is on disk when this returns."""
        line = {"file": mark, "outcome": outcome, "name": name, "counts": [[*k, n] for k, n in sorted(counts.items())]}
        self.lines[mark] = line
        self._out.write(json.dumps(line).encode() + b"\n")
        self._out.flush()

    def close(self) -> None:
        """No more lines."""
        self._out.close()

    def outcomes(self) -> Counter[str]:
        """Outcome → files."""
        return Counter(line["outcome"] for line in self.lines.values())

    def counts(self) -> Counter[tuple[str, str]]:
        """(attribute, action) → how often."""
        total: Counter[tuple[str, str]] = Counter()
        for line in self.lines.values():
            for attribute, action, n in line["counts"]:
                total[attribute, action] += n
        return total


def _line(text: bytes) -> dict[str, Any] | None:
    """A journal line; None for one that a kill cut off."""
    try:
        read = json.loads(text)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def ledger(counts: Counter[tuple[str, str]]) -> bytes:
    """`attribute,action,count` as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("attribute", "action", "count"))
    writer.writerows((*key, n) for key, n in sorted(counts.items()))
    return out.getvalue().encode()
