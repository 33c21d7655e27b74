"""A library of molecules for a generator: read, told apart, and split by scaffold before anything learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.lineage import refusals
from osler.cohort.sources import open_source
from osler.engine.progress import Progress
from osler.errors import ColumnError, InputError, nearest

#: Names that the column of SMILES may have.
COLUMNS = ("smiles", "SMILES", "Smiles", "canonical_smiles", "mol", "Drug")
#: Fewest different molecules that are worth learning from.
FEWEST = 50


@dataclass(frozen=True)
class Library:
    """n different molecules.

    Attributes:
        name: of the source.
        rows: (n,) source row of each.
        smiles: canonical SMILES of each.
        scaffolds: Bemis-Murcko scaffold of each; a molecule without a ring is its own.
        n_read: rows that were read.
        refusals: the ledger of the others (row, column, reason, action).
    """

    name: str
    rows: np.ndarray
    smiles: list[str]
    scaffolds: list[str]
    n_read: int
    refusals: pl.DataFrame

    def __len__(self) -> int:
        return len(self.smiles)

    def held_out(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """(n,) bool: molecules of a random share of the scaffolds, at least one and not all."""
        names, codes = np.unique(np.array(self.scaffolds, dtype=object).astype(str), return_inverse=True)
        if len(names) < 2:
            raise InputError("library must hold at least two scaffolds, it holds one: give more different molecules")
        count = min(len(names) - 1, max(1, round(share * len(names))))
        return np.isin(codes, rng.permutation(len(names))[:count])


def read_library(source: str | Path, progress: Progress, most: int = 0) -> Library:
    """Read molecules from a list of SMILES, a structure file or a table with a column of SMILES.

    Refused are cells that are no molecule, salts and mixtures (more than one part), and molecules that came before.

    Args:
        most: rows that are looked at; 0 all.

    Raises:
        ReadError: the file is absent or cannot be read.
        ColumnError: the table has no column of SMILES.
        InputError: fewer than `FEWEST` different molecules are left.
    """
    raw = open_source(source)
    column = next((c for c in COLUMNS if c in raw.table.columns), None)
    if column is None:
        raise ColumnError(
            f"'{raw.name}' must have a column 'smiles', it has none: {nearest('smiles', raw.table.columns)}"
        )
    table = raw.table.head(most) if most else raw.table
    texts = table[column].cast(pl.String).to_list()
    rows = table["_row"].to_numpy() if "_row" in table.columns else np.arange(1, len(texts) + 1)
    smiles, scaffolds, kept, refused = _tell_apart(texts, progress)
    if len(smiles) < FEWEST:
        raise InputError(
            f"library must hold at least {FEWEST} different molecules, {len(smiles)} are left of {len(texts)} rows: give more"
        )
    ledger = [refusals(rows[which].tolist(), column, reason, "row refused") for reason, which in refused.items()]
    early = raw.refused.filter(pl.col("action") == "row refused")
    return Library(
        raw.name, rows[kept], smiles, scaffolds, len(texts) + early["row"].n_unique(),
        pl.concat([early, *ledger]).sort("row"),
    )  # fmt: skip


def _tell_apart(texts: list[str | None], progress: Progress) -> tuple[list[str], list[str], np.ndarray, dict[str, Any]]:
    """Canonical SMILES, scaffolds and positions of the different molecules, and positions refused by reason."""
    from osler.adapters.rdkit import fragments
    from osler.adapters.rdkit.parse import parse
    from osler.adapters.rdkit.scaffolds import scaffold

    smiles: dict[str, str] = {}
    kept: list[int] = []
    refused: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        if place % 1000 == 0:
            progress("reading molecules", place, len(texts))
        found = parse(text)
        reason = f"not a molecule: {found.reason or 'missing'}" if found.mol is None else ""
        name = "" if found.mol is None else fragments.canonical(found.mol)
        reason = reason or ("more than one part: a salt or a mixture" if "." in name else "")
        reason = reason or ("the same molecule as in an earlier row" if name in smiles else "")
        if reason:
            refused.setdefault(reason, []).append(place)
        else:
            smiles[name] = scaffold(found.mol)
            kept.append(place)
    progress("reading molecules", len(texts), len(texts))
    return list(smiles), list(smiles.values()), np.array(kept, dtype=np.int64), refused
