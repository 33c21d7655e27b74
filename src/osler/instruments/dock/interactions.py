"""Contacts of a pose with a protein, by stated distances and angles.

- hydrogen bond: donor to acceptor at most 3.5 Å, angle donor-hydrogen-acceptor at least 120°; a hydrogen that can turn
  (OH, NH3) is not asked where it is: neighbour-donor-acceptor at least 90°;
- hydrophobic: carbon (or Cl, Br, I of the ligand) with carbon neighbours only, to such a carbon, at most 4.0 Å; the
  shortest per residue;
- pi stacking: aromatic ring centres at most 5.5 Å apart, one centre at most 2.0 Å off the other ring's axis; parallel
  up to 30°, edge to face from 60°;
- salt bridge: atoms of opposite charge at most 4.0 Å apart (Barlow and Thornton, J Mol Biol 1983).

The angles of hydrogen bonds follow Baker and Hubbard (Prog Biophys Mol Biol 1984), the stacking Salentin and others
(Nucleic Acids Res 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.adapters.rdkit.interactions import Features

KINDS = ("hydrogen bond", "hydrophobic", "pi stacking", "salt bridge")
BOND, BOND_ANGLE, TURN_ANGLE = 3.5, 120.0, 90.0
HYDROPHOBIC, RINGS, OFFSET, SALT = 4.0, 5.5, 2.0, 4.0
PARALLEL, EDGE = 30.0, 60.0
#: Protein atoms farther from the ligand take no part, Å.
NEAR = 9.0
_RINGS = {
    "PHE": ("CG CD1 CE1 CZ CE2 CD2",), "TYR": ("CG CD1 CE1 CZ CE2 CD2",), "HIS": ("CG ND1 CE1 NE2 CD2",),
    "TRP": ("CG CD1 NE1 CE2 CD2", "CD2 CE2 CZ2 CH2 CZ3 CE3"),
}  # fmt: skip
_TURNING = {("LYS", "NZ"), ("SER", "OG"), ("THR", "OG1"), ("TYR", "OH"), ("CYS", "SG")}


@dataclass(frozen=True)
class Contact:
    """One contact.

    Attributes:
        kind: one of `KINDS`.
        residue: "A:MET318".
        atoms: atoms of the ligand (indices) that take part.
        distance: Å.
        detail: who gives the hydrogen, or how rings lie.
    """

    kind: str
    residue: str
    atoms: tuple[int, ...]
    distance: float
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.residue} {self.distance:.1f}{f' ({self.detail})' if self.detail else ''}"


def find(ligand: Features, protein: pl.DataFrame) -> list[Contact]:
    """All contacts of a pose with a protein that has its hydrogens (an atom table of `osler.adapters.gemmi`)."""
    site = _near(ligand.xyz, protein)
    if not site.height:
        return []
    around = _features(site)
    names = (
        site.select(
            pl.concat_str("chain", pl.lit(":"), "residue", pl.col("number").cast(pl.String), "insertion")
        )
        .to_series()
        .to_list()
    )
    return [
        *_hydrogen_bonds(ligand, around, names), *_hydrophobic(ligand, around, names),
        *_stacking(ligand, around, names), *_salt_bridges(ligand, around, names),
    ]  # fmt: skip


def _near(xyz: np.ndarray, protein: pl.DataFrame) -> pl.DataFrame:
    """Whole residues that have an atom within `NEAR` of the ligand."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(xyz).query(protein.select("x", "y", "z").to_numpy(), distance_upper_bound=NEAR)
    keys = ["chain", "number", "insertion"]
    return protein.join(
        protein.filter(pl.Series(np.isfinite(distance))).select(keys).unique(),
        on=keys,
        how="semi",
        maintain_order="left",
    )


def _features(site: pl.DataFrame) -> Features:
    """The protein's side, by residue and atom names; bonds by distance."""
    from scipy.spatial import cKDTree

    xyz = site.select("x", "y", "z").to_numpy()
    name, residue, element = (site[c].to_list() for c in ("atom", "residue", "element"))
    near = cKDTree(xyz).query_ball_point(xyz, 1.95)
    bonds = [
        [
            j
            for j in held
            if j != i and ((element[i] != "H" and element[j] != "H") or np.linalg.norm(xyz[i] - xyz[j]) < 1.3)
        ]
        for i, held in enumerate(near)
    ]
    heavy = [[j for j in held if element[j] != "H"] for held in bonds]
    bare = [element[i] != "H" and not any(element[j] == "H" for j in bonds[i]) for i in range(len(name))]
    donors = [
        (d, h, heavy[d][0] if heavy[d] else -1, (residue[d], name[d]) in _TURNING or residue[d] == "HOH")
        for h in range(len(name)) if element[h] == "H" for d in heavy[h][:1] if element[d] in "NOS"
    ]  # fmt: skip
    acceptors = [
        i
        for i in range(len(name))
        if element[i] == "O" or (residue[i] == "HIS" and name[i] in ("ND1", "NE2") and bare[i])
    ]
    carbons = [
        i
        for i in range(len(name))
        if element[i] == "C" and heavy[i] and all(element[j] == "C" for j in heavy[i])
    ]
    places = _by_residue(site)
    positive = [
        tuple(at[a] for a in atoms if a in at) for r, at in places for atoms in _positive(r, at, bare)
    ]
    negative = [
        tuple(at[a] for a in atoms if a in at and bare[at[a]])
        for r, at in places
        for atoms in _negative(r, at)
    ]
    rings = [
        tuple(at[a] for a in text.split())
        for r, at in places
        for text in _RINGS.get(r, ())
        if all(a in at for a in text.split())
    ]
    return Features(
        xyz, donors, acceptors, carbons, [g for g in positive if g], [g for g in negative if g], rings
    )


def _by_residue(site: pl.DataFrame) -> list[tuple[str, dict[str, int]]]:
    groups = site.with_row_index("at").group_by("chain", "number", "insertion", maintain_order=True)
    return [
        (g["residue"][0], dict(zip(g["atom"].to_list(), g["at"].to_list(), strict=True))) for _, g in groups
    ]


def _positive(residue: str, at: dict[str, int], bare: list[bool]) -> list[tuple[str, ...]]:
    if residue == "HIS" and all(a in at and not bare[at[a]] for a in ("ND1", "NE2")):
        return [("ND1", "NE2")]
    return {"LYS": [("NZ",)], "ARG": [("NE", "NH1", "NH2")]}.get(residue, [])


def _negative(residue: str, at: dict[str, int]) -> list[tuple[str, ...]]:
    side = {"ASP": [("OD1", "OD2")], "GLU": [("OE1", "OE2")]}.get(residue, [])
    return [*side, ("O", "OXT")] if "OXT" in at else side


def _hydrogen_bonds(ligand: Features, protein: Features, names: list[str]) -> list[Contact]:
    found: dict[tuple[int, int], Contact] = {}
    for gives, takes, is_ligand in ((ligand, protein, True), (protein, ligand, False)):
        for donor, hydrogen, neighbour, turns in gives.donors:
            for acceptor in takes.acceptors:
                distance = float(np.linalg.norm(gives.xyz[donor] - takes.xyz[acceptor]))
                if distance > BOND or not _bent(
                    gives.xyz, donor, hydrogen, neighbour, turns, takes.xyz[acceptor]
                ):
                    continue
                own, other = (donor, acceptor) if is_ligand else (acceptor, donor)
                detail = "ligand gives H" if is_ligand else "protein gives H"
                found[own, other] = Contact("hydrogen bond", names[other], (own,), distance, detail)
    return sorted(found.values(), key=lambda c: c.distance)


def _bent(
    xyz: np.ndarray, donor: int, hydrogen: int, neighbour: int, turns: bool, acceptor: np.ndarray
) -> bool:
    if turns:
        return neighbour < 0 or angle(xyz[neighbour], xyz[donor], acceptor) >= TURN_ANGLE
    return angle(xyz[donor], xyz[hydrogen], acceptor) >= BOND_ANGLE


def angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """The angle at b, degrees."""
    u, v = a - b, c - b
    cosine = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _hydrophobic(ligand: Features, protein: Features, names: list[str]) -> list[Contact]:
    best: dict[str, Contact] = {}
    if ligand.hydrophobic and protein.hydrophobic:
        between = np.linalg.norm(
            ligand.xyz[ligand.hydrophobic][:, None] - protein.xyz[protein.hydrophobic][None], axis=2
        )
        for i, j in zip(*np.nonzero(between <= HYDROPHOBIC), strict=True):
            own, name, distance = ligand.hydrophobic[i], names[protein.hydrophobic[j]], float(between[i, j])
            if name not in best or distance < best[name].distance:
                best[name] = Contact("hydrophobic", name, (own,), distance)
    return sorted(best.values(), key=lambda c: c.distance)


def _stacking(ligand: Features, protein: Features, names: list[str]) -> list[Contact]:
    found = []
    for own in ligand.rings:
        for other in protein.rings:
            (c0, n0), (c1, n1) = _plane(ligand.xyz[list(own)]), _plane(protein.xyz[list(other)])
            between = c1 - c0
            distance = float(np.linalg.norm(between))
            off = min(np.linalg.norm(between - (between @ n) * n) for n in (n0, n1))
            tilt = float(np.degrees(np.arccos(min(abs(n0 @ n1), 1))))
            if distance <= RINGS and off <= OFFSET and (tilt <= PARALLEL or tilt >= EDGE):
                found.append(
                    Contact(
                        "pi stacking",
                        names[other[0]],
                        own,
                        distance,
                        "parallel" if tilt <= PARALLEL else "edge to face",
                    )
                )
    return sorted(found, key=lambda c: c.distance)


def _plane(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and unit normal of the best plane through positions (n, 3)."""
    center = xyz.mean(axis=0)
    return center, np.linalg.svd(xyz - center)[2][2]


def _salt_bridges(ligand: Features, protein: Features, names: list[str]) -> list[Contact]:
    found = []
    for own, others, detail in (
        (ligand.positive, protein.negative, "ligand +"),
        (ligand.negative, protein.positive, "ligand -"),
    ):
        for a in own:
            for b in others:
                distance = float(
                    np.linalg.norm(ligand.xyz[list(a)][:, None] - protein.xyz[list(b)][None], axis=2).min()
                )
                if distance <= SALT:
                    found.append(Contact("salt bridge", names[b[0]], a, distance, detail))
    return sorted(found, key=lambda c: c.distance)
