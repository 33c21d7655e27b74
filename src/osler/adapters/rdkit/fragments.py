"""Scaffolds and BRICS fragments of molecules, as SMILES to count, and the canonical text that molecules are told apart by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from osler.registry import optional


def canonical(mol: Any, kekule: bool = False) -> str:
    """RDKit's canonical SMILES with stereo: equal for equal molecules. `kekule` writes alternating double bonds for rings."""
    chem = optional("rdkit.Chem", "molecules")
    if kekule:
        mol = chem.Mol(mol)
        chem.Kekulize(mol, clearAromaticFlags=True)
    return chem.MolToSmiles(mol)


def parts(mol: Any) -> int:
    """How many molecules a molecule object holds (a salt has two)."""
    return len(optional("rdkit.Chem", "molecules").GetMolFrags(mol))


def murcko(mol: Any) -> str:
    """Rings and what links them, without stereo: G. Bemis, M. Murcko, J Med Chem 39:2887 (1996); "" without a ring."""
    if not mol.GetRingInfo().NumRings():
        return ""
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        scaffold = optional("rdkit.Chem.Scaffolds.MurckoScaffold", "molecules").GetScaffoldForMol(mol)
        return optional("rdkit.Chem", "molecules").MolToSmiles(scaffold, isomericSmiles=False)


def scaffold_counts(mols: Iterable[Any]) -> Counter[str]:
    """How often each scaffold occurs; molecules without a ring are left out."""
    found = Counter(murcko(mol) for mol in mols)
    found.pop("", None)
    return found


def brics(mol: Any) -> list[str]:
    """SMILES of the pieces left when all BRICS bonds are cut: J. Degen et al., ChemMedChem 3:1503 (2008)."""
    chem = optional("rdkit.Chem", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        cut = optional("rdkit.Chem.BRICS", "molecules").BreakBRICSBonds(mol)
        return [chem.MolToSmiles(piece, isomericSmiles=False) for piece in chem.GetMolFrags(cut, asMols=True)]


def fragment_counts(mols: Iterable[Any]) -> Counter[str]:
    """How often each BRICS fragment occurs."""
    return Counter(piece for mol in mols for piece in brics(mol))
