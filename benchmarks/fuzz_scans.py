"""Damaged DICOM and NIfTI files into the reader: no crash, no hang, no memory beyond twice the file and 64 MiB.

    python benchmarks/fuzz_scans.py [--n 10000] [--part 0/1]

Each file is a small public or written one with 1 to 8 bytes changed, a part cut out, doubled or cut off, or header numbers made huge. Files are read
in one process, one after the other; each is timed (CPU), and the peak of traced memory (Python's and numpy's; what decoders in C reserve shows in the
resident memory only) is compared with its size. A crash would end the process and be seen. With the robustness set
beside it (OSLER_DATA_MIRROR), its small files of every packing are among the seeds.
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import resource
import sys
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np

from osler.adapters.imaging import nifti, scan
from osler.errors import OslerError


def seeds_dicom() -> list[bytes]:
    """Small DICOM files of many packings."""
    out = []
    with zipfile.ZipFile(Path(os.environ["OSLER_DATA_MIRROR"]) / "imaging" / "dicom_robustness.zip") as archive:
        for name in archive.namelist():
            info = archive.getinfo(name)
            if not name.endswith("/") and info.file_size < 140_000:
                out.append(archive.read(name))
    return out


def seeds_nifti(folder: Path) -> list[bytes]:
    """NIfTI files, plain and packed."""
    rng, out = np.random.default_rng(0), []
    for name in ("a.nii", "b.nii.gz"):
        nifti.write(folder / name, rng.integers(0, 500, (9, 20, 18)).astype(np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
        out.append((folder / name).read_bytes())
    return out


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One way in which a file may be broken."""
    kind, held = int(rng.integers(5)), bytearray(data)
    head = min(len(held), 2500)
    if kind == 0:
        for _ in range(int(rng.integers(1, 9))):
            held[int(rng.integers(len(held)))] = int(rng.integers(256))
    elif kind == 1:
        for _ in range(int(rng.integers(1, 9))):
            held[int(rng.integers(head))] = int(rng.choice([0, 1, 127, 128, 254, 255]))
    elif kind == 2:
        held = held[: int(rng.integers(len(held)))]
    elif kind == 3:
        at, n = int(rng.integers(head)), int(rng.integers(1, 400))
        held = held[:at] + held[at + n :] if rng.random() < 0.5 else held[: at + n] + held[at:]
    else:
        at = int(rng.integers(max(1, head - 4)))
        held[at : at + 4] = [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\x00\x00"][int(rng.integers(4))]
    return bytes(held)


def run(kind: str, seeds: list[bytes], n: int, folder: Path, seed: int) -> tuple[collections.Counter, float, float]:
    """Read n damaged files: outcomes, the longest time, and the most memory beyond twice the file (MiB)."""
    rng, seen = np.random.default_rng(seed), collections.Counter()
    slowest = most = 0.0
    path = folder / ("x.dcm" if kind == "DICOM" else "x.nii")
    tracemalloc.start()
    for _ in range(n):
        data = damaged(seeds[int(rng.integers(len(seeds)))], rng)
        path.write_bytes(data)
        tracemalloc.reset_peak()
        before, at = tracemalloc.get_traced_memory()[0], time.process_time()
        try:
            found = scan.read(path.name, folder)
            seen["read"] += 1
            del found
        except OslerError as error:
            seen[error.code] += 1
        slowest = max(slowest, time.process_time() - at)
        most = max(most, (tracemalloc.get_traced_memory()[1] - before - 2 * len(data)) / 2**20)
    tracemalloc.stop()
    return seen, slowest, most


def main() -> None:
    """Print one line per kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind, seeds in (("DICOM", seeds_dicom()), ("NIfTI", seeds_nifti(folder))):
            out = io.StringIO()
            seen, slowest, most = run(kind, seeds, given.n, folder, given.seed)
            print(f"{kind}: {given.n:,} damaged files of {len(seeds)} seeds, 0 crashes, slowest {slowest:.2f} CPU s, "
                  f"most memory beyond 2 x file {most:.1f} MiB, "
                  f"largest resident memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB; "
                  f"{dict(seen.most_common())}", file=out)  # fmt: skip
            sys.stdout.write(out.getvalue())
            sys.stdout.flush()


if __name__ == "__main__":
    main()
