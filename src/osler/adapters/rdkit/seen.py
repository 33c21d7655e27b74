"""Which molecules a pre-trained encoder saw, by the list that its folder may hold."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.standardise import parent
from osler.errors import LimitError
from osler.registry import optional

#: Names that such a list may have, one SMILES or InChIKey per line.
LISTS = ("pretraining.txt", "pretraining.smi", "pretraining.txt.gz", "pretraining.smi.gz")
#: Most lines that are read.
MAX_LINES = 100_000_000
_INCHIKEY = re.compile(r"^[A-Z]{14}(-[A-Z]{10}-[A-Z])?$")


def list_in(folder: Path) -> Path | None:
    """The list of pre-training molecules in an encoder's folder, None where it holds none."""
    return next((folder / name for name in LISTS if (folder / name).is_file()), None)


def seen(mols: Sequence[Any | None], listed: Path) -> list[bool]:
    """For each molecule whether it is on the list: the same parent (no counter-ions, no charges) but for stereo.

    A line is an InChIKey (its first block is compared), or begins with a SMILES (canonical SMILES are compared); lines
    that are neither are passed over.

    Raises:
        LimitError: the list is longer than `MAX_LINES`.
    """
    chem = optional("rdkit.Chem", "molecules")
    places: dict[str, list[int]] = {}
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        for i, mol in enumerate(mols):
            if mol is not None:
                core = parent(mol)
                for key in (chem.MolToSmiles(core, isomericSmiles=False), chem.MolToInchiKey(core)[:14]):
                    places.setdefault(key, []).append(i)
    found = [False] * len(mols)
    for key in _keys(listed):
        for i in places.get(key, ()):
            found[i] = True
    return found


def _keys(listed: Path) -> Iterator[str]:
    chem = optional("rdkit.Chem", "molecules")
    with gzip.open(listed, "rb") if listed.suffix == ".gz" else open(listed, "rb") as file:
        for _number in range(MAX_LINES + 1):
            line = file.readline(1 << 14)
            if not line:
                return
            words = line.decode("utf-8", "replace").split(None, 1)
            if not words:
                continue
            if _INCHIKEY.match(words[0]):
                yield words[0][:14]
            elif (mol := parse(words[0]).mol) is not None:
                yield chem.MolToSmiles(parent(mol), isomericSmiles=False)
    raise LimitError(f"'{listed.name}' must have at most {MAX_LINES:,} lines: list InChIKeys of one molecule each once", "limit-size")
