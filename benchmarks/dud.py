"""Virtual screening on 21 targets of DUD: how early actives are found by similarity and by a model, and the peer's same numbers.

    OSLER_DATA_MIRROR=FOLDER python benchmarks/dud.py similarity|model

The sets are those of the benchmarking platform of Riniker and Landrum (J Cheminform 5:26, 2013).

- `similarity`: as they do, 50 times five actives of a target are drawn (seed 0) and all its other actives and decoys ranked by the largest
  Tanimoto similarity (Morgan bits, radius 2, 2,048 bits) to any of the five. Beside it RDKit's BulkTanimotoSimilarity with the same
  fingerprint and draws; its metrics are by rdkit.ML.Scoring, which leaves rows of equal scores in the order of the file (actives first),
  so that a peer that knows nothing of ties looks better; "peer, ties mixed" puts equal scores in random order first.
- `model`: five-fold cross-validation by Bemis-Murcko scaffold (no scaffold on both sides); Osler's forest on 1,024 Morgan counts with its
  defaults; every molecule is ranked by the model that has not seen its scaffold, over all folds together. Intervals: 200 bootstraps of
  actives and decoys. Decoys of DUD were chosen to differ in structure from actives, so that a trained model separates them too easily:
  the numbers say that the machinery works, not that a campaign would go so well.

68 of the 91,226 rows are left out: their SMILES have a carbon of five bonds ("[CH+](=N)N"), which RDKit refuses today.
Lines are added to benchmarks/logs/dud.txt.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import polars as pl

from osler import models
from osler.adapters.rdkit import fingerprints, scaffolds
from osler.adapters.rdkit.parse import parse
from osler.adapters.tanimoto.search import nearest
from osler.blocks import dense
from osler.evaluation.enrichment import METRICS, enrichment, ranking
from osler.models.base import Encoded
from osler.tasks.base import Target

TABLE = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "dud_rdkit.csv.gz"
LOG = Path(__file__).parent / "logs" / "dud.txt"
QUERIES, TIMES, FOLDS = 5, 50, 5
NAMES = tuple(METRICS)


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def head(title: str) -> None:
    """The first lines of a table."""
    say(f"\n{title}\n{'target':<10} {'actives':>7} {'decoys':>7}  " + "  ".join(f"{n:>12}" for n in NAMES))


def row(name: str, active: int, decoys: int, values: dict[str, float]) -> None:
    """One line of a table."""
    say(f"{name:<10} {active:>7} {decoys:>7}  " + "  ".join(f"{values[n]:12.4f}" for n in NAMES))


def read(table: pl.DataFrame) -> tuple[list, pl.DataFrame]:
    """The molecules that RDKit takes, and their rows."""
    mols = [parse(text).mol for text in table["smiles"]]
    return [mol for mol in mols if mol is not None], table.filter(pl.Series([mol is not None for mol in mols]))


def peer(bits: list, active: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict, dict]:
    """RDKit's similarities to the drawn molecules, and its metrics with ties in the file's order and in random order."""
    from rdkit import DataStructs
    from rdkit.ML.Scoring import Scoring

    score = np.max([DataStructs.BulkTanimotoSimilarity(bits[q], bits) for q in drawn], axis=0)
    rest = np.setdiff1d(np.arange(len(bits)), drawn)
    found = []
    for order in (rest, rng.permutation(rest)):
        lines = [[int(a)] for a in active[order[np.argsort(-score[order], kind="stable")]]]
        values = (Scoring.CalcAUC(lines, 0), Scoring.CalcEnrichment(lines, 0, [0.01])[0], Scoring.CalcBEDROC(lines, 0, 20.0))
        found.append(dict(zip(NAMES, (*values, float("nan")), strict=True)))
    return score, found[0], found[1]


def similarity(target: str, table: pl.DataFrame) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Mean metrics over the draws: ours, the peer's, the peer's with ties in random order."""
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    mols, table = read(table)
    active = table["active"].to_numpy().astype(bool)
    bits = fingerprints.bits(mols)
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    theirs = [generator.GetFingerprint(mol) for mol in mols]
    rng, mixing = np.random.default_rng([0, *target.encode()]), np.random.default_rng(1)
    found: list[list[dict[str, float]]] = [[], [], []]
    for _ in range(TIMES):
        drawn = np.sort(rng.choice(np.flatnonzero(active), QUERIES, replace=False))
        rest = np.setdiff1d(np.arange(len(mols)), drawn)
        score = nearest(bits, bits[drawn])[0]
        ranked = ranking(active[rest], score[rest])
        their_score, plain, mixed = peer(theirs, active, drawn, mixing)
        if not np.array_equal(their_score, score):
            raise SystemExit(f"{target}: similarities differ from RDKit's")
        for one, values in zip(found, ({name: metric(ranked) for name, metric in METRICS.items()}, plain, mixed), strict=True):
            one.append(values)
    means = [{name: float(np.mean([f[name] for f in one])) for name in NAMES} for one in found]
    row(target, int(active.sum()), int((~active).sum()), means[0])
    return means[0], means[1], means[2]


def model(target: str, table: pl.DataFrame) -> dict[str, float]:
    """Metrics of the forest's out-of-fold ranking, by scaffold."""
    from sklearn.model_selection import StratifiedGroupKFold

    mols, table = read(table)
    active = table["active"].to_numpy().astype(np.int64)
    counts = fingerprints.counts(mols, ("ecfp",))["ecfp"].astype(np.float64)
    names = [f"ecfp {j}" for j in range(counts.shape[1])]
    groups = np.unique(scaffolds.scaffolds(mols), return_inverse=True)[1]
    score = np.full(len(mols), np.nan)
    forest, start = models.get("forest"), time.process_time()
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(counts, active, groups):
        blocks = {"molecule": dense(counts[train], names, kinds=["count"] * len(names))}
        asked = Encoded(blocks, Target("binary", ("active",), active[train], classes=("0", "1")), groups=groups[train])
        params = forest.fit(asked, np.random.default_rng(0))
        new = {"molecule": dense(counts[test], names, kinds=["count"] * len(names))}
        score[test] = forest.predict(params, new).value[:, 1]
    found = enrichment(active, score, np.random.default_rng(0), n_boot=200)
    values = {name: found[name]["value"] for name in NAMES}
    row(target, int(active.sum()), int((1 - active).sum()), values)
    say(" " * 28 + "  ".join(f"{found[n]['low']:5.3f}-{found[n]['high']:6.3f}" for n in NAMES) + f"   {time.process_time() - start:.0f} CPU s")
    return values


def main(part: str, only: list[str]) -> None:
    """One part over all targets (or those named), and the mean."""
    table = pl.read_csv(gzip.decompress(TABLE.read_bytes()))
    targets = only or sorted(table["target"].unique())
    if part == "similarity":
        head(f"similarity to {QUERIES} actives, mean of {TIMES} draws, Morgan bits")
        found = [similarity(t, table.filter(pl.col("target") == t)) for t in targets]
        for name, at in (("mean", 0), ("peer", 1), ("peer mixed", 2)):
            row(name, 0, 0, {n: float(np.mean([f[at][n] for f in found])) for n in NAMES})
        return
    head(f"forest, out of fold by scaffold ({FOLDS} folds), with 95 % intervals")
    found = [model(t, table.filter(pl.col("target") == t)) for t in targets]
    row("mean", 0, 0, {n: float(np.mean([f[n] for f in found])) for n in NAMES})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
