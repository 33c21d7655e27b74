"""A column in two layouts at once: its dense features beside its graph, as two inputs of one network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from osler.blocks import Block
from osler.models.base import Batches, Encoded
from osler.tasks.base import Target


def both(blocks: dict[str, Block], layout: str) -> dict[str, Block]:
    """Every block without its views, and beside one that has a view in this layout that view, as "NAME as LAYOUT"."""
    found = {}
    for name, block in blocks.items():
        found[name] = replace(block, views={}) if block.views else block
        if layout in block.views:
            found[f"{name} as {layout}"] = block.views[layout]
    return found


@dataclass(frozen=True)
class Beside:
    """Rows whose blocks are given as by `both`; itself `Batches`."""

    batches: Batches
    layout: str

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def target(self) -> Target:
        """n asked-for values."""
        return self.batches.target

    @property
    def groups(self) -> np.ndarray:
        """(n,) codes of the unit of independence."""
        return self.batches.groups

    def all(self) -> Encoded:
        """Every row at once."""
        return self._both(self.batches.all())

    def seen_as(self, layouts: tuple[str, ...]) -> Beside:
        """Itself: no column has several layouts left."""
        return self

    def take(self, rows: np.ndarray) -> Beside:
        """Some rows (positions or mask)."""
        return replace(self, batches=self.batches.take(rows))

    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]:
        """Walk all rows in slices of `size`, shuffled if a generator is given."""
        for part in self.batches.slices(size, rng):
            yield self._both(part)

    def _both(self, rows: Encoded) -> Encoded:
        return replace(rows, blocks=both(rows.blocks, self.layout))
