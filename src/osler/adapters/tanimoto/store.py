"""A library of packed bits on disk: written in a stream, continued after a kill, opened without being read.

    FOLDER/
      bits.npy      (n, words) uint64, ascending by number of bits; mapped, never loaded
      sources.npy   (n,) int64
      library.json  format, rows, words, rows by number of bits, facts; written last: without it the folder is not a
      library
      parts/        while it grows: parts of the stream in their order, each written whole
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.tanimoto.search import Library, checked, n_bits
from osler.cohort.atomic import being_written, sweep, write_atomic
from osler.errors import ReadError

FORMAT = "osler.bits/1"


class Builder:
    """A library that grows by parts; opened again on the same folder it goes on after the last whole part.

    Args:
        folder: where; made if it is not there.
        words: words of 64 bits per row.
    """

    def __init__(self, folder: str | Path, words: int) -> None:
        self._folder, self._words = Path(folder), words
        self._parts = self._folder / "parts"
        self._parts.mkdir(parents=True, exist_ok=True)
        sweep(self._parts)
        held = [_mapped(p, words) for p in sorted(self._parts.glob("*.npy"))]
        self.n_parts, self.n_rows = len(held), sum(len(p) for p in held)

    def add(self, bits: np.ndarray) -> None:
        """Append rows (m, words); they are on disk when this returns."""
        bits = checked(bits)
        path = self._parts / f"{self.n_parts:08d}.npy"
        _save(path, bits)
        self.n_parts, self.n_rows = self.n_parts + 1, self.n_rows + len(bits)

    def finish(self, facts: dict[str, Any] | None = None) -> Library:
        """Sort all rows by number of bits, with one part in memory at a time, and open the library."""
        parts = sorted(self._parts.glob("*.npy"))
        held = np.zeros(64 * self._words + 1, dtype=np.int64)
        for path in parts:
            held += np.bincount(n_bits(_mapped(path, self._words)), minlength=len(held))
        bits = _new(self._folder / "bits.npy.new", np.uint64, (self.n_rows, self._words))
        sources = _new(self._folder / "sources.npy.new", np.int64, (self.n_rows,))
        free, done = np.concatenate([[0], np.cumsum(held)[:-1]]), 0
        for path in parts:
            part = np.array(_mapped(path, self._words))
            sizes = n_bits(part)
            order = np.argsort(sizes, kind="stable")
            counts = np.bincount(sizes, minlength=len(held))
            before = np.concatenate([[0], np.cumsum(counts)[:-1]])
            places = free[sizes[order]] + np.arange(len(part)) - before[sizes[order]]
            bits[places], sources[places] = part[order], order + done
            free, done = free + counts, done + len(part)
        for array, name in ((bits, "bits.npy"), (sources, "sources.npy")):
            if isinstance(array, np.memmap):
                array.flush()
            os.replace(self._folder / f"{name}.new", self._folder / name)
        text = {"format": FORMAT, "rows": self.n_rows, "words": self._words, "held": held.tolist(), "facts": facts or {}}
        write_atomic(self._folder / "library.json", json.dumps(text).encode())
        shutil.rmtree(self._parts)
        return open_library(self._folder)


def open_library(folder: str | Path) -> Library:
    """A library as `Builder.finish` left it; its rows stay on disk until a search touches them.

    Raises:
        ReadError: not a finished library, or files that do not belong together.
    """
    folder = Path(folder)
    path = folder / "library.json"
    if not path.is_file() or path.stat().st_size > 1 << 24:
        raise ReadError(f"a library of bits must hold library.json, '{folder.name}' does not: finish building it", "read-missing")
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        rows, words, held = int(text["rows"]), int(text["words"]), np.array(text["held"], dtype=np.int64)
        facts, form = dict(text["facts"]), text["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError("library.json must be what Osler writes, it cannot be read: build the library again") from error
    if form != FORMAT or len(held) != 64 * words + 1 or held.min() < 0 or held.sum() != rows:
        raise ReadError(f"library.json must state {FORMAT} and its rows by number of bits, it does not: build it again")
    bits, sources = _mapped(folder / "bits.npy", words), _loaded(folder / "sources.npy")
    if len(bits) != rows or sources.shape != (rows,) or sources.dtype != np.int64:
        raise ReadError(f"a library must have the {rows:,} rows of its library.json, its arrays do not: build it again")
    return Library(bits, sources, np.concatenate([[0], np.cumsum(held)]), facts)


def _mapped(path: Path, words: int) -> np.ndarray:
    """(n, words) of a .npy file, mapped; one without rows has nothing to map."""
    bits = _loaded(path)
    if bits.ndim != 2 or bits.dtype != np.uint64 or bits.shape[1] != words or not bits.flags.c_contiguous:
        raise ReadError(f"'{path.name}' must hold rows of {words} words of bits, it holds something else: build the library again")
    return bits


def _loaded(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise ReadError(f"a library of bits must hold '{path.name}', it is not there: build it again", "read-missing") from error
    except (ValueError, EOFError, OSError):
        pass
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ReadError(f"'{path.name}' must be a whole .npy file, it is not: build the library again") from error
    return found


def _new(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    """A .npy file to be filled; an empty one is an array in memory, saved at once."""
    if shape[0] == 0:
        empty = np.zeros(shape, dtype=kind)
        _save(path, empty)
        return empty
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _save(path: Path, array: np.ndarray) -> None:
    with being_written(path) as (out, _):
        np.save(out, array, allow_pickle=False)
