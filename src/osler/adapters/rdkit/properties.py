"""What medicinal chemists ask of a new molecule first: synthetic accessibility, drug-likeness, logP and weight."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from osler.registry import optional

#: Columns of `properties`, in order.
NAMES = ("sa", "qed", "logp", "weight")


def properties(mols: Sequence[Any]) -> np.ndarray:
    """(n, 4) float64: `sa` from 1 (easy to make) to 10, `qed` from 0 to 1 (drug-like), `logp`, `weight` in daltons.

    P. Ertl, A. Schuffenhauer, J Cheminform 1:8 (2009); G. Bickerton et al., Nature Chemistry 4:90 (2012); S. Wildman,
    G. Crippen, J Chem Inf Comput Sci 39:868 (1999). Values are RDKit's. A molecule that RDKit can read but not take apart (a ring
    whose double bonds cannot be placed without its hydrogens) has NaN.

    Raises:
        MissingExtraError: RDKit is not installed.
    """
    sa, qed = _scorer().calculateScore, optional("rdkit.Chem.QED", "molecules").qed
    logp = optional("rdkit.Chem.Crippen", "molecules").MolLogP
    weight = optional("rdkit.Chem.Descriptors", "molecules").MolWt
    rows = []
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        for mol in mols:
            try:
                rows.append((sa(mol), qed(mol), logp(mol), weight(mol)))
            except ValueError:
                rows.append((np.nan,) * len(NAMES))
    return np.array(rows, dtype=np.float64).reshape(-1, len(NAMES))


@cache
def _scorer() -> Any:
    return optional("rdkit.Contrib.SA_Score.sascorer", "molecules")
