"""Descriptors of whole molecules, chosen so that a thousand molecules take a second of one core, with shared work done
once.

Names are RDKit's and so are the values (tests compare them). What many descriptors need (Crippen contributions, partial
charges, Labute areas, E-states, degrees) is computed once per molecule; chi and kappa indices come from degrees and
bonds of a whole batch. docs/reference/modalities/molecule.md says what is left out, and for which cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.registry import optional

#: Property of RDKit's C++ table → its name among RDKit's descriptors.
_PROPERTIES = {
    "amw": "MolWt", "exactmw": "ExactMolWt", "lipinskiHBA": "NOCount", "lipinskiHBD": "NHOHCount",
    "NumHBD": "NumHDonors",
    "NumHBA": "NumHAcceptors", "NumHeavyAtoms": "HeavyAtomCount", "NumAtoms": "NumAtoms",
    "NumHeteroatoms": "NumHeteroatoms",
    "NumAmideBonds": "NumAmideBonds", "FractionCSP3": "FractionCSP3", "NumRings": "RingCount",
    "NumAromaticRings": "NumAromaticRings", "NumAliphaticRings": "NumAliphaticRings",
    "NumSaturatedRings": "NumSaturatedRings", "NumHeterocycles": "NumHeterocycles",
    "NumAromaticHeterocycles": "NumAromaticHeterocycles", "NumSaturatedHeterocycles": "NumSaturatedHeterocycles",
    "NumAliphaticHeterocycles": "NumAliphaticHeterocycles", "NumSpiroAtoms": "NumSpiroAtoms",
    "NumBridgeheadAtoms": "NumBridgeheadAtoms", "NumAtomStereoCenters": "NumAtomStereoCenters",
    "NumUnspecifiedAtomStereoCenters": "NumUnspecifiedAtomStereoCenters", "labuteASA": "LabuteASA", "tpsa": "TPSA",
    "hallKierAlpha": "HallKierAlpha", "kappa1": "Kappa1",
}  # fmt: skip
_LOGP = np.array([-0.4, -0.2, 0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6])
_MR = np.array([1.29, 1.82, 2.24, 2.45, 2.75, 3.05, 3.63, 3.8, 4.0])
_CHARGE = np.array([-0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
_ESTATE = np.array([-0.39, 0.29, 0.717, 1.165, 1.54, 1.807, 2.05, 4.69, 9.17, 15.0])
_AREA = np.array([4.78, 5.0, 5.41, 5.74, 6.0, 6.07, 6.45, 7.0, 11.0])
_MQN = tuple(f"MQN{i}" for i in range(1, 43))

NAMES: tuple[str, ...] = (
    *_PROPERTIES.values(),
    "MolLogP", "MolMR",
    *(f"SlogP_VSA{i + 1}" for i in range(12)), *(f"SMR_VSA{i + 1}" for i in range(10)),
    "MaxPartialCharge", "MinPartialCharge", "MaxAbsPartialCharge", "MinAbsPartialCharge",
    *(f"PEOE_VSA{i + 1}" for i in range(14)),
    "MaxEStateIndex", "MinEStateIndex", "MaxAbsEStateIndex", "MinAbsEStateIndex",
    *(f"EState_VSA{i + 1}" for i in range(11)), *(f"VSA_EState{i + 1}" for i in range(10)),
    "NumValenceElectrons", "NumRadicalElectrons", "FormalCharge",
    "Chi0", "Chi1", "Chi0n", "Chi1n", "Chi2n", "Chi3n", "Chi0v", "Chi1v", "Chi2v", "Chi3v", "Kappa2", "Kappa3", "Phi",
    *_MQN,
)  # fmt: skip


def describe(mols: Sequence[Any]) -> np.ndarray:
    """(n, len(NAMES)) float32. What is not defined for a molecule (a partial charge of a metal) is 0; nothing is NaN or
    infinite.
    """
    if not mols:
        return np.zeros((0, len(NAMES)), dtype=np.float32)
    rows = [_one(mol) for mol in mols]
    own = np.array([row for row, _ in rows], dtype=np.float64)
    shape = _shapes([atoms for _, atoms in rows], own[:, list(_PROPERTIES).index("hallKierAlpha")])
    mqn = np.array([_calculators().MQNs_(mol) for mol in mols], dtype=np.float64)
    found = np.hstack([own, shape, mqn])
    found[~np.isfinite(found)] = 0.0
    return np.clip(found, -1e9, 1e9).astype(np.float32)


@cache
def _calculators() -> Any:
    return optional("rdkit.Chem.rdMolDescriptors", "molecules")


@cache
def _properties() -> Any:
    return _calculators().Properties(list(_PROPERTIES))


@cache
def _elements() -> tuple[np.ndarray, np.ndarray]:
    """Outer electrons and principal quantum number by atomic number (0 to 118)."""
    table = optional("rdkit.Chem", "molecules").GetPeriodicTable()
    outer = np.array([table.GetNOuterElecs(z) for z in range(119)], dtype=np.float64)
    return outer, np.searchsorted([2, 10, 18, 36, 54, 86], np.arange(119)) + 1.0


def _one(mol: Any) -> tuple[list[float], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All descriptors of one molecule but its shape, and (atoms, bonds, triangles) for that."""
    calculators = _calculators()
    optional("rdkit.Chem.rdPartialCharges", "molecules").ComputeGasteigerCharges(mol)
    atoms = np.array(
        [
            (a.GetAtomicNum(), a.GetTotalNumHs(), a.GetDegree(), a.GetFormalCharge(), a.GetNumRadicalElectrons(),
             a.GetDoubleProp("_GasteigerCharge"))
            for a in mol.GetAtoms()
        ]
    )  # fmt: skip
    n = len(atoms)
    areas = np.array(list(calculators._CalcLabuteASAContribs(mol)[0]))
    contributions = np.array(calculators._CalcCrippenContribs(_with_hydrogens(mol)))
    logp, refraction = contributions[:n].T
    charges = atoms[:, 5]
    finite = charges[np.isfinite(charges)] if n else charges
    high, low = (finite.max(), finite.min()) if finite.size else (0.0, 0.0)
    states = _estates(mol, atoms)
    outer, _ = _elements()
    electrons = outer[atoms[:, 0].astype(int)] + atoms[:, 1] - atoms[:, 3]
    row = [
        *_properties().ComputeProperties(mol), *contributions.sum(axis=0),
        *_binned(logp, _LOGP, areas), *_binned(refraction, _MR, areas),
        high, low, max(abs(high), abs(low)), min(abs(high), abs(low)), *_binned(charges, _CHARGE, areas),
        states.max(), states.min(), np.abs(states).max(), np.abs(states).min(),
        *_binned(states, _ESTATE, areas), *_binned(areas, _AREA, states),
        electrons.sum(), atoms[:, 4].sum(), atoms[:, 3].sum(),
    ]  # fmt: skip
    return row, (atoms[:, :3], _bonds(mol), _triangles(mol))


def _with_hydrogens(mol: Any) -> Any:
    return optional("rdkit.Chem", "molecules").AddHs(mol)


def _binned(values: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values, side="right"), weights, len(edges) + 1)


def _bonds(mol: Any) -> np.ndarray:
    """(e, 2) positions of the atoms of each bond."""
    matrix = optional("rdkit.Chem", "molecules").GetAdjacencyMatrix(mol)
    return np.argwhere(np.triu(matrix))


def _triangles(mol: Any) -> np.ndarray:
    """(t, 3) atoms of every ring of three."""
    rings = mol.GetRingInfo()
    if not rings.NumRings():
        return np.zeros((0, 3), dtype=np.int64)
    return np.array([ring for ring in rings.AtomRings() if len(ring) == 3], dtype=np.int64).reshape(-1, 3)


def _estates(mol: Any, atoms: np.ndarray) -> np.ndarray:
    """(v,) electrotopological state of every atom: L. B. Hall, B. Mohney, L. B. Kier, J Chem Inf Comput Sci 31:76
    (1991).
    """
    outer, quantum = _elements()
    number = atoms[:, 0].astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = (4.0 / quantum[number] ** 2 * (outer[number] - atoms[:, 1]) + 1.0) / atoms[:, 2]
    own[atoms[:, 2] == 0] = 0.0
    distance = optional("rdkit.Chem", "molecules").GetDistanceMatrix(mol) + 1.0
    near = np.where(distance < 1e6, distance, np.inf)
    return own + ((own[:, None] - own) / near**2).sum(axis=1)


def _shapes(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], alpha: np.ndarray) -> np.ndarray:
    """(n, 13) chi and kappa indices of n molecules: L. B. Hall, L. B. Kier, Rev Comput Chem 2:367 (1991), eqs 4-5 and
    34-42.
    """
    n = len(parts)
    sizes = np.array([len(a) for a, _, _ in parts])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    atoms = np.concatenate([a for a, _, _ in parts])
    bonds = np.concatenate([b + s for (_, b, _), s in zip(parts, starts)])
    threes = np.concatenate([t + s for (_, _, t), s in zip(parts, starts)])
    owner = np.repeat(np.arange(n), sizes)
    graph = (bonds, threes, owner, n)
    outer, _ = _elements()
    number, degree = atoms[:, 0].astype(int), atoms[:, 2]
    simple = outer[number] - atoms[:, 1]
    heavy = np.maximum(number - outer[number] - 1.0, 1.0)
    valence = np.where(number > 10, simple / heavy, np.where(number > 1, simple, 0.0))
    chi, chi_n, chi_v = (_chi(delta, graph) for delta in (degree, simple, valence))
    two = np.bincount(owner, degree * (degree - 1.0) / 2.0, n)
    first, second = degree[bonds[:, 0]] - 1.0, degree[bonds[:, 1]] - 1.0
    three = np.bincount(owner[bonds[:, 0]], first * second, n) - 2.0 * np.bincount(owner[threes[:, 0]], minlength=n)
    size = sizes + alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa_2 = np.where(two + alpha != 0, (size - 1.0) * (size - 2.0) ** 2 / (two + alpha) ** 2, 0.0)
        odd = sizes % 2 == 1
        kappa_3 = (
            np.where(odd, (size - 1.0) * (size - 3.0) ** 2, (size - 2.0) * (size - 3.0) ** 2) / (three + alpha) ** 2
        )
        one = np.bincount(owner[bonds[:, 0]], minlength=n) + alpha
        kappa_1 = np.where(one != 0, size * (size - 1.0) ** 2 / one**2, 0.0)
        kappa_3 = np.where(three + alpha != 0, kappa_3, 0.0)
    return np.column_stack([*chi[:2], *chi_n, *chi_v, kappa_2, kappa_3, kappa_1 * kappa_2 / sizes])


def _chi(delta: np.ndarray, graph: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> list[np.ndarray]:
    """Chi indices of orders 0 to 3, each (n,): sums over paths of atoms of the product of delta^-1/2.

    A ring of three counts once among the paths of three bonds, with the product over its three atoms, as it does in
    RDKit.
    """
    bonds, threes, owner, n = graph
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.where(delta > 0, 1.0 / np.sqrt(delta), 0.0)
    a, b = bonds.T
    reach = np.bincount(a, root[b], len(root)) + np.bincount(b, root[a], len(root))
    squares = np.bincount(a, root[b] ** 2, len(root)) + np.bincount(b, root[a] ** 2, len(root))
    three = root[a] * root[b] * (reach[a] - root[b]) * (reach[b] - root[a])
    x, y, z = root[threes].T
    closed = x * y * z * (x + y + z - 1.0)
    return [
        np.bincount(owner, root, n),
        np.bincount(owner[a], root[a] * root[b], n),
        np.bincount(owner, root * (reach**2 - squares) / 2.0, n),
        np.bincount(owner[a], three, n) - np.bincount(owner[threes[:, 0]], closed, n),
    ]
