"""Drawn molecules on a page: RDKit's picture taken apart and written again with this package's own tags, so that it has no style of its
own, takes the ink of the page in light and dark, and can hold nothing that acts or fetches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from osler.report.markup import Child, Html, join, tag

#: Width and height of a picture.
SIZE = (300, 210)
#: Colours of elements that can be read on a light and on a dark ground; black becomes the ink of the page.
_INKS = {
    "#000000": "currentColor", "#0000FF": "#3b6fe0", "#FF0000": "#d8433a", "#33CCCC": "#109a9a", "#00CC00": "#2f9a2f",
    "#CCCC00": "#a08a00", "#7F4C19": "#a5642a",
}  # fmt: skip
#: What a page with a gallery adds to its style sheet.
STYLE = Html(
    ".molecules{display:grid;grid-template-columns:repeat(auto-fill,minmax(13.5rem,1fr));gap:1px;background:var(--rule);"
    "border:1px solid var(--rule);margin:1rem 0}.molecules figure{margin:0;padding:.5rem .8rem .7rem;background:var(--ground)}"
    ".molecules figcaption{font-size:.8rem;line-height:1.4;overflow-wrap:anywhere}svg.molecule{color:var(--ink)}"
    ".molecules figcaption strong{color:var(--ink)}@media print{.molecules{grid-template-columns:repeat(4,1fr)}}"
)


def picture(smiles: str, title: str = "", size: tuple[int, int] = SIZE) -> Html:
    """One molecule as an `<svg>` element; a text that is no molecule gives an empty frame.

    Args:
        title: what a reader who does not see it is told; the SMILES if empty.
    """
    from osler.adapters.rdkit import draw
    from osler.adapters.rdkit.parse import parse

    mol = parse(smiles).mol
    shapes = [] if mol is None else _shapes(draw.svg(mol, size))
    width, height = size
    inner = [tag("title", title or smiles), *shapes]
    return tag("svg", inner, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", class_="molecule")


def gallery(entries: Sequence[tuple[str, Sequence[Child]]]) -> Html:
    """Molecules in rows, each (SMILES, lines under it)."""
    return tag("div", [
        tag("figure", picture(smiles), tag("figcaption", join(tag("span", line, tag("br")) for line in lines)))
        for smiles, lines in entries
    ], class_="molecules")  # fmt: skip


def _shapes(text: str) -> list[Html]:
    """The lines and letters of RDKit's picture."""
    found = []
    for part in ElementTree.fromstring(text).iter():
        if part.tag.rpartition("}")[2] == "path" and part.get("d"):
            style = dict(re.findall(r"([a-z-]+):([^;]+)", part.get("style", "")))
            stroke, fill = style.get("stroke", "none"), part.get("fill") or style.get("fill", "none")
            found.append(tag("path", d=part.get("d"), stroke=_ink(stroke), fill=_ink(fill),
                             stroke_width=style.get("stroke-width", "0").removesuffix("px")))  # fmt: skip
    return found


def _ink(colour: str) -> str:
    return _INKS.get(colour.upper(), colour)
