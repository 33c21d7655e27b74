"""A pose in two dimensions: the ligand drawn flat, the residues that it touches around it."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from osler.adapters.rdkit.interactions import depict
from osler.instruments.dock.interactions import KINDS, Contact

#: Colours that people with any colour vision can tell apart (Okabe and Ito), and the dash of each line.
STYLE = dict(
    zip(KINDS, (("#0072B2", "5 3"), ("#7F7F7F", "1 4"), ("#009E73", "9 4"), ("#D55E00", "3 2")), strict=True)
)
_WIDTH, _HEIGHT, _LEGEND = 760, 560, 40


def interactions_svg(molecule: Any, contacts: list[Contact], title: str) -> str:
    """SVG text: every contact is a line of its kind's colour and dash from the ligand's atoms to a residue's name.

    Args:
        molecule: RDKit molecule whose heavy atoms come first.
        contacts: of `osler.instruments.dock.interactions.find`.
        title: for people who hear the picture.
    """
    drawing, points = depict(molecule, _WIDTH, _HEIGHT, 0.24)
    body = drawing[drawing.index("<svg") :].partition(">")[2].rpartition("</svg>")[0]
    ends = [
        (c, points[[a for a in c.atoms if a < len(points)]].mean(axis=0))
        for c in contacts
        if any(a < len(points) for a in c.atoms)
    ]
    residues = list(dict.fromkeys(c.residue for c, _ in ends))
    places = _around(residues, ends)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + _LEGEND}" role="img" font-family="sans-serif" font-size="13">',
        f"<title>{html.escape(title)}</title>", f'<rect width="{_WIDTH}" height="{_HEIGHT + _LEGEND}" fill="#FFFFFF"/>',
        *(_line(c, end, places[c.residue]) for c, end in ends), f"<g>{body}</g>",
        *(_bubble(name, places[name], [c.kind for c, _ in ends if c.residue == name]) for name in residues), *_legend(), "</svg>",
    ]  # fmt: skip
    return "\n".join(parts)


def _around(residues: list[str], ends: list[tuple[Contact, np.ndarray]]) -> dict[str, np.ndarray]:
    """A place for each residue on an ellipse, in the direction of the atoms it touches, kept apart from its
    neighbours.
    """
    if not residues:
        return {}
    center = np.array([_WIDTH / 2, _HEIGHT / 2])
    radius = center - np.array([62.0, 30.0])
    wanted = []
    for name in residues:
        x, y = (np.mean([end for c, end in ends if c.residue == name], axis=0) - center) / radius
        wanted.append(np.arctan2(y, x))
    order = np.argsort(wanted, kind="stable")
    angle = np.array(wanted)[order]
    apart = min(0.36, 2 * np.pi / len(angle))
    for _ in range(200):
        gap = np.diff(np.append(angle, angle[0] + 2 * np.pi))
        push = np.maximum(apart - gap, 0) / 2
        angle = angle - push + np.roll(push, 1)
    return {
        residues[i]: center + radius * np.array([np.cos(a), np.sin(a)])
        for i, a in zip(order, angle, strict=True)
    }


def _line(contact: Contact, start: np.ndarray, end: np.ndarray) -> str:
    colour, dash = STYLE[contact.kind]
    x, y = start + 0.45 * (end - start)
    label = f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="11" text-anchor="middle">{contact.distance:.1f}</text>'
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" stroke-width="1.6" '
        f'stroke-dasharray="{dash}"/>{"" if contact.kind == "hydrophobic" else label}'
    )


def _bubble(name: str, place: np.ndarray, kinds: list[str]) -> str:
    colour = STYLE[
        next((k for k in ("salt bridge", "hydrogen bond", "pi stacking") if k in kinds), "hydrophobic")
    ][0]
    x, y = place
    return (
        f'<rect x="{x - 50:.1f}" y="{y - 13:.1f}" width="100" height="26" rx="13" fill="#FFFFFF" stroke="{colour}" stroke-width="1.6"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" fill="#222222">{html.escape(name)}</text>'
    )


def _legend() -> list[str]:
    out = []
    for i, (kind, (colour, dash)) in enumerate(STYLE.items()):
        x, y = 40 + 180 * i, _HEIGHT + 20
        out.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 34}" y2="{y}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        out.append(f'<text x="{x + 42}" y="{y + 4}" fill="#222222">{kind}</text>')
    return out
