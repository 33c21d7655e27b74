"""Molecules whose atoms and bonds are coloured by what they add to an answer, light and dark, with scale and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from osler.adapters.rdkit.outline import Outline, outline
from osler.report.charts import Figure, box, words
from osler.report.markup import Child, Html, escape, join, table, tag
from osler.report.words import number

#: Steps of the colour scale on either side of zero, and the least share of the largest value that is coloured.
STEPS, VISIBLE = 5, 0.04
#: Size of a picture; height of the scale beneath a molecule.
SIZE, SCALE = (300, 200), 34
#: Atoms whose number stands beside them.
NUMBERED = 3


def picture(
    name: str, told: dict[str, Any], title: str, caption: Child = "", top: float = 0.0, keyed: bool = True
) -> Figure | None:
    """One molecule, its atoms and bonds coloured; None where it cannot be drawn.

    Args:
        name: of the figure. title: what it shows. caption: beneath it.
        told: `osler.engine.parts.Explained.to_json`, or `{"smiles": ...}` for a molecule without colours.
        top: the value of the deepest colour; 0 takes the largest of this molecule.
        keyed: with the colour scale beneath.
    """
    values, bonds = told.get("values", []), told.get("bond_values", [])
    noted = strongest(values, NUMBERED)
    lines = outline(told["smiles"], SIZE, noted)
    if lines is None or (values and len(values) != len(lines.places)):
        return None
    top = top or largest(told)
    parts: list[Child] = []
    if values and top:
        marks = [(abs(v), _band(lines, i, j, v, top)) for (i, j), v in zip(told.get("bonds", []), bonds)]
        marks += [(abs(v), _disc(lines, i, v, top)) for i, v in enumerate(values)]
        parts += [mark for _, mark in sorted(marks, key=lambda m: m[0])]
    parts += [tag("path", d=d, class_="mol") for d in lines.lines]
    parts += [tag("path", d=d, class_="wedge") for d in lines.wedges]
    parts += [tag("path", d=d, class_="letter") for d in lines.letters]
    parts += [tag("path", d=d, class_="atomnote") for d in lines.notes]
    tall = SIZE[1]
    if values and top and keyed:
        parts.append(scale(top, 12, tall + 6, SIZE[0] - 24))
        tall += SCALE
    return Figure(name, title, description(told), caption, join(parts), SIZE[0], tall)


def description(told: dict[str, Any], most: int = NUMBERED) -> str:
    """The picture in words: the molecule, its prediction and its strongest atoms."""
    values, names = told.get("values", []), told.get("atoms", [])
    said = f"Molecule {told['smiles']}."
    if not values:
        return said
    up = [i for i in strongest(values, len(values)) if values[i] > 0][:most]
    down = [i for i in strongest(values, len(values)) if values[i] < 0][:most]
    for word, which in (("Raised", up), ("Lowered", down)):
        if which:
            said += f" {word} most by " + ", ".join(f"{names[i]} ({signed(values[i])})" for i in which) + "."
    return said


def largest(told: dict[str, Any]) -> float:
    """The largest size of a value of an atom or bond."""
    return max((abs(v) for v in (*told.get("values", []), *told.get("bond_values", []))), default=0.0)


def strongest(values: Sequence[float], most: int) -> list[int]:
    """Places of the values of the largest size, the largest first."""
    return sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))[:most]


def level(value: float, top: float) -> int:
    """Step of the colour scale: -5 to 5, 0 for what is not coloured."""
    share = abs(value) / top if top > 0 else 0.0
    step = 0 if share < VISIBLE else min(STEPS, math.ceil(share * STEPS - 1e-9))
    return step if value > 0 else -step


def colour(value: float, top: float) -> str:
    """Class of a value's colour: `up1` ... `up5`, `low1` ... `low5`, or "" for none."""
    step = level(value, top)
    return f"up{step}" if step > 0 else f"low{-step}" if step < 0 else ""


def signed(value: float) -> str:
    """A value with its sign and three digits."""
    digits = 3 if abs(value) < 0.1 else 2
    return ("+" if value >= 0 else "−") + number(abs(value), digits)


def scale(top: float, x: float, y: float, width: float) -> Html:
    """The colour scale with its ends, zero and the words for them."""
    step = width / (2 * STEPS + 1)
    parts: list[Child] = []
    for k in range(-STEPS, STEPS + 1):
        class_ = f"up{k}" if k > 0 else f"low{-k}" if k < 0 else "none"
        parts.append(box(x + (k + STEPS) * step, y, step, 9, class_))
    parts += [
        words(x, y + 22, f"lowers {signed(-top)}", "soft small"), words(x + width / 2, y + 22, "0", "soft small mid"),
        words(x + width, y + 22, f"raises {signed(top)}", "soft small end"),
    ]  # fmt: skip
    return join(parts)


def parts_table(told: dict[str, Any], most: int = 8) -> Html:
    """The atoms and bonds that add or take most, with the sum of everything."""
    names, values = named_parts(told)
    shown = strongest(values, most)
    rows: list[list[Child]] = [[names[i], "atom" if i < len(told["atoms"]) else "bond", signed(values[i])] for i in shown]
    others = sum(values) - sum(values[i] for i in shown)
    rows.append([f"all {len(values) - len(shown)} others", "", signed(others)])
    return table("Atoms and bonds", ["Part", "Kind", "Adds"], rows, numbers=2, note=sum_text(told))


def named_parts(told: dict[str, Any]) -> tuple[list[str], list[float]]:
    """The names of all atoms and bonds, a bond's being those of its ends, and their values."""
    names = [*told["atoms"], *(f"{told['atoms'][i]}–{told['atoms'][j]}" for i, j in told["bonds"])]
    return names, [*told["values"], *told["bond_values"]]


def sum_text(told: dict[str, Any]) -> str:
    """How the values add up to the prediction, in one sentence."""
    of_parts = sum(told["values"]) + sum(told["bond_values"])
    rest = f" {signed(told['rest'])} (features that no atom carries, other columns)" if told["rest"] else ""
    off = "" if told["adds_up"] else "; they do NOT add up"
    sums = f"{number(told['base'], 3)} {signed(of_parts)}{rest} = {number(told['prediction'], 3)} on the scale {told['scale']}"
    gap = abs(told["gap"])
    return f"{sums}, off by {f'{gap:.1g}' if gap > 1e-6 else 'less than 1e-6'}{off}. {WAYS[told['way']]}"


#: What each way's numbers mean.
WAYS = {
    "shapley": "Shapley values of the trees' features, each shared among the atoms and bonds that it comes from.",
    "masking": "Mean change of the answer when the atom or bond comes in, over random orders.",
    "gradients": "Integrated gradients from atoms without features and without bonds to the whole molecule.",
}


def _disc(lines: Outline, atom: int, value: float, top: float) -> Html:
    class_ = colour(value, top)
    if not class_:
        return escape(None)
    x, y = lines.places[atom]
    told = tag("title", f"atom {atom + 1}: {signed(value)}")
    return tag("circle", told, cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{0.42 * lines.step:.1f}", class_=class_)


def _band(lines: Outline, i: int, j: int, value: float, top: float) -> Html:
    class_ = colour(value, top)
    if not class_:
        return escape(None)
    (x1, y1), (x2, y2) = lines.places[i], lines.places[j]
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = -(y2 - y1) / length * 0.2 * lines.step, (x2 - x1) / length * 0.2 * lines.step
    corners = ((x1 + dx, y1 + dy), (x2 + dx, y2 + dy), (x2 - dx, y2 - dy), (x1 - dx, y1 - dy))
    told = tag("title", f"bond {i + 1}–{j + 1}: {signed(value)}")
    return tag("polygon", told, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=class_)
