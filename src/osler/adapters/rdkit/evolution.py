"""Small random changes of one molecule, and children of two: the moves of a graph genetic algorithm.

Moves after J. Jensen, A graph-based genetic algorithm and generative model/Monte Carlo tree search for the exploration of chemical
space, Chemical Science 10:3567 (2019). Every move answers a sanitised molecule that `sound` accepts, or None where it fails; the caller
tries again. Randomness comes from the generator that is passed, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from osler.registry import optional

#: Elements that are put in, and how often.
ELEMENTS = {"C": 0.52, "N": 0.16, "O": 0.16, "F": 0.08, "Cl": 0.05, "S": 0.03}
#: Sizes of rings that are made or kept.
RINGS = (3, 8)
#: Heavy atoms of a molecule.
ATOMS = (2, 70)
#: Attempts of one move before it is given up.
TRIES = 8


def sound(mol: Any) -> bool:
    """Whether a molecule is one part without radicals, with rings of usual size, no triple bond or cumulated double bond in a ring
    below eight atoms, and no chain of three heteroatoms other than those that chemistry knows.
    """
    chem = optional("rdkit.Chem", "molecules")
    if not ATOMS[0] <= mol.GetNumHeavyAtoms() <= ATOMS[1] or len(chem.GetMolFrags(mol)) != 1:
        return False
    if any(not RINGS[0] <= len(ring) <= RINGS[1] for ring in mol.GetRingInfo().AtomRings()):
        return False
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return False
    return not any(mol.HasSubstructMatch(odd) for odd in _odd())


_ODD: list[Any] = []


def _odd() -> list[Any]:
    """Patterns of groups that nobody would make on purpose."""
    if not _ODD:
        chem = optional("rdkit.Chem", "molecules")
        texts = (
            "[*;R]=[*;R]=[*;R]", "[R]=;@[R]#;@[R]", "[*;r3,r4,r5,r6,r7]#;@*", "[OX2][OX2]", "[OX2,NX3;!$(N(=O))][F,Cl,Br,I]", "[SX2][F,Cl,Br,I]",
            "[NX3;!a][NX3;!a][NX3;!a]", "[OX2][NX3;!a][OX2]", "[OX2H][CX4][OX2,NX3,SX2]", "[OX2;!$(OC=O)][CH2][NX3;!$(NC=O);!$(N~a)]", "[NX3;!a;R0][OX2][NX3]",
            "[CX3;R0]=[CX3]=[CX3]", "[SX2][SX2][SX2]", "[OX2H][CX3]=[CX3;!$(C-C=O)]", "[NX2;!a]=[NX2;!a][NX3;!a]", "[CX4]([F,Cl,Br,I])[OX2H]",
            "[r3;!#6]1[r3][r3]1", "[#6]1=,:[#6][*]1", "[*]1=[*][*]=[*]1", "[SX2]~[OX2H]", "[#6X3]1=[#6X3][#6X3]=[#6X3][#6X4]1",
        )  # fmt: skip
        _ODD.extend(chem.MolFromSmarts(text) for text in texts)
    return _ODD


def finished(mol: Any) -> Any | None:
    """The edited molecule sanitised and without stereo that its change made meaningless; None if RDKit refuses it or it is not sound."""
    chem = optional("rdkit.Chem", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        try:
            made = mol.GetMol() if hasattr(mol, "GetMol") else mol
            if chem.SanitizeMol(made, catchErrors=True):
                return None
            read = chem.MolFromSmiles(chem.MolToSmiles(made))
        except (ValueError, RuntimeError):
            return None
    return read if read is not None and sound(read) else None


# -- one molecule -----------------------------------------------------------------------------------------------------


def mutate(mol: Any, rng: np.random.Generator) -> tuple[Any, str] | None:
    """A molecule with one random change, and its name; None if `TRIES` changes failed."""
    names = list(MUTATIONS)
    for _ in range(TRIES):
        name = names[int(rng.integers(len(names)))]
        made = MUTATIONS[name](_alternating(mol), rng)
        child = None if made is None else finished(made)
        if child is not None:
            return child, name
    return None


def _alternating(mol: Any) -> Any:
    """An editable copy with alternating bonds."""
    chem = optional("rdkit.Chem", "molecules")
    copy = chem.RWMol(mol)
    chem.Kekulize(copy, clearAromaticFlags=True)
    return copy


def _free(atom: Any) -> int:
    return int(atom.GetTotalNumHs())


def _bond(order: int) -> Any:
    kinds = optional("rdkit.Chem", "molecules").BondType
    return (None, kinds.SINGLE, kinds.DOUBLE, kinds.TRIPLE)[order]


def _element(rng: np.random.Generator, least: int = 1, other_than: str = "") -> Any | None:
    """A new atom that can have at least so many bonds; None if only `other_than` can."""
    room = {"C": 4, "N": 3, "O": 2, "F": 1, "Cl": 1, "S": 2}
    names = [name for name in ELEMENTS if room[name] >= least and name != other_than]
    if not names:
        return None
    chances = np.array([ELEMENTS[name] for name in names])
    return optional("rdkit.Chem", "molecules").Atom(names[int(rng.choice(len(names), p=chances / chances.sum()))])


def _one(items: Sequence[Any], rng: np.random.Generator) -> Any | None:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _append(mol: Any, rng: np.random.Generator) -> Any | None:
    place = _one([a.GetIdx() for a in mol.GetAtoms() if _free(a) >= 1], rng)
    if place is None:
        return None
    order = 2 if _free(mol.GetAtomWithIdx(place)) >= 2 and rng.random() < 0.15 else 1
    _release(mol, place)
    mol.AddBond(place, mol.AddAtom(_element(rng, order)), _bond(order))
    return mol


def _insert(mol: Any, rng: np.random.Generator) -> Any | None:
    pair = _one([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds() if _is_quiet(b)], rng)
    if pair is None:
        return None
    mol.RemoveBond(*pair)
    new = mol.AddAtom(_element(rng, 2))
    for end in pair:
        mol.AddBond(end, new, _bond(1))
    return mol


def _delete(mol: Any, rng: np.random.Generator) -> Any | None:
    place = _one([a.GetIdx() for a in mol.GetAtoms() if a.GetDegree() <= 2], rng)
    if place is None or mol.GetNumAtoms() <= ATOMS[0]:
        return None
    ends = [a.GetIdx() for a in mol.GetAtomWithIdx(place).GetNeighbors()]
    order = max(int(b.GetBondTypeAsDouble()) for b in mol.GetAtomWithIdx(place).GetBonds())
    for end in ends:
        _release(mol, end)
    if len(ends) == 2:
        if mol.GetBondBetweenAtoms(*ends) is not None:
            return None
        mol.AddBond(*ends, _bond(min(order, 2)))
    mol.RemoveAtom(place)
    return mol


def _replace(mol: Any, rng: np.random.Generator) -> Any | None:
    place = int(rng.integers(mol.GetNumAtoms()))
    old = mol.GetAtomWithIdx(place)
    new = _element(rng, max(1, int(sum(b.GetBondTypeAsDouble() for b in old.GetBonds()))), old.GetSymbol())
    if new is None:
        return None
    mol.ReplaceAtom(place, new)
    return mol


def _order(mol: Any, rng: np.random.Generator) -> Any | None:
    bond = _one([b for b in mol.GetBonds() if not b.GetIsAromatic()], rng)
    if bond is None:
        return None
    old, new = int(bond.GetBondTypeAsDouble()), int(rng.choice([1, 2, 3], p=[0.5, 0.42, 0.08]))
    if new == old or any(_free(a) < new - old for a in (bond.GetBeginAtom(), bond.GetEndAtom())):
        return None
    for atom in (bond.GetBeginAtom(), bond.GetEndAtom()):
        _release(mol, atom.GetIdx())
    bond.SetBondType(_bond(new))
    return mol


def _close(mol: Any, rng: np.random.Generator) -> Any | None:
    distances = optional("rdkit.Chem", "molecules").GetDistanceMatrix(mol)
    free = [a.GetIdx() for a in mol.GetAtoms() if _free(a) >= 1]
    pairs = [(i, j) for k, i in enumerate(free) for j in free[k + 1 :] if distances[i][j] in (4, 5) or (distances[i][j] == 2 and rng.random() < 0.1)]
    pair = _one(pairs, rng)
    if pair is None:
        return None
    for end in pair:
        _release(mol, end)
    mol.AddBond(*pair, _bond(1))
    return mol


def _open(mol: Any, rng: np.random.Generator) -> Any | None:
    bond = _one([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds() if b.IsInRing() and _is_quiet(b)], rng)
    if bond is None:
        return None
    mol.RemoveBond(*bond)
    return mol


def _is_quiet(bond: Any) -> bool:
    """Whether a bond is single and not between two double bonds of a ring: a change there breaks no aromatic ring."""
    if bond.GetBondTypeAsDouble() != 1.0:
        return False
    doubled = [any(b.GetBondTypeAsDouble() == 2.0 and b.IsInRing() for b in atom.GetBonds()) for atom in (bond.GetBeginAtom(), bond.GetEndAtom())]
    return not (bond.IsInRing() and all(doubled))


def _release(mol: Any, place: int) -> None:
    """Hydrogens written at an atom are counted anew, as its bonds change."""
    atom = mol.GetAtomWithIdx(place)
    atom.SetNumExplicitHs(0)
    atom.SetNoImplicit(False)


#: Every change of one molecule.
MUTATIONS: dict[str, Callable[[Any, np.random.Generator], Any | None]] = {
    "atom added": _append, "atom inserted": _insert, "atom deleted": _delete, "atom replaced": _replace, "bond order changed": _order,
    "ring closed": _close, "ring opened": _open,
}  # fmt: skip


# -- two molecules ----------------------------------------------------------------------------------------------------


def cross(first: Any, second: Any, rng: np.random.Generator) -> Any | None:
    """A child with one part of each parent, cut at a chain bond or through a ring; None if `TRIES` attempts failed."""
    for _ in range(TRIES):
        cut = _through_a_ring if rng.random() < 0.5 else _at_a_chain
        left, right = (cut(_alternating(mol), rng) for mol in (first, second))
        if left is not None and right is not None:
            child = finished(_joined(left, right))
            if child is not None:
                return child
    return None


def _at_a_chain(mol: Any, rng: np.random.Generator) -> tuple[Any, list[int]] | None:
    bonds = [b for b in mol.GetBonds() if not b.IsInRing() and b.GetBondTypeAsDouble() == 1.0]
    return _piece(mol, [_one(bonds, rng)] if bonds else [], rng)


def _through_a_ring(mol: Any, rng: np.random.Generator) -> tuple[Any, list[int]] | None:
    ring = _one(mol.GetRingInfo().BondRings(), rng)
    if ring is None:
        return None
    chosen = rng.choice(len(ring), 2, replace=False)
    return _piece(mol, [mol.GetBondWithIdx(ring[int(i)]) for i in chosen], rng)


def _piece(mol: Any, bonds: list[Any], rng: np.random.Generator) -> tuple[Any, list[int]] | None:
    """One of the two parts that fall apart when the bonds are cut, and its open atoms in the order of the bonds."""
    chem = optional("rdkit.Chem", "molecules")
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds]
    if not ends:
        return None
    for pair in ends:
        mol.RemoveBond(*pair)
        for end in pair:
            _release(mol, end)
    parts = chem.GetMolFrags(mol)
    if len(parts) != 2:
        return None
    kept = set(parts[int(rng.integers(2))])
    opened = [a if a in kept else b for a, b in ends]
    for place in sorted((i for i in range(mol.GetNumAtoms()) if i not in kept), reverse=True):
        mol.RemoveAtom(place)
    moved = {old: new for new, old in enumerate(sorted(kept))}
    return mol, [moved[place] for place in opened]


def _joined(left: tuple[Any, list[int]], right: tuple[Any, list[int]]) -> Any:
    """Both parts with single bonds between their open atoms; a part with one open atom more leaves it."""
    chem = optional("rdkit.Chem", "molecules")
    made = chem.RWMol(chem.CombineMols(left[0], right[0]))
    shift = left[0].GetNumAtoms()
    for a, b in zip(left[1], right[1]):
        if made.GetBondBetweenAtoms(a, b + shift) is None:
            made.AddBond(a, b + shift, _bond(1))
    return made
