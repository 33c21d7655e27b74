"""Fingerprints of molecules as counts or bits: ECFP, Avalon, ErG and MACCS keys.

Morgan counts: D. Rogers, M. Hahn, Extended-connectivity fingerprints, J Chem Inf Model 50:742 (2010). Avalon: P.
Gedeck, B. Rohde, C. Bartels, J Chem Inf Model 46:1924 (2006). ErG: N. Stiefl et al., J Chem Inf Model 46:208 (2006).
MACCS: J. Durant et al., J Chem Inf Comput Sci 42:1273 (2002).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.errors import OptionError, nearest
from osler.registry import optional

#: Features per fingerprint.
WIDTH = {"ecfp": 1024, "ecfp2": 1024, "ecfp6": 1024, "avalon": 1024, "erg": 315, "maccs": 167}
_RADIUS = {"ecfp": 2, "ecfp2": 1, "ecfp6": 3}
#: What Avalon counts for a molecule (all classes but those for queries), as RDKit does for its own molecules.
_AVALON_CLASSES = 0x7FFF
_USUAL = re.compile(r"\[(?:nH|n\+|N\+|NH\d?\+|O-|S\+)\]")
_RARE = re.compile(r"[\[<>$]")


def counts(mols: Sequence[Any], kinds: Sequence[str] = ("ecfp",)) -> dict[str, np.ndarray]:
    """Counted fingerprints of n molecules: kind → (n, width).

    `ecfp` (Morgan radius 2), `ecfp2` (radius 1), `ecfp6` (radius 3), `avalon` and `maccs` are uint8, counts above 255
    being 255; `erg` is float32.

    Raises:
        OptionError: a kind that is none of `WIDTH`.
    """
    out = {}
    for kind in kinds:
        one = _maker(kind)
        found = np.zeros((len(mols), WIDTH[kind]), dtype=np.float32 if kind == "erg" else np.uint8)
        with optional("rdkit.rdBase", "molecules").BlockLogs():
            for row, mol in enumerate(mols):
                found[row] = one(mol)
        out[kind] = found
    return out


def bits(mols: Sequence[Any], kind: str = "ecfp", width: int = 2048) -> np.ndarray:
    """Binary fingerprints packed for search: (n, words) uint64, bit j in word j // 64 at place j % 64.

    Args:
        mols: n molecules.
        kind: "ecfp" (radius 2), "ecfp2" (radius 1), "ecfp6" (radius 3), "avalon" or "maccs".
        width: bits, a multiple of 64; MACCS keys have 167 bits and take three words.

    Raises:
        OptionError: a kind without a binary form, or a width that is no multiple of 64.
    """
    if width % 64 or width <= 0:
        raise OptionError(f"width of a binary fingerprint must be a multiple of 64, was {width}")
    one = _bit_maker(kind, width)
    n_bits = 192 if kind == "maccs" else width
    found = np.zeros((len(mols), n_bits), dtype=np.uint8)
    for row, mol in enumerate(mols):
        bits_of = one(mol)
        found[row, : len(bits_of)] = bits_of
    return np.packbits(found, axis=1, bitorder="little").view("<u8")


@cache
def _maker(kind: str) -> Callable[[Any], np.ndarray]:
    if kind not in WIDTH:
        raise OptionError(f"fingerprint must be one of {', '.join(WIDTH)}, was '{kind}': {nearest(kind, WIDTH)}")
    if kind in _RADIUS:
        morgan = _morgan(_RADIUS[kind], WIDTH[kind])
        return lambda mol: np.minimum(morgan.GetCountFingerprintAsNumPy(mol), 255)
    if kind == "erg":
        return optional("rdkit.Chem.rdReducedGraphs", "molecules").GetErGFingerprint
    if kind == "maccs":
        return _maccs
    return _avalon


@cache
def _bit_maker(kind: str, width: int) -> Callable[[Any], np.ndarray]:
    if kind in _RADIUS:
        return _morgan(_RADIUS[kind], width).GetFingerprintAsNumPy
    if kind == "maccs":
        return _maccs
    if kind == "avalon":
        avalon = optional("rdkit.Avalon.pyAvalonTools", "molecules")
        return lambda mol: _array(avalon.GetAvalonFP(mol, width), width)
    raise OptionError(f"binary fingerprint must be ecfp, ecfp2, ecfp6, avalon or maccs, was '{kind}'")


@cache
def _morgan(radius: int, width: int) -> Any:
    return optional("rdkit.Chem.rdFingerprintGenerator", "molecules").GetMorganGenerator(radius=radius, fpSize=width)


def _plain_smiles(mol: Any) -> str:
    return optional("rdkit.Chem", "molecules").MolToSmiles(mol, isomericSmiles=False, canonical=False)


def _avalon(mol: Any) -> np.ndarray:
    """(1024,) counts. Handing over a SMILES without stereo gives RDKit's own counts at a third of the time: from its
    molecule object RDKit first computes a drawing. Avalon's SMILES know no dative and no fourfold bonds, and count
    hydrogens of rare elements and ions otherwise, so molecules with brackets beyond the usual ones go the longer way.
    """
    tools, smiles = optional("rdkit.Avalon.pyAvalonTools", "molecules"), _plain_smiles(mol)
    if _RARE.search(_USUAL.sub("", smiles)):
        found = tools.GetAvalonCountFP(mol, WIDTH["avalon"])
    else:
        found = tools.GetAvalonCountFP(smiles, True, WIDTH["avalon"], False, _AVALON_CLASSES)
    return np.minimum(_array(found, WIDTH["avalon"]), 255)


def _maccs(mol: Any) -> np.ndarray:
    return _array(optional("rdkit.Chem.rdMolDescriptors", "molecules").GetMACCSKeysFingerprint(mol), WIDTH["maccs"])


def _array(fingerprint: Any, width: int) -> np.ndarray:
    out = np.zeros(width, dtype=np.int32)
    optional("rdkit.DataStructs", "molecules").ConvertToNumpyArray(fingerprint, out)
    return out
