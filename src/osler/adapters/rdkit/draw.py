"""Drawings of molecules as SVG text: nothing in them is fetched from anywhere, and their size is fixed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.registry import optional

#: Colours of negative and positive weights: readable without telling red from green.
NEGATIVE, POSITIVE = (0.13, 0.40, 0.67), (0.84, 0.38, 0.00)
#: Least share of the largest weight that is drawn.
_VISIBLE = 0.05
_LEGEND = 22
_PROLOGUE = re.compile(r"^<\?xml[^>]*\?>\s*|<!--.*?-->\s*", re.DOTALL)


def svg(
    mol: Any,
    size: tuple[int, int] = (300, 220),
    atom_weights: Sequence[float] | None = None,
    bond_weights: Sequence[float] | None = None,
    legend: tuple[str, str] = ("lowers", "raises"),
) -> str:
    """One molecule as an `<svg>` element of fixed size.

    Args:
        mol: a molecule; it is left as it is.
        size: width and height in pixels.
        atom_weights: (v,) a weight per atom; a disc behind it, the larger and deeper the further the weight is from 0.
        bond_weights: (e,) a weight per bond, as a band behind it.
        legend: words for weights below and above 0, beneath the drawing where there are weights.

    Raises:
        ValueError: there are not as many weights as atoms or bonds.
    """
    chem, drawing = optional("rdkit.Chem", "molecules"), optional("rdkit.Chem.Draw.rdMolDraw2D", "molecules")
    copy = chem.Mol(mol)
    width, height = size
    weighted = atom_weights is not None or bond_weights is not None
    atoms, radii = _colours(atom_weights, copy.GetNumAtoms(), "atom")
    bonds, _ = _colours(bond_weights, copy.GetNumBonds(), "bond")
    canvas = drawing.MolDraw2DSVG(width, height - _LEGEND * weighted)
    canvas.drawOptions().fixedScale = 0.08
    canvas.drawOptions().clearBackground = False
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        optional("rdkit.Chem.rdDepictor", "molecules").Compute2DCoords(copy)
        copy = drawing.PrepareMolForDrawing(copy, kekulize=False)
        canvas.DrawMolecule(
            copy, highlightAtoms=list(atoms), highlightBonds=list(bonds), highlightAtomColors=atoms,
            highlightBondColors=bonds, highlightAtomRadii=radii,
        )  # fmt: skip
    canvas.FinishDrawing()
    text = _PROLOGUE.sub("", canvas.GetDrawingText())
    return _with_legend(text, size, legend) if weighted else text


def _colours(
    weights: Sequence[float] | None, n: int, what: str
) -> tuple[dict[int, tuple[float, float, float]], dict[int, float]]:
    """Colour and radius of every part whose weight can be seen."""
    if weights is None:
        return {}, {}
    w = np.nan_to_num(np.asarray(weights, dtype=np.float64))
    if len(w) != n:
        raise ValueError(f"{what}_weights must be {n}, one per {what}, were {len(w)}")
    top = np.abs(w).max() if n else 0.0
    colours, radii = {}, {}
    for i, share in enumerate(w / top if top > 0 else w):
        if abs(share) >= _VISIBLE:
            end = POSITIVE if share > 0 else NEGATIVE
            depth = 0.15 + 0.6 * abs(share)
            colours[i] = tuple(float(1.0 - depth * (1.0 - c)) for c in end)
            radii[i] = 0.25 + 0.35 * abs(float(share))
    return colours, radii


def _with_legend(text: str, size: tuple[int, int], legend: tuple[str, str]) -> str:
    """The drawing in a taller frame with two discs and their words beneath it."""
    width, height = size
    parts = []
    for i, (colour, word) in enumerate(((NEGATIVE, legend[0]), (POSITIVE, legend[1]))):
        x, y = 12 + i * width // 2, height - _LEGEND // 2
        fill = "#" + "".join(f"{round(255 * (1 - 0.75 * (1 - c))):02x}" for c in colour)
        safe = word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts.append(f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}"/>')
        parts.append(f'<text x="{x + 11}" y="{y + 4}" font-size="12">{safe}</text>')
    inner = text.replace("<svg ", '<svg x="0" y="0" ', 1)
    frame = f'width="{width}px" height="{height}px" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>'
    return f'{head}\n{inner}\n<g font-family="sans-serif" fill="#333">{"".join(parts)}</g>\n</svg>\n'
