"""Counts of pairs of atoms by their kinds and the bonds between them, and the descriptors that cost next to nothing.

Pairs of potential pharmacophore points by topological distance: G. Schneider et al., Angew Chem Int Ed 38:2894 (1999);
kinds are those of `osler.adapters.rdkit.environments`. Distances come from sets of atoms kept as bits: what is d bonds
from an atom is what is d - 1 bonds from any neighbour and not nearer, for all atoms of a batch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.adapters.rdkit import circles, environments, fingerprints
from osler.adapters.rdkit.environments import KINDS, Atoms
from osler.registry import optional

#: Distances counted, in bonds: 0 (the atom itself) to 8.
DISTANCES = 9
_FIRST, _SECOND = np.triu_indices(len(KINDS))
#: One name per column of `pairs`.
PAIR_NAMES = tuple(
    f"{KINDS[a]} and {KINDS[b]} at {d}" for a, b in zip(_FIRST.tolist(), _SECOND.tolist()) for d in range(DISTANCES)
)
#: Property of RDKit's C++ table → its name among RDKit's descriptors: those that need no pattern.
_PROPERTIES = {
    "amw": "MolWt", "lipinskiHBA": "NOCount", "lipinskiHBD": "NHOHCount", "NumHBD": "NumHDonors",
    "NumHeavyAtoms": "HeavyAtomCount", "NumAtoms": "NumAtoms", "NumHeteroatoms": "NumHeteroatoms",
    "NumAmideBonds": "NumAmideBonds", "FractionCSP3": "FractionCSP3", "NumRings": "RingCount",
    "NumAromaticRings": "NumAromaticRings", "NumAliphaticRings": "NumAliphaticRings",
    "NumSaturatedRings": "NumSaturatedRings", "NumHeterocycles": "NumHeterocycles",
    "NumAromaticHeterocycles": "NumAromaticHeterocycles", "NumSpiroAtoms": "NumSpiroAtoms",
    "NumBridgeheadAtoms": "NumBridgeheadAtoms", "NumAtomStereoCenters": "NumAtomStereoCenters",
    "labuteASA": "LabuteASA", "tpsa": "TPSA", "hallKierAlpha": "HallKierAlpha", "kappa1": "Kappa1",
}  # fmt: skip
#: One name per column of `basics`.
BASIC_NAMES = (*_PROPERTIES.values(), "MolLogP", "MolMR")


def fast(mols: Sequence[Any]) -> dict[str, np.ndarray]:
    """The features that cost next to nothing together: `ecfp2` (n, 1,024) as `osler.adapters.rdkit.fingerprints` counts it;
    `pairs` (n, len(PAIR_NAMES)) uint8 counts, 255 for more; `basics` (n, len(BASIC_NAMES)) float32 descriptors with RDKit's
    names and values, 0 where one is not finite.
    """
    n, width = len(mols), fingerprints.WIDTH["ecfp2"]
    made = {"ecfp2": np.zeros((n, width), np.uint8), "pairs": np.zeros((n, len(PAIR_NAMES)), np.uint8)}
    sums, odd = np.zeros((n, 2)), np.zeros(n, dtype=bool)
    words = np.array([(mol.GetNumAtoms() + 63) // 64 for mol in mols], dtype=np.int64)
    for size in np.unique(words):
        rows = np.flatnonzero(words == size)
        found = environments.atoms([mols[row] for row in rows])
        made["ecfp2"][rows], odd[rows] = circles.counts(found, width), ~found.plain
        made["pairs"][rows] = _pairs(found, int(size))
        sums[rows] = np.column_stack(
            [np.bincount(found.owner, weights, len(rows)) for weights in (found.logp, found.refraction)]
        )
    if odd.any():
        made["ecfp2"][odd] = fingerprints.counts([mols[row] for row in np.flatnonzero(odd)], ("ecfp2",))["ecfp2"]
    table = np.array([_asked(mol) for mol in mols], dtype=np.float64).reshape(n, len(_PROPERTIES))
    values = np.hstack([table, sums])
    values[~np.isfinite(values)] = 0.0
    return made | {"basics": np.clip(values, -1e9, 1e9).astype(np.float32)}


@cache
def _table() -> Any:
    return optional("rdkit.Chem.rdMolDescriptors", "molecules").Properties(list(_PROPERTIES))


def _asked(mol: Any) -> list[float]:
    found = _table().ComputeProperties(mol)
    return [found[i] for i in range(len(_PROPERTIES))]  # RDKit's own iterator is slow


def _pairs(found: Atoms, words: int) -> np.ndarray:
    """(n, pairs of kinds times distances) uint8, for molecules whose atoms fit in so many words of 64 bits."""
    n, k = len(found.offsets) - 1, len(KINDS)
    owner = found.owner
    own = _bits(np.arange(len(owner)) - found.offsets[owner], words)
    group = owner * k + found.kind
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    of_kind = np.zeros((words, n * k), dtype=np.uint64)
    of_kind[:, present] = np.bitwise_or.reduceat(own[:, order], starts, axis=1)
    beside = of_kind.reshape(words, n, k)[:, owner[order]].transpose(0, 2, 1).copy()
    whole = np.zeros((DISTANCES, k, n * k), dtype=np.uint16)
    inside = near = own
    for distance in range(DISTANCES):
        met = sum(np.bitwise_count(near[word, order] & beside[word]).astype(np.uint16) for word in range(words))
        whole[distance][:, present] = np.add.reduceat(met, starts, axis=1)
        near = _stepped(near, found.ends) & ~inside
        inside = inside | near
    counts = whole.reshape(DISTANCES, k, n, k)[:, _SECOND, :, _FIRST]
    counts[_FIRST == _SECOND, 1:] //= 2  # a pair of one kind was met from both its ends
    return np.minimum(counts, 255).astype(np.uint8).transpose(2, 0, 1).reshape(n, -1)


def _bits(places: np.ndarray, words: int) -> np.ndarray:
    """(words, v) uint64, one bit each."""
    out = np.zeros((words, len(places)), dtype=np.uint64)
    out[places // 64, np.arange(len(places))] = np.uint64(1) << (places % 64).astype(np.uint64)
    return out


def _stepped(near: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(words, v) what any neighbour of an atom holds."""
    first, second = ends
    out = np.zeros_like(near)
    if len(first):
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        out[:, first[starts]] = np.bitwise_or.reduceat(near[:, second], starts, axis=1)
    return out
