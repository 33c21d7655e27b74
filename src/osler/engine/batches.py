"""From rows to blocks: states are fitted on training rows only, and rows are encoded slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import modalities
from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.models.base import Encoded
from osler.tasks.base import Target


def fit_states(cohort: Cohort, layouts: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Fit every input column's modality on all rows of this cohort (the caller passes training rows and no others).

    `layouts` are those that some model wants beside dense; a column that can be seen so keeps their names in its
    state's entry.
    """
    states = {}
    for column in cohort.role("input"):
        modality = modalities.get(column.modality)
        state = modality.fit(cohort.values(column.name), column, cohort.root)
        states[column.name] = {"modality": column.modality, "version": modality.version, "state": state}
        views = [layout for layout in modality.also if layout in layouts]
        if views:
            states[column.name]["views"] = views
    return states


def encode(cohort: Cohort, states: Mapping[str, Mapping[str, Any]]) -> dict[str, Block]:
    """Every input column of the states as a block of all rows; a column that the cohort lacks is wholly missing."""
    held = {c.name for c in cohort.columns}
    blocks = {}
    for name, entry in states.items():
        values = cohort.table[name] if name in held else _empty(len(cohort))
        blocks[name] = encode_column(values, entry, cohort.root)
    return blocks


def encode_column(values: pl.Series, entry: Mapping[str, Any], root: Path | None = None) -> Block:
    """One column's values by its entry of the states, with the views that the entry names."""
    modality = modalities.get(entry["modality"])
    block = modality.encode(values, entry["state"], root)
    views = {layout: modality.encode_as(layout, values, entry["state"], root) for layout in entry.get("views", ())}
    return replace(block, views=views) if views else block


def _empty(n: int) -> pl.Series:
    return pl.Series("", [None] * n, dtype=pl.String)


@dataclass(frozen=True)
class CohortBatches:
    """A cohort's rows as a re-iterable source of blocks (`osler.models.base.Batches`).

    Attributes:
        cohort: the rows, in order.
        states: fitted modality states per input column.
        target: n asked-for values.
        groups: (n,) codes of the unit of independence.
        layouts: the layouts that columns with several views are wanted in, best first; () leaves the views at the
            blocks.
    """

    cohort: Cohort
    states: Mapping[str, Mapping[str, Any]]
    target: Target
    groups: np.ndarray
    layouts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cohort)

    def all(self) -> Encoded:
        """Every row at once, for estimators that need everything."""
        found = Encoded(encode(self.cohort, self.states), self.target, self.groups)
        return found.seen_as(self.layouts) if self.layouts else found

    def seen_as(self, layouts: tuple[str, ...]) -> CohortBatches:
        """The same rows with every column in the first of these layouts that it has."""
        return replace(self, layouts=layouts)

    def take(self, rows: np.ndarray) -> CohortBatches:
        """Some rows (positions or mask)."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        return replace(self, cohort=self.cohort.take(rows), target=self.target.take(rows), groups=self.groups[rows])

    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]:
        """Walk all rows in slices of `size`, shuffled and augmented if a generator is given."""
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for start in range(0, len(order), size):
            part = self.take(order[start : start + size]).all()
            if rng is not None:
                blocks = {n: modalities.get(self.states[n]["modality"]).augment(b, rng) for n, b in part.blocks.items()}
                part = Encoded(blocks, part.target, part.groups)
            yield part
