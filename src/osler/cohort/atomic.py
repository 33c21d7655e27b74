"""Writing so that a kill at any moment leaves the old file or the new one, never a half."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

#: How names of files begin that are being written.
PARTIAL = ".partial-"
Sync = Literal["nothing", "file", "folder"]


def write_atomic(path: Path, data: bytes | memoryview, sync: Sync = "file") -> None:
    """Write under another name in the same folder, then rename. Files are private to the user (mode 0600).

    Args:
        sync: what lasts through a power cut when this returns: "nothing" (the file is whole or absent after a kill, but a power cut may take
            it), "file" (under its name there is the old content or the new one), "folder" (there is the new one).
    """
    with being_written(path, sync) as (out, _):
        out.write(data)


@contextmanager
def being_written(path: Path, sync: Sync = "file") -> Iterator[tuple[BinaryIO, Path]]:
    """As `write_atomic`, of what comes in pieces: the open file and where it lies until it takes its name, which it does only if the block
    ends without an error.
    """
    temporary = path.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out, temporary
            out.flush()
            if sync != "nothing":
                os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync == "folder":
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder (or what a file holds) last through a power cut."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the half-written files that a kill left in a folder and below."""
    for path in folder.rglob(f".*{PARTIAL[1:]}*"):
        if path.is_file():
            path.unlink(missing_ok=True)
