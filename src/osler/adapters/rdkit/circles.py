"""Counted Morgan fingerprints of radius 1 for many molecules at once, the same numbers as RDKit's.

D. Rogers, M. Hahn, Extended-connectivity fingerprints, J Chem Inf Model 50:742 (2010); how hashes are joined is Boost's
`hash_combine` on 32 bits, as RDKit's generator has it.
"""

from __future__ import annotations

import numpy as np

from osler.adapters.rdkit.environments import Atoms

#: Twice the order of a bond → its type in RDKit: single, aromatic, double, triple.
_TYPES = np.array([0, 0, 1, 12, 2, 0, 3], dtype=np.uint64)
_ATOM, _BOND, _LOW = np.uint64(37), np.uint64(32), np.uint64(0xFFFFFFFF)
_SIX, _TWO, _GOLDEN = np.uint32(6), np.uint32(2), np.uint32(0x9E3779B9)


def counts(found: Atoms, width: int) -> np.ndarray:
    """(n, width) uint8 counts of the surroundings of radius 0 and 1 of n molecules, 255 for more. Of a molecule that is not
    `plain` they are not RDKit's.
    """
    code = found.code.astype(np.uint32)
    value, there = _joined(found, code)
    row = found.owner * width
    at = np.concatenate([row + code % np.uint32(width), row[there] + value[there] % np.uint32(width)])
    whole = np.bincount(at, minlength=width * len(found.plain))
    return np.minimum(whole, 255).astype(np.uint8).reshape(-1, width)


def _joined(found: Atoms, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(v,) hash of each atom with its neighbours, and whether it counts: a lone atom has none, and of two atoms that are
    all there is only the lower one counts, for both have the same single bond.
    """
    first, second = found.ends
    n = len(code)
    kind = _TYPES[np.minimum(found.orders, _SIX).astype(np.int64)]
    key = np.sort((first.astype(np.uint64) << _ATOM) | (kind << _BOND) | code[second])
    bond, other = ((key >> _BOND) & np.uint64(31)).astype(np.uint32), (key & _LOW).astype(np.uint32)
    neighbour = _combined(_combined(np.zeros(len(key), np.uint32), bond), other)
    degree = np.bincount(first, minlength=n)
    start = np.cumsum(degree) - degree
    value = _combined(np.zeros(n, np.uint32), code)
    for rank in range(degree.max(initial=0)):
        atoms = np.flatnonzero(degree > rank)
        value[atoms] = _combined(value[atoms], neighbour[start[atoms] + rank])
    there = degree > 0
    a, b = found.ends[:, (degree[first] == 1) & (degree[second] == 1) & (first < second)]
    there[np.where(value[a] > value[b], a, b)] = False
    return value, there


def _combined(seed: np.ndarray, value: np.ndarray) -> np.ndarray:
    return seed ^ (value + _GOLDEN + (seed << _SIX) + (seed >> _TWO))
