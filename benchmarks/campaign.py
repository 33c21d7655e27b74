"""A campaign replayed: does choosing what to measure next beat measuring at random?

    OSLER_DATA_MIRROR=FOLDER python benchmarks/campaign.py [--seeds 10] [--rounds 10] [--batch 24] [--start 100] [--model gaussian_process]

Lipophilicity (4,200 measured molecules): per seed, 840 drawn molecules are set aside as a test, `start` of the others are measured, then
ten times the model is fitted on what is measured (the features of a column of molecules) and 24 more are chosen. Unsure means what the
model says of each row: the Gaussian process of the default ensemble, or the trees of a forest. Two questions:

- finding: how many of the 100 most lipophilic molecules of the pool were measured in the end (ei, ucb, mean, each with diversity 0.3, ei
  also with 0) beside random picking;
- learning: RMSE on the test of the model fitted on everything measured in the end (spread, with diversity 0.3 and 0.7) beside random.

Each line has the mean over seeds and a 95 % t interval, and the difference from random of the same seeds. The choices of the seeds'
starts and tests are the same for all strategies. Lines are added to benchmarks/logs/campaign.txt.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import polars as pl
from scipy import stats

from osler import modalities, models
from osler.adapters.rdkit import fingerprints
from osler.adapters.rdkit.parse import parse
from osler.blocks import Block
from osler.cohort.column import Column
from osler.engine.acquire.choose import batch, worth
from osler.engine.acquire.spread import own
from osler.models.base import Encoded
from osler.tasks.base import Target

TABLE = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "lipophilicity.csv"
LOG = Path(__file__).parent / "logs" / "campaign.txt"
TOP = 100
WAYS = {
    "random": None, "mean, diversity 0.3": ("mean", 0.3), "ucb, diversity 0.3": ("ucb", 0.3), "ei, diversity 0": ("ei", 0.0),
    "ei, diversity 0.3": ("ei", 0.3), "spread, diversity 0.3": ("spread", 0.3), "spread, diversity 0.7": ("spread", 0.7),
}  # fmt: skip


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def fitted(spec: str, block: Block, y: np.ndarray, seed: int):
    """The model on measured rows."""
    rows = Encoded({"molecule": block}, Target("regression", ("exp",), y), np.arange(len(y)))
    return models.get(spec).fit(rows, np.random.default_rng(seed))


def campaign(way: tuple[str, float] | None, data: tuple, seed: int, given: argparse.Namespace) -> tuple[int, float]:
    """Molecules of the top found, and RMSE on the test, after all rounds."""
    block, bits, y = data
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    test, pool = order[:840], np.sort(order[840:])
    measured = np.zeros(len(y), dtype=bool)
    measured[rng.choice(pool, given.start, replace=False)] = True
    picking = np.random.default_rng([seed, 1])
    for number in range(given.rounds):
        open_rows = pool[~measured[pool]]
        if way is None:
            measured[picking.choice(open_rows, given.batch, replace=False)] = True
            continue
        params = fitted(given.model, block.take(np.flatnonzero(measured)), y[measured], number)
        belief = own(given.model, params, {"molecule": block.take(open_rows)})
        value = worth(way[0], belief, best=float(y[measured].max()))
        measured[open_rows[batch(value, bits[open_rows], given.batch, way[1]).rows]] = True
    top = pool[np.argsort(-y[pool], kind="stable")[:TOP]]
    params = fitted(given.model, block.take(np.flatnonzero(measured)), y[measured], 99)
    error = models.get(given.model).predict(params, {"molecule": block.take(test)}).value[:, 0] - y[test]
    return int(measured[top].sum()), float(np.sqrt(np.mean(error**2)))


def interval(values: np.ndarray) -> str:
    """Mean and 95 % t interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():7.3f} ({values.mean() - half:.3f} to {values.mean() + half:.3f})"


def main() -> None:
    """Every way on every seed."""
    reader = argparse.ArgumentParser()
    for name, default in (("seeds", 10), ("rounds", 10), ("batch", 24), ("start", 100)):
        reader.add_argument(f"--{name}", type=int, default=default)
    reader.add_argument("--model", default="gaussian_process")
    given = reader.parse_args()
    table = pl.read_csv(TABLE)
    mols = [parse(text).mol for text in table["smiles"]]
    molecule, column = modalities.get("molecule"), Column("smiles", "molecule", "input")
    block = molecule.encode(table["smiles"], molecule.fit(table["smiles"], column))
    data = (block, fingerprints.bits(mols), table["exp"].to_numpy())
    start, found = time.process_time(), {}
    for name, way in WAYS.items():
        found[name] = np.array([campaign(way, data, seed, given) for seed in range(given.seeds)])
    say(f"\nLipophilicity, {given.start} at the start and {given.rounds} x {given.batch} more, {given.seeds} seeds, {given.model}; "
        f"{time.process_time() - start:.0f} CPU s\n{'way':<22} {'of top 100 found':<26} {'minus random':<26} {'RMSE on test':<26} minus random")  # fmt: skip
    for name, values in found.items():
        gap = values - found["random"]
        parts = [interval(values[:, 0]), interval(gap[:, 0]), interval(values[:, 1]), interval(gap[:, 1])]
        say(f"{name:<22} " + " ".join(f"{p:<26}" for p in parts))


if __name__ == "__main__":
    main()
