"""Molecules cut at acyclic single bonds into what is kept and what could be exchanged: J. Hussain, C. Rea, J Chem Inf
Model 50:339 (2010); the cuts themselves are RDKit's rdMMPA.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from osler.registry import optional

#: Bonds that may be cut in one molecule; more, and it is left out (a polymer, a peptide).
MOST_BONDS = 20
#: Heavy atoms of what is exchanged, at most, and their share of the molecule.
MOST_ATOMS, MOST_SHARE = 10, 1.0 / 3.0
#: A hydrogen in place of what was cut off.
HYDROGEN = "[H][*:1]"

_LABEL = re.compile(r"\[\*:([12])\]")
_HEAVY = re.compile(r"Br|Cl|\[(?!\*)\d*[A-Za-z][^\]]*\]|[BCNOPSFIbcnops]")


@dataclass(frozen=True)
class Cut:
    """One way to take a molecule apart: `kept` and `changed` are SMILES with [*:1] (and [*:2]) where they join."""

    kept: str
    changed: str
    size: int


def cuts(mol: Any, most: int = 1) -> Iterator[Cut]:
    """The ways to take a small part off the end of a molecule, and with `most` 2 out of its middle.

    A hydrogen that could be something else is not listed here: see `without`.
    """
    made = optional("rdkit.Chem.rdMMPA", "molecules")
    whole = mol.GetNumHeavyAtoms()
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        found = made.FragmentMol(mol, minCuts=1, maxCuts=most, maxCutBonds=MOST_BONDS, resultsAsMols=False)
    for core, chains in found:
        if core:
            size = heavy(core)
            if 0 < size <= MOST_ATOMS and size <= MOST_SHARE * whole:
                yield Cut(*_same_labels(core, chains), size)
            continue
        first, _, second = chains.partition(".")
        for kept, changed in ((first, second), (second, first)):
            size = heavy(changed)
            if 0 < size <= MOST_ATOMS and size <= MOST_SHARE * whole:
                yield Cut(kept, changed, size)


def without(kept: str) -> str:
    """The canonical SMILES of the molecule in which a hydrogen stands for what was cut off once; "" if it is none."""
    chem = optional("rdkit.Chem", "molecules")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        mol = chem.MolFromSmiles(kept.replace("[*:1]", "[H]"))
    return "" if mol is None else str(chem.MolToSmiles(mol))


def heavy(smiles: str) -> int:
    """Heavy atoms of a fragment, joints not counted."""
    return sum(not found.startswith(("[H]", "[2H]", "[3H]")) for found in _HEAVY.findall(smiles))


def _same_labels(core: str, chains: str) -> tuple[str, str]:
    """What is kept and the middle, with labels that do not depend on how RDKit numbered the two joints."""
    chem = optional("rdkit.Chem", "molecules")
    first, _, second = chains.partition(".")
    bare = [_LABEL.sub("*", part) for part in (first, second)]
    swapped = str(chem.CanonSmiles(_LABEL.sub(lambda m: f"[*:{3 - int(m.group(1))}]", core)))
    first_label = _LABEL.search(first).group(1)
    if bare[0] == bare[1]:
        return _numbered(bare[0], bare[1]), min(str(chem.CanonSmiles(core)), swapped)
    straight = (bare[0] < bare[1]) == (first_label == "1")
    return _numbered(*sorted(bare)), str(chem.CanonSmiles(core)) if straight else swapped


def _numbered(first: str, second: str) -> str:
    return f"{first.replace('*', '[*:1]', 1)}.{second.replace('*', '[*:2]', 1)}"
