"""`osler predict` from SMILES: molecules per second of one core, end to end, and peak memory as the file grows.

    OSLER_DATA_MIRROR=... python benchmarks/predict_molecules.py [--sizes 20000 100000 300000] [--features fast default]
        [--runs FOLDER] [--log benchmarks/logs/predict_molecules.txt]

A model is fitted on Lipophilicity (4,200 molecules, folds by scaffold) with each set of features, by the command line; then
`osler predict` answers lists of ChEMBL's molecules (677,045, repeated where more are asked for), each in a fresh process with
one thread. CPU seconds are those of the process and of the one that reads odd molecules, start and writing included. The same
molecules parsed by RDKit alone, in the same run, say how fast the machine was at that time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PARSE = """
import sys, time
from rdkit import Chem, RDLogger
RDLogger.DisableLog("rdApp.*")
texts = [line.split()[0] for line in open(sys.argv[1])][:5000]
start = time.process_time()
n = sum(Chem.MolFromSmiles(text) is not None for text in texts)
print(len(texts) / (time.process_time() - start))
"""


def drugs() -> Path:
    """The folder of the data."""
    return Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs"


def chembl() -> Iterator[str]:
    """ChEMBL's molecules, again and again, in an order that mixes the alphabetical list."""
    with tarfile.open(drugs() / "chembl_smiles_677k.tar.xz") as packed:
        member = next(m for m in packed if m.isfile())
        lines = packed.extractfile(member).read().decode().split()
    while True:
        for start in range(997):
            yield from lines[start::997]


def osler(*arguments: str) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak resident KiB of one command in a fresh process, its children included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = "import sys, resource; from osler.__main__ import main; status = main(sys.argv[1:]); " \
           "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(status)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(done.stderr.split("PEAK")[1].split()[0])
    return time.perf_counter() - start, cpu, peak


def fitted(folder: Path, features: str) -> Path:
    """A run of boosting on Lipophilicity with these features, fitted unless it is there."""
    run = folder / f"lipophilicity_{features}"
    if not run.exists():
        kind = "smiles=molecule" + ("" if features == "default" else f":features={features}")
        osler("fit", str(drugs() / "lipophilicity.csv"), "--target", "exp", "--input", "smiles", "--column", kind, "--unit",
              "scaffold", "--model", "boosting", "--folds", "3", "--no-explain", "--workers", "1", "--quiet", "--out", str(run))  # fmt: skip
    return run


def main() -> int:
    """Fit, answer, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20_000, 100_000, 300_000])
    parser.add_argument("--features", nargs="*", default=["fast", "default"])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        if asked.log:
            asked.log.write_text("\n".join(lines) + "\n")

    with tempfile.TemporaryDirectory() as work:
        runs = asked.runs or Path(work)
        say("features   molecules   CPU s   wall s  molecules/CPU s  peak MiB   RDKit parse alone /s   times its seconds")
        for features in asked.features:
            run = fitted(runs, features)
            last: tuple[int, float] | None = None
            for size in asked.sizes:
                library = Path(work) / "library.smi"
                stream = chembl()
                library.write_text("".join(f"{next(stream)} m{i}\n" for i in range(size)))
                parse = float(subprocess.run([sys.executable, "-c", PARSE, str(library)], capture_output=True, text=True).stdout)
                wall, cpu, peak = osler("predict", str(run), str(library), "--out", str(Path(work) / "answers.csv"))
                say(f"{features:<9} {size:>10,} {cpu:>7.1f} {wall:>8.1f} {size / cpu:>16,.0f} {peak / 1024:>9,.0f} {parse:>22,.0f} {parse * cpu / size:>19.2f}")
                if last:
                    more, took = size - last[0], cpu - last[1]
                    say(f"           from {last[0]:,} to {size:,}: {more / took:,.0f} molecules/CPU s")
                last = size, cpu
    return 0


if __name__ == "__main__":
    sys.exit(main())
