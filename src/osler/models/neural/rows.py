"""All rows of a small table or of molecules kept ready, so that an epoch encodes nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from osler.blocks import Block
from osler.models.neural.inputs import (
    Branch,
    Tensors,
    branch_arrays,
    check_column,
    environments_of,
    put,
    token_arrays,
)


class Rows:
    """All rows of some blocks, kept ready: batches of them are taken by index. For tables, molecules and texts.

    Args:
        branches: inputs for which `fit` holds.
        blocks: n rows.
        device: where batches are put.

    Raises:
        ColumnError: as `tensors`.
    """

    def __init__(self, branches: Sequence[Branch], blocks: dict[str, Block], device: torch.device | str) -> None:
        self.device = device
        self.parts = [self._part(branch, blocks) for branch in branches]

    @staticmethod
    def fit(branches: Sequence[Branch]) -> bool:
        """Whether all rows of these inputs may be kept."""
        return all(b.encoder in ("dense", "dmpnn", "tokens", "pretrained") for b in branches)

    def take(self, rows: np.ndarray) -> list[Tensors]:
        """What `tensors` gives, for some rows (positions)."""
        return [part(rows) for part in self.parts]

    def _part(self, branch: Branch, blocks: dict[str, Block]) -> Callable[[np.ndarray], Tensors]:
        if branch.encoder == "dmpnn":
            found = environments_of(branch, blocks)
            return lambda rows: put(self.device, found.take(rows).arrays())
        if branch.encoder in ("tokens", "pretrained"):
            check_column(branch, branch.name, blocks)
            block = blocks[branch.name]
            return lambda rows: put(self.device, token_arrays(branch, block.take(rows)))
        held = put(self.device, branch_arrays(branch, blocks))
        return lambda rows: {k: v[torch.from_numpy(rows).to(self.device)] for k, v in held.items()}
