"""Stacks of pictures in one file: IDX (as MNIST's), .npy, and members of .npz; nothing in them is ever executed."""

from __future__ import annotations

import ast
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from osler.adapters.imaging.scan import MAX_VALUES, Scan, check_size
from osler.cohort import limits
from osler.errors import ReadError

_IDX = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NPY_HEADER = 1 << 16


def read(path: Path, fragment: str) -> Scan:
    """The k-th picture or volume of a stack (`#k`, `#member/k`), or the whole array where no k is given.

    An array is (n, y, x), (n, z, y, x), or either with 1, 3 or 4 channels last; whole, it is one picture or volume of its last axes.

    Raises:
        ReadError: no such member or picture (`image-frame`), or a damaged file. LimitError: it unpacks to more than is safe.
    """
    member, _, number = fragment.rpartition("/") if path.suffix.lower() == ".npz" else ("", "", fragment)
    if path.suffix.lower() == ".npz" and not number.isdigit():
        member, number = fragment, ""
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise ReadError(f"'{path.name}' must be followed by #k or #member/k, it is not: count pictures from 0", "image-frame")
    facts = path.stat()
    array = _array(path, member, facts.st_size, facts.st_mtime_ns)
    one = array
    if number:
        if int(number) >= len(array):
            raise ReadError(f"'{path.name}' must hold picture #{int(number)}, it holds {len(array)}: count from 0", "image-frame")
        one = array[int(number)]
    return _scan(one, path.name)


def whole(path: Path, member: str = "") -> np.ndarray:
    """The array of a stack, one picture or volume per row, in its own type.

    Raises:
        ReadError, LimitError: as `read`.
    """
    facts = path.stat()
    return _array(path, member, facts.st_size, facts.st_mtime_ns)


def _scan(one: np.ndarray, name: str) -> Scan:
    has_channels = one.ndim in (3, 4) and one.shape[-1] in (1, 3, 4) and min(one.shape[:2]) > 4
    if has_channels:
        one = np.moveaxis(one, -1, 0)[:3]
    elif one.ndim in (2, 3):
        one = one[None]
    else:
        raise ReadError(f"'{name}' must hold pictures of 2 or 3 axes, it has {one.ndim}: name one as FILE#k, from 0", "image-frame")
    check_size(one.shape, name)
    dims = one.ndim - 1
    return Scan(np.ascontiguousarray(one, dtype=np.float32), np.full(dims, np.nan), np.eye(4), {"applied": []})


@lru_cache(maxsize=4)
def _array(path: Path, member: str, size: int, changed: int) -> np.ndarray:
    """The array of a file as it was at one size and time; the last four are held."""
    name = path.name.lower()
    if name.endswith(".npz"):
        return _npz(path, member)
    if name.endswith(".npy"):
        with path.open("rb") as raw:
            shape, order, dtype, start = _npy_header(raw.read(_NPY_HEADER), path.name)
        if path.stat().st_size < start + int(np.prod(shape, dtype=object)) * dtype.itemsize:
            raise _short(path.name)
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    data = b"".join(limits.unpack(path, 4 * MAX_VALUES))
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX or not 1 <= data[3] <= 4:
        raise ReadError(f"'{path.name}' must be a stack in IDX, .npy or .npz, it is none: export it again", "image-format")
    kind, n_axes = np.dtype(_IDX[data[2]]), data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(n_axes))
    check_size(shape, path.name)
    n = int(np.prod(shape, dtype=np.int64))
    if len(data) < 4 + 4 * n_axes + n * kind.itemsize:
        raise _short(path.name)
    return np.frombuffer(data, kind, count=n, offset=4 + 4 * n_axes).reshape(shape)


def _short(name: str) -> ReadError:
    return ReadError(f"'{name}' must hold as many values as its header says, it ends too early: copy it again", "image-truncated")


def _npy_header(head: bytes, name: str) -> tuple[tuple[int, ...], str, np.dtype, int]:
    """Shape, order, type and start of the values of an .npy file; types that would need pickles are refused."""
    try:
        if head[:6] != b"\x93NUMPY" or head[6] not in (1, 2, 3):
            raise ValueError
        wide = 2 if head[6] == 1 else 4
        length = int.from_bytes(head[8 : 8 + wide], "little")
        start = 8 + wide + length
        if start > len(head):
            raise ValueError
        facts = ast.literal_eval(head[8 + wide : start].decode("latin-1").strip())
        dtype, shape = np.dtype(facts["descr"]), tuple(facts["shape"])
        if dtype.kind not in "iufb" or not shape or not all(isinstance(s, int) for s in shape):
            raise ValueError
        order = "F" if facts["fortran_order"] is True else "C"
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError, MemoryError, RecursionError) as error:
        raise ReadError(f"'{name}' must be an .npy array of plain numbers, it is not: save it again", "image-format") from error
    check_size(shape, name)
    return shape, order, dtype, start


def _npz(path: Path, member: str) -> np.ndarray:
    meter = limits.Meter(path.name, 8 * MAX_VALUES, packed=path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            chosen = f"{member}.npy" if member else names[0] if len(names) == 1 else ""
            if chosen not in names:
                known = ", ".join(n[:-4] for n in names[:8])
                raise ReadError(f"'{path.name}' must be followed by #MEMBER/k with a member that it has: {known}", "image-frame")
            parts = []
            with archive.open(chosen) as stream:
                while data := stream.read(limits.STEP):
                    meter.add(len(data))
                    parts.append(data)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"'{path.name}' must be a whole .npz file, it is damaged: copy it again", "image-truncated") from error
    data = b"".join(parts)
    shape, order, dtype, start = _npy_header(data[:_NPY_HEADER], path.name)
    n = int(np.prod(shape, dtype=np.int64))
    if len(data) < start + n * dtype.itemsize:
        raise _short(path.name)
    return np.frombuffer(data, dtype, count=n, offset=start).reshape(shape, order=order)
