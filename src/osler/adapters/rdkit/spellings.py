"""One molecule written in several ways: its canonical SMILES, and others drawn at random but always the same."""

from __future__ import annotations

from functools import lru_cache

from osler.registry import optional

#: Molecules whose spellings are kept, the last used.
_KEPT = 100_000


@lru_cache(maxsize=_KEPT)
def spellings(smiles: str, count: int) -> tuple[str, ...]:
    """`count` SMILES of one molecule, the given one first.

    The others start from random atoms and turn at random at branches (E. J. Bjerrum, arXiv:1703.07076, 2017). The draw
    is fixed by the molecule and the count, so that the same cell has the same spellings in every process; a small
    molecule may be written the same way twice.

    Args:
        smiles: a canonical SMILES.
        count: at least 1.
    """
    chem = optional("rdkit.Chem", "molecules")
    mol = chem.MolFromSmiles(smiles) if count > 1 else None
    if mol is None:
        return (smiles,) * count
    return (smiles, *chem.MolToRandomSmilesVect(mol, count - 1, randomSeed=1))
