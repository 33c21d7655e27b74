"""NRRD and MetaImage volumes: headers are short texts, read here (teem.sourceforge.net/nrrd/format.html; itk.org/Wiki/MetaIO)."""

from __future__ import annotations

import bz2
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np

from osler.adapters.imaging.geometry import right_handed, spacing_of
from osler.adapters.imaging.scan import Scan, check_size
from osler.cohort import limits
from osler.errors import ReadError

#: Longest header, in bytes.
MAX_HEADER = 1 << 20
_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"), **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"), **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4", "double": "f8",
}  # fmt: skip
_MHA_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
#: What turns vectors of a space into left, posterior, superior.
_SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip


def read_nrrd(path: Path) -> Scan:
    """An NRRD file (attached, or a header with one data file beside it) as (c, z, y, x) or (c, y, x).

    Raises:
        ReadError: a field is missing or of another kind than this reads (`image-format`), or values are missing (`image-truncated`).
    """
    with path.open("rb") as raw:
        head = raw.read(MAX_HEADER)
    end = re.search(rb"\r?\n\r?\n", head)
    fields = _fields((head[: end.start()] if end else head).decode("utf-8", "replace").splitlines()[1:], ":", path.name)
    sizes = _wholes(fields.get("sizes", ""), path.name)
    dtype = _NRRD_TYPES.get(fields.get("type", "").lower())
    if dtype is None or len(sizes) != int(fields.get("dimension", "0") or 0):
        raise _damaged(path.name)
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    source, start = (_beside(path, fields["data file"]), 0) if "data file" in fields else (path, end.end() if end else len(head))
    values = _values(source, start, sizes, order + dtype, fields.get("encoding", "raw").lower(), path.name)
    return _nrrd_scan(values, fields, path.name)


def _nrrd_scan(values: np.ndarray, fields: dict[str, str], name: str) -> Scan:
    """Values (slowest axis first) with the affine that the fields give."""
    vectors = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
    n_axes = values.ndim
    spatial = [i for i, v in enumerate(vectors) if v != "none"] if len(vectors) == n_axes else _spatial(fields, n_axes)
    if len(spatial) not in (2, 3) or n_axes - len(spatial) > 1:
        raise _damaged(name)
    others = [i for i in range(n_axes) if i not in spatial]
    values = np.transpose(values, [n_axes - 1 - i for i in (*others, *reversed(spatial))])
    values = values if others else values[None]
    affine, known = np.eye(4), False
    sign = np.array(_SPACES.get(fields.get("space", "lps").lower(), (1, 1, 1)), dtype=float)
    if len(vectors) == n_axes and len(spatial) == 3:
        for to, axis in enumerate(spatial):
            affine[:3, to] = sign * _vector(vectors[axis], name)
        if "space origin" in fields:
            affine[:3, 3] = sign * _vector(fields["space origin"], name)
        known = True
    elif "spacings" in fields:
        steps = [float(s) for s in fields["spacings"].split()]
        lengths = [abs(steps[i]) for i in spatial] if len(steps) == n_axes else []
        known = bool(lengths) and all(np.isfinite(s) and s > 0 for s in lengths)
        if known:
            affine[: len(lengths), : len(lengths)] = np.diag(lengths)
    return _finished(values, affine, len(spatial), known, name)


def _spatial(fields: dict[str, str], n_axes: int) -> list[int]:
    kinds = fields.get("kinds", "").lower().split()
    if len(kinds) == n_axes:
        return [i for i, k in enumerate(kinds) if k in ("domain", "space")] or list(range(n_axes))
    return list(range(n_axes))


def _finished(values: np.ndarray, affine: np.ndarray, dims: int, known: bool, name: str) -> Scan:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ReadError(f"'{name}' must say where its voxels lie, its axes do not span space: export it again", "series-geometry")
    applied: list[str] = []
    if dims == 3:
        values, affine, turned = right_handed(values, affine)
        applied = ["slices put in the opposite order (left-handed axes)"] if turned else []
    spacing = spacing_of(affine)[3 - dims :] if known else np.full(dims, np.nan)
    return Scan(np.ascontiguousarray(values, dtype=np.float32), spacing, affine, {"applied": applied})


def read_mha(path: Path) -> Scan:
    """A MetaImage (.mha, or .mhd with its data file beside it) as (c, z, y, x) or (c, y, x).

    Raises:
        ReadError: as `read_nrrd`.
    """
    with path.open("rb") as raw:
        head = raw.read(MAX_HEADER)
    end = re.search(rb"ElementDataFile\s*=[ \t]*([^\r\n]*)\r?\n?", head)
    if end is None:
        raise _damaged(path.name)
    fields = _fields(head[: end.end()].decode("utf-8", "replace").splitlines(), "=", path.name)
    dtype, sizes = _MHA_TYPES.get(fields.get("elementtype", "")), _wholes(fields.get("dimsize", ""), path.name)
    channels = int(fields.get("elementnumberofchannels", "1"))
    if dtype is None or len(sizes) not in (2, 3):
        raise _damaged(path.name)
    order = ">" if fields.get("elementbyteordermsb", fields.get("binarydatabyteordermsb", "false")).lower() == "true" else "<"
    packing = "zlib" if fields.get("compresseddata", "false").lower() == "true" else "raw"
    named = fields["elementdatafile"]
    source, start = (path, end.end()) if named.upper() == "LOCAL" else (_beside(path, named), 0)
    values = _values(source, start, ([channels] if channels > 1 else []) + sizes, order + dtype, packing, path.name)
    values = np.moveaxis(values, -1, 0) if channels > 1 else values[None]
    affine = np.eye(4)
    steps = _floats(fields.get("elementspacing", ""), len(sizes), path.name)
    matrix = _floats(fields.get("transformmatrix", fields.get("rotation", "")), len(sizes) ** 2, path.name)
    offset = _floats(fields.get("offset", fields.get("position", "")), len(sizes), path.name)
    n = len(sizes)
    axes = np.array(matrix).reshape(n, n).T if matrix else np.eye(n)
    affine[:n, :n] = axes * (np.array(steps) if steps else 1.0)
    affine[:n, 3] = offset or 0.0
    return _finished(values, affine, n, bool(steps), path.name)


def _fields(lines: list[str], mark: str, name: str) -> dict[str, str]:
    out = {}
    for line in lines:
        key, found, value = line.partition(mark)
        if found and not line.startswith("#"):
            out[key.strip().lower()] = value.lstrip("=").strip()
    return out


def _wholes(text: str, name: str) -> list[int]:
    found = text.split()
    if not found or len(found) > 5 or not all(w.isascii() and w.isdigit() and len(w) < 10 for w in found):
        raise _damaged(name)
    return [int(w) for w in found]


def _floats(text: str, n: int, name: str) -> list[float]:
    try:
        found = [float(w) for w in text.split()]
    except ValueError as error:
        raise _damaged(name) from error
    if found and len(found) != n:
        raise _damaged(name)
    return found


def _vector(text: str, name: str) -> np.ndarray:
    try:
        found = [float(w) for w in text.strip("() ").split(",")]
    except ValueError as error:
        raise _damaged(name) from error
    if len(found) != 3:
        raise _damaged(name)
    return np.array(found)


def _beside(path: Path, name: str) -> Path:
    """The data file of a header, which must lie in its folder."""
    found = limits.inside(path.parent, name)
    if not found.is_file():
        raise ReadError(f"'{path.name}' must have its data file beside it, it is not there: copy it too", "read-missing")
    return found


def _values(source: Path, start: int, sizes: list[int], dtype: str, packing: str, name: str) -> np.ndarray:
    """Values with the fastest axis last; unpacked within limits."""
    check_size(tuple(sizes), name)
    kind, n = np.dtype(dtype), int(np.prod(sizes, dtype=np.int64))
    need = n * kind.itemsize
    with source.open("rb") as raw:
        raw.seek(start)
        data = raw.read(need if packing == "raw" else -1)
    try:
        if packing in ("gzip", "gz"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(need)
        elif packing == "zlib":
            data = zlib.decompressobj().decompress(data, need)
        elif packing in ("bzip2", "bz2"):
            data = bz2.BZ2Decompressor().decompress(data, need)
        elif packing in ("ascii", "text", "txt"):
            data = np.array(data.decode("ascii").split()[:n], dtype=kind).tobytes()
        elif packing != "raw":
            raise _damaged(name)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ReadError(f"'{name}' must hold whole packed values, it does not: copy it again", "image-truncated") from error
    if len(data) < need:
        raise ReadError(f"'{name}' must hold as many voxels as its header says, it ends too early: copy it again", "image-truncated")
    return np.frombuffer(data, dtype=kind, count=n).reshape(sizes[::-1])


def _damaged(name: str) -> ReadError:
    return ReadError(f"'{name}' must have a whole header of a kind that is read, it has not: export it as NIfTI", "image-format")
