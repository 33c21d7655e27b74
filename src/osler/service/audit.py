"""One line per prediction, without any value: who asked what, when, of which model, for how many rows, with which
result.

Lines are JSON and chained: each holds the SHA-256 of the line before it, so that a line that was changed, taken out or
moved is found by `broken_line`. The file is private to the user and locked by the server that writes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osler.errors import InputError
from osler.service.problems import Problem

FIELDS = ("time", "request", "route", "model", "rows", "status", "code", "address")
START = "0" * 64


def default_file(port: int) -> Path:
    """`$XDG_STATE_HOME/osler/serve-PORT.jsonl` (`~/.local/state` where that is not set)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "osler" / f"serve-{port}.jsonl"


class Audit:
    """An open audit file.

    Args:
        path: continued if it is there, else made (mode 0600).

    Raises:
        InputError: the file cannot be opened, another server writes it, or its chain is broken (code `audit`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"audit file '{path.name}' must be writable and not in use by another server: name one with --audit",
                "audit",
            ) from error
        broken = broken_line(path)
        if broken:
            raise InputError(
                f"audit file '{path.name}' was changed at line {broken}: keep it aside and name a new one", "audit"
            )
        self._head = _last_hash(path)

    def write(self, **fields: Any) -> None:
        """Append one line; it is with the operating system when this returns.

        Raises:
            Problem: 503 `audit`, the line could not be written: the caller must not answer.
        """
        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **{k: fields.get(k) for k in FIELDS[1:]}}
        line = json.dumps({**entry, "previous": self._head}, separators=(",", ":"))
        head = hashlib.sha256(line.encode()).hexdigest()
        data = f'{line[:-1]},"hash":"{head}"}}\n'.encode()
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise Problem(503, "audit", "the audit file cannot be written: the administrator must make room") from error
        if written != len(data):
            raise Problem(503, "audit", "the audit file cannot be written whole: the administrator must make room")
        self._head = head

    def close(self) -> None:
        """Sync and release the file."""
        os.fsync(self._handle)
        os.close(self._handle)


def broken_line(path: Path) -> int:
    """The first line (from 1) that does not follow from the one before it, 0 if all do."""
    head = START
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            text, _, tail = line.rpartition(b',"hash":"')
            own = hashlib.sha256(text + b"}").hexdigest()
            if tail != f'{own}"}}\n'.encode() or not text.endswith(f'"previous":"{head}"'.encode()):
                return number
            head = own
    return 0


def _last_hash(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 67))
        tail = file.read()
    return tail[:64].decode() if size else START
