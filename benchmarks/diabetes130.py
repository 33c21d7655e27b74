"""Diabetes-130: readmission within 30 days, first encounter per person, tested on odd encounter numbers.

    OSLER_DATA_MIRROR=... python benchmarks/diabetes130.py [--log benchmarks/logs/diabetes130.txt]

AUROC on the test part and CPU seconds: our estimators (states, fit and answer), the peers with their usual settings on
ordinal or one-hot codes, and the whole honest `osler fit` of one model with cross-validation, hold-out, certificate
and report.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from osler import models, tasks
from osler.catalogue import tables
from osler.engine.batches import CohortBatches, encode, fit_states
from osler.evaluation.metrics import auroc

WANTED = "wanted >= 0.652 in <= 17 CPU s"


def estimators(say: Callable[[str], None]) -> None:
    """One fit of each on the training part."""
    cohort = tables.read("diabetes130")
    odd = cohort.table["patient_nbr"].cast(pl.Int64).to_numpy() % 2 == 1
    train, test = cohort.take(np.flatnonzero(~odd)), cohort.take(np.flatnonzero(odd))
    task = tasks.get("binary")
    target, y = task.target_of(train), task.target_of(test).y
    say(f"diabetes130: {len(train)} + {len(test)} rows, {len(cohort.role('input'))} predictors; {WANTED}")
    for spec in ("logistic", "boosting"):
        start = time.process_time()
        states = fit_states(train)
        data = CohortBatches(train, states, target, np.arange(len(train))).all()
        estimator = models.get(spec)
        params = estimator.fit(data, np.random.default_rng(0))
        p = estimator.predict(params, encode(test, states)).value[:, 1]
        say(
            f"  osler {spec:<18} AUROC {auroc(y, p):.4f}  CPU "
            f"{time.process_time() - start:5.1f} s (encode, fit, answer)"
        )
    _peers(say, train, test, target.y, y)


def _peers(say: Callable[[str], None], train: object, test: object, y: np.ndarray, held: np.ndarray) -> None:
    import pandas as pd
    from lightgbm import LGBMClassifier
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    names = [c.name for c in train.role("input")]
    numbers = [c.name for c in train.role("input") if c.modality == "number"]
    x = [pd.DataFrame({n: c.table[n].to_list() for n in names}) for c in (train, test)]
    codes = [n for n in names if n not in numbers]
    for part in x:
        part[codes] = part[codes].astype(str)
        part[numbers] = part[numbers].fillna(0)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    onehot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20)
    peers = {
        "lightgbm": make_pipeline(make_column_transformer((ordinal, codes), remainder="passthrough"),
                                  LGBMClassifier(n_estimators=300, learning_rate=0.05, num_leaves=31, n_jobs=1, verbose=-1)),
        "logistic": make_pipeline(make_column_transformer((onehot, codes), (StandardScaler(), numbers)), LogisticRegression(C=0.1, max_iter=500)),
    }  # fmt: skip
    for name, peer in peers.items():
        start = time.process_time()
        p = peer.fit(x[0], y).predict_proba(x[1])[:, 1]
        say(f"  peer {name:<19} AUROC {auroc(held, p):.4f}  CPU {time.process_time() - start:5.1f} s")


def whole(say: Callable[[str], None]) -> None:
    """`osler fit` with one model, everything included."""
    cohort = tables.read("diabetes130")
    keep = [c.name for c in cohort.columns if c.role in ("input", "unit", "target")]
    odd = pl.Series(cohort.table["patient_nbr"].cast(pl.Int64).to_numpy() % 2 == 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cohort.table.filter(~odd).select(keep).write_csv(folder / "train.csv")
        cohort.table.filter(odd).select(keep).write_csv(folder / "test.csv")
        command = [
            sys.executable,
            "-m",
            "osler",
            "fit",
            str(folder / "train.csv"),
            "--target",
            "readmitted_30d",
            "--unit",
            "patient_nbr",
        ]
        command += [
            "--holdout",
            str(folder / "test.csv"),
            "--model",
            "boosting",
            "--out",
            str(folder / "run"),
            "--quiet",
            "--workers",
            "1",
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 1):
            raise SystemExit(done.stderr)
        scores = json.loads((folder / "run" / "scores.json").read_text())
        verdict = json.loads((folder / "run" / "certificate.json").read_text())["verdict"]
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        m = scores["parts"]["holdout"]["boosting"]["auroc"]
        say(
            f"  osler fit --model boosting: hold-out AUROC {m['value']:.4f} ({m['low']:.4f} to {m['high']:.4f}), whole "
            f"fit {cpu:.1f} CPU s, {time.monotonic() - start:.0f} s wall, certificate {verdict}"
        )


def main() -> None:
    """Run both and log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", default="")
    asked = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    estimators(say)
    whole(say)
    if asked.log:
        Path(asked.log).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
