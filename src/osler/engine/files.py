"""Writing so that a kill at any moment leaves the old file or the new one, never a half."""

from __future__ import annotations

import glob
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl


def write_atomic(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, sync, rename. Files are private to the user (mode 0600)."""
    temporary = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """JSON through `write_atomic`; numpy's numbers and arrays are written as plain ones."""
    write_atomic(path, json.dumps(data, indent=1, ensure_ascii=False, sort_keys=False, default=_plain).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """A table as Parquet through `write_atomic`: whole or not there, and private whatever the umask is."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    write_atomic(path, buffer.getvalue())


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder (or what a file holds) last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_folder(final: Path, work: Path) -> Iterator[Path]:
    """A folder that appears under its final name only when everything in it is written.

    `work` is filled by the caller; on success it is closed to everyone else (files 0600, folders 0700, whatever the umask
    was), synced and renamed to `final`, replacing a previous one.
    """
    yield work
    for path in (*sorted(work.rglob("*")), work):
        if not path.is_symlink():
            os.chmod(path, 0o700 if path.is_dir() else 0o600)
            sync_folder(path)
    old = None
    if final.exists():
        old = final.with_name(f".{final.name}.partial-old-{secrets.token_hex(4)}")
        os.replace(final, old)
    os.replace(work, final)
    sync_folder(final.parent)
    if old is not None:
        shutil.rmtree(old)


def recover(final: Path, work: Path) -> None:
    """Clear up what a kill left behind: half-written files in `work`, and a previous folder that was just being replaced."""
    if work.is_dir():
        for path in work.rglob(".*.partial-*"):
            path.unlink()
    for old in sorted(final.parent.glob(f".{glob.escape(final.name)}.partial-old-*")):
        if final.exists():
            shutil.rmtree(old)
        else:
            os.replace(old, final)
