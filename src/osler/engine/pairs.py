"""Matched molecular pairs of a table: what exchanging one part did to the measured value, and whether the model knows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.engine.neighbours import Measured, measured
from osler.engine.predict import open_predictor
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.errors import OptionError
from osler.explanation.pairs import LEAST, Change, Pair, changes_of, mean_interval, pairs_of, per_kept

#: Molecules of which pairs are looked for, at most; evenly spread over the table.
MOST_MOLECULES = 20_000


@dataclass(frozen=True)
class Matched:
    """The exchanges in a table.

    Attributes:
        known: the molecules. values: (n,) measured, the mean of a molecule's rows. pairs: all matched pairs.
        changes: exchanges with n of at least 3, those farthest from no change first. rare: how many had fewer.
    """

    known: Measured
    values: np.ndarray
    said: np.ndarray
    pairs: tuple[Pair, ...]
    changes: tuple[Change, ...]
    rare: int

    def to_json(self, most: int) -> dict[str, Any]:
        """The first `most` exchanges and the counts, as JSON values."""
        return {
            "molecules": len(self.known.smiles), "pairs": len(self.pairs), "exchanges": len(self.changes), "rare": self.rare,
            "changes": [self.told(change) for change in self.changes[:most]],
        }  # fmt: skip

    def told(self, change: Change) -> dict[str, Any]:
        """An exchange as JSON values; `predicted` is the mean change of the model's answers over the same pairs."""
        mean, low, high = mean_interval(per_kept(change.pairs, self.said))
        return {
            "before": change.before, "after": change.after, "n": change.n, "pairs": len(change.pairs), "mean": change.mean,
            "low": change.low, "high": change.high, "predicted": mean, "predicted_low": low, "predicted_high": high,
        }  # fmt: skip


def matched_pairs(
    run: Run | Predictor | str | Path, source: Cohort | str | Path, column: str = "", middles: bool = True, most: int = 0
) -> Matched:
    """Find the pairs of molecules in a table that differ in one part, and what the exchange did.

    Args:
        run: a run, its folder, or a predictor. source: a table with its columns and its target.
        column: of molecules; "" takes the first. middles: also exchanges in the middle of molecules (six times the work).
        most: molecules that are looked at, evenly spread over the table; 0 takes at most `MOST_MOLECULES`.

    Raises:
        OptionError: the task is neither a number nor two classes, or the table has no molecule with a value.
        ColumnError: the table lacks the target.
    """
    predictor = open_predictor(run)
    known = measured(predictor, source, column, most or MOST_MOLECULES)
    if not known.smiles:
        raise OptionError("a table must hold measured molecules to find pairs, it holds none: name another")
    return pairs_among(known, middles)


def pairs_among(known: Measured, middles: bool) -> Matched:
    """The pairs of some measured molecules; several rows of one molecule are one, with the mean of their values."""
    first = {smiles: i for i, smiles in reversed(list(enumerate(known.smiles)))}
    values, said = np.full(len(known.smiles), np.nan), np.full(len(known.smiles), np.nan)
    rows_of: dict[str, list[int]] = {}
    for i, smiles in enumerate(known.smiles):
        rows_of.setdefault(smiles, []).append(i)
    for smiles, rows in rows_of.items():
        values[first[smiles]], said[first[smiles]] = known.values[rows].mean(), known.said[rows].mean()
    pairs = pairs_of(_parts(known, first, middles))
    changes = changes_of(pairs, values)
    common = tuple(change for change in changes if change.n >= LEAST)
    return Matched(known, values, said, tuple(pairs), common, len(changes) - len(common))


def _parts(known: Measured, first: dict[str, int], middles: bool) -> list[list[tuple[str, str, int]]]:
    """Per molecule its (kept part, exchanged part, size); hydrogens are exchanged where the molecule with one is there."""
    from osler.adapters.rdkit.cuts import HYDROGEN, cuts, without

    parts: list[list[tuple[str, str, int]]] = [[] for _ in known.smiles]
    bare: dict[str, str] = {}
    for i in first.values():
        for cut in cuts(known.mols[i], 2 if middles else 1):
            parts[i].append((cut.kept, cut.changed, cut.size))
            if "." not in cut.kept and cut.kept not in bare:
                bare[cut.kept] = without(cut.kept)
    for kept, smiles in bare.items():
        if smiles in first:
            parts[first[smiles]].append((kept, HYDROGEN, 0))
    return parts
