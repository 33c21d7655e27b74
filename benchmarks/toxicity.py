"""Toxicity and side effects by `osler fit` on the real files, scaffolds kept apart, beside a random forest on the
very same folds.

    OSLER_DATA_MIRROR=FOLDER python benchmarks/toxicity.py herg mutagenicity clintox tox21 sider [--out FOLDER]

Each set is fitted as a user would: `osler fit TABLE --target ... --unit scaffold --input smiles --model boosting
--no-explain`, one worker, as `osler admet train` does. AUROC is of the out-of-fold answers of the five-fold
cross-validation with its 95 % interval over scaffolds; of several labels it is the mean over labels, missing labels
left out. The peer is scikit-learn's RandomForestClassifier (100 trees, seed 0; one forest for all labels where none is
missing, else one per label) on
2,048 ECFP4 bits, trained and asked on the folds that the run wrote to splits.parquet (Tox21:
on the first of them). CPU seconds: of the whole fit
(features, five folds, the final model, intervals, certificate, report), and of the peer's features and folds.

No published figure stands beside these: MapLight and the leaderboards give AUROC on TDC's own scaffold splits of other
tables (hERG of 648 molecules, Ames of 7,255), whose training parts are not at hand; MoleculeNet's figures for Tox21,
ClinTox and SIDER are of random or of one ordered scaffold split. Lines are added to benchmarks/logs/toxicity.txt.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import polars as pl

from osler import catalogue
from osler.adapters.rdkit import features, fingerprints
from osler.adapters.rdkit.standardise import Policy
from osler.engine.discovery.endpoints import ENDPOINTS
from osler.engine.discovery.panel import train
from osler.engine.run import Run
from osler.evaluation.metrics import auroc

LOG = Path(__file__).parent / "logs" / "toxicity.txt"
#: Trees of the peer; folds that it is asked on, where not all.
TREES, FOLDS = 100, {"tox21": 1}
SETS = ("herg", "mutagenicity", "clintox", "tox21", "sider")


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def labels(name: str) -> tuple[list[str], pl.DataFrame]:
    """SMILES and labels (0, 1, null) of a set, in the order of its file."""
    endpoint = ENDPOINTS[name]
    table = catalogue.table(endpoint.dataset)
    return table[endpoint.molecule].to_list(), table.select(endpoint.targets_of(table.columns))


def forest(bits: np.ndarray, y: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(n, k) probabilities of the peer for the folds' test rows, NaN elsewhere; one forest if no label is missing."""
    from sklearn.ensemble import RandomForestClassifier

    out = np.full(y.shape, np.nan)
    whole = not np.isnan(y).any()
    for labels_of in [list(range(y.shape[1]))] if whole else [[k] for k in range(y.shape[1])]:
        for train_rows, test in folds:
            rows = train_rows[~np.isnan(y[train_rows][:, labels_of]).any(axis=1)]
            model = RandomForestClassifier(TREES, random_state=0, n_jobs=1).fit(
                bits[rows], y[rows][:, labels_of].squeeze()
            )
            found = model.predict_proba(bits[test])
            for k, probability in zip(labels_of, found if isinstance(found, list) else [found], strict=True):
                out[test, k] = probability[:, -1]
    return out


def mean_auroc(y: np.ndarray, answer: np.ndarray) -> float:
    """AUROC over the rows that were answered, the mean over labels."""
    found = []
    for k in range(y.shape[1]):
        seen = ~np.isnan(y[:, k]) & ~np.isnan(answer[:, k])
        found.append(auroc(y[seen, k].astype(int), answer[seen, k]))
    return float(np.mean(found))


def peer(name: str, run: Run) -> tuple[float, float, int, float]:
    """Mean AUROC of ours and of the peer on the same test rows, how many folds, and the peer's CPU seconds."""
    smiles, frame = labels(name)
    parts = pl.read_parquet(run.folder / "splits.parquet")
    rows = parts["row"].to_numpy() - 1
    y = frame.cast(pl.Float64).to_numpy()[rows]
    folds = [
        (np.flatnonzero((parts[c] == "train").to_numpy()), np.flatnonzero((parts[c] == "test").to_numpy()))
        for c in parts.columns
        if c.startswith("cv/0/")
    ][: FOLDS.get(name)]
    ours = np.full(y.shape, np.nan)
    tested = np.concatenate([test for _, test in folds])
    held = run.predictions.filter((pl.col("part") == "cv") & (pl.col("repeat") == 0) & (pl.col("model") == run.chosen))
    columns = [c for c in held.columns if c.startswith("probability")]
    by_row = {row[0]: row[1:] for row in held.select("row", *columns).iter_rows()}
    for i in tested:
        ours[i] = by_row[int(rows[i]) + 1]
    start = time.process_time()
    mols = [features.read(smiles[r], Policy())[0] for r in rows]
    there = np.array([m is not None for m in mols])
    bits = np.zeros((len(rows), 2048), dtype=np.uint8)
    packed = fingerprints.bits([m for m in mols if m is not None])
    bits[there] = np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little")
    answer = forest(bits, y, folds)
    return mean_auroc(y, ours), mean_auroc(y, answer), len(folds), time.process_time() - start


def one(name: str, out: Path) -> None:
    """One set: ours, the peer, what the run says of itself."""
    start = time.process_time()
    fitted = not (out / name / "scores.json").is_file()
    train([name], out, workers=1, silent=True)
    seconds = time.process_time() - start
    run = Run.load(out / name)
    scores = run.scores["parts"]["cv"][run.chosen]["auroc"]
    _, frame = labels(name)
    shares = [float(frame[c].drop_nulls().mean()) for c in frame.columns]
    known = sum(frame[c].len() - frame[c].null_count() for c in frame.columns) / (frame.width * frame.height)
    facts = run.json("facts.json")
    say(
        f"\n{name}: {facts['rows_used']:,} rows used of {facts['rows_read']:,}, {facts['units']:,} scaffolds, "
        f"{frame.width} label(s), {known:.0%} of labels known, "
        f"prevalence {np.mean(shares):.3f} (labels {min(shares):.3f} to {max(shares):.3f}); "
        f"certificate {run.certificate['verdict']}"
    )
    cpu = f"{seconds:.0f} CPU s" if fitted else "fitted before"
    say(f"  osler fit ({run.chosen}): AUROC {scores['value']:.3f} ({scores['low']:.3f}-{scores['high']:.3f}), {cpu}")
    ours, theirs, folds, seconds = peer(name, run)
    say(f"  on {folds} fold(s): osler {ours:.3f}, forest on ECFP4 {theirs:.3f} ({seconds:.0f} CPU s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp())
    for asked in given.sets:
        one(asked, folder)
