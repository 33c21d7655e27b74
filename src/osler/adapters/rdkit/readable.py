"""Whether texts are molecules, where the molecules themselves are not wanted: three fifths of the work of reading them.

RDKit refuses a SMILES for its grammar, for a valence or for an aromatic system that has no Kekulé structure.
Hydrogens, aromaticity, conjugation and stereo are worked out afterwards and refuse nothing, so that they are left out
here. What does not pass this way is read whole by `osler.adapters.rdkit.parse`, which also tells the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from osler.adapters.rdkit import screen
from osler.adapters.rdkit.parse import parse
from osler.registry import optional


def reasons(texts: Iterable[str | None], kind: str = "auto") -> list[str]:
    """Why each text is no molecule, as `osler.adapters.rdkit.parse.parse` says it; "" for a molecule and for None.

    Args:
        texts: one molecule each. A text that stands there twice is read once.
        kind: "smiles", "inchi", or "auto" (a text that starts with InChI= is one).

    Memory: one short string per distinct text, no molecule is kept.
    """
    texts = list(texts)
    known: dict[str | None, str] = dict.fromkeys(texts, "")
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        left = [text for text in known if text is not None and not _passes(text, kind)]
    for text in left:
        known[text] = parse(text, _notation(text) if kind == "auto" else kind).reason
    return [known[text] for text in texts]


def _notation(text: str) -> str:
    return "inchi" if text.startswith("InChI=") else "smiles"


def _passes(text: str, kind: str) -> bool:
    """Whether a text is surely a molecule; False also where that is not asked this way."""
    if (_notation(text) if kind == "auto" else kind) != "smiles":
        return False
    text = text.strip().partition(" ")[0].partition("\t")[0]
    if screen.refusal(text, "smiles") or screen.is_odd(text, "smiles"):
        return False
    read, check = _steps()
    mol = read(text)
    return mol is not None and 0 < mol.GetNumAtoms() <= screen.MAX_ATOMS and check(mol)


@cache
def _steps() -> tuple[Any, Any]:
    """RDKit's reading of the grammar alone, and those steps of its sanitisation that can refuse a molecule."""
    chem = optional("rdkit.Chem", "molecules")
    params = chem.SmilesParserParams()
    params.sanitize = params.removeHs = params.allowCXSMILES = params.parseName = False
    flags = chem.SanitizeFlags
    steps = flags.SANITIZE_CLEANUP | flags.SANITIZE_CLEANUP_ORGANOMETALLICS
    steps |= flags.SANITIZE_PROPERTIES | flags.SANITIZE_KEKULIZE

    def check(mol: Any) -> bool:
        return bool(chem.SanitizeMol(mol, steps, catchErrors=True) == flags.SANITIZE_NONE)

    return lambda text: chem.MolFromSmiles(text, params), check
