"""What the Basic Application Level Confidentiality Profile asks of each attribute, with the options that a user keeps.

The rules are data: `confidentiality.json` (PS3.15 Table E.1-1), `requirements.json` (types of PS3.3, which settle the
compound actions such as X/Z/D) and `safe_private.json` (Table E.3.10-1). Each file names its edition and source.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from osler.errors import OptionError, nearest

#: Option → (code of PS3.16 CID 7050, its meaning).
OPTIONS: dict[str, tuple[str, str]] = {
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "devices": ("113109", "Retain Device Identity Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "characteristics": ("113108", "Retain Patient Characteristics Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "structured": ("113104", "Clean Structured Content Option"),
    "graphics": ("113103", "Clean Graphics Option"),
    "safe-private": ("113111", "Retain Safe Private Option"),
}
#: The profile itself, and what defacing adds.
BASIC = ("113100", "Basic Application Confidentiality Profile")
VISUAL = ("113102", "Clean Recognizable Visual Features Option")
_CODES = {"X": "remove", "Z": "empty", "D": "dummy", "U": "uid", "K": "keep", "C": "clean"}
_DATES = ("DA", "TM", "DT")
#: UI attributes that name kinds of things and vocabularies, never an instance.
_KINDS = frozenset({0x0008010C, 0x00080117, 0x00080118, 0x0008010D, 0x00080016, 0x00081150, 0x0008001A, 0x0008001B})


def edition() -> str:
    """The edition of the table, in words."""
    return _read("confidentiality.json")["edition"]


def attributes() -> dict[str, str]:
    """Tag (8 hex digits, `x` for any digit) → basic action and the options' actions, as in the table."""
    return _read("confidentiality.json")["attributes"]


class Profile:
    """The action on each attribute under a choice of options.

    Args:
        keep: names of `OPTIONS`.

    Raises:
        OptionError: an option is unknown, or both kinds of dates are asked for.
    """

    def __init__(self, keep: tuple[str, ...]) -> None:
        for name in keep:
            if name not in OPTIONS:
                raise OptionError(f"option 'keep' must name what the profile can retain, was '{name}': "
                                  f"{nearest(name, OPTIONS)}")  # fmt: skip
        if {"dates", "full-dates"} <= set(keep):
            raise OptionError("option 'keep' must name dates or full-dates, both were named: choose one")
        self.keep = tuple(name for name in OPTIONS if name in keep)
        self._rows = {tag: self._chosen(row) for tag, row in attributes().items()}
        self._safe = _safe() if "safe-private" in keep else frozenset()

    def _chosen(self, row: str) -> str:
        """Basic action, or that of the options kept; cleaning goes before keeping where both are asked for."""
        basic, *options = row.split()
        given = dict(option.split(":") for option in options)
        asked = {given[name] for name in self.keep if name in given}
        return "C" if "C" in asked else "K" if "K" in asked else basic

    def action(self, tag: int, vr: str, sop_class: str, parent: int = 0) -> str:
        """`keep`, `clean`, `empty`, `dummy`, `uid` or `remove` for a standard attribute.

        Args:
            tag: group and element as one number.
            vr: value representation.
            sop_class: the file's SOP class, which settles compound actions.
            parent: tag of the sequence that holds the attribute, 0 at the top.
        """
        group = tag >> 16
        if 0x5000 <= group <= 0x50FF:
            code = self._rows["50XXXXXX"]
        elif 0x6000 <= group <= 0x60FF and tag & 0xFFFF in (0x3000, 0x4000):
            code = self._rows[f"60XX{tag & 0xFFFF:04X}"]
        else:
            code = self._rows.get(f"{tag:08X}") or self._unlisted(tag, vr)
        if "/" in code:
            code = _settled(code, _type_of(tag, sop_class, parent))
        return _CODES[code]

    def _unlisted(self, tag: int, vr: str) -> str:
        """An attribute outside the table: dates, people, addresses and instances are protected by their representation
        (Annex E, note 4 of E.1.1), the rest is retained."""
        if vr in _DATES:
            return "K" if "full-dates" in self.keep else "C" if "dates" in self.keep else "Z"
        if vr == "PN":
            return "Z"
        if vr in ("AE", "UR"):
            return "X"
        return "U" if vr == "UI" and "uids" not in self.keep and tag not in _KINDS else "K"

    def is_safe(self, creator: str, tag: int) -> bool:
        """Whether a private attribute may stay: option `safe-private`, and the creator's block lists it."""
        return (creator.strip(), f"{tag >> 16:04X}{tag & 0xFF:02X}") in self._safe

    def codes(self) -> list[tuple[str, str]]:
        """Code and meaning of the profile and of every option in force."""
        return [BASIC, *(OPTIONS[name] for name in self.keep)]

    @property
    def temporal(self) -> str:
        """Longitudinal Temporal Information Modified (0028,0303)."""
        return "UNMODIFIED" if "full-dates" in self.keep else "MODIFIED" if "dates" in self.keep else "REMOVED"


def _settled(code: str, kind: int) -> str:
    """A compound action by the attribute's type: 1 needs a value, 2 may be empty, 3 may be absent."""
    if code == "Z/D":
        return "D" if kind == 1 else "Z"
    if code == "X/Z":
        return "X" if kind == 3 else "Z"
    if code == "X/D":
        return "X" if kind == 3 else "D"
    if kind == 1:
        return "U" if code == "X/Z/U*" else "D"
    return "Z" if kind == 2 else "X"


@cache
def _type_of(tag: int, sop_class: str, parent: int) -> int:
    classes, nested, strictest = _types()
    if parent:
        return nested.get((parent, tag), 3)
    known = classes.get(sop_class)
    return strictest.get(tag, 3) if known is None else known.get(tag, 3)


@cache
def _types() -> tuple[dict[str, dict[int, int]], dict[tuple[int, int], int], dict[int, int]]:
    """SOP class → tag → type; (sequence, tag) → type; tag → the strictest type of any class, for unknown classes."""
    read = _read("requirements.json")
    classes: dict[str, dict[int, int]] = {}
    strictest: dict[int, int] = {}
    for names, row in read["classes"].items():
        types = {int(t, 16): int(k) for t, k in (cell.split(":") for cell in row.split())}
        classes |= dict.fromkeys((read["prefix"] + name for name in names.split()), types)
        for tag, kind in types.items():
            strictest[tag] = min(kind, strictest.get(tag, 3))
    cells = (cell.split(":") for cell in read["nested"].split())
    nested = {(int(path[:8], 16), int(path[9:], 16)): int(kind) for path, kind in cells}
    return classes, nested, strictest


@cache
def _safe() -> frozenset[tuple[str, str]]:
    creators = _read("safe_private.json")["creators"]
    return frozenset((name, cell.split(":")[0]) for name, row in creators.items() for cell in row.split())


@cache
def _read(name: str) -> dict[str, Any]:
    return json.loads(files("osler.instruments.deid").joinpath(name).read_text(encoding="utf-8"))
