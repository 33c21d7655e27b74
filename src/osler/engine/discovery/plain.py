"""What of an ADMET profile needs no model: sizes and polarity, rules of thumb, structural alerts, ease of making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.adapters.rdkit import alerts, properties

#: Numbers of every molecule: name → (words, unit).
NUMBERS = {
    "weight": ("molecular weight", "Da"),
    "logp": ("logP (Crippen)", ""),
    "tpsa": ("polar surface (TPSA)", "Å²"),
    "donors": ("hydrogen-bond donors", ""),
    "acceptors": ("hydrogen-bond acceptors", ""),
    "rotatable": ("rotatable bonds", ""),
    "qed": ("drug-likeness (QED), 0 to 1", ""),
    "sa": ("synthetic accessibility, 1 easy to 10 hard", ""),
}
_COUNTED = ("weight", "logp", "tpsa", "donors", "acceptors", "rotatable")
#: Limits of the rule for the blood-brain barrier: H. van de Waterbeemd et al., J Drug Target 6:151 (1998).
BBB_TPSA, BBB_WEIGHT = 90.0, 450.0


def numbers(mols: Sequence[Any]) -> np.ndarray:
    """(n, 8) values of `NUMBERS`, in their order; NaN where RDKit gives none."""
    rows = [[*alerts.properties(mol, _COUNTED).values()] for mol in mols]
    worth = properties.properties(mols)
    qed, sa = (worth[:, properties.NAMES.index(name)] for name in ("qed", "sa"))
    return np.column_stack([np.array(rows).reshape(-1, len(_COUNTED)), qed, sa])


def verdicts(mol: Any) -> list[dict[str, Any]]:
    """Rules and alerts of one molecule: name, what (in words), passes, met (limits broken, or the alert)."""
    found = []
    for name, met in alerts.filters(alerts.FILTERS).items():
        told = met(mol)
        found.append(
            {
                "name": name,
                "what": alerts.FILTERS[name],
                "kind": "alert" if name in alerts.ALERTS else "rule",
                "passes": not told,
                "met": told,
            }
        )
    held = alerts.properties(mol, ("tpsa", "weight"))
    broken = [n for n, most in (("tpsa", BBB_TPSA), ("weight", BBB_WEIGHT)) if held[n] > most]
    what = f"likely to enter the brain: polar surface up to {BBB_TPSA:g} Å² and weight up to {BBB_WEIGHT:g} Da"
    found.append({"name": "bbb", "what": what, "kind": "rule", "passes": not broken, "met": ", ".join(broken)})
    return found
