"""Residues that are modified, incomplete or missing in a crystal structure."""

from __future__ import annotations

import numpy as np
import polars as pl

#: Heavy atoms of each standard side chain.
SIDE_CHAIN = {
    "ALA": "CB", "ARG": "CB CG CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2", "GLU": "CB CG CD OE1 OE2", "GLY": "", "HIS": "CB CG ND1 CD2 CE1 NE2", "ILE": "CB CG1 CG2 CD1",
    "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD CE NZ", "MET": "CB CG SD CE", "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG CD",
    "SER": "CB OG", "THR": "CB OG1 CG2", "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
    "VAL": "CB CG1 CG2",
}  # fmt: skip
BACKBONE = ("N", "CA", "C", "O")
#: Distance between C and the next N above which a chain is broken, Å (the bond is 1.33 Å).
BROKEN = 2.0


def modified(atoms: pl.DataFrame, known: frozenset[str]) -> tuple[list[str], pl.DataFrame]:
    """Modified amino acids without a template under a name that has one, and what was done to each.

    Selenomethionine becomes methionine; every other keeps backbone and first side-chain atom only (alanine).

    Args:
        atoms: an atom table with `key`.
        known: residue names that have templates.
    """
    told = []
    strange = atoms.filter((pl.col("kind") == "amino") & ~pl.col("residue").is_in(list(known)))
    for key, residue in strange.select("key", "residue").unique(maintain_order=True).iter_rows():
        here = pl.col("key") == key
        if residue == "MSE":
            told.append(f"{key} MSE to MET")
            sulphur = here & (pl.col("atom") == "SE")
            atoms = atoms.with_columns(
                residue=pl.when(here).then(pl.lit("MET")).otherwise("residue"),
                element=pl.when(sulphur).then(pl.lit("S")).otherwise("element"),
                atom=pl.when(sulphur).then(pl.lit("SD")).otherwise("atom"),
            )
        elif (short := cut(atoms, key)) is not None:
            told.append(f"{key} {residue} to {short.filter(here)['residue'][0]}")
            atoms = short
    return told, atoms


def complete(atoms: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Every standard residue whole: one that lacks side-chain atoms is cut to alanine (glycine without CB), and named
    with them.

    Args:
        atoms: an atom table with `key`.
    """
    told: dict[str, str] = {}
    for key, group in atoms.filter(pl.col("residue").is_in(list(SIDE_CHAIN))).group_by(
        "key", maintain_order=True
    ):
        name = group["residue"][0]
        lost = [a for a in SIDE_CHAIN[name].split() if a not in set(group["atom"])]
        if lost and (short := cut(atoms, key[0])) is not None:
            told[key[0]] = f"{name} without {' '.join(lost)}"
            atoms = short
    return atoms, told


def cut(atoms: pl.DataFrame, key: str) -> pl.DataFrame | None:
    """The table with one amino acid cut to alanine, or to glycine if it has no CB; None if its backbone is not whole.

    Hydrogens of the residue go, but the one on N stays.
    """
    here = pl.col("key") == key
    held = set(atoms.filter(here)["atom"])
    if not set(BACKBONE) <= held:
        return None
    name = "ALA" if "CB" in held else "GLY"
    stay = [*BACKBONE, "OXT", "H"] + (["CB"] if name == "ALA" else [])
    short = atoms.filter(~here | pl.col("atom").is_in(stay))
    return short.with_columns(residue=pl.when(here).then(pl.lit(name)).otherwise("residue"))


def breaks(atoms: pl.DataFrame) -> list[str]:
    """Where a chain is broken: "A:276 to A:280 (3 numbers missing)".

    Args:
        atoms: an atom table with `key`.
    """
    amino = atoms.filter(pl.col("kind") == "amino").sort("chain", "number", "insertion", maintain_order=True)
    last: dict[str, tuple[str, int, np.ndarray]] = {}
    told = []
    for (chain, key), group in amino.group_by("chain", "key", maintain_order=True):
        place = {a: np.array(p) for a, *p in group.select("atom", "x", "y", "z").iter_rows()}
        number = group["number"][0]
        if chain in last and "N" in place and np.linalg.norm(place["N"] - last[chain][2]) > BROKEN:
            before, old, _ = last[chain]
            told.append(f"{before} to {key} ({max(number - old - 1, 0)} numbers missing)")
        if "C" in place:
            last[chain] = (key, number, place["C"])
    return told
