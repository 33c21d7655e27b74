"""Library files: the same as in memory, the same after a kill, and refused when they are not whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.tanimoto.search import Library
from osler.adapters.tanimoto.store import Builder, open_library
from osler.errors import ReadError

pytest.importorskip("numba")


@pytest.fixture
def bits(rng: np.random.Generator) -> np.ndarray:
    """Two hundred sparse rows of 128 bits."""
    return np.packbits(rng.random((200, 128)) < 0.1, axis=1, bitorder="little").view("<u8")


def built(folder: Path, bits: np.ndarray, cuts: list[int]) -> Library:
    """A library made of parts that end at `cuts`."""
    builder = Builder(folder, bits.shape[1])
    for part in np.split(bits, cuts):
        builder.add(np.ascontiguousarray(part))
    return builder.finish({"kind": "made"})


def test_a_file_is_the_library_in_memory(tmp_path: Path, bits: np.ndarray):
    on_disk, in_memory = built(tmp_path / "a", bits, [50, 51, 120]), Library.of(bits)
    assert isinstance(on_disk.bits, np.memmap)
    assert on_disk.facts == {"kind": "made"}
    for name in ("bits", "sources", "starts"):
        assert np.array_equal(getattr(on_disk, name), getattr(in_memory, name))
    hits, expected = on_disk.within(bits[3], 0.2), in_memory.within(bits[3], 0.2)
    assert np.array_equal(hits.rows, expected.rows)


def test_a_killed_build_goes_on_and_gives_the_same_bytes(tmp_path: Path, bits: np.ndarray):
    built(tmp_path / "whole", bits, [80, 160])
    first = Builder(tmp_path / "cut", 2)
    first.add(bits[:80])
    (tmp_path / "cut" / "parts" / ".partial-0011").write_bytes(b"half a part")
    second = Builder(tmp_path / "cut", 2)
    assert (second.n_parts, second.n_rows) == (1, 80)
    second.add(bits[80:160])
    second.add(bits[160:])
    second.finish({"kind": "made"})
    names = ["bits.npy", "library.json", "sources.npy"]
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == names
    assert all((tmp_path / "whole" / n).read_bytes() == (tmp_path / "cut" / n).read_bytes() for n in names)


def test_a_library_without_rows_can_be_opened(tmp_path: Path):
    assert len(Builder(tmp_path, 2).finish()) == 0
    assert len(open_library(tmp_path).within(np.ones(2, np.uint64), 0.5)) == 0


def test_what_is_not_whole_is_refused(tmp_path: Path, bits: np.ndarray):
    built(tmp_path, bits, [])
    whole = (tmp_path / "bits.npy").read_bytes()
    (tmp_path / "bits.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match="whole"):
        open_library(tmp_path)
    np.save(tmp_path / "bits.npy", np.zeros((200, 3), np.uint64))
    with pytest.raises(ReadError, match="words"):
        open_library(tmp_path)
    np.save(tmp_path / "bits.npy", bits[:100])
    with pytest.raises(ReadError, match="rows"):
        open_library(tmp_path)
    (tmp_path / "bits.npy").unlink()
    with pytest.raises(ReadError, match=r"bits\.npy"):
        open_library(tmp_path)


@pytest.mark.parametrize(
    "change", [{"format": "other/1"}, {"rows": 199}, {"held": [1]}, {"words": "many"}, {"facts": 3}]
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, bits: np.ndarray, change: dict):
    built(tmp_path, bits, [])
    path = tmp_path / "library.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ReadError):
        open_library(tmp_path)
    path.unlink()
    with pytest.raises(ReadError, match="finish building"):
        open_library(tmp_path)
