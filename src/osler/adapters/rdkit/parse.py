"""From the text of a molecule to RDKit's object, or to the reason why not: one sentence part, never the molecule."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from osler.adapters.rdkit import screen
from osler.registry import optional

#: What may be read: a SMILES, an InChI, a mol block (V2000 or V3000, one record of an SDF) or a MOL2 block.
KINDS = ("smiles", "inchi", "mol", "mol2")

_STAMP = re.compile(r"^(?:\[[\d:.]+\]\s*)?(?:SMILES Parse Error:|ERROR:|Warning:)?\s*")
#: Where RDKit's messages begin to repeat what they were given.
_ECHO = re.compile(r"\s+(?:for input|while parsing|in SMILES|on line)\b.*|:?\s+['\"(].*")


@dataclass(frozen=True)
class Parsed:
    """A molecule, or why there is none.

    Attributes:
        mol: RDKit's sanitised molecule, or None.
        reason: "" for a molecule, else RDKit's or Osler's reason without any part of the text.
    """

    mol: Any | None
    reason: str = ""


def parse(text: str | None, kind: str = "smiles") -> Parsed:
    """Read one molecule.

    Args:
        text: a text of this kind; outer spaces do not count, nor what follows a SMILES after a space (its name).
        kind: one of `KINDS`.

    Never raises for a text, never ends the process and takes at most two seconds: a text with far more rings, atoms or
    branches than drugs have is read in a process apart (`osler.adapters.rdkit.apart`).
    """
    if kind in ("smiles", "inchi"):
        text = (text or "").strip().partition(" ")[0].partition("\t")[0]
    text = text or ""
    if kind in ("mol", "mol2"):
        text = text.encode("ascii", "replace").decode()  # RDKit's log hands on bytes, and a letter may be cut
    reason = screen.refusal(text, kind)
    if reason:
        return Parsed(None, reason)
    if screen.is_odd(text, kind):
        from osler.adapters.rdkit import apart

        return apart.parse(text, kind)
    return parse_here(text, kind)


def parse_all(texts: Iterable[str | None], kind: str = "smiles") -> list[Parsed]:
    """Read many molecules, each as `parse` does; a missing text gives no molecule and no reason."""
    return [Parsed(None) if text is None else parse(text, kind) for text in texts]


def parse_here(text: str, kind: str) -> Parsed:
    """Read one screened text in this process, with RDKit's own log silent."""
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        try:
            mol = _reader(kind)(text)
        except (RuntimeError, ValueError, OverflowError, UnicodeError):
            mol = None
    if mol is None:
        return Parsed(None, _reason(text, kind))
    n = mol.GetNumAtoms()
    if n == 0:
        return Parsed(None, "holds no atom")
    if n > screen.MAX_ATOMS:
        return Parsed(None, f"more than {screen.MAX_ATOMS:,} atoms")
    if kind != "smiles" and mol.HasSubstructMatch(_wildcard()):
        return Parsed(None, "holds a wildcard atom or an R group: a query, not a molecule")
    if kind == "mol2" and any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return Parsed(None, "lacks hydrogens, which a MOL2 block must hold")
    return Parsed(mol)


@cache
def _reader(kind: str) -> Any:
    chem = optional("rdkit.Chem", "molecules")
    if kind == "smiles":
        params = chem.SmilesParserParams()
        params.allowCXSMILES = False
        params.parseName = False
        return lambda text: chem.MolFromSmiles(text, params)
    if kind == "inchi":
        return lambda text: chem.MolFromInchi(text, sanitize=True, removeHs=True)
    if kind == "mol":
        return lambda text: chem.MolFromMolBlock(text, sanitize=True, removeHs=True, strictParsing=True)
    return lambda text: chem.MolFromMol2Block(text, sanitize=True, removeHs=True)


@cache
def _wildcard() -> Any:
    return optional("rdkit.Chem", "molecules").MolFromSmarts("[#0]")


def _reason(text: str, kind: str) -> str:
    """RDKit's reason for a text that it could not read, told without any part of the text."""
    if kind == "smiles":
        problem = _problem(text)
        if problem:
            return problem
    return _from_log(text, kind) or f"not a readable {_NAMES[kind]}"


_NAMES = {"smiles": "SMILES", "inchi": "InChI", "mol": "mol block", "mol2": "MOL2 block"}


def _problem(text: str) -> str:
    """What is wrong with the chemistry of a SMILES whose grammar is right; "" if its grammar is wrong."""
    chem = optional("rdkit.Chem", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        params = chem.SmilesParserParams()
        params.sanitize, params.allowCXSMILES, params.parseName = False, False, False
        mol = chem.MolFromSmiles(text, params)
        if mol is None:
            return ""
        problems = chem.DetectChemistryProblems(mol)
    return _clean(problems[0].Message()) if problems else ""


class _Lines(logging.Handler):
    """Keeps the lines of RDKit's log for as long as one text is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _from_log(text: str, kind: str) -> str:
    base, log, lines = optional("rdkit.rdBase", "molecules"), logging.getLogger("rdkit"), _Lines()
    handlers, propagate = log.handlers[:], log.propagate
    log.handlers, log.propagate = [lines], False
    base.LogToPythonLogger()
    try:
        _reader(kind)(text)
    except (RuntimeError, ValueError, OverflowError, UnicodeError) as error:
        lines.lines.append(str(error))
    finally:
        base.LogToCppStreams()
        log.handlers, log.propagate = handlers, propagate
    return next((words for words in map(_clean, lines.lines) if words), "")


def _clean(message: str) -> str:
    """RDKit's message in one short line, cut before it repeats its input."""
    line = _STAMP.sub("", message.strip().split("\n")[0])
    if "syntax error" in line:
        return "syntax error"
    return _ECHO.sub("", line).strip().rstrip(":.,")[:120]
