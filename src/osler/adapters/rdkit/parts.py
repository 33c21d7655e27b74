"""What a molecule's numbers would be without one of its atoms or bonds.

Counts of atom environments (ECFP) lose every environment that the atom or bond lies in, as the fingerprint itself tells
them: S. Riniker, G. A. Landrum, Similarity maps, J Cheminform 5:43 (2013). Graphs lose the features of the atom or
bond; it stays as a place without properties. Everything else that is computed of whole molecules is worked out anew for
the molecule in which a dummy atom of unknown element, without hydrogens, stands at the atom's place; it knows no bonds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.adapters.rdkit import features, fingerprints
from osler.registry import optional

#: Radius of the fingerprints that tell which atoms each count comes from.
_RADIUS = {"ecfp": 2, "ecfp2": 1, "ecfp6": 3}


def spelled(mol: Any) -> tuple[str, tuple[int, ...]]:
    """The canonical SMILES of a molecule, and its atoms in the order in which they stand there."""
    chem = optional("rdkit.Chem", "molecules")
    copy = chem.Mol(mol)
    smiles = str(chem.MolToSmiles(copy))
    return smiles, tuple(int(i) for i in copy.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])


def names(mol: Any, order: Sequence[int]) -> tuple[str, ...]:
    """One name per atom in this order: its element and its place from 1."""
    return tuple(f"{mol.GetAtomWithIdx(int(atom)).GetSymbol()}{i}" for i, atom in enumerate(order, 1))


def ends(mol: Any) -> tuple[tuple[int, int], ...]:
    """The two atoms of each bond, in the order of its bonds."""
    return tuple((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds())


def masked(mol: Any, atoms: Sequence[int]) -> Any:
    """A copy with a dummy atom at the place of each of these atoms; bonds, and whether they are aromatic, stay."""
    chem = optional("rdkit.Chem", "molecules")
    copy = chem.RWMol(mol)
    for atom in atoms:
        dummy = chem.Atom(0)
        dummy.SetNoImplicit(True)
        dummy.SetIsAromatic(copy.GetAtomWithIdx(int(atom)).GetIsAromatic())
        copy.ReplaceAtom(int(atom), dummy)
    out = copy.GetMol()
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        out.UpdatePropertyCache(strict=False)
        chem.SanitizeMol(out, catchErrors=True)
        chem.FastFindRings(out)
    return out


def numbers_without(mol: Any, features: Sequence[str], masks: np.ndarray) -> np.ndarray:
    """(k, sum of widths) the dense features of one molecule of v atoms and e bonds, some of them left out.

    Args:
        masks: (k, v + e) bool, true where an atom or bond is left out.
    """
    parts, atoms = [np.zeros((len(masks), 0))], masks[:, : mol.GetNumAtoms()]
    different, which = np.unique(atoms, axis=0, return_inverse=True)
    copies = [masked(mol, np.flatnonzero(row)) for row in different] if set(features) - set(_RADIUS) else []
    for feature in features:
        if feature in _RADIUS:
            parts.append(_environments_without(mol, feature, masks))
        else:
            parts.append(_remade(mol, copies, feature)[which.reshape(-1)])
    return np.hstack(parts).astype(np.float64)


def texts_without(mol: Any, masks: np.ndarray) -> list[str]:
    """k SMILES with wildcards in place of the atoms that (k, v + e) masks leave out; a text names no bond."""
    chem, v = optional("rdkit.Chem", "molecules"), mol.GetNumAtoms()
    return [str(chem.MolToSmiles(masked(mol, np.flatnonzero(row)))) for row in masks[:, :v]]


def _remade(mol: Any, copies: list[Any], feature: str) -> np.ndarray:
    """(copies, width) a feature computed of each copy; one that cannot be computed is taken for the molecule."""
    try:
        return features.computed(copies, (feature,))[0]
    except (ValueError, RuntimeError):
        found = [features.computed([mol], (feature,))[0]]
    for one in copies:
        try:
            found.append(features.computed([one], (feature,))[0])
        except (ValueError, RuntimeError):
            found.append(found[0])
    return np.vstack(found[1:])


def _environments_without(mol: Any, feature: str, masks: np.ndarray) -> np.ndarray:
    """(k, width) counts of the environments that hold nothing that is left out: an environment of radius r holds the
    atoms within r bonds of its centre, and the bonds that start within r - 1.
    """
    chem, made = optional("rdkit.Chem", "molecules"), optional("rdkit.Chem.rdFingerprintGenerator", "molecules")
    told = made.AdditionalOutput()
    told.AllocateBitInfoMap()
    width = fingerprints.WIDTH[feature]
    generator = made.GetMorganGenerator(radius=_RADIUS[feature], fpSize=width)
    generator.GetCountFingerprintAsNumPy(mol, additionalOutput=told)
    distance = chem.GetDistanceMatrix(mol)
    to_bonds = [np.minimum(distance[i], distance[j]) + 1 for i, j in ends(mol)]
    distance = np.vstack([distance, *to_bonds])
    left = np.zeros((len(masks), width), dtype=np.int64)
    for place, environments in told.GetBitInfoMap().items():
        for centre, radius in environments:
            left[:, place] += ~masks[:, distance[:, centre] <= radius].any(axis=1)
    return np.minimum(left, 255)
