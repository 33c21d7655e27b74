"""GBSG2 and WHAS500, 5-fold x 2: Osler's survival models beside scikit-survival in an environment of its own.

    python benchmarks/survival.py --peer /path/to/peer/bin/python [--seeds 0 1] [--tables gbsg2] [--log
    benchmarks/logs/survival.txt]

The peer's environment: pip install scikit-survival. Same rows, same folds, one thread each, in one run. The folds are
scikit-learn's StratifiedKFold(5, shuffle=True, random_state=seed) by event, one round per seed, so that anybody can
deal them again. GBSG2 comes from lifelines, WHAS500 (all 14 predictors) from the peer. C is Harrell's, the mean over
the test folds; an interval is over rows by the infinitesimal jackknife with the fitted models held fixed, a difference
is paired. CPU seconds are of fit and predict on all folds, everything that is chosen inside the training rows
included; a ratio has a t interval over the folds.

Nothing is chosen on test folds in a run. The defaults of the forest (min_leaf, features) and of the boosting (learning
rate, rows, features, leaves 2 or 4) were settled earlier by looking at cross-validations of these two tables with
other folds, so their C here is slightly flattered; the peer's settings are the first ones tried. The ensemble learns
its weights inside each training part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", POLARS_MAX_THREADS="1")

import numpy as np
import polars as pl

from osler import models
from osler.blocks import dense
from osler.cohort.split import Split
from osler.evaluation.concordance import concordance
from osler.models.base import Encoded
from osler.tasks.base import Target
from osler.tasks.survival import default_horizon

PEER = Path(__file__).parent / "peers" / "sksurv_fit.py"
OURS = ("cox", "survival_forest", "survival_boosting", "ensemble")
COLUMNS = {"gbsg2": ("time", "cens"), "whas500": ("lenfol", "fstat")}


@dataclass(frozen=True)
class Answers:
    """One model's risks per fold, and its CPU seconds per fold."""

    risk: list[np.ndarray]
    cpu_s: np.ndarray


def table(name: str, peer: str, folder: Path) -> pl.DataFrame:
    """The rows as they ship."""
    if name == "gbsg2":
        return pl.read_csv((resources.files("lifelines.datasets") / "gbsg2.csv").read_bytes())
    subprocess.run([peer, PEER, "whas500", folder / "whas500.csv"], check=True)
    return pl.read_csv(folder / "whas500.csv")


def encoded(frame: pl.DataFrame, name: str) -> Encoded:
    """Numbers as they are; texts and two-valued columns as codes."""
    duration, event = COLUMNS[name]
    blocks = {}
    for column in frame.drop(duration, event).iter_columns():
        if column.dtype == pl.String or column.n_unique() == 2:
            levels = sorted(column.unique().to_list())
            codes = column.replace_strict(levels, list(range(len(levels))), return_dtype=pl.Float64).to_numpy()
            names = [str(v) for v in levels]
            blocks[column.name] = dense(codes[:, None], [column.name], kinds=["categorical"], levels=[names])
        else:
            blocks[column.name] = dense(column.cast(pl.Float64).to_numpy()[:, None], [column.name])
    time_, seen = frame[duration].to_numpy().astype(float), frame[event].to_numpy() > 0
    target = Target("survival", (duration, event), time_, seen, horizon=default_horizon(time_, seen))
    return Encoded(blocks, target, np.arange(len(frame)))


def peers(frame: pl.DataFrame, data: Encoded, name: str, splits: list[Split], peer: str) -> dict[str, Answers]:
    """The peer's answers, in one process of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        frame.drop(*COLUMNS[name]).write_csv(folder / "x.csv")
        pl.DataFrame({"time": data.target.y, "event": data.target.event.astype(int)}).write_csv(folder / "y.csv")
        folds = [{"train": s.train.tolist(), "test": s.test.tolist()} for s in splits]
        (folder / "folds.json").write_text(json.dumps(folds))
        subprocess.run([peer, PEER, "fit", folder], check=True)
        answers = json.loads((folder / "answers.json").read_text())
    return {
        k: Answers([np.array(f["risk"]) for f in v], np.array([f["cpu_s"] for f in v])) for k, v in answers.items()
    }


def dealt(data: Encoded, seeds: list[int]) -> list[Split]:
    """Five folds per seed, balanced by event."""
    from sklearn.model_selection import StratifiedKFold

    splits = []
    for repeat, seed in enumerate(seeds):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed).split(data.target.y, data.target.event)
        splits += [Split("cv", repeat, k, train, test) for k, (train, test) in enumerate(folds)]
    return splits


def ours(data: Encoded, splits: list[Split]) -> dict[str, Answers]:
    """Osler's answers."""
    out = {}
    for spec in OURS:
        models.get(spec).fit(
            data.take(splits[0].train[:60]), np.random.default_rng(0)
        )  # imports are not the models' time
        risk, cpu_s = [], []
        for i, split in enumerate(splits):
            start, estimator = time.process_time(), models.get(spec)
            params = estimator.fit(data.take(split.train), np.random.default_rng(i))
            risk.append(estimator.predict(params, data.take(split.test).blocks).risk)
            cpu_s.append(time.process_time() - start)
        out[spec] = Answers(risk, np.array(cpu_s))
    return out


def scored(data: Encoded, splits: list[Split], answers: Answers) -> tuple[float, np.ndarray]:
    """Mean C over the folds, and each row's influence on it (n,)."""
    influence, values = np.zeros(len(data)), []
    for split, risk in zip(splits, answers.risk):
        found = concordance(data.target.y[split.test], data.target.event[split.test], risk)
        values.append(found.value)
        influence[split.test] += found.influence / len(splits)
    return float(np.mean(values)), influence


def t_quantile(freedom: int) -> float:
    """The 97.5th percentile of Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def report(name: str, data: Encoded, splits: list[Split], answers: dict[str, Answers]) -> list[str]:
    """One line per model."""
    peer = "sksurv forest"
    base, base_influence = scored(data, splits, answers[peer])
    head = f"{name}: {len(data)} rows, {int(data.target.event.sum())} events, {len(splits)} test folds, horizon {data.target.horizon:g}"
    lines = [head, f"{'model':28s} {'C':>6s}  {'95 %':15s} {'minus ' + peer:25s} {'CPU s':>6s}  CPU s / {peer}"]
    for model, answer in answers.items():
        c, influence = scored(data, splits, answer)
        error, apart = np.sqrt(influence @ influence), np.sqrt(((influence - base_influence) ** 2).sum())
        ratio = np.log(answer.cpu_s / answers[peer].cpu_s)
        half = t_quantile(len(ratio) - 1) * ratio.std(ddof=1) / np.sqrt(len(ratio))
        lines.append(
            f"{model:28s} {c:6.4f}  {c - 1.96 * error:.3f} to {c + 1.96 * error:.3f}  "
            f"{c - base:+.4f} ({c - base - 1.96 * apart:+.4f} to "
            f"{c - base + 1.96 * apart:+.4f}) {answer.cpu_s.sum():6.1f}  "
            f"{np.exp(ratio.mean()):.3f} ({np.exp(ratio.mean() - half):.3f} to {np.exp(ratio.mean() + half):.3f})"
        )
    return lines


def main() -> None:
    """Run both tables and print, or also write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="python of an environment with scikit-survival")
    parser.add_argument("--log", help="file to write the lines to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="one round of five folds per seed")
    parser.add_argument("--tables", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    given = parser.parse_args()
    lines = []
    for name in given.tables:
        with tempfile.TemporaryDirectory() as place:
            frame = table(name, given.peer, Path(place))
        data = encoded(frame, name)
        splits = dealt(data, given.seeds)
        answers = {**ours(data, splits), **peers(frame, data, name, splits, given.peer)}
        block = report(name, data, splits, answers)
        print("\n".join(block), flush=True)
        lines += [*block, ""]
    if given.log:
        head = f"benchmarks/survival.py --seeds {' '.join(map(str, given.seeds))} --tables {' '.join(given.tables)}"
        Path(given.log).write_text("\n".join([head, "", *lines]))


if __name__ == "__main__":
    main()
