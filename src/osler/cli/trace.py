"""Tracebacks for `--debug` that hold no value of any table: files, lines, functions and types; a message only if it is
Osler's own.
"""

from __future__ import annotations

import traceback

from osler.errors import OslerError

#: Longest chain of causes that is printed, and most frames of each.
CAUSES, FRAMES = 8, 40


def scrubbed(error: BaseException) -> str:
    """An exception and its causes as text.

    Neither source lines nor arguments nor messages of other libraries are shown: "could not convert string to float:
    'Miller'" would print a patient. Osler's own messages name rows and columns only.
    """
    parts: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen and len(parts) < CAUSES:
        seen.add(id(at))
        parts.append(_one(at))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\ncaused\n".join(reversed(parts))


def _one(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {_place(f.filename)}:{f.lineno} in {f.name}" for f in frames[-FRAMES:]]
    kind = type(error).__name__
    said = (
        f"{kind}: {error.message} [{error.code}]"
        if isinstance(error, OslerError)
        else f"{kind} (message withheld: it may hold values)"
    )
    return "\n".join([*lines, said])


def _place(filename: str) -> str:
    """A file below its package, without the folders of this machine."""
    parts = filename.replace("\\", "/").split("/")
    for mark in ("site-packages", "src"):
        if mark in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(mark) :])
    return parts[-1]
