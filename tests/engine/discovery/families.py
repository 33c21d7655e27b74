"""Molecules that tests of discovery share: four families of ligands, each for a target of its own, with scaffolds
that differ inside.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

import polars as pl

from osler.engine.discovery.known import Known, gather

#: Rings with a chain and a place for a family's group.
RINGS = (
    "c1ccc({})cc1",
    "c1ccc({})nc1",
    "c1cnc({})nc1",
    "c1ccc2cc({})ccc2c1",
    "c1csc({})c1",
    "C1CCC({})CC1",
    "C1CCN({})CC1",
    "c1coc({})c1",
)
CHAINS = ("CC", "COC")
#: Target → what its ligands have in common.
GROUPS = {
    "anhydrase": "CCNS(N)(=O)=O",
    "adrenoceptor": "C(O)CNC(C)(C)C",
    "reductase": "C=CC(O)CC(O)CC(=O)O",
    "dna": "CN(CCCl)CCCl",
}
FAMILIES = {
    target: [chain + ring.format(group) for ring in RINGS for chain in CHAINS] for target, group in GROUPS.items()
}
ROWS = [(smiles, target) for target, ligands in FAMILIES.items() for smiles in ligands]


def table(folder: Path, rows: list[tuple[str, str]] | None = None) -> Path:
    """The families as a CSV file with the columns smiles and target."""
    path = folder / "known.csv"
    pl.DataFrame(rows or ROWS, schema=["smiles", "target"], orient="row").write_csv(path)
    return path


@lru_cache
def known() -> Known:
    """The families, read."""
    frame = pl.DataFrame(ROWS, schema=["smiles", "target"], orient="row").with_columns(name=pl.lit(""))
    return gather([frame.select("smiles", "name", "target")], Counter(), len(ROWS))
