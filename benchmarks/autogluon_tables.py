"""Ten clinical tables, one fixed third held out: Osler's whole honest fit beside AutoGluon 1.6.3 in an environment of
its own.

    python benchmarks/autogluon_tables.py --peer /path/to/peer/bin/python [--tables pima,pbc] [--log
    benchmarks/logs/autogluon_tables.txt]

The peer's environment: pip install torch==2.13.0 'autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3'. Same
rows, same two cores, one run; CPU seconds are those of the finished child processes. AUROC differences by DeLong's
paired test, Brier differences by a paired bootstrap of held-out rows. Osler's CPU includes cross-validation,
certificate, explanation and report.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from osler.catalogue import tables
from osler.catalogue.recipes import RECIPES
from osler.evaluation.compare import delong_test
from osler.evaluation.metrics import auroc


@dataclass(frozen=True)
class Table:
    """A table of the benchmark: catalogue name, binary outcome `y`, and columns that are no predictors."""

    name: str
    outcome: Callable[[], pl.Expr]
    drop: tuple[str, ...] = ()


TABLES = (
    Table("heart_cleveland", lambda: pl.col("disease")),
    Table("pima_diabetes", lambda: (pl.col("diabetes").cast(pl.String).is_in(["pos", "1"])).cast(pl.Int64)),
    Table("ckd_uci", lambda: (pl.col("class") == "ckd").cast(pl.Int64)),
    Table("breast_cancer_wisconsin_original", lambda: pl.col("malignant"), ("sample_code",)),
    Table("framingham_teaching", lambda: pl.col("cvd_10y"), ("RANDID",)),
    Table("actg175", lambda: pl.col("cens"), ("pidnum", "days")),
    Table("colon", lambda: pl.col("status"), ("id", "time")),
    Table("pbc", lambda: pl.col("death"), ("id", "time")),
    Table("opt", lambda: (pl.col("Preg.ended...37.wk").cast(pl.String).str.strip_chars().str.to_lowercase().is_in(["yes", "1"])).cast(pl.Int64), ("PID",)),
    Table("nhefs", lambda: pl.col("death"), ("seqn", "yrdth", "modth", "dadth", "rownames", "")),
)  # fmt: skip


def frame_of(table: Table) -> pl.DataFrame:
    """Predictors and `y`, rows in file order, rows without an outcome left out."""
    raw = tables.table(table.name)
    if table.name in RECIPES:
        recipe = RECIPES[table.name]
        frame, _ = tables.prepare(raw, recipe)
        target = [recipe.target] if recipe.target else [recipe.event]
        drop = {"_row", *recipe.ignore, *target, *table.drop}
    else:
        frame, drop = raw, {*table.drop, "death"}
    frame = frame.with_columns(table.outcome().alias("y")).filter(pl.col("y").is_not_null())
    return frame.drop([c for c in frame.columns if c in drop and c != "y"])


def split(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A fixed third held out, balanced by the outcome: of each class, every third row of a seeded shuffle."""
    rng = np.random.default_rng(20261120)
    held = np.zeros(len(frame), dtype=bool)
    y = frame["y"].to_numpy()
    for k in (0, 1):
        held[rng.permutation(np.flatnonzero(y == k))[::3]] = True
    return frame.filter(pl.Series(~held)), frame.filter(pl.Series(held))


def run(command: list[str], log: Path) -> tuple[float, float]:
    """CPU and wall seconds of a child and all its finished children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with log.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "2"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{log.read_text()[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - start


def osler_answer(folder: Path, options: list[str]) -> tuple[np.ndarray, float, float, str]:
    """Held-out probabilities of the chosen model, CPU, wall, certificate verdict."""
    import json

    command = [sys.executable, "-m", "osler", "fit", str(folder / "train.csv"), "--target", "y", "--positive", "1"]
    command += ["--holdout", str(folder / "test.csv"), "--out", str(folder / "run"), "--quiet", *options]
    cpu, wall = run(command, folder / "osler.log")
    scores = json.loads((folder / "run" / "scores.json").read_text())
    answers = pl.read_parquet(folder / "run" / "predictions.parquet")
    mine = answers.filter((pl.col("part") == "holdout") & (pl.col("model") == scores["chosen"])).sort("row")
    verdict = json.loads((folder / "run" / "certificate.json").read_text())["verdict"]
    return mine["probability"].to_numpy(), cpu, wall, verdict


def brier_difference(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval of (a - y)^2 - (b - y)^2, paired bootstrap."""
    d = (a - y) ** 2 - (b - y) ** 2
    rng = np.random.default_rng(1)
    means = d[rng.integers(0, len(d), (2000, len(d)))].mean(axis=1)
    return float(d.mean()), float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    """Run the asked tables and print one line each, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default="")
    parser.add_argument("--tables", default="")
    parser.add_argument("--log", default="")
    parser.add_argument("--option", action="append", default=[])
    asked = parser.parse_args()
    wanted = [t for t in TABLES if not asked.tables or t.name in asked.tables.split(",")]
    presets = ("medium_quality", "best_quality") if asked.peer else ()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)
        if asked.log:
            Path(asked.log).write_text("\n".join(lines) + "\n")

    wins = {p: {"brier": 0, "auroc_not_worse": 0, "cpu": 0} for p in presets}
    for table in wanted:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            train, test = split(frame_of(table))
            train.write_csv(folder / "train.csv")
            test.write_csv(folder / "test.csv")
            y = test["y"].to_numpy()
            p, cpu, wall, verdict = osler_answer(folder, asked.option)
            say(
                f"{table.name}: {len(train)} + {len(test)} rows, {train.width - 1} "
                f"predictors, {int(y.sum())} held-out events"
            )
            say(
                f"  osler            AUROC {auroc(y, p):.4f}  Brier {np.mean((p - y) ** 2):.4f}  CPU "
                f"{cpu:6.1f} s  wall {wall:5.1f} s  certificate {verdict}"
            )
            for preset in presets:
                script = Path(__file__).with_name("peers") / "autogluon_fit.py"
                cpu_peer, wall_peer = run([asked.peer, str(script), str(folder), preset, "60"], folder / "peer.log")
                q = pl.read_csv(folder / f"{preset}.csv")["p"].to_numpy()
                d = delong_test(y, p, q)
                b = brier_difference(y, p, q)
                wins[preset]["auroc_not_worse"] += d["high"] is None or d["high"] >= 0
                wins[preset]["brier"] += b[0] < 0
                wins[preset]["cpu"] += cpu <= cpu_peer
                say(
                    f"  {preset:<16} AUROC {auroc(y, q):.4f}  Brier {np.mean((q - y) ** 2):.4f}  "
                    f"CPU {cpu_peer:6.1f} s  wall {wall_peer:5.1f} s  "
                    f"osler - peer: AUROC {d['value']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f}), Brier {b[0]:+.4f} "
                    f"({b[1]:+.4f} to {b[2]:+.4f}), CPU ratio {cpu / cpu_peer:.2f}"
                )
    for preset, count in wins.items():
        say(
            f"against {preset}: AUROC not worse beyond its interval on {count['auroc_not_worse']} of {len(wanted)}, "
            f"Brier better on {count['brier']}, CPU not more on {count['cpu']}"
        )


if __name__ == "__main__":
    main()
