"""What of a ligand can bind to what of a protein, and its picture in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.registry import optional

#: Kinds of atoms by SMARTS; hydrogens are explicit, charges are those the molecule was given with.
_ACCEPTOR = (
    "[$([O;!+]),$([N;!+;X1]),$([N;!+;X2]),$([n;!+;X2]),$([N;!+;X3;!$(N[C,S,P]=[O,S,N]);!$(N-a);!$(N~[!#6;!#1])])]"
)
_HYDROPHOBIC = "[$([#6;!$([#6]~[!#6;!#1])]),Cl,Br,I]"
_POSITIVE = "[+;!$(*~[-])]"
_AMIDINE = "[NX3]~[CX3]~[NX3;+]"
_NEGATIVE = "[-;!$(*~[+])]"
_ACID = "[O;X1]=[#6,#15,#16]-[O;-]"


@dataclass(frozen=True)
class Features:
    """Atoms of a molecule by what they can do; indices into the molecule's atoms.

    Attributes:
        xyz: positions of all atoms (n, 3), Å.
        donors: (heavy atom, its hydrogen, one heavy neighbour or −1, whether the hydrogen can turn).
        acceptors, hydrophobic: atoms.
        positive, negative: groups of atoms that share a charge.
        rings: aromatic rings of five or six atoms.
    """

    xyz: np.ndarray
    donors: list[tuple[int, int, int, bool]] = field(default_factory=list)
    acceptors: list[int] = field(default_factory=list)
    hydrophobic: list[int] = field(default_factory=list)
    positive: list[tuple[int, ...]] = field(default_factory=list)
    negative: list[tuple[int, ...]] = field(default_factory=list)
    rings: list[tuple[int, ...]] = field(default_factory=list)


def features(molecule: Any) -> Features:
    """The features of a molecule with explicit hydrogens and 3-D coordinates.

    Raises:
        MissingExtraError: RDKit is not installed.
    """
    chem = optional("rdkit.Chem", "molecules")

    def matches(smarts: str) -> list[tuple[int, ...]]:
        return [tuple(m) for m in molecule.GetSubstructMatches(chem.MolFromSmarts(smarts))]

    return Features(
        np.asarray(molecule.GetConformer().GetPositions(), dtype=np.float64),
        _donors(molecule),
        [m[0] for m in matches(_ACCEPTOR)],
        [m[0] for m in matches(_HYDROPHOBIC)],
        _groups(matches(_POSITIVE), [(a, c) for a, _, c in matches(_AMIDINE)]),
        _groups(matches(_NEGATIVE), [(a, c) for a, _, c in matches(_ACID)]),
        [
            tuple(r)
            for r in molecule.GetRingInfo().AtomRings()
            if len(r) in (5, 6) and _is_aromatic(molecule, r)
        ],
    )


def depict(molecule: Any, width: int, height: int, padding: float) -> tuple[str, np.ndarray]:
    """SVG of the molecule without its hydrogens, and the place of each heavy atom in it (n, 2), pixels.

    Args:
        molecule: heavy atoms come first in the answer, in their order.
        width, height: of the picture, pixels.
        padding: share of the picture left free on each side.

    Raises:
        MissingExtraError: RDKit is not installed.
    """
    chem = optional("rdkit.Chem", "molecules")
    draw = optional("rdkit.Chem.Draw.rdMolDraw2D", "molecules")
    flat = chem.RemoveHs(molecule)
    optional("rdkit.Chem.rdDepictor", "molecules").Compute2DCoords(flat)
    canvas = draw.MolDraw2DSVG(width, height)
    options = canvas.drawOptions()
    options.padding, options.clearBackground, options.fixedFontSize = padding, False, 14
    options.addStereoAnnotation = False
    canvas.DrawMolecule(draw.PrepareMolForDrawing(flat, addChiralHs=False))
    canvas.FinishDrawing()
    points = [canvas.GetDrawCoords(i) for i in range(flat.GetNumAtoms())]
    return canvas.GetDrawingText(), np.array([(p.x, p.y) for p in points])


def _donors(molecule: Any) -> list[tuple[int, int, int, bool]]:
    found = []
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() not in (7, 8, 16):
            continue
        heavy = [n for n in atom.GetNeighbors() if n.GetAtomicNum() > 1]
        single = len(heavy) == 1 and not atom.GetIsAromatic() and atom.GetHybridization().name == "SP3"
        turns = single or (atom.GetAtomicNum() == 8 and len(heavy) == 1)
        first = heavy[0].GetIdx() if heavy else -1
        found += [
            (atom.GetIdx(), n.GetIdx(), first, turns) for n in atom.GetNeighbors() if n.GetAtomicNum() == 1
        ]
    return found


def _groups(single: list[tuple[int, ...]], pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Charged atoms, each with the atoms that share its charge."""
    out = []
    for (atom,) in single:
        shared = {atom} | {a for a, charged in pairs if charged == atom}
        out.append(tuple(sorted(shared)))
    return out


def _is_aromatic(molecule: Any, ring: tuple[int, ...]) -> bool:
    return all(molecule.GetAtomWithIdx(i).GetIsAromatic() for i in ring)
