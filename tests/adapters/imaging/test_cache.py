"""What was decoded is kept by what the file holds: nothing stale, nothing half, nothing beyond its size."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np

from osler.adapters.imaging import cache


class Maker:
    """Counts how often it is asked."""

    def __init__(self, value: float, n: int = 10) -> None:
        self.value, self.n, self.calls = value, n, 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"values": np.full(self.n, self.value)}


def test_a_changed_file_is_another_key(tmp_path: Path):
    file, store = tmp_path / "a.bin", cache.Store(tmp_path / "kept")
    file.write_bytes(b"one")
    make = Maker(1.0)
    for _ in range(3):
        assert store.get(file, {"size": [2]}, make)["values"][0] == 1.0
    assert make.calls == 1
    assert store.get(file, {"size": [3]}, make)["values"][0] == 1.0
    assert make.calls == 2
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    changed = Maker(2.0)
    assert store.get(file, {"size": [2]}, changed)["values"][0] == 2.0
    file.write_bytes(b"one")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 2))
    assert store.get(file, {"size": [2]}, changed)["values"][0] == 1.0  # the old bytes, the old entry
    assert changed.calls == 1


def test_another_process_finds_it_and_a_damaged_entry_is_made_again(tmp_path: Path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    cache.Store(tmp_path / "kept").get(file, {}, Maker(1.0))
    make, other = Maker(9.0), cache.Store(tmp_path / "kept")
    assert other.get(file, {}, make)["values"][0] == 1.0
    assert make.calls == 0
    entry = next((tmp_path / "kept").glob("*/*.npz"))
    entry.write_bytes(entry.read_bytes()[:50])
    assert cache.Store(tmp_path / "kept").get(file, {}, make)["values"][0] == 9.0
    assert not list((tmp_path / "kept").glob("*/.*"))


def _fill(folder: str, file: str) -> float:
    store = cache.Store(Path(folder))
    return sum(float(store.get(Path(file), {"i": i}, Maker(float(i)))["values"][0]) for i in range(20))


def test_two_processes_write_at_once(tmp_path: Path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.starmap(_fill, [(str(tmp_path / "kept"), str(file))] * 2)
    assert sums == [190.0, 190.0]
    assert len(list((tmp_path / "kept").glob("*/*.npz"))) == 20


def test_both_stores_are_bounded(tmp_path: Path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    store = cache.Store(tmp_path / "kept", disk_bytes=30_000, memory_bytes=40_000)
    for i in range(12):
        store.get(file, {"i": i}, Maker(float(i), 1000))
    store.sweep()
    sizes = [p.stat().st_size for p in (tmp_path / "kept").glob("*/*.npz")]
    assert sum(sizes) <= 30_000
    assert len(sizes) == 3
    assert store._bytes <= 40_000
    make = Maker(11.0, 1000)
    store.get(file, {"i": 11}, make)
    assert make.calls == 0


def test_a_folder_is_its_files(tmp_path: Path):
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "1").write_bytes(b"a")
    store = cache.Store(None)
    first = store.digest(folder)
    (folder / "2").write_bytes(b"b")
    assert store.digest(folder) != first
    (folder / "2").unlink()
    assert store.digest(folder) == first


def test_off_unless_asked_for(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OSLER_CACHE", raising=False)
    assert cache.store().folder is None
    monkeypatch.setenv("OSLER_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("OSLER_CACHE_GB", "0.5")
    assert (cache.store().folder, cache.store().disk_bytes) == (tmp_path / "kept", 1 << 29)
