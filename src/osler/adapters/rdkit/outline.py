"""A molecule as plain shapes, without any colour: what a page draws in its own colours, light or dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osler.registry import optional

_PATH = re.compile(r"<path\b([^>]*)/>", re.DOTALL)
_ATTRIBUTE = re.compile(r"([\w-]+)='([^']*)'", re.DOTALL)
_DATA = re.compile(r"^[MLQCZ\d\s.,-]+$")
#: Pixels of an ångström at most.
LARGEST = 18.6


@dataclass(frozen=True)
class Outline:
    """The lines of one molecule in a picture.

    Attributes:
        width, height: of the picture, pixels.
        lines: path data of bonds. wedges: of what is filled and edged. letters: of what is filled.
        notes: of small numbers beside atoms.
        places: x and y of each atom. bonds: the two atoms of each bond.
        step: length of a usual bond.
    """

    width: int
    height: int
    lines: tuple[str, ...]
    wedges: tuple[str, ...]
    letters: tuple[str, ...]
    notes: tuple[str, ...]
    places: tuple[tuple[float, float], ...]
    bonds: tuple[tuple[int, int], ...]
    step: float


def outline(smiles: str, size: tuple[int, int] = (300, 200), notes: Sequence[int] = ()) -> Outline | None:
    """The shapes of a molecule whose atoms are in the order of its text; None for a text that is no molecule. Wildcards
    are joints: their bond ends in a wave.

    Args:
        size: width and height. notes: atoms (from 0) beside which their number (from 1) is written.
    """
    chem, drawing = optional("rdkit.Chem", "molecules"), optional("rdkit.Chem.Draw.rdMolDraw2D", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        mol = _read(chem, smiles)
        if mol is None or not mol.GetNumAtoms():
            return None
        optional("rdkit.Chem.rdDepictor", "molecules").Compute2DCoords(mol, useRingTemplates=True)
        for atom in notes:
            mol.GetAtomWithIdx(int(atom)).SetProp("atomNote", str(int(atom) + 1))
        canvas = drawing.MolDraw2DSVG(*size)
        options = canvas.drawOptions()
        options.useBWAtomPalette()
        options.clearBackground, options.fixedScale, options.padding = False, LARGEST / size[0], 0.07
        options.annotationFontScale, options.dummiesAreAttachments = 0.75, True
        canvas.DrawMolecule(drawing.PrepareMolForDrawing(mol, kekulize=True, addChiralHs=False))
        canvas.FinishDrawing()
        places = tuple((p.x, p.y) for p in (canvas.GetDrawCoords(i) for i in range(mol.GetNumAtoms())))
    bonds = tuple((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds())
    return Outline(*size, *_shapes(canvas.GetDrawingText()), places, bonds, _step(places, bonds))


def _read(chem: Any, smiles: str) -> Any:
    """The molecule with its atoms in the order of the text: hydrogens that have places of their own stay."""
    params = chem.SmilesParserParams()
    params.removeHs = False
    return chem.MolFromSmiles(smiles, params)


def _step(places: Sequence[tuple[float, float]], bonds: Sequence[tuple[int, int]]) -> float:
    """The middle length of the bonds; 24 where there is none."""
    lengths = sorted(
        ((places[i][0] - places[j][0]) ** 2 + (places[i][1] - places[j][1]) ** 2) ** 0.5 for i, j in bonds
    )
    return lengths[len(lengths) // 2] if lengths else 24.0


def _shapes(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Path data by what is done with it: stroked, filled and stroked, filled, filled as a note."""
    lines, wedges, letters, notes = [], [], [], []
    for found in _PATH.finditer(text):
        held = dict(_ATTRIBUTE.findall(found.group(1)))
        data, style = " ".join(held.get("d", "").split()), held.get("style", "")
        if not _DATA.match(data):
            continue
        if held.get("class") == "note":
            notes.append(data)
        elif "fill:none" in style:
            lines.append(data)
        else:
            (wedges if "stroke:#" in style else letters).append(data)
    return tuple(lines), tuple(wedges), tuple(letters), tuple(notes)
