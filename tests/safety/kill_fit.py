"""Kill -9 a fit at random moments: `python tests/safety/kill_fit.py --kills 200 [--seed 0] [--warm]`.

A small `osler fit` runs as a process of its own and is killed after a random share of the time that it takes; the same
command is given again and continues. After every kill the run folder is either absent or whole (opened, hashes
checked). Now and then a fit is let through: its scores, certificate and predictor must be the bytes of a fit that was
never disturbed, and nothing half-written may be left beside it. `--warm` forks a process that has imported Osler
already, so that kills fall on the work and not on the start of Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: Compared byte by byte with the undisturbed fit.
SAME = (
    "scores.json", "certificate.json", "curves.json", "facts.json", "refusals.csv", "predictions.parquet", "splits.parquet",
    "predictor/manifest.json", "predictor/manifest.sha256", "predictor/predictor.json", "predictor/arrays.safetensors",
)  # fmt: skip


def arguments(table: Path, out: Path) -> list[str]:
    """The command line of the small fit."""
    options = "--target died --unit patient_id --model logistic --model tree --folds 3 --repeats 1 --boot 200 --no-explain --workers 1 --quiet"
    return ["fit", str(table), "--out", str(out), *options.split()]


def start(args: list[str], warm: bool) -> int:
    """Process id of a fit that has just begun."""
    if not warm:
        return subprocess.Popen(
            [sys.executable, "-m", "osler", *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ).pid
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        from osler.cli import main

        os._exit(main(args))
    return child


def finish(child: int) -> int:
    """Wait; the exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def problems(out: Path, reference: dict[str, bytes] | None = None) -> list[str]:
    """What is wrong with a run folder; `reference` is given when the fit went through."""
    from osler.engine.run import Run
    from osler.errors import OslerError

    if not out.exists():
        return [] if reference is None else ["no run folder after a finished fit"]
    try:
        Run.load(out).predictor  # noqa: B018
    except OslerError as error:
        return [f"a half run folder: {error.message}"]
    if list(out.rglob("*partial*")):
        return ["unfinished files inside the run folder"]
    if reference is None:
        return []
    wrong = [f"{name} differs" for name, data in reference.items() if (out / name).read_bytes() != data]
    return wrong + [f"left beside it: {p.name}" for p in out.parent.glob(".*partial*")]


def looked_at(out: Path, reference: dict[str, bytes] | None = None) -> list[str]:
    """`problems`, found by a process of its own: one that has used threads must not fork again."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "\n".join(problems(out, reference)).encode()[:60_000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as lines:
        said = lines.read().decode()
    return said.splitlines() if finish(child) == 0 else ["looking at the run folder failed"]


def kill_many(table: Path, scratch: Path, kills: int, seed: int, warm: bool = False, between: int = 8) -> list[str]:
    """Kill `kills` times, let a fit through after every `between` kills and at the end; what went wrong."""
    look = looked_at if warm else problems
    rng, out = np.random.default_rng(seed), scratch / "run"
    began = time.monotonic()
    if finish(start(arguments(table, out), warm)):
        return ["the undisturbed fit failed"]
    whole = time.monotonic() - began
    reference = {name: (out / name).read_bytes() for name in SAME}
    shutil.rmtree(out)
    found, done = [], 0
    while done < kills:
        child = start(arguments(table, out), warm)
        time.sleep(float(rng.uniform(0.02, 1.0)) * whole)
        os.kill(child, signal.SIGKILL)
        if finish(child) == -signal.SIGKILL:
            done += 1
            found += [f"after kill {done}: {p}" for p in look(out)]
        if done % between == 0 or done == kills:
            if finish(start(arguments(table, out), warm)):
                found.append(f"after kill {done}: the continued fit failed")
            found += [f"continued after kill {done}: {p}" for p in look(out, reference)]
            if rng.random() < 0.5:  # half of the time the next fit replaces this run, and may be killed while it does
                shutil.rmtree(out)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", action="store_true")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.safety.small_table import write

    if given.warm:
        import lightgbm  # noqa: F401
        import scipy.optimize  # noqa: F401
        import sklearn.tree  # noqa: F401
        import typer  # noqa: F401

        import osler.cli.fit
        import osler.engine.fit
        import osler.report.build  # noqa: F401
    with tempfile.TemporaryDirectory() as folder:
        wrong = kill_many(write(Path(folder) / "table.csv", 120), Path(folder), given.kills, given.seed, given.warm)
    print(f"{given.kills} kills, {len(wrong)} problems")
    print("\n".join(wrong))
    sys.exit(bool(wrong))
