"""Material in memory, written by hand, and what stands in a picture or a table."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from osler.report.material import MEMBERS, Material
from tests.report.runs import Dom, members


def material(held: dict[str, Any] | None = None, answers: dict[str, str] | None = None, **more: Any) -> Material:
    """Material of a run held in memory; `more` are the fields of `Material` beside its members."""
    own = copy.deepcopy(members() if held is None else held)
    return Material(
        Path("nowhere"), {name: own.get(name, kind()) for name, kind in MEMBERS.items()}, answers=answers or {}, **more
    )


def nothing(**held: Any) -> Material:
    """Material that holds only the members given."""
    return material(held)


def paths(markup: str, *classes: str) -> list[str]:
    """The `d` of every path that has all of these classes, those of legends (which end in h26) left out."""
    found = [a for a in Dom(markup).named("path") if set(classes) <= set((a.get("class") or "").split())]
    return [a["d"] or "" for a in found if not (a["d"] or "").endswith("h26")]


def circles(markup: str) -> list[tuple[float, float]]:
    """The middle of every circle."""
    return [(float(a["cx"] or 0), float(a["cy"] or 0)) for a in Dom(markup).named("circle")]


def lines(markup: str, class_: str) -> list[tuple[float, float, float, float]]:
    """Both ends of every straight line of a class."""
    keys = ("x1", "y1", "x2", "y2")
    return [tuple(float(a[k] or 0) for k in keys) for a in Dom(markup).named("line") if a.get("class") == class_]  # type: ignore[misc]


def texts(markup: str) -> list[str]:
    """Every text in the order of the markup."""
    return [t.strip() for t in Dom(markup).texts if t.strip()]


def rows(markup: str) -> list[list[str]]:
    """The cells of every row of every table, the head first."""
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", markup, flags=re.S)
    return [[Dom(cell).text for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S)] for row in found]
