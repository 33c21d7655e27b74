"""The nearest measured molecules of a row: what is known of those that resemble it, beside what the model says of them.

A predictor keeps no measured molecule. They are read from a table that the caller names: the table of the training, or any
other with the same columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler import tasks
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.explain import answer_on, table_of
from osler.engine.parts import column_of_molecules, molecules_of
from osler.engine.predictor import Predictor
from osler.engine.validate import typed
from osler.errors import ColumnError, OptionError
from osler.explanation.scales import Scale
from osler.tasks.base import Target

#: Neighbours that are shown, unless asked for another number.
SHOWN = 5


@dataclass(frozen=True)
class Measured:
    """Rows of a table whose molecule and value are known.

    Attributes:
        cohort: the rows. column: of the molecules.
        mols: their molecules. smiles: canonical. values: (n,) the number, or 1 for the positive class and 0 for the other.
        said: (n,) what the model answers: the mean, or the probability of the positive class.
    """

    cohort: Cohort
    column: str
    mols: tuple[Any, ...]
    smiles: tuple[str, ...]
    values: np.ndarray
    said: np.ndarray


def measured(predictor: Predictor, source: Cohort | str | Path, column: str = "", most: int = 0) -> Measured:
    """The rows of a table whose molecule and value are known, with the model's answer.

    Args:
        source: a table with the predictor's columns and its target. column: of molecules; "" takes the first.
        most: rows that are read, evenly spread; 0 takes all.

    Raises:
        OptionError: the task is neither a number nor two classes. ColumnError: the table lacks the target.
    """
    if predictor.task not in ("regression", "binary"):
        raise OptionError(f"measured molecules must have a number or two classes to be compared, the task is {predictor.task}")
    column = column_of_molecules(predictor, column)
    cohort, name = table_of(predictor, source), predictor.target[0]
    if name not in cohort.table.columns:
        raise ColumnError(f"column '{name}' must be there, it is what was measured: name a table that holds it")
    with typed("comparing with measured molecules"):
        task = tasks.get(predictor.task)
        like = Target(predictor.task, predictor.target, np.zeros(0, dtype=np.int64), classes=predictor.classes)
        cohort = cohort.take(np.flatnonzero(task.usable(cohort, like)))
        if most and len(cohort) > most:
            cohort = cohort.take(np.linspace(0, len(cohort) - 1, most).astype(np.int64))
        mols = molecules_of(predictor, cohort, column)
        there = np.flatnonzero([mol is not None for mol in mols])
        cohort = cohort.take(there)
        values = task.target_of(cohort, like).y.astype(np.float64)
        scale = Scale("mean") if predictor.task == "regression" else Scale("probability", 1)
        said = answer_on(predictor, scale)(encode(cohort, predictor.states)) if len(cohort) else np.zeros(0)
    kept = tuple(mols[i] for i in there)
    return Measured(cohort, column, kept, tuple(_smiles(mol) for mol in kept), values, said)


def neighbours(predictor: Predictor, rows: Cohort, known: Measured, most: int = SHOWN) -> list[list[dict[str, Any]]]:
    """For every row its nearest measured molecules, the most similar first; [] where the row has no molecule.

    Args:
        rows: a cohort in the predictor's terms. most: neighbours per row.

    Returns:
        `{"row", "smiles", "similarity", "measured", "predicted", "same"}`: similarity is Tanimoto's of ECFP bits (radius
        2, 2048 bits), `same` says that it is the row's own molecule.
    """
    from osler.adapters.rdkit.fingerprints import bits

    mols = molecules_of(predictor, rows, known.column)
    theirs = bits(known.mols) if known.mols else np.zeros((0, 32), dtype=np.uint64)
    out = []
    for mol in mols:
        if mol is None:
            out.append([])
            continue
        mine, own = bits([mol])[0], _smiles(mol)
        common = np.bitwise_count(theirs & mine).sum(axis=1, dtype=np.int64)
        either = np.bitwise_count(theirs | mine).sum(axis=1, dtype=np.int64)
        similarity = common / np.maximum(either, 1)
        nearest = np.argsort(-similarity, kind="stable")[:most]
        out.append([_told(known, int(i), float(similarity[i]), known.smiles[i] == own) for i in nearest])
    return out


def _told(known: Measured, i: int, similarity: float, same: bool) -> dict[str, Any]:
    return {
        "row": int(known.cohort.rows[i]), "smiles": known.smiles[i], "similarity": similarity,
        "measured": float(known.values[i]), "predicted": float(known.said[i]), "same": same,
    }  # fmt: skip


def _smiles(mol: Any) -> str:
    from osler.adapters.rdkit.fragments import canonical

    return canonical(mol)
