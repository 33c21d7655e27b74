"""From rows to blocks: states are fitted on training rows only, and rows are encoded slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from osler import modalities
from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.models.base import Encoded
from osler.tasks.base import Target


def fit_states(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """Fit every input column's modality on all rows of this cohort (the caller passes training rows and no others)."""
    states = {}
    for column in cohort.role("input"):
        modality = modalities.get(column.modality)
        state = modality.fit(cohort.values(column.name), column)
        states[column.name] = {"modality": column.modality, "version": modality.version, "state": state}
    return states


def encode(cohort: Cohort, states: Mapping[str, Mapping[str, Any]]) -> dict[str, Block]:
    """Every input column of the states as a block of all rows; a column that the cohort lacks is wholly missing."""
    held = {c.name for c in cohort.columns}
    blocks = {}
    for name, entry in states.items():
        modality = modalities.get(entry["modality"])
        if name in held:
            blocks[name] = modality.encode(cohort.table[name], entry["state"], cohort.root)
        else:
            blocks[name] = modality.encode(_empty(len(cohort)), entry["state"], cohort.root)
    return blocks


def _empty(n: int) -> Any:
    import polars as pl

    return pl.Series("", [None] * n, dtype=pl.String)


@dataclass(frozen=True)
class CohortBatches:
    """A cohort's rows as a re-iterable source of blocks (`osler.models.base.Batches`).

    Attributes:
        cohort: the rows, in order.
        states: fitted modality states per input column.
        target: n asked-for values.
        groups: (n,) codes of the unit of independence.
    """

    cohort: Cohort
    states: Mapping[str, Mapping[str, Any]]
    target: Target
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.cohort)

    def all(self) -> Encoded:
        """Every row at once, for estimators that need everything."""
        return Encoded(encode(self.cohort, self.states), self.target, self.groups)

    def take(self, rows: np.ndarray) -> CohortBatches:
        """Some rows (positions or mask)."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        return CohortBatches(self.cohort.take(rows), self.states, self.target.take(rows), self.groups[rows])

    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]:
        """Walk all rows in slices of `size`, shuffled and augmented if a generator is given."""
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for start in range(0, len(order), size):
            part = self.take(order[start : start + size]).all()
            if rng is not None:
                blocks = {n: modalities.get(self.states[n]["modality"]).augment(b, rng) for n, b in part.blocks.items()}
                part = Encoded(blocks, part.target, part.groups)
            yield part
