"""Bombs, lies and ways out: refused quickly, in little memory, by what the bytes are and not by what they say."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

import osler
from osler.cohort import guard, limits
from osler.errors import InputError, LimitError, ReadError

GIB = 1 << 30


def zeros(kind: str, size: int) -> bytes:
    """A packed file of so many zeros, made in steps."""
    out, step = io.BytesIO(), bytes(1 << 22)
    if kind == "zip":
        with (
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("t.csv", "w", force_zip64=True) as member,
        ):
            for _ in range(size // len(step)):
                member.write(step)
        return out.getvalue()
    packer = {
        "gz": lambda: gzip.GzipFile(fileobj=out, mode="wb", mtime=0),
        "bz2": lambda: bz2.BZ2File(out, "wb"),
        "xz": lambda: lzma.LZMAFile(out, "wb", preset=0),  # noqa: SIM115
    }[kind]()
    with packer:
        for _ in range(size // len(step)):
            packer.write(step)
    return out.getvalue()


@pytest.fixture(scope="module", params=["gz", "bz2", "xz", "zip"])
def bomb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file that unpacks to 256 MiB."""
    path = tmp_path_factory.mktemp("bombs") / f"t.csv.{request.param}"
    path.write_bytes(zeros(request.param, GIB // 4))
    return path


def test_bombs_are_refused_in_under_a_second_and_64_mib(bomb: Path):
    assert bomb.stat().st_size < 2 << 20
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(LimitError) as caught:
        osler.read(bomb)
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "limit-ratio"
    assert seconds < 1.0
    assert peak < 64 << 20


def test_a_bomb_of_text_that_looks_like_a_table_is_refused_too(tmp_path: Path):
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wb") as out:
        out.write(b"a,b\n")
        for _ in range(64):
            out.write(b"1,2\n" * (1 << 18))
    with pytest.raises(LimitError, match="100 times"):
        osler.read(path)


def test_small_files_may_be_as_compressible_as_they_like(tmp_path: Path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 500_000))
    assert len(osler.read(tmp_path / "t.csv.gz")) == 500_000


def test_a_workbook_bomb_is_refused_before_it_is_parsed(tmp_path: Path):
    with (
        zipfile.ZipFile(tmp_path / "t.xlsx", "w", zipfile.ZIP_DEFLATED) as out,
        out.open("xl/worksheets/sheet1.xml", "w") as member,
    ):
        for _ in range(64):
            member.write(bytes(1 << 22))
    began = time.process_time()
    with pytest.raises(LimitError):
        osler.read(tmp_path / "t.xlsx")
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.zip", "'t.zip' must hold one table, it is an empty zip file: pack the table again"),
        ("t.csv", "'t.csv' must hold one table, it is an empty zip file: pack the table again"),
        ("t.xlsx", "'t.xlsx' must be a whole workbook, it is an empty zip file: save it again"),
        ("t.ods", "'t.ods' must be a whole workbook, it is an empty zip file: save it again"),
    ],
)
def test_a_zip_of_nothing_is_refused_in_one_sentence(tmp_path: Path, name: str, said: str):
    zipfile.ZipFile(tmp_path / name, "w").close()
    with pytest.raises(ReadError) as error:
        osler.read(tmp_path / name)
    assert (error.value.message, error.value.code) == (said, "read-empty")


def test_a_zip_of_an_empty_folder_holds_no_table(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as out:
        out.mkdir("tables")
    with pytest.raises(ReadError, match="empty zip") as error:
        osler.read(tmp_path / "t.zip")
    assert error.value.code == "read-empty"


def test_a_zip_that_lies_about_its_size_is_measured(tmp_path: Path):
    data = bytearray(zeros("zip", GIB // 8))
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.find(mark)
        data[at + offset : at + offset + 4] = struct.pack("<I", 10)
    (tmp_path / "t.csv.zip").write_bytes(bytes(data))
    with pytest.raises(InputError) as caught:
        osler.read(tmp_path / "t.csv.zip")
    assert caught.value.code in ("limit-ratio", "read-truncated", "read-format")


def test_an_absolute_cap_counts_what_is_there():
    meter = limits.Meter("t.csv", cap=1000)
    meter.packed = 900
    meter.add(900)
    with pytest.raises(LimitError, match="at most 0 MiB") as caught:
        meter.add(101)
    assert caught.value.code == "limit-size"


@pytest.mark.parametrize("depth", [1, 2, 64])
def test_json_depth_is_counted(depth: int):
    assert limits.json_depth("[" * depth + "]" * depth) == depth
    assert limits.json_depth(b'{"a":' * depth + b"1" + b"}" * depth) == depth


def test_json_too_deep_is_refused_and_brackets_in_text_do_not_count():
    for text in ("[" * 65, '{"a":' * 65, "[" * 100_000):
        with pytest.raises(LimitError) as caught:
            limits.json_depth(text)
        assert caught.value.code == "limit-depth"
    assert limits.json_depth('{"a": "' + "[" * 500 + '\\"[[' + '"}') == 1


def test_deep_json_lines_cost_their_row_only(tmp_path: Path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": ' + "[" * 5000 + "]" * 5000 + '}\n{"a": 3}\n')
    cohort = osler.read(tmp_path / "t.jsonl")
    assert cohort.rows.tolist() == [1, 3]
    assert "64 levels" in cohort.refusals["reason"][0]
    (tmp_path / "t.json").write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(LimitError):
        osler.read(tmp_path / "t.json")


def test_paths_stay_inside(tmp_path: Path):
    root = tmp_path / "study"
    (root / "scans").mkdir(parents=True)
    (root / "scans" / "1.nii").write_text("x")
    (tmp_path / "study-2").mkdir()
    (root / "out").symlink_to(tmp_path)
    assert limits.inside(root, "scans/1.nii") == (root / "scans" / "1.nii").resolve()
    assert limits.inside(root, "scans/../scans/1.nii").name == "1.nii"
    for path in ("../x", "/etc/passwd", "scans/../../x", "out/x", "../study-2/x", "a\0b", str(tmp_path / "study-2")):
        with pytest.raises(ReadError) as caught:
            limits.inside(root, path)
        assert caught.value.code == "read-outside"


@pytest.mark.parametrize("name", ["a", "heart-2.v1_b", "0", "a" * 64])
def test_safe_names(name: str):
    assert limits.safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".a",
        "A",
        "a/b",
        "a\\b",
        "a\0",
        "a..b",
        "con",
        "nul.txt",
        "lpt1",
        "a" * 65,
        "é",
        "a b",
        "a\n",
        "%2e",
        "．．",
    ],
)
def test_unsafe_names(name: str):
    with pytest.raises(ReadError):
        limits.safe_name(name)


def test_a_record_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.cohort import delimited

    monkeypatch.setattr(limits, "MAX_RECORD", 1 << 16)
    reader = delimited.Delimited("t.csv")
    steps = [b"a,b\n", *[b"x" * 10_000] * 30]
    with pytest.raises(LimitError, match=r"row 1 of 't\.csv'"):
        list(reader.blocks(iter(steps), size=1 << 14))


def test_the_guard_outlives_what_it_reads(tmp_path: Path):
    import polars as pl

    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(good)
    bad.write_bytes(good.read_bytes()[:-20] + b"\xff" * 12 + good.read_bytes()[-8:])
    guard.reads_safely(good, "parquet")
    with pytest.raises(ReadError):
        guard.reads_safely(bad, "parquet")
    guard.reads_safely(good, "parquet")
    (running,) = guard._GUARDS.running
    running.kill()
    running.wait()
    guard.reads_safely(good, "parquet")


def test_a_file_that_kills_its_parser_costs_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import polars as pl

    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    program = "import sys, os; sys.stdin.buffer.readline(); os.abort()"
    guard._GUARDS.end()
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **given: real([sys.executable, "-c", program], **given))
    with pytest.raises(ReadError, match=r"'t\.parquet' must be a whole Parquet file"):
        osler.read(path)
    monkeypatch.undo()
    assert len(osler.read(path)) == 2


def test_a_file_that_stalls_its_parser_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import polars as pl

    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    guard._GUARDS.end()
    real = subprocess.Popen
    monkeypatch.setattr(guard, "PATIENCE", 0.3)
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **given: real([sys.executable, "-c", "import time; time.sleep(60)"], **given),
    )
    began = time.perf_counter()
    with pytest.raises(ReadError):
        osler.read(path)
    assert time.perf_counter() - began < 10
    monkeypatch.undo()
    assert len(osler.read(path)) == 2


def test_a_table_of_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import polars as pl

    pl.DataFrame({"a": range(50), "b": range(50)}).write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(limits, "MAX_CELLS", 99)
    with pytest.raises(LimitError, match="100"):
        osler.read(tmp_path / "t.parquet")
