"""Molecules as graphs: atoms are nodes, and every bond is two edges, one in each direction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.registry import optional

#: Elements with a feature of their own; every other element shares the last.
ELEMENTS = (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53)
_DEGREES, _CHARGES, _HYDROGENS = (0, 1, 2, 3, 4, 5), (-2, -1, 0, 1, 2), (0, 1, 2, 3, 4)
_CHIRALITY = ("none", "clockwise", "counter-clockwise", "other")
_HYBRIDS = ("S", "SP", "SP2", "SP3", "SP3D", "SP3D2")
_BONDS = ("single", "double", "triple", "aromatic")
_STEREO = ("none", "any", "Z", "E", "cis", "trans")

#: One name per node feature: a code per atom property, "other" last where there is one, then aromatic, ring and mass.
NODE_NAMES: tuple[str, ...] = (
    *(f"element {z}" for z in ELEMENTS), "element other",
    *(f"degree {d}" for d in _DEGREES), "degree other",
    *(f"charge {c}" for c in _CHARGES), "charge other",
    *(f"chirality {c}" for c in _CHIRALITY),
    *(f"hydrogens {h}" for h in _HYDROGENS), "hydrogens other",
    *(f"hybrid {h}" for h in _HYBRIDS), "hybrid other",
    "aromatic", "in ring", "mass",
)  # fmt: skip
#: One name per edge feature.
EDGE_NAMES: tuple[str, ...] = (
    *(f"bond {b}" for b in _BONDS), "bond other", "conjugated", "in ring", *(f"stereo {s}" for s in _STEREO),
    "stereo other",
)  # fmt: skip


def graphs(mols: Sequence[Any | None]) -> dict[str, np.ndarray]:
    """The arrays of the `graph` layout of `osler.blocks` for n molecules; a missing one has no atom.

    nodes (sum v, len(NODE_NAMES)) float32, edges (2, sum e) int64 from atom to atom, edge_values (sum e,
    len(EDGE_NAMES)) float32, node_offsets and edge_offsets (n + 1,) int64. Edges 2k and 2k + 1 are one bond in its two
    directions, so that the reverse of edge j is j ^ 1. Masses are in units of 100 dalton. Features as in K. Yang et
    al., J Chem Inf Model 59:3370 (2019), with more elements.
    """
    parts = [_codes(mol) for mol in mols]
    n_atoms = np.array([len(atoms) for atoms, _ in parts], dtype=np.int64)
    n_bonds = np.array([len(bonds) for _, bonds in parts], dtype=np.int64)
    node_offsets = np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64)
    edge_offsets = np.concatenate([[0], np.cumsum(2 * n_bonds)]).astype(np.int64)
    atoms = np.concatenate([np.zeros((0, 9)), *(a for a, _ in parts)])
    bonds = np.concatenate([np.zeros((0, 6), dtype=np.int64), *(b for _, b in parts)])
    ends = bonds[:, :2] + np.repeat(node_offsets[:-1], n_bonds)[:, None]
    edges = np.empty((2, 2 * len(bonds)), dtype=np.int64)
    edges[:, 0::2], edges[:, 1::2] = ends.T, ends.T[::-1]
    return {
        "nodes": _nodes(atoms), "edges": edges, "edge_values": np.repeat(_edges(bonds), 2, axis=0),
        "node_offsets": node_offsets, "edge_offsets": edge_offsets,
    }  # fmt: skip


@cache
def _positions() -> tuple[dict[Any, int], dict[Any, int], dict[Any, int], dict[Any, int]]:
    """RDKit's chirality, hybridisation, bond type and bond stereo → position among their names."""
    chem = optional("rdkit.Chem", "molecules")
    chiral, hybrid, bond, stereo = chem.ChiralType, chem.HybridizationType, chem.BondType, chem.BondStereo
    return (
        {chiral.CHI_UNSPECIFIED: 0, chiral.CHI_TETRAHEDRAL_CW: 1, chiral.CHI_TETRAHEDRAL_CCW: 2},
        {getattr(hybrid, name): i for i, name in enumerate(_HYBRIDS)},
        {bond.SINGLE: 0, bond.DOUBLE: 1, bond.TRIPLE: 2, bond.AROMATIC: 3},
        {
            stereo.STEREONONE: 0,
            stereo.STEREOANY: 1,
            stereo.STEREOZ: 2,
            stereo.STEREOE: 3,
            stereo.STEREOCIS: 4,
            stereo.STEREOTRANS: 5,
        },
    )


def _codes(mol: Any | None) -> tuple[np.ndarray, np.ndarray]:
    """(v, 9) codes of the atoms and (e, 6) codes of the bonds of one molecule."""
    if mol is None:
        return np.zeros((0, 9)), np.zeros((0, 6), dtype=np.int64)
    chiral, hybrid, kind, stereo = _positions()
    atoms = [
        (a.GetAtomicNum(), a.GetDegree(), a.GetFormalCharge(), chiral.get(a.GetChiralTag(), 3), a.GetTotalNumHs(),
         hybrid.get(a.GetHybridization(), len(_HYBRIDS)), a.GetIsAromatic(), a.IsInRing(), a.GetMass())
        for a in mol.GetAtoms()
    ]  # fmt: skip
    bonds = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), kind.get(b.GetBondType(), len(_BONDS)), b.GetIsConjugated(),
         b.IsInRing(), stereo.get(b.GetStereo(), len(_STEREO)))
        for b in mol.GetBonds()
    ]  # fmt: skip
    return np.array(atoms, dtype=np.float64).reshape(-1, 9), np.array(bonds, dtype=np.int64).reshape(-1, 6)


def _nodes(atoms: np.ndarray) -> np.ndarray:
    number, degree, charge, chiral, hydrogens, hybrid = atoms[:, :6].astype(np.int64).T
    parts = [
        _one_hot(_place(number, ELEMENTS), len(ELEMENTS) + 1),
        _one_hot(_place(degree, _DEGREES), len(_DEGREES) + 1),
        _one_hot(_place(charge, _CHARGES), len(_CHARGES) + 1),
        _one_hot(chiral, len(_CHIRALITY)),
        _one_hot(_place(hydrogens, _HYDROGENS), len(_HYDROGENS) + 1),
        _one_hot(hybrid, len(_HYBRIDS) + 1),
        atoms[:, 6:8],
        atoms[:, 8:9] / 100.0,
    ]
    return np.hstack(parts).astype(np.float32)


def _edges(bonds: np.ndarray) -> np.ndarray:
    parts = [_one_hot(bonds[:, 2], len(_BONDS) + 1), bonds[:, 3:5], _one_hot(bonds[:, 5], len(_STEREO) + 1)]
    return np.hstack(parts).astype(np.float32)


def _place(values: np.ndarray, known: tuple[int, ...]) -> np.ndarray:
    """Position of each value among sorted known ones; their number where it is none of them."""
    at = np.searchsorted(known, values)
    inside = np.minimum(at, len(known) - 1)
    return np.where(np.asarray(known)[inside] == values, inside, len(known))


def _one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    return (codes[:, None] == np.arange(width)).astype(np.float32)
