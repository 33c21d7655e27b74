"""Peak memory of `osler look`, `osler predict` and `osler screen` while a list of SMILES streams by.

    OSLER_DATA_MIRROR=... python benchmarks/molecule_memory.py [--verbs look predict screen] [--most 1000000]
        [--marks 100000 300000 1000000] [--chains] [--blocks] [--reader] [--log benchmarks/logs/molecule_memory.txt]

ChEMBL's molecules (677,045 lines, repeated where more are asked for) are written as a list; each command works through it in
one fresh process with one thread, and its largest resident memory so far is noted when it says that so many molecules are
done, and at its end. CPU seconds are those of the process until then, and at the end also those of the process that reads odd
molecules. The model is a linear one on cheap features: memory is asked here, not speed. `--chains` takes small molecules, all
different, in the place of ChEMBL's. `--blocks` makes `look` stream whatever the size of the file; without it a file below
128 MiB is held whole. `--reader` measures the streaming reader alone, without asking RDKit, for lists of tens of millions of
lines.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

from predict_molecules import chembl, drugs, osler

RUN = (
    "import sys\n"
    "from osler.__main__ import main\n"
    "status = main(sys.argv[1:])\n"
    "held = open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
    "print('PEAK', held, file=sys.stderr)\n"
    "sys.exit(status)\n"
)
#: `look` in blocks, whatever the size of the file.
IN_BLOCKS = "from osler.cohort import profile\nprofile.STREAM_BYTES = 1\n"
READER = (
    "import sys\n"
    "from osler.engine.screening.library import entries\n"
    "for n, _ in enumerate(entries(sys.argv[1]), 1):\n"
    "    if n % 100000 == 0: print(f'molecules: {n}', file=sys.stderr, flush=True)\n"
    "held = open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
    "print('PEAK', held, file=sys.stderr)\n"
)


def chains() -> Iterator[str]:
    """Chains of 12 to 15 atoms, 1.26 million different ones: small molecules that are read fast."""
    parts = ["".join(atoms) for n in (3, 4) for atoms in product("CNO", repeat=n)]
    return ("C" + "S".join(three) for three in product(parts, repeat=3))


def written(path: Path, size: int, stream: Iterator[str]) -> None:
    """A list of so many molecules with names."""
    with path.open("w") as out:
        for start in range(0, size, 100_000):
            part = islice(stream, min(100_000, size - start))
            out.writelines(f"{text} m{start + i}\n" for i, text in enumerate(part))


def state(pid: int) -> tuple[float, float]:
    """MiB that a process held at most so far, and its CPU seconds."""
    status = Path(f"/proc/{pid}/status").read_text()
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024, (int(spent[11]) + int(spent[12])) / ticks


def measured(code: str, arguments: list[str], marks: list[int]) -> list[tuple[str, float, float, float]]:
    """(molecules done, CPU s, wall s, peak MiB) at the first report from each mark on, and at the end."""
    start, marks, found = time.perf_counter(), sorted(marks), []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **one}) as work:
        for line in work.stderr:
            told = re.match(r"(?:rows|molecules): (\d+)", line)
            if told and marks and int(told[1]) >= marks[0]:
                peak, cpu = state(work.pid)
                found.append((f"{int(told[1]):,}", cpu, time.perf_counter() - start, peak))
                marks = [mark for mark in marks if mark > int(told[1])]
            if line.startswith("PEAK"):
                peak = int(line.split()[1]) / 1024
            elif not told:
                print(line, end="", file=sys.stderr)
    if work.returncode:
        raise SystemExit(f"{arguments[0]} ended with {work.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [*found, ("end", cpu, time.perf_counter() - start, peak)]


def main() -> int:
    """Write the list, run each command, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="*", default=["look", "predict", "screen"], choices=["look", "predict", "screen"])
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--marks", type=int, nargs="*", default=[100_000, 300_000, 600_000])
    parser.add_argument("--chains", action="store_true")
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--reader", action="store_true")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)
        if asked.log:
            with asked.log.open("a") as log:
                log.write(text + "\n")

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        library = work / "library.smi"
        written(library, asked.most, chains() if asked.chains else chembl())
        jobs = {"look": ["look", str(library)], "predict": ["predict", str(work / "run"), str(library), "--out", str(work / "a.csv")],
                "screen": ["screen", str(library), "--run", str(work / "run"), "--filter", "ro5", "--out", str(work / "s")]}  # fmt: skip
        if {"predict", "screen"} & set(asked.verbs) and not asked.reader:
            osler("fit", str(drugs() / "lipophilicity.csv"), "--target", "exp", "--input", "smiles", "--column", "smiles=molecule:features=basics",
                  "--unit", "scaffold", "--model", "linear", "--folds", "3", "--no-explain", "--workers", "1", "--quiet",
                  "--out", str(work / "run"))  # fmt: skip
        say(f"{asked.most:,} {'chains' if asked.chains else 'of ChEMBL'}, {library.stat().st_size / 2**20:,.0f} MiB, load {os.getloadavg()[0]:.1f}")
        say("command   molecules done    CPU s   wall s  peak MiB")
        for verb in ["reader"] if asked.reader else asked.verbs:
            code = READER if asked.reader else (IN_BLOCKS if asked.blocks and verb == "look" else "") + RUN
            for done, cpu, wall, peak in measured(code, [str(library)] if asked.reader else jobs[verb], asked.marks):
                say(f"{verb:<9} {done:>14} {cpu:>8.1f} {wall:>8.1f} {peak:>9,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
