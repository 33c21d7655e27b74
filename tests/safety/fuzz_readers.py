"""Mutated tables against the readers: `python tests/safety/fuzz_readers.py --count 10000 [--seed 0]`.

Seeds are small valid CSV, JSON lines, Parquet and Arrow files made here; each case changes one of them in a few
places. Cases run in a child process, so that a crash of a native parser is counted and not suffered. A case passes if
it gives a cohort whose rows add up, or a typed error of exit code 2, within two seconds (a slow case is tried again,
in case the machine was busy). Files that once failed are kept in `corpus/readers/` and run with the tests.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

CORPUS = Path(__file__).parent / "corpus" / "readers"
SLOW = 2.0


def table(rng: np.random.Generator, n: int = 40) -> pl.DataFrame:
    """A small clinical table of every kind of column."""
    return pl.DataFrame({
        "patient_id": [f"P{i:04d}" for i in range(n)], "age": rng.integers(18, 95, n), "crp": np.round(rng.lognormal(1, 1, n), 2),
        "sex": rng.choice(["f", "m"], n), "seen": (np.datetime64("2020-01-01") + rng.integers(0, 900, n)).astype(str),
        "note": [f'said "no", then; {i}\nyes' if i % 7 == 0 else "well" for i in range(n)], "died": rng.integers(0, 2, n) == 1,
    })  # fmt: skip


def seeds(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """(suffix, bytes) of valid files."""
    frame = table(rng)
    found = [(".csv", frame.write_csv().encode()), (".csv", frame.drop("note").write_csv(separator=";").encode())]
    found += [
        (".tsv", frame.write_csv(separator="\t").encode()),
        (".csv.gz", gzip.compress(frame.write_csv().encode(), mtime=0)),
    ]
    found += [(".csv", frame.write_csv().encode("utf-16")), (".csv", frame.write_csv(line_terminator="\r\n").encode())]
    found += [
        (".jsonl", frame.write_ndjson().encode()),
        (".jsonl", b'{"a":[1,{"b":null}],"c":"\xc3\xa9"}\n{"a":2,"c":NaN}\n'),
    ]
    for compression in ("uncompressed", "snappy", "zstd", "gzip", "lz4"):
        out = io.BytesIO()
        frame.write_parquet(out, compression=compression)
        found.append((".parquet", out.getvalue()))
    for compression in ("uncompressed", "lz4", "zstd"):
        out = io.BytesIO()
        frame.write_ipc(out, compression=compression)
        found.append((".arrow", out.getvalue()))
    return found


_BITS = [
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"=cmd|' /C calc'!A0",
    b"nan",
    b"inf",
    b"{" * 99,
    b"[" * 70,
    b"\xef\xbb\xbf",
    b"1e999",
    b"\t",
    b";",
]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A few changes, most often one: bytes flipped, cut out, repeated, put in, or the end lost."""
    out = bytearray(data)
    for _ in range(min(int(rng.geometric(0.5)), 8)):
        at, kind = int(rng.integers(0, max(len(out), 1))), int(rng.integers(0, 7))
        if kind == 0 and out:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1 and out:
            out[at] = int(rng.integers(0, 256))
        elif kind == 2:
            del out[at : at + int(rng.integers(1, 40))]
        elif kind == 3:
            out[at:at] = out[at : at + int(rng.integers(1, 200))] * int(rng.integers(1, 4))
        elif kind == 4:
            out[at:at] = _BITS[int(rng.integers(0, len(_BITS)))]
        elif kind == 5 and len(out) >= at + 4:
            out[at : at + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"])
        elif kind == 6 and rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def case(number: int, seed: int = 0) -> tuple[str, bytes]:
    """The suffix and bytes of one case; the same for the same number and seed."""
    rng = np.random.default_rng([seed, number])
    suffix, data = _seeds()[int(rng.integers(0, len(_seeds())))]
    return suffix, mutate(data, rng)


_CACHE: list[tuple[str, bytes]] = []


def _seeds() -> list[tuple[str, bytes]]:
    if not _CACHE:
        _CACHE.extend(seeds(np.random.default_rng(7)))
    return _CACHE


def outcome(path: Path, last: bool = False) -> str:
    """Read one file: "read", "refused CODE", or "WRONG ..." for anything that must not be."""
    from osler.cohort.read import read
    from osler.errors import InputError

    began = time.perf_counter()
    try:
        cohort = read(path)
    except InputError as error:
        found = f"refused {error.code}"
    except BaseException as error:
        return f"WRONG {type(error).__name__}: {str(error)[:120]}"
    else:
        step = cohort.lineage[0]
        refused = cohort.refusals.filter(pl.col("action") == "row refused")["row"].n_unique()
        adds_up = step.rows_before == step.rows_after + refused and step.rows_after == len(cohort)
        found = "read" if adds_up else "WRONG rows do not add up"
    seconds = time.perf_counter() - began
    if seconds <= SLOW:
        return found
    return outcome(path, last=True) if not last else f"WRONG {seconds:.1f} s"


def work(first: int, last: int, seed: int) -> None:
    """Run cases in this process, one line each on standard output."""
    os.environ["RUST_BACKTRACE"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            suffix, data = case(number, seed)
            path = Path(folder) / f"table{suffix}"
            path.write_bytes(data)
            print(number, suffix, outcome(path), flush=True)
        print("memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, flush=True)


def run(count: int, seed: int = 0, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Run cases in child processes; outcomes by kind, and one line per failure. A crash costs its case only."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    at, end = first, first + count
    while at < end:
        command = [sys.executable, __file__, "--work", str(at), str(end), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 + count)
        lines = done.stdout.splitlines()
        for line in lines:
            if line.startswith("memory"):
                outcomes["peak MiB"] = max(outcomes["peak MiB"], int(line.split()[1]))
                continue
            number, suffix, what = line.split(" ", 2)
            at = int(number) + 1
            kind = f"{suffix.removeprefix('.')} {what if what == 'read' else what.split(':')[0]}"
            outcomes[kind] += 1
            if what.startswith("WRONG"):
                wrong.append(line)
        if done.returncode:
            wrong.append(f"{at} CRASH exit {done.returncode}: {done.stderr[-300:]}")
            outcomes["crash"] += 1
            at += 1
    return outcomes, wrong


def main() -> int:
    """Run, print, exit 1 on any failure."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--work", type=int, nargs=2)
    given = arguments.parse_args()
    if given.work:
        work(*given.work, given.seed)
        return 0
    began = time.perf_counter()
    outcomes, wrong = run(given.count, given.seed)
    for kind, n in sorted(outcomes.items()):
        print(f"{n:>7,}  {kind}")
    print(f"{given.count:,} files in {time.perf_counter() - began:.0f} s, {len(wrong)} wrong")
    for line in wrong[:50]:
        print(line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
