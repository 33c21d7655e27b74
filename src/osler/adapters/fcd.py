"""ChemNet's view of molecules, the only place where fcd_torch is imported; its weights come with the library.

K. Preuer et al., Fréchet ChemNet Distance, J Chem Inf Model 58:1736 (2018). The distance itself is
`osler.evaluation.generation.frechet_distance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.registry import optional

#: Features that ChemNet gives of a molecule.
WIDTH = 512
#: Longest text that ChemNet reads; it sees no more than the beginning of a longer one.
LONGEST = 349


def activations(smiles: Sequence[str]) -> np.ndarray:
    """(n, 512) float64 activations of ChemNet's last hidden layer, about 6 ms of one core per molecule.

    Args:
        smiles: n canonical SMILES of RDKit.

    Raises:
        MissingExtraError: fcd-torch is not installed.
    """
    if not len(smiles):
        return np.zeros((0, WIDTH))
    net = _network()
    size = 256
    texts = [text[:LONGEST] for text in smiles]
    parts = [net.get_predictions(texts[at : at + size]) for at in range(0, len(texts), size)]
    return np.concatenate(parts).astype(np.float64)


@cache
def _network() -> Any:
    return optional("fcd_torch", "molecules").FCD(device="cpu", n_jobs=1, canonize=False)
