"""What molecules have in common: scaffolds and clusters of similar fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.registry import optional

#: Most molecules that `butina` clusters exactly; above, later molecules join or found clusters in one pass.
EXACT = 20_000
_STEP = 256


def scaffold(mol: Any, generic: bool = False) -> str:
    """Canonical SMILES of the Bemis-Murcko scaffold without stereo: G. W. Bemis, M. A. Murcko, J Med Chem 39:2887
    (1996).

    A molecule without rings has no scaffold; it is its own, so that equal acyclic molecules stay together and different
    ones need not. (Other tools put all acyclic molecules of a table into one empty scaffold.) With `generic`, every
    atom of the scaffold is a carbon and every bond single.
    """
    chem, murcko = optional("rdkit.Chem", "molecules"), optional("rdkit.Chem.Scaffolds.MurckoScaffold", "molecules")
    if not mol.GetRingInfo().NumRings():
        return str(chem.MolToSmiles(mol, isomericSmiles=False))
    core = murcko.GetScaffoldForMol(mol)
    if generic:
        core = murcko.GetScaffoldForMol(murcko.MakeScaffoldGeneric(core))
    return str(chem.MolToSmiles(core, isomericSmiles=False))


def scaffolds(mols: Sequence[Any | None], generic: bool = False) -> list[str | None]:
    """The scaffold of each molecule, None where there is none."""
    return [None if mol is None else scaffold(mol, generic) for mol in mols]


def butina(packed: np.ndarray, radius: float = 0.35) -> np.ndarray:
    """(n,) cluster codes 0, 1, ... of molecules within a Tanimoto distance of a cluster's centre.

    The molecule with the most neighbours founds a cluster with all of its neighbours that are free, and so on: D.
    Butina, J Chem Inf Comput Sci 39:747 (1999). Ties go to the earlier molecule. Codes are in the order of founding.
    Beyond `EXACT` molecules the first `EXACT` (by position) are clustered so, and each later one joins the nearest
    centre within the radius or becomes a centre itself (leader clustering). Memory grows with n, never with pairs:
    neighbours are counted first and found again when their molecule founds a cluster.

    Args:
        packed: (n, words) uint64 binary fingerprints.
        radius: largest Tanimoto distance to the centre, 0 to 1.
    """
    n = len(packed)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    head = min(n, EXACT)
    codes = np.full(n, -1, dtype=np.int64)
    codes[:head], centres = _exact(packed[:head], radius)
    ones = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    for i in range(head, n):
        distance = 1.0 - _similarity(packed[i : i + 1], ones[i : i + 1], packed[centres], ones[centres])[0]
        best = int(distance.argmin())
        if distance[best] <= radius + 1e-12:
            codes[i] = codes[centres[best]]
        else:
            codes[i] = len(centres)
            centres = np.append(centres, i)
    return codes


def _exact(packed: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n,) and centres of Butina's clusters."""
    n = len(packed)
    ones = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    n_near = np.empty(n, dtype=np.int64)
    for start in range(0, n, _STEP):
        part = slice(start, start + _STEP)
        n_near[part] = (_similarity(packed[part], ones[part], packed, ones) >= 1.0 - radius - 1e-12).sum(axis=1)
    codes, centres = np.full(n, -1, dtype=np.int64), []
    for i in np.argsort(-n_near, kind="stable"):
        if codes[i] < 0:
            free = np.flatnonzero(codes < 0)
            similar = (
                _similarity(packed[i : i + 1], ones[i : i + 1], packed[free], ones[free])[0] >= 1.0 - radius - 1e-12
            )
            codes[free[similar]] = codes[i] = len(centres)
            centres.append(int(i))
    return codes, np.array(centres, dtype=np.int64)


def _similarity(a: np.ndarray, ones_a: np.ndarray, b: np.ndarray, ones_b: np.ndarray) -> np.ndarray:
    """(n, m) Tanimoto similarities of packed fingerprints; 1 for two empty ones."""
    both = np.zeros((len(a), len(b)), dtype=np.int64)
    for word in range(a.shape[1]):
        both += np.bitwise_count(a[:, word, None] & b[None, :, word])
    either = ones_a[:, None] + ones_b[None, :] - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)
