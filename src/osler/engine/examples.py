"""Molecules that a report shows: the worst mistakes, typical ones, activity cliffs and what single exchanges did.

They are rows of the table, so they are shown only where rows are molecules and nothing else (no other input, no unit
but one derived from the molecule), and not at all where the study asks for none. The predictor keeps none of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.adapters.rdkit.fingerprints import bits
from osler.engine.neighbours import Measured, measured, neighbours
from osler.engine.pairs import pairs_among
from osler.engine.parts import explain_parts
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared
from osler.engine.train import FoldResult
from osler.explanation.pairs import Pair, cliffs

#: Molecules of which pairs and typical ones are looked for; exchanges that are kept; cliffs per example asked for.
MOST, CHANGES = 2000, 12
#: Tanimoto similarity from which two molecules are neighbours, when typical ones are looked for.
NEAR = 0.35


def are_molecules(prepared: Prepared) -> bool:
    """Whether the rows are molecules with a number or two classes, and nothing else."""
    inputs = prepared.cohort.role("input")
    derived = {f"{c.name} {kind}" for c in inputs for kind in ("scaffold", "cluster")}
    return (
        len(inputs) == 1 and inputs[0].modality == "molecule" and prepared.study.task in ("regression", "binary")
        and all(c.name in derived for c in prepared.cohort.role("unit"))
        and not (prepared.study.site or prepared.study.time)
    )  # fmt: skip


def molecule_examples(prepared: Prepared, folds: list[FoldResult], predictor: Predictor, count: int) -> dict[str, Any]:
    """What the report draws, as JSON; {} where the rows are not molecules or `count` is 0.

    Args:
        count: molecules per group.

    Returns:
        `mistakes` and `typical`: lists of examples; `cliffs`: lists of two examples and the exchange; `pairs`:
        `osler.engine.pairs.Matched.to_json`. An example is `{"row", "measured", "predicted", "told", "near"}`, where
        `predicted` is out of fold (None where the row was in no test part), `told` is of the final model, and `near` is
        the nearest other molecule (see `neighbours`).
    """
    if count < 1 or not are_molecules(prepared):
        return {}
    said = out_of_fold(folds, predictor, len(prepared.cohort))
    train = prepared.splits[-1].train
    kept = train if len(train) <= MOST else train[np.linspace(0, len(train) - 1, MOST).astype(np.int64)]
    known = measured(predictor, prepared.cohort.take(kept))
    if not len(known.values):
        return {}
    place = {int(row): i for i, row in enumerate(prepared.cohort.rows)}
    of_fold = np.array([said[place[int(row)]] for row in known.cohort.rows])
    matched = pairs_among(known, middles=False)
    groups = {"mistakes": mistakes(known, of_fold, count), "typical": typical(known, count)}
    chosen = cliffs(matched.pairs, matched.values, max(1, count // 2))
    ends = [i for pair in chosen for i in (pair.first, pair.second)]
    rows = list(dict.fromkeys([*(i for group in groups.values() for i in group), *ends]))
    cohort = known.cohort.take(np.array(rows))
    told = {i: _example(known, of_fold, i, one) for i, one in zip(rows, explain_parts(predictor, cohort))}
    for i, near in zip(rows, neighbours(predictor, cohort, known, most=3)):
        told[i]["near"] = next((one for one in near if not one["same"]), None)
    return {
        **{name: [told[i] for i in group] for name, group in groups.items()},
        "cliffs": [_cliff(pair, told, matched.values) for pair in chosen],
        "pairs": matched.to_json(CHANGES), "column": known.column, "n": len(known.values),
        "positive": predictor.classes[1] if predictor.task == "binary" else "",
    }  # fmt: skip


def out_of_fold(folds: list[FoldResult], predictor: Predictor, n: int) -> np.ndarray:
    """(n,) the chosen model's answer for each row of the cohort by the first repeat of the cross-validation; NaN where it
    was in no test part.
    """
    out = np.full(n, np.nan)
    for fold in folds:
        if fold.split.part == "cv" and fold.split.repeat == 0 and predictor.chosen in fold.predictions:
            value = fold.predictions[predictor.chosen].value
            out[fold.split.test] = value[:, 1 if predictor.task == "binary" else 0]
    return out


def mistakes(known: Measured, said: np.ndarray, count: int) -> list[int]:
    """Places of the molecules whose answer out of fold was farthest from what was measured, no molecule twice."""
    off = np.nan_to_num(np.abs(said - known.values), nan=-1.0)
    found: list[int] = []
    for i in np.argsort(-off, kind="stable"):
        if len(found) == count or off[i] < 0:
            break
        if known.smiles[i] not in {known.smiles[j] for j in found}:
            found.append(int(i))
    return found


def typical(known: Measured, count: int) -> list[int]:
    """Places of the molecules with most neighbours; the next is looked for among those that are no neighbours of it."""
    marks = bits(known.mols)
    size = np.bitwise_count(marks).sum(axis=1, dtype=np.int64)
    near = np.zeros((len(marks), len(marks)), dtype=bool)
    for i, mark in enumerate(marks):
        common = np.bitwise_count(marks & mark).sum(axis=1, dtype=np.int64)
        near[i] = common >= NEAR * np.maximum(size + size[i] - common, 1)
    found, left = [], np.ones(len(marks), dtype=bool)
    while len(found) < count and left.any():
        best = int(np.argmax(np.where(left, (near & left).sum(axis=1), -1)))
        found.append(best)
        left &= ~near[best]
        left[best] = False
    return found


def _example(known: Measured, said: np.ndarray, i: int, told: Any) -> dict[str, Any]:
    return {
        "row": int(known.cohort.rows[i]), "measured": float(known.values[i]),
        "predicted": None if np.isnan(said[i]) else float(said[i]), "told": told.to_json(),
    }  # fmt: skip


def _cliff(pair: Pair, told: dict[int, dict[str, Any]], values: np.ndarray) -> dict[str, Any]:
    return {
        "lower": told[pair.first], "higher": told[pair.second], "before": pair.before, "after": pair.after,
        "change": float(values[pair.second] - values[pair.first]),
    }  # fmt: skip
