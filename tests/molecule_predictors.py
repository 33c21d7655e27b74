"""Predictors of molecules, fitted in a second or two without folds: what tests of explanations share."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from osler import models, tasks
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.predictor import Predictor

#: Thirty small molecules with logP-like values made up from their atoms: 0.5 per carbon, -1 per oxygen or nitrogen.
SMILES = (
    "CCO", "CCCO", "CCCCO", "CC(C)O", "CCN", "CCCN", "CCCCN", "CC(=O)O", "CCC(=O)O", "CC(=O)N", "CCOC", "CCOCC",
    "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "Oc1ccccc1", "Nc1ccccc1", "OCc1ccccc1", "NCc1ccccc1", "CC(=O)c1ccccc1",
    "c1ccncc1", "Cc1ccncc1", "c1ccoc1", "C1CCCCC1", "OC1CCCCC1", "NC1CCCCC1", "CCCCCC", "CCCCC", "C1CCOC1", "C1CCNC1",
)  # fmt: skip
VALUES = tuple(0.5 * sum(s.upper().count(x) for x in "C") - sum(s.upper().count(x) for x in "ON") for s in SMILES)


def cohort_of(smiles: Sequence[str], values: Sequence[float] | Sequence[str] = (), **more: Sequence[float]) -> Cohort:
    """A table with a column `smiles`, a target `y` where there are values (texts are classes), and number columns."""
    data = {ROW: np.arange(1, len(smiles) + 1, dtype=np.int64), "smiles": list(smiles), **{k: list(v) for k, v in more.items()}}
    columns = [Column("smiles", "molecule", "input"), *(Column(k, "number", "input") for k in more)]
    if len(values):
        data["y"] = list(values)
        words = isinstance(values[0], str)
        columns.append(Column("y", "category" if words else "number", "target", options={"positive": "yes"} if words else {}))
    return Cohort(pl.DataFrame(data), tuple(columns))


def predictor_of(cohort: Cohort, spec: str, layouts: Sequence[str] = ()) -> Predictor:
    """A model fitted on every row of a table with a target; binary where the target is words."""
    task = tasks.get("binary" if cohort.column("y").modality == "category" else "regression")
    target, states = task.target_of(cohort), fit_states(cohort, layouts)
    batches = CohortBatches(cohort, states, target, np.arange(len(cohort)))
    estimator = models.get(spec)
    params = estimator.fit(batches if layouts else batches.all(), np.random.default_rng(7))
    chosen = spec.partition(":")[0]
    columns = tuple(c for c in cohort.columns if c.role in ("input", "target"))
    return Predictor(
        columns, states, target.kind, target.names, target.classes, None, {chosen: (spec, params)}, chosen, {}, {},
        {"verdict": "clean", "unit": "row"}, {"rows": len(cohort)},
    )  # fmt: skip


@lru_cache
def small(spec: str, layouts: tuple[str, ...] = (), binary: bool = False, beside: bool = False) -> tuple[Predictor, Cohort]:
    """A predictor of the thirty molecules and its table; `beside`: with a column of numbers too."""
    y = ["yes" if v > 1 else "no" for v in VALUES] if binary else VALUES
    more = {"dose": np.linspace(0.0, 1.0, len(SMILES))} if beside else {}
    cohort = cohort_of(SMILES, y, **more)
    return predictor_of(cohort, spec, layouts), cohort


def drug_like(mirror: Path, seed: int = 1) -> list[str]:
    """The molecules of the ChEMBL sample in a drawn order."""
    with gzip.open(mirror / "drugs" / "chembl_smiles_100k.smi.gz", "rt") as lines:
        found = [line.split()[0] for line in lines if line.strip() and not line.startswith("smiles")]
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))]


def planted(smiles: Sequence[str], smarts: str, n_with: int, n_without: int) -> tuple[list[str], list[str]]:
    """The first so many molecules that have a substructure, and that lack it."""
    from rdkit import Chem

    query, having, lacking = Chem.MolFromSmarts(smarts), [], []
    for one in smiles:
        if len(having) >= n_with and len(lacking) >= n_without:
            break
        mol = Chem.MolFromSmiles(one)
        if mol is not None:
            (having if mol.HasSubstructMatch(query) else lacking).append(one)
    return having[:n_with], lacking[:n_without]


def points_at(smiles: str, values: np.ndarray, smarts: str) -> bool:
    """Whether the atom with the largest value lies in a match of the substructure; atoms in the order of the text."""
    from rdkit import Chem

    mol = Chem.MolFromSmiles(smiles)
    inside = {atom for match in mol.GetSubstructMatches(Chem.MolFromSmarts(smarts)) for atom in match}
    return int(np.argmax(values)) in inside
