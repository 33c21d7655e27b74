"""Which molecules are known to bind which targets: tables of pairs, merged by molecule, with every line used or
refused.

A table has a column of molecules (SMILES) and one of targets; an affinity column with the least value that counts is
optional. A table that names its molecules without drawing them is joined with tables of structures by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from osler.adapters.rdkit import features, fingerprints, fragments, scaffolds
from osler.adapters.rdkit.standardise import Policy
from osler.cohort import sources
from osler.errors import ColumnError, ReadError, nearest

#: Most pairs of all tables together.
MOST = 5_000_000


@dataclass(frozen=True)
class Columns:
    """Which columns of a table mean what.

    Attributes:
        molecule: of SMILES, or of names where structures are given. target: of targets. name: of the molecules'
            names, or "".
        affinity: of numbers, or "". least: a pair counts from this affinity on.
    """

    molecule: str = "smiles"
    target: str = "target"
    name: str = ""
    affinity: str = ""
    least: float = 0.0


@dataclass(frozen=True)
class Known:
    """n molecules, k targets and m pairs of them.

    Attributes:
        smiles, names, scaffolds: (n,) canonical SMILES, name or "", and Bemis-Murcko scaffold of each molecule.
        bits: (n, words) packed ECFP4.
        targets: (k,) names, sorted. molecule, target: (m,) numbers of each pair; no pair twice.
        refused: reason → lines left out.
        n_read: lines read.
    """

    smiles: tuple[str, ...]
    names: tuple[str, ...]
    scaffolds: tuple[str, ...]
    bits: np.ndarray
    targets: tuple[str, ...]
    molecule: np.ndarray
    target: np.ndarray
    refused: dict[str, int]
    n_read: int

    def __len__(self) -> int:
        return len(self.smiles)

    def targets_of(self, molecule: int) -> list[int]:
        """Numbers of the targets of one molecule."""
        return self.target[self.molecule == molecule].tolist()


def open_table(path: str | Path) -> pl.DataFrame:
    """A table as it was read, its cells untyped where the file does not type them.

    Raises:
        ReadError: absent or damaged.
    """
    raw = sources.open_source(path)
    return raw.table if raw.cohort is None else raw.cohort.table


def column_of(table: pl.DataFrame, name: str, what: str, path: str | Path) -> pl.Series:
    """A named column.

    Raises:
        ColumnError: the table has none of this name; the nearest is suggested.
    """
    if name not in table.columns:
        raise ColumnError(
            f"{what} must be a column of '{Path(path).name}', was '{name}': {nearest(name, table.columns)}"
        )
    return table[name]


def pairs_of(path: str | Path, columns: Columns, structures: dict[str, str]) -> tuple[pl.DataFrame, Counter[str], int]:
    """Pairs (smiles, name, target) of one table, what was left out and why, and how many lines it has.

    Args:
        structures: lower-case name → SMILES; where there are any, the molecule column holds names.

    Raises:
        ColumnError: a named column is not in the table.
    """
    table = open_table(path)
    molecule = column_of(table, columns.molecule, "molecule", path).cast(pl.String).str.strip_chars()
    target = column_of(table, columns.target, "target", path).cast(pl.String).str.strip_chars()
    names = (
        column_of(table, columns.name, "name", path).cast(pl.String)
        if columns.name
        else molecule
        if structures
        else None
    )
    refused: Counter[str] = Counter()
    keep = molecule.is_not_null() & target.is_not_null() & (molecule != "") & (target != "")
    refused["molecule or target is missing"] += int((~keep).sum())
    if columns.affinity:
        value = column_of(table, columns.affinity, "affinity", path).cast(pl.Float64, strict=False)
        enough = (value >= columns.least).fill_null(False)
        refused["affinity is missing"] += int((keep & value.is_null()).sum())
        refused[f"affinity is below {columns.least:g}"] += int((keep & ~enough & value.is_not_null()).sum())
        keep &= enough
    if structures:
        molecule = molecule.str.to_lowercase().replace_strict(structures, default=None, return_dtype=pl.String)
        refused["no structure of this name"] += int((keep & molecule.is_null()).sum())
        keep &= molecule.is_not_null()
    named = names.fill_null("") if names is not None else pl.Series([""] * len(molecule))
    frame = pl.DataFrame({"smiles": molecule, "name": named, "target": target}).filter(keep)
    return frame, +refused, table.height


def structures_of(tables: Sequence[tuple[pl.DataFrame, str, str, str]]) -> dict[str, str]:
    """Lower-case name → SMILES, from (table, what it is called, column of names, column of SMILES); the first table
    that has a name wins.

    Raises:
        ColumnError: a named column is not in its table.
    """
    found: dict[str, str] = {}
    for table, called, name, smiles in tables:
        keys = column_of(table, name, "name", called).cast(pl.String).str.strip_chars().str.to_lowercase()
        texts = column_of(table, smiles, "smiles", called).cast(pl.String)
        for key, text in zip(keys, texts, strict=True):
            if key and text:
                found.setdefault(key, text)
    return found


def gather(frames: Sequence[pl.DataFrame], refused: Counter[str], n_read: int) -> Known:
    """Pairs of several tables as one: molecules standardised, equal ones merged, doubled pairs counted once.

    Args:
        frames: columns smiles, name, target.

    Raises:
        ReadError: no pair is left, fewer than two targets, or more than `MOST` pairs.
    """
    pairs = pl.concat(frames)
    if pairs.height > MOST:
        raise ReadError(f"known pairs must be at most {MOST:,}, there are {pairs.height:,}: give fewer", "limit-size")
    place, mols, smiles, why = _molecules(pairs["smiles"].unique(maintain_order=True).to_list())
    for text, n in pairs.group_by("smiles").len().iter_rows():
        if text in why:
            refused[f"not a molecule: {why[text]}"] += n
    pairs = pairs.filter(pl.col("smiles").is_in(list(place)))
    targets = tuple(sorted(set(pairs["target"])))
    if len(targets) < 2:
        raise ReadError(
            f"known pairs must be of at least two targets, they are of {len(targets)}: check the columns", "read-empty"
        )
    number = {t: i for i, t in enumerate(targets)}
    both = np.array([(place[s], number[t]) for s, t in pairs.select("smiles", "target").iter_rows()], dtype=np.int64)
    once = np.unique(both, axis=0)
    refused["the same pair as in an earlier line"] += len(both) - len(once)
    names = [""] * len(mols)
    for text, name in pairs.select("smiles", "name").iter_rows():
        names[place[text]] = names[place[text]] or name
    return Known(
        tuple(smiles),
        tuple(names),
        tuple(scaffolds.scaffold(m) for m in mols),
        fingerprints.bits(mols),
        targets,
        once[:, 0],
        once[:, 1],
        dict(+refused),
        n_read,
    )


def _molecules(texts: Sequence[str]) -> tuple[dict[str, int], list[object], list[str], dict[str, str]]:
    """Text → number of its molecule; the molecules and their SMILES; text → reason where it is none."""
    place: dict[str, int] = {}
    numbers: dict[str, int] = {}
    mols, why = [], {}
    for text in texts:
        mol, reason, _ = features.read(text, Policy(), "auto")
        if mol is None:
            why[text] = reason
            continue
        name = fragments.canonical(mol)
        if name not in numbers:
            numbers[name] = len(mols)
            mols.append(mol)
        place[text] = numbers[name]
    return place, mols, list(numbers), why
