"""Decoded and resampled scans, kept by what their files hold: a small store in memory, and one on disk where it is wanted.

The key of an entry is the SHA-256 of the file's bytes (of every file of a series), what was asked for, and the version of this
format; so a changed file is another key, and nothing stale is ever answered. Bytes are hashed once per path, size and time of change.
On disk entries are files written whole under a name of their own and then renamed: two processes never see a half, and write the
same bytes where they meet. The disk store is off unless OSLER_CACHE names a folder, and holds at most OSLER_CACHE_GB (default 20).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from osler.cohort.atomic import write_atomic

#: Changes whenever what is kept is made in another way.
VERSION = 1
#: Most bytes held in memory.
MEMORY_BYTES = 512 << 20
#: Entries are counted and the oldest left out after so many writes.
_SWEEP = 64

Arrays = dict[str, np.ndarray]


class Store:
    """Named arrays by key: in memory up to a size, and in a folder up to a size where one is given.

    Args:
        folder: where entries are kept on disk, or None.
        disk_bytes, memory_bytes: limits of both.
    """

    def __init__(self, folder: Path | None, disk_bytes: int = 20 << 30, memory_bytes: int = MEMORY_BYTES) -> None:
        self.folder, self.disk_bytes, self.memory_bytes = folder, disk_bytes, memory_bytes
        self._held: OrderedDict[str, Arrays] = OrderedDict()
        self._bytes = self._writes = 0
        self._digests: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()

    def get(self, path: Path, asked: dict[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """What `make` gives for a file or folder and what is asked of it, made anew only where it is not kept. Arrays are read-only."""
        key = self.key(path, asked)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = self._read(key)
        if found is None:
            found = make()
            self._write(key, found)
        for array in found.values():
            array.flags.writeable = False
        self._keep(key, found)
        return found

    def key(self, path: Path, asked: dict[str, Any]) -> str:
        """The key of an entry: 64 hexadecimal digits."""
        text = json.dumps({"version": VERSION, "bytes": self.digest(path), "asked": asked}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes, or of those of the files of a folder in order of their names."""
        if path.is_dir():
            parts = [f"{p.name}\0{self.digest(p)}" for p in sorted(path.iterdir()) if p.is_file()]
            return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
        facts = path.stat()
        known = str(path), facts.st_size, facts.st_mtime_ns
        if known not in self._digests:
            with path.open("rb") as raw:
                self._digests[known] = hashlib.file_digest(raw, "sha256").hexdigest()
        return self._digests[known]

    def _keep(self, key: str, found: Arrays) -> None:
        size = sum(a.nbytes for a in found.values())
        if size > self.memory_bytes // 4:
            return
        with self._lock:
            if key not in self._held:
                self._held[key] = found
                self._bytes += size
            while self._bytes > self.memory_bytes:
                _, old = self._held.popitem(last=False)
                self._bytes -= sum(a.nbytes for a in old.values())

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def _read(self, key: str) -> Arrays | None:
        if self.folder is None:
            return None
        path = self._place(key)
        try:
            with np.load(path, allow_pickle=False) as held:
                found = {name: held[name] for name in held.files}
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # damaged from outside: made and written again
            path.unlink(missing_ok=True)
            return None
        return found

    def _write(self, key: str, found: Arrays) -> None:
        if self.folder is None:
            return
        path, buffer = self._place(key), io.BytesIO()
        np.savez(buffer, **found)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, buffer.getbuffer(), sync="nothing")
        except OSError:  # a full or read-only disk keeps nothing, and costs nothing but time
            return
        self._writes += 1
        if self._writes % _SWEEP == 1:
            self.sweep()

    def sweep(self) -> None:
        """Leave out the entries longest unused until the folder is within its limit."""
        if self.folder is None:
            return
        entries = []
        for path in self.folder.glob("*/*.npz"):
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                entries.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.disk_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


_STORES: dict[tuple[str, str], Store] = {}


def store() -> Store:
    """The store of this process, as OSLER_CACHE and OSLER_CACHE_GB say now."""
    folder, size = os.environ.get("OSLER_CACHE", ""), os.environ.get("OSLER_CACHE_GB", "")
    if (folder, size) not in _STORES:
        try:
            most = int(float(size or 20) * (1 << 30))
        except ValueError:
            most = 20 << 30
        _STORES[folder, size] = Store(Path(folder) if folder else None, most)
    return _STORES[folder, size]
