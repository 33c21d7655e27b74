"""Scaffolds and BRICS fragments of molecules, as SMILES to count, and the canonical text that molecules are told apart by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from osler.adapters.rdkit.scaffolds import scaffold
from osler.registry import optional


def canonical(mol: Any) -> str:
    """RDKit's canonical SMILES with stereo: equal for equal molecules."""
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))


def alternating(smiles: str) -> str:
    """A SMILES of the same molecule whose aromatic rings are written as alternating single and double bonds."""
    chem = optional("rdkit.Chem", "molecules")
    mol = chem.MolFromSmiles(smiles)
    chem.Kekulize(mol, clearAromaticFlags=True)
    return str(chem.MolToSmiles(mol))


def scaffold_counts(mols: Iterable[Any]) -> Counter[str]:
    """How often each scaffold occurs; molecules without a ring are left out."""
    return Counter(scaffold(mol) for mol in mols if mol.GetRingInfo().NumRings())


def brics(mol: Any) -> list[str]:
    """SMILES of the pieces left when all BRICS bonds are cut: J. Degen et al., ChemMedChem 3:1503 (2008).

    A molecule whose pieces RDKit cannot make sense of (a ring that is aromatic only as a whole) is one piece.
    """
    chem = optional("rdkit.Chem", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        try:
            cut = optional("rdkit.Chem.BRICS", "molecules").BreakBRICSBonds(mol)
        except ValueError:
            return [chem.MolToSmiles(mol, isomericSmiles=False)]
        return [chem.MolToSmiles(piece, isomericSmiles=False) for piece in chem.GetMolFrags(cut, asMols=True)]


def fragment_counts(mols: Iterable[Any]) -> Counter[str]:
    """How often each BRICS fragment occurs."""
    return Counter(piece for mol in mols for piece in brics(mol))
