"""Stacks of pictures: every type and order of the formats, by number and whole, and what is no plain array is refused unread."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import scan, stacks
from osler.errors import InputError, ReadError

IDX = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(values: np.ndarray) -> bytes:
    """The bytes of an IDX file, as the format's page describes them: two zeros, type, axes, sizes, numbers in big-endian order."""
    kind = next(k for k in IDX if np.dtype(k) == values.dtype)
    return bytes([0, 0, IDX[kind], values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


@pytest.mark.parametrize("kind", IDX)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_of_every_type(tmp_path: Path, kind: str, packed: bool):
    values = np.random.default_rng(0).integers(-100, 100, (4, 6, 5)).astype(kind)
    data = gzip.compress(idx(values)) if packed else idx(values)
    (tmp_path / ("x.idx.gz" if packed else "x.idx")).write_bytes(data)
    name = "x.idx.gz" if packed else "x.idx"
    assert np.array_equal(stacks.whole(tmp_path / name), values)
    assert np.array_equal(scan.read(f"{name}#2", tmp_path).values[0], values[2].astype(np.float32))


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", ">i4", "float32", "float64", "float16", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_type_and_order(tmp_path: Path, kind: str, order: str):
    values = np.asarray(np.random.default_rng(1).integers(0, 2, (5, 7, 6)).astype(kind), order=order)
    np.save(tmp_path / "x.npy", values)
    assert np.array_equal(stacks.whole(tmp_path / "x.npy"), values)
    assert np.array_equal(scan.read("x.npy#4", tmp_path).values[0], values[4].astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "reference", "found"),
    [((5, 8, 9), "#1", (1, 8, 9)), ((5, 8, 9), "", (1, 5, 8, 9)), ((5, 8, 9, 3), "#1", (3, 8, 9)), ((5, 6, 8, 9), "#1", (1, 6, 8, 9)),
     ((8, 9), "", (1, 8, 9)), ((8, 9, 3), "", (3, 8, 9)), ((5, 8, 9, 4), "#0", (3, 8, 9)), ((5, 8, 9, 1), "#0", (1, 8, 9))],
)  # fmt: skip
def test_axes_of_a_reference(tmp_path: Path, shape: tuple[int, ...], reference: str, found: tuple[int, ...]):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    one = scan.read(f"x.npy{reference}", tmp_path)
    assert one.values.shape == found
    assert scan.header(f"x.npy{reference}", tmp_path).shape == found
    assert np.isnan(one.spacing).all()


def test_members_of_an_archive(tmp_path: Path):
    first, second = np.arange(60, dtype=np.uint8).reshape(3, 4, 5), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.savez_compressed(tmp_path / "x.npz", images=first, **{"deep/er": second})
    assert np.array_equal(scan.read("x.npz#images/2", tmp_path).values[0], first[2])
    assert np.array_equal(stacks.whole(tmp_path / "x.npz", "deep/er"), second)
    np.savez(tmp_path / "one.npz", only=first)
    assert np.array_equal(scan.read("one.npz#1", tmp_path).values[0], first[1])
    for reference in ("x.npz#labels/0", "x.npz#images/9", "x.npz#0", "x.npz"):
        with pytest.raises(ReadError) as caught:
            scan.read(reference, tmp_path)
        assert caught.value.code == "image-frame", reference
    with pytest.raises(ReadError, match="images"):
        scan.read("x.npz#labels/0", tmp_path)


def npy(header: str) -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HOSTILE = {
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }") + b"cos\nsystem\n(S'true'\ntR.",
    "records": npy("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (3,), }") + bytes(12),
    "texts": npy("{'descr': '<U9', 'fortran_order': False, 'shape': (3,), }") + bytes(108),
    "code": npy("__import__('os').system('true')"),
    "no shape": npy("{'descr': '<i4', 'fortran_order': False, 'shape': (), }") + bytes(4),
    "negative": npy("{'descr': '<i4', 'fortran_order': False, 'shape': (-3, 4, 4), }") + bytes(64),
    "huge": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000, 100), }"),
    "words": npy("{'descr': '<f8', 'fortran_order': False, 'shape': ('9', 9), }") + bytes(648),
    "nested": npy("(" * 5000),
    "short": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9, 9), }") + bytes(600),
    "long header": b"\x93NUMPY\x02\x00" + (1 << 30).to_bytes(4, "little"),
    "future": b"\x93NUMPY\x09\x00" + bytes(80),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_plain_array_is_refused(tmp_path: Path, name: str, packed: bool):
    """None of it is executed, and nothing is reserved for what a header merely claims."""
    if packed:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("a.npy", HOSTILE[name])
    else:
        (tmp_path / "x.npy").write_bytes(HOSTILE[name])
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        stacks.whole(tmp_path / ("x.npz" if packed else "x.npy"), "a" if packed else "")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code in ("image-format", "image-truncated", "limit-size")
    assert peak < 4 << 20


@pytest.mark.parametrize("cut", [0, 3, 10, 16, 40])
def test_an_idx_file_that_ends_early(tmp_path: Path, cut: int):
    (tmp_path / "x.idx").write_bytes(idx(np.zeros((2, 6, 5), np.uint8))[:cut])
    with pytest.raises(ReadError):
        scan.read("x.idx#0", tmp_path)


def test_a_changed_file_is_read_again_and_a_large_one_is_not_held(tmp_path: Path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 8, 8), np.uint8))
    assert scan.read("x.npy#1", tmp_path).values.max() == 0
    np.save(path, np.ones((2, 8, 8), np.uint8))
    os.utime(path, ns=(1, 1))
    assert scan.read("x.npy#1", tmp_path).values.min() == 1
    np.save(tmp_path / "large.npy", np.zeros((64, 512, 512), np.uint16))
    tracemalloc.start()
    scan.read("large.npy#63", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("reference", ["#x", "#-1", "#1.0", "#٣", "#" + "9" * 12, "#1/2"])
def test_numbers_that_are_none(tmp_path: Path, reference: str):
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ReadError) as caught:
        scan.read(f"x.npy{reference}", tmp_path)
    assert caught.value.code in ("image-frame", "read-missing")


def test_the_bytes_of_an_archive_in_memory_are_as_numpy_writes_them():
    """The expected layout above is numpy's own: its writer gives the header that the hostile files imitate."""
    held = io.BytesIO()
    np.save(held, np.zeros((3, 2), "<i4"))
    assert held.getvalue()[:8] == b"\x93NUMPY\x01\x00"
    assert b"'descr': '<i4', 'fortran_order': False, 'shape': (3, 2), " in held.getvalue()[:128]
