"""The molecules that somebody asks about: one SMILES or InChI as typed, or a file of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from osler.adapters.rdkit import features, fragments, identity
from osler.adapters.rdkit.standardise import Policy
from osler.engine.screening.library import entries
from osler.errors import ReadError

#: Most molecules that are asked about at once.
MOST = 10_000


@dataclass(frozen=True)
class Query:
    """One molecule.

    Attributes:
        place: its line or record, from 1. name: what the file calls it, "" if nothing.
        smiles: canonical SMILES of the standardised molecule. mol: that molecule.
    """

    place: int
    name: str
    smiles: str
    mol: Any

    @cached_property
    def keys(self) -> dict[str, str]:
        """What it is, in every sense of `osler.adapters.rdkit.identity.SENSES`."""
        return identity.keys(self.mol)


def asked(source: str, column: str = "") -> tuple[list[Query], list[tuple[int, str, str]]]:
    """Molecules of a file, or the one that is typed.

    Args:
        source: a file that `osler.engine.screening.library.entries` reads, or a SMILES or InChI.
        column: of a table, the column of SMILES; found by its name if empty.

    Returns:
        The readable molecules, and (place, name, reason) of the others.

    Raises:
        ReadError: none can be read, or more than `MOST`.
    """
    if not _is_file(source):
        mol, reason, _ = features.read(source, Policy(), "auto")
        if mol is None:
            raise ReadError(
                f"a molecule must be a SMILES, an InChI or a file of them, what was given is none ({reason}): mend it"
            )
        return [Query(1, "", fragments.canonical(mol), mol)], []
    found: list[Query] = []
    refused: list[tuple[int, str, str]] = []
    for entry in entries(source, column):
        mol, reason = None, entry.problem
        if not reason:
            mol, reason, _ = features.read(entry.text, Policy(), entry.kind)
        if mol is None:
            refused.append((entry.place, entry.name, reason))
        else:
            found.append(Query(entry.place, entry.name, fragments.canonical(mol), mol))
        if len(found) > MOST:
            raise ReadError(
                f"a file of molecules must hold at most {MOST:,} here, it holds more: use osler screen, or split it",
                "limit-size",
            )
    if not found:
        first = f" (first reason: {refused[0][2]})" if refused else ""
        raise ReadError(
            f"'{Path(source).name}' must hold molecules, none of its {len(refused)} entries could be read{first}",
            "read-empty",
        )
    return found, refused


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (OSError, ValueError):  # longer than a path may be, or with characters that no path has
        return False
