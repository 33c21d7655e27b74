"""Edits that medicinal chemists make by hand: one group for another, at every place where it fits.

`TRANSFORMS` is a short list of common replacements (bioisosteres, walks around a ring, small groups put on and taken off, changes of a
basic amine): N. Meanwell, J Med Chem 54:2529 (2011), and what matched-pair studies find most often. `Swaps` are learned instead: every pair
of molecules of a library that differ in one group at one bond teaches that the one may stand for the other. Single cuts and the index by
what stays: J. Hussain, C. Rea, J Chem Inf Model 50:339 (2010).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from osler.adapters.rdkit.evolution import TRIES, finished
from osler.registry import optional

#: Name → reaction SMARTS.
TRANSFORMS = {
    "aromatic H to F": "[cH:1]>>[c:1]F",
    "aromatic H to Cl": "[cH:1]>>[c:1]Cl",
    "aromatic H to methyl": "[cH:1]>>[c:1]C",
    "aromatic H to methoxy": "[cH:1]>>[c:1]OC",
    "aromatic H to hydroxy": "[cH:1]>>[c:1]O",
    "aromatic H to cyano": "[cH:1]>>[c:1]C#N",
    "aromatic H to amino": "[cH:1]>>[c:1]N",
    "aromatic H to carboxamide": "[cH:1]>>[c:1]C(N)=O",
    "aromatic H to carboxylic acid": "[cH:1]>>[c:1]C(=O)O",
    "aromatic H to trifluoromethyl": "[cH:1]>>[c:1]C(F)(F)F",
    "aromatic H to methylsulfonyl": "[cH:1]>>[c:1]S(C)(=O)=O",
    "aromatic CH to N": "[cH;r6:1]>>[n:1]",
    "aromatic N to CH": "[n;r6;H0;+0:1]>>[cH:1]",
    "thiophene or furan S to O": "[s:1]>>[o:1]",
    "furan or thiophene O to S": "[o:1]>>[s:1]",
    "F to H": "[c:1]F>>[cH:1]",
    "Cl to H": "[c:1]Cl>>[cH:1]",
    "Cl to F": "[#6:1]Cl>>[*:1]F",
    "Cl to cyano": "[c:1]Cl>>[c:1]C#N",
    "Cl to methyl": "[c:1]Cl>>[c:1]C",
    "Br to Cl": "[c:1]Br>>[c:1]Cl",
    "methyl to H": "[c:1][CH3]>>[cH:1]",
    "methyl to trifluoromethyl": "[#6:1][CH3]>>[*:1]C(F)(F)F",
    "methyl to ethyl": "[*:1][CH3]>>[*:1]CC",
    "methyl to cyclopropyl": "[*:1][CH3]>>[*:1]C1CC1",
    "methyl to hydroxymethyl": "[#6:1][CH3]>>[*:1]CO",
    "ethyl to methyl": "[*:1][CH2][CH3]>>[*:1]C",
    "isopropyl to cyclopropyl": "[*:1][CH]([CH3])[CH3]>>[*:1]C1CC1",
    "tert-butyl to isopropyl": "[*:1]C([CH3])([CH3])[CH3]>>[*:1]C(C)C",
    "tert-butyl to trifluoromethyl": "[*:1]C([CH3])([CH3])[CH3]>>[*:1]C(F)(F)F",
    "tert-butyl to 2-hydroxy-2-propyl": "[*:1]C([CH3])([CH3])[CH3]>>[*:1]C(C)(C)O",
    "tert-butyl to 2-carboxy-2-propyl": "[*:1]C([CH3])([CH3])[CH3]>>[*:1]C(C)(C)C(=O)O",
    "methoxy to hydroxy": "[c:1]O[CH3]>>[c:1]O",
    "methoxy to difluoromethoxy": "[c:1]O[CH3]>>[c:1]OC(F)F",
    "hydroxy to methoxy": "[c:1][OH]>>[c:1]OC",
    "alcohol to fluoride": "[CX4:1][OH]>>[C:1]F",
    "alcohol to ketone": "[CX4;H1:1][OH]>>[C:1]=O",
    "ketone to alcohol": "[#6:1][CX3:2](=O)[#6:3]>>[*:1][C:2](O)[*:3]",
    "alcohol to hydrogen": "[CX4:1][OH]>>[C:1]",
    "acid to tetrazole": "[#6:1]C(=O)[OH]>>[*:1]c1nn[nH]n1",
    "acid to primary amide": "[#6:1]C(=O)[OH]>>[*:1]C(N)=O",
    "ester to acid": "[#6:1]C(=O)O[CX4;H3,H2]>>[*:1]C(=O)O",
    "ester to amide": "[#6:1]C(=O)O[CX4:2]>>[*:1]C(=O)N[C:2]",
    "amide N to N-methyl": "[CX3:1](=O)[NX3;H1:2]>>[C:1](=O)[N:2]C",
    "amide turned round": "[#6:1][CX3:2](=[O:3])[NX3;H1:4][#6:5]>>[*:1][N:4][C:2](=[O:3])[*:5]",
    "amide to sulfonamide": "[#6:1]C(=O)[NX3:2]>>[*:1]S(=O)(=O)[N:2]",
    "secondary amine to tertiary": "[CX4:1][NX3;H1;!$(NC=O);!$(NS=O):2][CX4:3]>>[C:1][N:2](C)[C:3]",
    "N-methyl to NH": "[#6:1][NX3;!$(NC=O):2]([CH3])[#6:3]>>[*:1][N:2][*:3]",
    "amine to amide beside it": "[CX4;H2:1][NX3;!$(NC=O);!$(NS=O);!$(N~c):2]>>[C:1](=O)[N:2]",
    "amide to amine": "[CX3:1](=O)[NX3;!$(N(C=O)C=O):2]>>[C:1][N:2]",
    "piperidine CH2 to O": "[NX3;r6:1]1[CH2:2][CH2:3][CH2][CH2:5][CH2:6]1>>[N:1]1[C:2][C:3]O[C:5][C:6]1",
    "morpholine O to NMe": "[NX3;r6:1]1[CH2:2][CH2:3]O[CH2:5][CH2:6]1>>[N:1]1[C:2][C:3]N(C)[C:5][C:6]1",
    "morpholine O to CH2": "[NX3;r6:1]1[CH2:2][CH2:3]O[CH2:5][CH2:6]1>>[N:1]1[C:2][C:3]C[C:5][C:6]1",
    "piperazine N to CH": "[NX3;r6:1]1[CH2:2][CH2:3][NX3:4][CH2:5][CH2:6]1>>[N:1]1[C:2][C:3][C:4][C:5][C:6]1",
    "piperidine CH to N": "[NX3;r6:1]1[CH2:2][CH2:3][CH;X4:4][CH2:5][CH2:6]1>>[N:1]1[C:2][C:3][N:4][C:5][C:6]1",
    "fluorine beside a basic amine": "[NX3;!$(NC=O);!$(NS=O);!$(N~c):1][CX4:2][CH2;!$(CF):3]>>[N:1][C:2][CH:3]F",
    "difluorine beside a basic amine": "[NX3;!$(NC=O);!$(NS=O);!$(N~c):1][CX4:2][CH2;!$(CF):3]>>[N:1][C:2][C:3](F)F",
    "hydroxy two atoms from an amine": "[NX3;!$(NC=O):1][CX4:2][CH2;!$(C[OH]):3]>>[N:1][C:2][CH:3]O",
    "chain CH2 to O": "[#6:1][CH2;R0][#6:2]>>[*:1]O[*:2]",
    "chain O to CH2": "[#6;!$(C=O):1][OX2;R0][#6;!$(C=O):2]>>[*:1]C[*:2]",
    "chain CH2 taken out": "[*:1][CH2;R0][CH2;R0:2]>>[*:1][C:2]",
    "chain CH2 put in": "[*:1][CH2;R0:2]-!@[*:3]>>[*:1][C:2]C[*:3]",
    "phenyl to 2-thienyl": "[*:1]c1[cH][cH][cH][cH][cH]1>>[*:1]c1cccs1",
    "phenyl to cyclohexyl": "[*:1]c1[cH][cH][cH][cH][cH]1>>[*:1]C1CCCCC1",
    "phenyl to tert-butyl": "[*:1]c1[cH][cH][cH][cH][cH]1>>[*:1]C(C)(C)C",
    "phenyl to 4-tetrahydropyranyl": "[*:1]c1[cH][cH][cH][cH][cH]1>>[*:1]C1CCOCC1",
    "phenyl to pyrazole": "[*:1]c1[cH][cH][cH][cH][cH]1>>[*:1]c1cn[nH]c1",
    "phenyl taken off": "[CX4:1]c1[cH][cH][cH][cH][cH]1>>[C:1]",
}  # fmt: skip
#: Heavy atoms of a group that a learned swap changes, and of what stays at least.
LARGEST, LEAST_KEPT = 12, 6


def edit(mol: Any, rng: np.random.Generator) -> tuple[Any, str] | None:
    """A molecule one edit of the list away, drawn at random among the edits that fit, and the edit's name; None if none fits."""
    names = list(TRANSFORMS)
    for i in rng.permutation(len(names)):
        found = products(mol, names[i])
        if found:
            return found[int(rng.integers(len(found)))], names[i]
    return None


def products(mol: Any, name: str) -> list[Any]:
    """Every different sound molecule that one edit makes of a molecule, by canonical SMILES."""
    chem = optional("rdkit.Chem", "molecules")
    before, found = chem.MolToSmiles(mol), {}
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        for (product,) in reaction(name).RunReactants((mol,)):
            made = finished(product)
            if made is not None:
                found.setdefault(chem.MolToSmiles(made), made)
    return [found[text] for text in sorted(found) if text != before]


@cache
def reaction(name: str) -> Any:
    """The compiled transform."""
    return optional("rdkit.Chem.AllChem", "molecules").ReactionFromSmarts(TRANSFORMS[name])


# -- learned --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swaps:
    """What may stand for what, and how many pairs of molecules taught it.

    Attributes:
        to: group → ((group, pairs), ...), the best known first; groups are SMILES with one open end `*`.
    """

    to: dict[str, tuple[tuple[str, int], ...]]

    @classmethod
    def learn(cls, mols: Sequence[Any], least: int = 2) -> Swaps:
        """From a library: pairs of groups that at least `least` different cores carry both of."""
        groups: dict[str, set[str]] = defaultdict(set)
        for mol in mols:
            for core, group in cuts(mol):
                groups[core].add(group)
        pairs: Counter[tuple[str, str]] = Counter()
        for found in groups.values():
            ordered = sorted(found)
            pairs.update((a, b) for a in ordered for b in ordered if a != b)
        to: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for (a, b), n in pairs.items():
            if n >= least:
                to[a].append((b, n))
        return cls({a: tuple(sorted(found, key=lambda one: (-one[1], one[0]))) for a, found in sorted(to.items())})

    def __len__(self) -> int:
        return sum(map(len, self.to.values()))

    def edit(self, mol: Any, rng: np.random.Generator) -> tuple[Any, str] | None:
        """A molecule one learned swap away and what was swapped, drawn by how many pairs taught it; None if none fits."""
        fitting = [(core, group, other, n) for core, group in cuts(mol) for other, n in self.to.get(group, ())]
        if not fitting:
            return None
        chances = np.sqrt([n for *_, n in fitting])
        for i in rng.choice(len(fitting), min(len(fitting), TRIES), replace=False, p=chances / chances.sum()):
            core, group, other, n = fitting[i]
            made = finished(_put_together(core, other))
            if made is not None:
                return made, f"{group} to {other} ({n} pairs)"
        return None


def cuts(mol: Any) -> list[tuple[str, str]]:
    """Every (core, group) into which one cut of a single bond outside rings takes a molecule apart; both SMILES with one `*`. A salt has
    none.
    """
    chem = optional("rdkit.Chem", "molecules")
    found = []
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        for bond in mol.GetBonds():
            if bond.GetBondTypeAsDouble() != 1.0 or bond.IsInRing():
                continue
            parts = chem.GetMolFrags(chem.FragmentOnBonds(mol, [bond.GetIdx()], dummyLabels=[(0, 0)]), asMols=True, sanitizeFrags=False)
            if len(parts) != 2:
                continue
            for core, group in (parts, parts[::-1]):
                if group.GetNumHeavyAtoms() <= LARGEST and core.GetNumHeavyAtoms() >= LEAST_KEPT:
                    found.append((chem.MolToSmiles(core), chem.MolToSmiles(group)))
    return sorted(set(found))


def _put_together(core: str, group: str) -> Any:
    """Core and group joined at their open ends."""
    chem = optional("rdkit.Chem", "molecules")
    made = chem.RWMol(chem.CombineMols(chem.MolFromSmiles(core), chem.MolFromSmiles(group)))
    stars = [atom.GetIdx() for atom in made.GetAtoms() if atom.GetAtomicNum() == 0]
    ends = [made.GetAtomWithIdx(star).GetNeighbors()[0].GetIdx() for star in stars]
    made.AddBond(*ends, chem.BondType.SINGLE)
    for star in sorted(stars, reverse=True):
        made.RemoveAtom(star)
    return made
