"""When two molecules are the same, in five senses of it, from the strictest to the loosest that still names a
substance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from osler.adapters.rdkit.standardise import parent
from osler.registry import optional

#: The senses, and what two molecules share that are the same in it.
SENSES = {
    "smiles": "the same canonical SMILES with stereo and isotopes",
    "parent": "the same substance without counter-ions and charges",
    "tautomer": "tautomers of the same parent",
    "connectivity": "the same parent but for stereo, isotopes and mobile hydrogens (first block of the InChIKey)",
    "fingerprint": "the same ECFP counts of radius 2 of the parent: Tanimoto similarity 1",
}


def identities(mols: Sequence[Any | None]) -> dict[str, list[str | None]]:
    """Sense → one text per molecule that is equal for the same, None where there is no molecule.

    `tautomer` is RDKit's tautomer hash of the parent (HetAtomTautomerv2), which is equal for tautomers and a hundred
    times faster than enumerating them.
    """
    out: dict[str, list[str | None]] = {sense: [] for sense in SENSES}
    for mol in mols:
        found = keys(mol) if mol is not None else dict.fromkeys(SENSES)
        for sense in SENSES:
            out[sense].append(found[sense])
    return out


def keys(mol: Any) -> dict[str, str]:
    """Every sense of one molecule."""
    chem, hashes = optional("rdkit.Chem", "molecules"), optional("rdkit.Chem.rdMolHash", "molecules")
    whole = chem.MolToSmiles(mol)
    core = parent(mol)
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        block = chem.MolToInchiKey(core).partition("-")[0]
        tautomer = hashes.MolHash(chem.Mol(core), hashes.HashFunction.HetAtomTautomerv2)
    name = chem.MolToSmiles(core)
    counts = _ecfp().GetCountFingerprint(core).GetNonzeroElements()
    mark = hashlib.sha256(repr(sorted(counts.items())).encode()).hexdigest()[:24]
    return {
        "smiles": whole,
        "parent": name,
        "tautomer": tautomer,
        "connectivity": block or chem.MolToSmiles(core, isomericSmiles=False),
        "fingerprint": mark,
    }


@cache
def _ecfp() -> Any:
    """Unfolded: no two neighbourhoods share a bin but by a 32-bit hash."""
    return optional("rdkit.Chem.rdFingerprintGenerator", "molecules").GetMorganGenerator(radius=2, fpSize=2**32 - 1)
