"""Writing so that a kill at any moment leaves the old file or the new one, never a half."""

from __future__ import annotations

import errno
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

from osler.cohort.atomic import sweep, sync_folder, write_atomic
from osler.errors import OptionError

if TYPE_CHECKING:
    import polars as pl


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


@contextmanager
def whole_folder(final: Path, work: Path) -> Iterator[Path]:
    """A folder that appears under its final name only when everything in it is written.

    `work` is filled by the caller; on success it is closed to everyone else (files 0600, folders 0700, whatever the
    umask was), synced and renamed to `final`, replacing a previous one.
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


@contextmanager
def alone(final: Path) -> Iterator[None]:
    """The right to make `final` and everything unfinished of it, held by one process at a time.

    The right is a lock of the system (flock) on a file beside the folder, so it ends with the process that holds it,
    however that ends; the file itself goes when the work is over. Systems and file systems without flock hold nothing.
    A parent folder made for `final` goes too if it is left empty.

    Raises:
        OptionError: another process holds it.
    """
    new_parent = not final.parent.exists()
    final.parent.mkdir(parents=True, exist_ok=True)
    path = final.with_name(f".{final.name}.partial.lock")
    handle = _locked(path)
    if handle is None:
        raise OptionError(
            f"out must be written by one fit at a time, another is writing "
            f"'{final.name}': wait for it, or name another folder"
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
        if new_parent and not any(final.parent.iterdir()):
            final.parent.rmdir()


def _locked(path: Path) -> int | None:
    """An open, locked file that lies under `path` now (its last holder may have removed it meanwhile); None if another
    process holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            free = _flock(handle)
            if free and _lies_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not free:
            return None


def _lies_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _flock(handle: int) -> bool:
    """Lock an open file without waiting; false if another process holds it."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP):
            raise
    return True


def recover(final: Path, work: Path) -> None:
    """Clear up what a kill left behind: half-written files in `work`, and a previous folder that was just being
    replaced.
    """
    if work.is_dir():
        sweep(work)
    for old in sorted(final.parent.glob(f".{glob.escape(final.name)}.partial-old-*")):
        if final.exists():
            shutil.rmtree(old)
        else:
            os.replace(old, final)
