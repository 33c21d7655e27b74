"""Molecules as dense arrays of atoms and bonds, and back: rings in Kekulé form, no hydrogens, no charges, no stereo."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.registry import optional

#: Elements of atom numbers 1 to 9 (0 is no atom), and the most bonds that each has without a charge.
ELEMENTS = ("C", "N", "O", "F", "S", "Cl", "Br", "P", "I")
VALENCE = (0, 4, 3, 2, 1, 6, 1, 1, 5, 1)
#: Bonds: 0 none, 1 single, 2 double, 3 triple.
MAX_ORDER = 3


def to_arrays(mol: Any, most: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(most,) atom numbers and (most, most) bond orders, both int8; None where the molecule does not fit.

    It fits if it is one part of at most `most` heavy atoms, all of `ELEMENTS`, without charges, radicals or isotopes.
    """
    chem = optional("rdkit.Chem", "molecules")
    n = mol.GetNumAtoms()
    if n > most or len(chem.GetMolFrags(mol)) != 1:
        return None
    flat = chem.Mol(mol)
    chem.RemoveStereochemistry(flat)
    chem.Kekulize(flat, clearAromaticFlags=True)
    atoms, bonds = np.zeros(most, np.int8), np.zeros((most, most), np.int8)
    for atom in flat.GetAtoms():
        odd = atom.GetFormalCharge() or atom.GetNumRadicalElectrons() or atom.GetIsotope()
        if odd or atom.GetSymbol() not in ELEMENTS:
            return None
        atoms[atom.GetIdx()] = 1 + ELEMENTS.index(atom.GetSymbol())
    for bond in flat.GetBonds():
        order = int(bond.GetBondTypeAsDouble())
        if not 1 <= order <= MAX_ORDER:
            return None
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[i, j] = bonds[j, i] = order
    return atoms, bonds


def to_smiles(atoms: np.ndarray, bonds: np.ndarray) -> str:
    """Canonical SMILES of (n,) atom numbers and symmetric (n, n) bond orders; "" if RDKit refuses the molecule."""
    chem = optional("rdkit.Chem", "molecules")
    made = chem.RWMol()
    place = {}
    for i in np.flatnonzero(atoms):
        place[int(i)] = made.AddAtom(chem.Atom(ELEMENTS[atoms[i] - 1]))
    kinds = (None, chem.BondType.SINGLE, chem.BondType.DOUBLE, chem.BondType.TRIPLE)
    for i, j in np.argwhere(np.triu(bonds, 1)):
        made.AddBond(place[int(i)], place[int(j)], kinds[bonds[i, j]])
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        try:
            chem.SanitizeMol(made)
        except (ValueError, RuntimeError):
            return ""
        return str(chem.MolToSmiles(made))
