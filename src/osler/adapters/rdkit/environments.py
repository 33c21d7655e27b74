"""What an atom is by its near surroundings, worked out once for every surroundings ever met.

RDKit asks every molecule more than a hundred questions about patterns for its Crippen contributions, and more for acids
and bases. All are answered by what lies within two bonds of an atom, and molecules of a library share most of these
surroundings: twelve thousand molecules of ChEMBL have 2,200. So each gets a key, a 64-bit hash, and RDKit is asked only
where a key is new. Values are RDKit's (tests compare them); two surroundings would share a key by chance once there are
billions of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from osler.registry import optional

#: Kinds of atoms, by number: a later one of `_PATTERNS` goes before an earlier one.
KINDS = (
    "donor", "acceptor", "positive", "negative", "halogen", "sulphur or phosphorus", "aromatic", "in a ring",
    "in a chain", "base", "acid", "amide nitrogen",
)  # fmt: skip
BASE, ACID, AMIDE = 9, 10, 11
_PATTERNS = (
    ("[NX3;+0;!a;!$(N-[!#6]);!$(N-[#6;!X4])]", BASE),
    ("[$([NX2;+0]=[CX3][NX3]),$([NX3;+0][CX3]=[NX2;+0])]", BASE),
    ("[$([OX2H1]C=O),$([OX2H1][SX4]=O),$([OX2H1]P=O),$(O=[CX3,SX4,PX4][OX2H1])]", ACID),
    ("[$([nH](n:n)c:n),$([nH](n:n)n:c),$([NX3H1](C=O)S(=O)=O)]", ACID),
    ("[$([NX3][CX3]=O),$([NX3]S(=O)=O)]", AMIDE),
)
#: Most surroundings that are remembered; when there are more, all are forgotten.
MOST_KEPT = 1_000_000
#: Twice the order of a bond; elements.
_USUAL = np.array([2, 3, 4, 6], dtype=np.uint64)
_AROMATIC, _DOUBLE, _CARBON, _NITROGEN = np.uint64(3), np.uint64(4), np.uint64(6), np.uint64(7)
_TWO, _SIX = np.uint64(2), np.uint64(6)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)

_KNOWN: dict[int, tuple[int, float, float]] = {}
_SEEN: dict[int, tuple[int, int, int]] = {}
_LOCK = Lock()


@dataclass(frozen=True)
class Atoms:
    """The v atoms of n molecules, one molecule after the other, and their e bonds in both directions, by first atom.

    Attributes:
        offsets: (n + 1,) where each molecule's atoms begin.
        ends: (2, e) atoms of each directed bond.
        orders: (e,) twice the order of each, 3 for an aromatic one.
        code: (v,) RDKit's hash of an atom: element, bonds, hydrogens, charge, isotope, whether in a ring.
        plain: (n,) whether all bonds of a molecule are single, double, triple or aromatic.
        kind: (v,) positions in `KINDS`.
        logp, refraction: (v,) Crippen contributions of each atom with its hydrogens (S. Wildman, G. Crippen, J Chem Inf
            Comput Sci 39:868, 1999).
    """

    offsets: np.ndarray
    ends: np.ndarray
    orders: np.ndarray
    code: np.ndarray
    plain: np.ndarray
    kind: np.ndarray
    logp: np.ndarray
    refraction: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """(v,) the molecule of each atom."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def atoms(mols: Sequence[Any]) -> Atoms:
    """The atoms of some molecules (at least one, none without atoms)."""
    calculators = _tools()[0]
    codes = [calculators.GetConnectivityInvariants(mol, True) for mol in mols]
    offsets = np.concatenate([[0], np.cumsum([len(c) for c in codes])])
    matrices = [_orders(mol) for mol in mols]
    orders, ends = _bonds([matrix for matrix, _ in matrices], offsets)
    code = np.array([one for c in codes for one in c], dtype=np.uint64)
    seen = _seen(code, mols, offsets)
    owner = np.repeat(np.arange(len(mols)), np.diff(offsets))
    masked = np.isin(owner, owner[seen[0] == 0])  # molecules with a dummy atom never speak for others
    keys = _keys(np.where(masked, code ^ _SECOND, code), seen, orders, ends)
    plain = np.array([known for _, known in matrices])
    plain[owner[ends[0][~np.isin(orders, _USUAL)]]] = False
    return Atoms(offsets, ends, orders, code, plain, *_looked_up(keys, mols, offsets))


@cache
def _tools() -> tuple[Any, Any]:
    return optional("rdkit.Chem.rdMolDescriptors", "molecules"), optional("rdkit.Chem", "molecules")


def _orders(mol: Any) -> tuple[np.ndarray, bool]:
    """(v, v) orders of bonds, and whether RDKit gives every bond one; where it gives none, or one from one side only (a
    dative bond), it counts as single.
    """
    chem = _tools()[1]
    found = chem.GetAdjacencyMatrix(mol, True)
    if np.count_nonzero(found) == 2 * mol.GetNumBonds():
        return found, True
    return np.maximum(found, chem.GetAdjacencyMatrix(mol)), False


def _bonds(matrices: Sequence[np.ndarray], offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(e,) twice the order of each directed bond as integers, and (2, e) its atoms, ascending by the first."""
    flat = np.concatenate([matrix.ravel() for matrix in matrices])
    at = np.flatnonzero(flat)
    sizes = np.diff(offsets)
    begins = np.concatenate([[0], np.cumsum(sizes**2)])
    owner = np.searchsorted(begins, at, side="right") - 1
    first, second = np.divmod(at - begins[owner], sizes[owner])
    return np.rint(2 * flat[at]).astype(np.uint64), np.array([first, second]) + offsets[owner]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Each 64-bit number well stirred: the finaliser of SplitMix64 (G. Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * _SECOND
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _summed(values: np.ndarray, first: np.ndarray, n: int) -> np.ndarray:
    """(n,) sums modulo 2**64 of the values of each atom's bonds."""
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64)])
    limits = np.searchsorted(first, np.arange(n + 1))
    return total[limits[1:]] - total[limits[:-1]]


def _keys(code: np.ndarray, seen: np.ndarray, orders: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(v,) the key of an atom's surroundings: of a carbon its neighbours' elements, of a nitrogen also their bonds and
    what they hold by double bonds or is a nitrogen, of others all within two bonds but single carbons.

    Args:
        code: (v,) as in `Atoms`.
        seen: (3, v) as `_seen` gives it. orders, ends: as `_bonds` gives them.
    """
    first, second = ends
    n = len(code)
    element, near, far = seen
    aromatic = np.bincount(first, orders == _AROMATIC, n) > 0
    far = far * _TWO + aromatic
    step = far[second] * _SIX + np.minimum(orders, _SIX) - _TWO  # 0 for a carbon at a single bond
    token = np.where(step > 0, _mixed(step), 0)
    few = np.where((orders == _DOUBLE) | (element[second] == _NITROGEN), token, 0)
    plain = _mixed(element * _TWO + aromatic)
    near = _mixed(near * _TWO + aromatic)
    wide, narrow = (_mixed(near + _summed(part, first, n)) for part in (token, few))
    centre = element[first]
    value = np.where(centre == _CARBON, plain[second], np.where(centre == _NITROGEN, narrow[second], wide[second]))
    return _mixed(_mixed(code) + _summed(_mixed(value ^ (orders * _FIRST)), first, n))


def _seen(code: np.ndarray, mols: Sequence[Any], offsets: np.ndarray) -> np.ndarray:
    """(3, v) an atom's element; what is looked at one bond away (element, bonds, charge, hydrogens unless it is a
    carbon); and two bonds away, a class: 0 a carbon, 1 to 3 a nitrogen, 4 and 5 an oxygen, 6 a sulphur, 7 hydrogen, 8
    others.
    """
    different, at, inverse = np.unique(code, return_index=True, return_inverse=True)
    for one, where in zip(different.tolist(), at.tolist()):
        if one not in _SEEN:
            atom = _atom(mols, offsets, where)
            number, bonds, charge = atom.GetAtomicNum(), atom.GetTotalDegree(), atom.GetFormalCharge()
            hydrogens = atom.GetTotalNumHs()
            far = {6: 0, 7: 3 if charge else 1 + (bonds == 3), 8: 4 + (hydrogens > 0), 16: 6, 1: 7}.get(number, 8)
            near = ((number * 32 + (hydrogens if number != 6 else 0)) * 32 + bonds) * 64 + charge + 20
            _SEEN[one] = (number, near, far)
    return np.array([_SEEN[one] for one in different.tolist()], dtype=np.uint64)[inverse].T


def _atom(mols: Sequence[Any], offsets: np.ndarray, where: int) -> Any:
    owner = int(np.searchsorted(offsets, where, side="right")) - 1
    return mols[owner].GetAtomWithIdx(where - int(offsets[owner]))


def _looked_up(
    keys: np.ndarray, mols: Sequence[Any], offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, logP and refraction (v,) of every atom, asked of RDKit where the key is new."""
    different, at, inverse = np.unique(keys, return_index=True, return_inverse=True)
    names = different.tolist()
    with _LOCK:
        if len(_KNOWN) > MOST_KEPT:
            _KNOWN.clear()
        lacking = at[[name not in _KNOWN for name in names]]
        for owner in np.unique(np.searchsorted(offsets, lacking, side="right") - 1).tolist():
            own = keys[offsets[owner] : offsets[owner + 1]].tolist()
            _KNOWN.update(zip(own, _asked(mols[owner])))
        table = np.array([_KNOWN[name] for name in names])
    found = table[inverse]
    return found[:, 0].astype(np.int64), found[:, 1], found[:, 2]


def _asked(mol: Any) -> list[tuple[int, float, float]]:
    """RDKit's answers for every atom of a molecule."""
    calculators, chem = _tools()
    kinds = [_plain_kind(atom) for atom in mol.GetAtoms()]
    for pattern, kind in _queries():
        for (atom,) in mol.GetSubstructMatches(pattern, maxMatches=len(kinds)):
            kinds[atom] = kind
    whole = chem.AddHs(mol)
    parts = np.array(calculators._CalcCrippenContribs(whole))
    for hydrogen in range(len(kinds), whole.GetNumAtoms()):
        parts[whole.GetAtomWithIdx(hydrogen).GetNeighbors()[0].GetIdx()] += parts[hydrogen]
    return [(kind, float(logp), float(refraction)) for kind, (logp, refraction) in zip(kinds, parts)]


@cache
def _queries() -> tuple[tuple[Any, int], ...]:
    chem = _tools()[1]
    return tuple((chem.MolFromSmarts(pattern), kind) for pattern, kind in _PATTERNS)


def _plain_kind(atom: Any) -> int:
    """The kind that an atom has where no pattern knows a better one."""
    number, charge = atom.GetAtomicNum(), atom.GetFormalCharge()
    if charge:
        return 2 if charge > 0 else 3
    if number in (7, 8):
        return 0 if atom.GetTotalNumHs() else 1
    if number in (9, 17, 35, 53):
        return 4
    if number in (15, 16):
        return 5
    return 6 if atom.GetIsAromatic() else 7 if atom.IsInRing() else 8
