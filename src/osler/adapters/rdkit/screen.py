"""What can be told of a molecule's text before RDKit sees it: what is refused, and what is read in a process apart.

RDKit is a C++ library that trusts its input: a text of a few kilobytes can keep it busy for minutes or end the process.
So a text is refused here for its length, its number of atoms or its kind; one that is allowed, but has far more rings,
atoms or branches than drugs have, is `odd` and is read by `osler.adapters.rdkit.apart` under limits of time and memory.
"""

from __future__ import annotations

import re
import string

#: Most atoms of one molecule (heavy atoms as written; a record's hydrogens count).
MAX_ATOMS = 1_000
#: Longest text of one molecule in characters, by kind.
MAX_TEXT = {"smiles": 10_000, "inchi": 10_000, "mol": 1 << 19, "mol2": 1 << 19}
#: Beyond these a molecule is read in a process apart: atoms, ring bonds, depth of branches.
ODD_ATOMS, ODD_RINGS, ODD_DEPTH = 400, 16, 24
#: Up to this length and number of digits nothing more is counted: it can hold no more than that.
_PLAIN_LENGTH, _PLAIN_DIGITS = ODD_ATOMS, 2 * ODD_RINGS

_BRACKET = re.compile(r"\[[^\[\]]*\]")
_ATOM = re.compile(r"\[[^\[\]]*\]|Br|Cl|[BCNOPSFIbcnops]")
_DIGIT = re.compile(r"\d")
_CLOSURE = re.compile(r"%\(\d+\)|%\d\d|\d")
_LONG_NUMBER = re.compile(r"\d{4,}")
_SMILES_CHARACTERS = (string.ascii_letters + string.digits + "@+-[]()=#$:/\\.%~<>*{}!&,;^").encode()
_COUNTS_LINE = re.compile(r"[^\n]*\n[^\n]*\n[^\n]*\n([ \d]{2}\d)([ \d]{3})")
_V3000 = re.compile(r"^M  V30 COUNTS +(\d+) +(\d+)", re.MULTILINE)
_ANY_ATOM = re.compile(r"^.{31}(\*|A|Q|L|X|M|LP|R#|R\d*) ", re.MULTILINE)
_ANY_ATOM_V3 = re.compile(r"^M  V30 \d+ (\*|A|Q|L|X|M|R#|\[|NOT)", re.MULTILINE)
_GROUPS = re.compile(
    r"^M  (?:STY.* (?:SRU|MON|MER|COP|CRO|GRA|ANY|MIX|FOR)\b|V30 \d+ (?:SRU|MON|MER|COP|CRO|GRA|ANY|MIX|FOR)\b)",
    re.MULTILINE,
)
_NUMBER_WORD = re.compile(r"\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_MOL2_COUNTS = re.compile(r"@<TRIPOS>MOLECULE[^\n]*\n[^\n]*\n\s*(\d+)(?:\s+(\d+))?")


def refusal(text: str, kind: str) -> str:
    """Why a text of this kind is not handed to RDKit at all; "" where nothing speaks against it."""
    if not text:
        return "holds no molecule"
    if len(text) > MAX_TEXT[kind]:
        return f"longer than {MAX_TEXT[kind]:,} characters"
    if "\0" in text:
        return "holds a NUL character"
    return _REFUSALS[kind](text)


def is_odd(text: str, kind: str) -> bool:
    """Whether a text that is not refused is read in a process apart."""
    if kind == "smiles":
        if (
            len(text) <= _PLAIN_LENGTH
            and len(_DIGIT.findall(text)) <= _PLAIN_DIGITS
            and text.count("(") <= _PLAIN_DIGITS
        ):
            return bool(_LONG_NUMBER.search(text))
        outside = _BRACKET.sub("", text)
        rings = len(_CLOSURE.findall(outside)) / 2
        return (
            _atoms(text) > ODD_ATOMS
            or rings > ODD_RINGS
            or _depth(outside) > ODD_DEPTH
            or bool(_LONG_NUMBER.search(text))
        )
    if kind == "inchi":
        return len(text) > 4 * ODD_ATOMS or len(_DIGIT.findall(text)) > 6 * ODD_ATOMS
    atoms, bonds = _counts(text, kind)
    return atoms > ODD_ATOMS or bonds - atoms + 1 > ODD_RINGS


def _smiles(text: str) -> str:
    if ">" in text and (">>" in text or text.replace("->", "").count(">") >= 2):
        return "a reaction, not one molecule"
    if "*" in text:
        return "holds a wildcard atom (*): part of a polymer or a query, not a molecule"
    if not text.isascii() or text.encode().translate(None, _SMILES_CHARACTERS):
        return "holds a character that SMILES do not have"
    if len(text) > MAX_ATOMS and _atoms(text) > MAX_ATOMS:
        return f"more than {MAX_ATOMS:,} atoms"
    return ""


def _inchi(text: str) -> str:
    if not text.startswith("InChI=1"):
        return "does not start with InChI=1"
    return "" if text.isascii() else "holds a character that InChI do not have"


def _record(text: str) -> str:
    counts = _counts(text, "mol")
    if counts == (-1, -1):
        return "has no counts line (its fourth line)"
    if counts[0] == 0:
        return "holds no atom"
    if counts[0] > MAX_ATOMS:
        return f"more than {MAX_ATOMS:,} atoms"
    head = text.partition("M  END")[0]
    if _ANY_ATOM.search(head) or _ANY_ATOM_V3.search(head):
        return "holds a wildcard atom or an R group: a query, not a molecule"
    if _GROUPS.search(head):
        return "holds repeating units: a polymer or a formulation, not one molecule"
    return (
        "holds a coordinate that is not a finite number"
        if _NUMBER_WORD.search(head.partition("\n")[2].partition("\n")[2])
        else ""
    )


def _mol2(text: str) -> str:
    atoms, _ = _counts(text, "mol2")
    if atoms < 0:
        return "has no @<TRIPOS>MOLECULE counts"
    if atoms == 0:
        return "holds no atom"
    if atoms > MAX_ATOMS:
        return f"more than {MAX_ATOMS:,} atoms"
    atom_block = text.partition("@<TRIPOS>ATOM")[2].partition("@<TRIPOS>")[0]
    if _NUMBER_WORD.search(atom_block):
        return "holds a coordinate that is not a finite number"
    return ""


_REFUSALS = {"smiles": _smiles, "inchi": _inchi, "mol": _record, "mol2": _mol2}


def _atoms(text: str) -> int:
    return len(_ATOM.findall(text))


def _depth(text: str) -> int:
    deepest = depth = 0
    for mark in text:
        if mark == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif mark == ")":
            depth -= 1
    return deepest


def _counts(text: str, kind: str) -> tuple[int, int]:
    """Atoms and bonds as a record states them; (-1, -1) where it does not."""
    if kind == "mol2":
        found = _MOL2_COUNTS.search(text)
        return (int(found[1][:7]), int((found[2] or "0")[:7])) if found else (-1, -1)
    found = _V3000.search(text) or _COUNTS_LINE.match(text)
    if not found:
        return -1, -1
    try:
        return int(found[1][:7]), int(found[2][:7].strip() or 0)
    except ValueError:
        return -1, -1
