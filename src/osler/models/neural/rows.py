"""All rows of a small table, of molecules or of pictures kept ready, so that an epoch encodes nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from osler.blocks import Block
from osler.models.neural import pictures
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
    """All rows of some blocks, kept ready: batches of them are taken by index. For tables, molecules, texts and pictures.

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
    def fit(branches: Sequence[Branch], n: int) -> bool:
        """Whether all n rows of these inputs may be kept."""
        kept = ("dense", "dmpnn", "tokens", "pretrained")
        return all(b.encoder in kept or (b.encoder == pictures.ENCODER and pictures.fits(b, n)) for b in branches)

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
        if branch.encoder == pictures.ENCODER:
            return self._pictures(branch, blocks)
        held = put(self.device, branch_arrays(branch, blocks))
        return lambda rows: {k: v[torch.from_numpy(rows).to(self.device)] for k, v in held.items()}

    def _pictures(self, branch: Branch, blocks: dict[str, Block]) -> Callable[[np.ndarray], Tensors]:
        """Pictures stay small in memory and are scaled as they are taken."""
        check_column(branch, branch.name, blocks)
        held = pictures.small(branch, blocks[branch.name])
        values, present = torch.from_numpy(held.values), torch.from_numpy(held.present).to(self.device)
        center, spread = (torch.from_numpy(a).to(self.device) for a in pictures.scale_of(branch))
        if len(center) == 1:  # plain numbers are applied faster
            center, spread = center.item(), spread.item()

        def take(rows: np.ndarray) -> Tensors:
            at = torch.from_numpy(rows)
            x = values[at].to(self.device).float()
            there = present[at.to(self.device)]
            if values.dtype == torch.uint8:  # the pictures' own numbers
                x = x.sub_(center).div_(spread)
                x = x if bool(there.all()) else x.masked_fill_(~there.view((-1,) + (1,) * (x.dim() - 1)), 0.0)
            return {"x": x, "present": there}

        return take
