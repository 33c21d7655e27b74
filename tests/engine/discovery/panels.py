"""A small panel that tests of profiles share: a number, a yes or no and two labels about the four families, fitted
once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import polars as pl

from osler.engine.discovery.panel import train
from tests.engine.discovery.families import FAMILIES

#: Every molecule of the families.
SMILES = [smiles for members in FAMILIES.values() for smiles in members]
MODEL = ("boosting:rounds=8",)


def tables(folder: Path) -> list[str]:
    """Three tables with their targets, as `osler admet train` takes them."""
    size = [float(len(s)) for s in SMILES]
    acid = [int("C(=O)O" in s) for s in SMILES]
    sulfur = [None if i % 7 == 3 else int("S" in s or "s" in s) for i, s in enumerate(SMILES)]
    chlorine = [int("Cl" in s) for s in SMILES]
    for name, columns in {
        "size": {"size": size},
        "acid": {"acid": acid},
        "halves": {"sulfur": sulfur, "chlorine": chlorine},
    }.items():
        pl.DataFrame({"smiles": SMILES, **columns}).write_csv(folder / f"{name}.csv")
    return [f"{folder / 'size.csv'}:size", f"{folder / 'acid.csv'}:acid", f"{folder / 'halves.csv'}:sulfur+chlorine"]


@lru_cache
def panel() -> Path:
    """The folder of the three runs."""
    folder = Path(mkdtemp(prefix="osler-panel-"))
    (folder / "tables").mkdir()
    train(tables(folder / "tables"), folder / "runs", workers=1, model=MODEL, silent=True)
    return folder / "runs"
