"""Do explanations point at atoms that decide? A planted label on real molecules, 200 explained.

    OSLER_DATA_MIRROR=... python benchmarks/attribution.py [--plant sulfonamide amide piperazine]
        [--way boosting:shapley boosting:masking dmpnn:gradients dmpnn:masking] [--n 200] [--skip 0] [--log benchmarks/logs/attribution.txt]

The label of a molecule of the ChEMBL sample is whether it holds a substructure. A model learns it from 1,500 molecules, half
of them with it; 200 others that hold it are explained. A hit: the single atom with the largest value lies in a match of the
substructure. Share of the top k: of the k atoms with the largest values, k the atoms of one match, how many lie in a match.
The gap is what the sum of all values misses, as a share of the prediction less its base. CPU seconds are of explaining one
molecule, everything from its text on.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import binomtest

from osler import models, tasks
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.parts import explain_parts
from osler.engine.predictor import Predictor

PLANTS = {"sulfonamide": "S(=O)(=O)[#7]", "amide": "[NX3;H1]C(=O)[#6]", "piperazine": "C1CNCCN1"}
SPECS = {
    "boosting": ("boosting:rounds=150,learning_rate=0.1", ()),
    "dmpnn": ("dmpnn:epochs=15,members=1,validation_folds=0,hidden=128,width=128", ("graph",)),
}
WAYS = ("boosting:shapley", "boosting:masking", "dmpnn:gradients", "dmpnn:masking")


def main() -> None:
    """Every planted substructure by every way, one line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plant", nargs="+", default=list(PLANTS), choices=list(PLANTS))
    parser.add_argument("--way", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--skip", type=int, default=0, help="molecules left out before those explained: a run in parts")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    library = drug_like(Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "chembl_smiles_100k.smi.gz")
    for plant in asked.plant:
        having, lacking = told_apart(library, PLANTS[plant], 750 + asked.skip + asked.n, 950)
        having = having[:750] + having[750 + asked.skip :]
        for family in dict.fromkeys(way.partition(":")[0] for way in asked.way):
            start = time.process_time()
            predictor = learnt(having[:750], lacking[:750], *SPECS[family])
            taken = time.process_time() - start
            right = accuracy(predictor, having[750:], lacking[750:])
            for way in (w.partition(":")[2] for w in asked.way if w.startswith(f"{family}:")):
                line = judged(predictor, having[750:], PLANTS[plant], way)
                text = f"{plant:12s} {family:9s} {way:10s} {line}  model right on {right:.3f}, learnt in {taken:.0f} CPU s"
                print(text, flush=True)
                if asked.log:
                    with asked.log.open("a", encoding="utf-8") as log:
                        log.write(text + "\n")


def drug_like(path: Path) -> list[str]:
    """The molecules of the sample in a drawn order."""
    with gzip.open(path, "rt") as lines:
        found = [line.split()[0] for line in lines if line.strip() and not line.startswith("smiles")]
    return [found[i] for i in np.random.default_rng(1).permutation(len(found))]


def told_apart(library: list[str], smarts: str, n_with: int, n_without: int) -> tuple[list[str], list[str]]:
    """The first molecules that hold the substructure, and that lack it."""
    from rdkit import Chem

    query, having, lacking = Chem.MolFromSmarts(smarts), [], []
    for smiles in library:
        if len(having) >= n_with and len(lacking) >= n_without:
            break
        (having if Chem.MolFromSmiles(smiles).HasSubstructMatch(query) else lacking).append(smiles)
    return having[:n_with], lacking[:n_without]


def table(smiles: list[str], labels: list[str] | None = None) -> Cohort:
    """Molecules as a cohort."""
    data = {ROW: np.arange(1, len(smiles) + 1), "smiles": smiles, **({"y": labels} if labels else {})}
    target = (Column("y", "category", "target", options={"positive": "yes"}),) if labels else ()
    return Cohort(pl.DataFrame(data), (Column("smiles", "molecule", "input"), *target))


def learnt(having: list[str], lacking: list[str], spec: str, layouts: tuple[str, ...]) -> Predictor:
    """A model of the label on all of these molecules."""
    cohort = table([*having, *lacking], ["yes"] * len(having) + ["no"] * len(lacking))
    target, states = tasks.get("binary").target_of(cohort), fit_states(cohort, layouts)
    batches = CohortBatches(cohort, states, target, np.arange(len(cohort)))
    params = models.get(spec).fit(batches if layouts else batches.all(), np.random.default_rng(7))
    name = spec.partition(":")[0]
    return Predictor(
        cohort.columns, states, "binary", target.names, target.classes, None, {name: (spec, params)}, name, {}, {},
        {"verdict": "clean", "unit": "row"}, {},
    )  # fmt: skip


def accuracy(predictor: Predictor, having: list[str], lacking: list[str]) -> float:
    """Share of new molecules whose label is said rightly."""
    said = predictor.raw(table([*having, *lacking])).value[:, 1] > 0.5
    return float(np.mean(said == ([True] * len(having) + [False] * len(lacking))))


def judged(predictor: Predictor, smiles: list[str], smarts: str, way: str) -> str:
    """Hits, share of the top k, how far values add up, and CPU seconds, as text."""
    from rdkit import Chem

    query, hits, shares, gaps, summing = Chem.MolFromSmarts(smarts), [], [], [], 0
    start = time.process_time()
    found = explain_parts(predictor, table(smiles), way=way)
    each = (time.process_time() - start) / len(smiles)
    for one in found:
        matches = Chem.MolFromSmiles(one.smiles).GetSubstructMatches(query)
        inside = {atom for match in matches for atom in match}
        order = np.argsort(-one.of_atoms)
        hits.append(int(order[0]) in inside)
        shares.append(np.mean([int(i) in inside for i in order[: len(matches[0])]]))
        gaps.append(abs(one.found.gap) / max(abs(one.found.prediction - one.found.base), 1e-9))
        summing += one.found.adds_up
    limits = binomtest(sum(hits), len(hits)).proportion_ci(0.95)
    return (
        f"top atom inside {sum(hits)}/{len(hits)} = {np.mean(hits):.3f} ({limits.low:.3f} to {limits.high:.3f})  "
        f"share of the top k {np.mean(shares):.3f}  add up {summing}/{len(hits)}, largest gap {max(gaps):.1e}  {each:.2f} CPU s each"
    )


if __name__ == "__main__":
    main()
