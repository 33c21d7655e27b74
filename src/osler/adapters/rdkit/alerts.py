"""What keeps a molecule out of a screen: structural alerts, and rules of thumb for size, lipophilicity and polarity.

Alerts are RDKit's catalogues: PAINS, J. B. Baell, G. A. Holloway, J Med Chem 53:2719 (2010); Brenk, R. Brenk et al.,
ChemMedChem 3:435 (2008); NIH, A. Jadhav et al., J Med Chem 53:37 (2010), D. Doveston et al., Org Biomol Chem 13:859
(2015). An alert is a
reason to look twice, no verdict: approved drugs have alerts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from osler.errors import OptionError, nearest
from osler.registry import optional

#: Catalogues of alerts: name → RDKit's name and one line.
ALERTS = {
    "pains": ("PAINS", "pan-assay interference"),
    "brenk": ("BRENK", "reactive, toxic or unstable groups"),
    "nih": ("NIH", "groups that NIH's screening centres leave out"),
}
#: Rules: name → (each limit as property, lowest, highest), limits that may be broken, and one line.
RULES: dict[str, tuple[tuple[tuple[str, float, float], ...], int, str]] = {
    "ro5": ((("weight", 0, 500), ("logp", -99, 5), ("donors", 0, 5), ("acceptors", 0, 10)), 1,
            "Lipinski's rule of five, one limit may be broken"),
    "veber": ((("rotatable", 0, 10), ("tpsa", 0, 140)), 0, "Veber: rotatable bonds and polar surface"),
    "egan": ((("logp", -99, 5.88), ("tpsa", 0, 131.6)), 0, "Egan: passive absorption"),
    "ghose": ((("weight", 160, 480), ("logp", -0.4, 5.6), ("refractivity", 40, 130), ("atoms", 20, 70)), 0, "Ghose: drug-like range"),
    "ro3": ((("weight", 0, 300), ("logp", -99, 3), ("donors", 0, 3), ("acceptors", 0, 3), ("rotatable", 0, 3)), 0,
            "rule of three for fragments"),
}  # fmt: skip
#: Every filter and its line.
FILTERS = {**{n: line for n, (_, line) in ALERTS.items()}, **{n: line for n, (_, _, line) in RULES.items()}}


def filters(names: Iterable[str]) -> dict[str, Callable[[Any], str]]:
    """Filters by name: molecule → "" if it passes, else which alert or limits it meets.

    Raises:
        OptionError: a filter that is none of `FILTERS`; the nearest is suggested.
        MissingExtraError: RDKit is not installed.
    """
    chosen: dict[str, Callable[[Any], str]] = {}
    for name in names:
        key = name.strip().lower()
        if key not in FILTERS:
            raise OptionError(f"filter must be one of {', '.join(FILTERS)}, was '{name}': {nearest(key, FILTERS)}")
        chosen[key] = _alert(ALERTS[key][0]) if key in ALERTS else _rule(key)
    return chosen


def properties(mol: Any, names: Iterable[str]) -> dict[str, float]:
    """Properties that rules speak of: weight (Da), logp and refractivity (Crippen), donors and acceptors (Lipinski's
    counts), rotatable bonds, tpsa (Å²), atoms (hydrogens included).
    """
    return {name: float(_properties()[name](mol)) for name in names}


def _alert(catalogue: str) -> Callable[[Any], str]:
    found = _catalogue(catalogue)

    def passes(mol: Any) -> str:
        match = found.GetFirstMatch(mol)
        return str(match.GetDescription()) if match is not None else ""

    return passes


def _rule(name: str) -> Callable[[Any], str]:
    limits, spare, _ = RULES[name]

    def passes(mol: Any) -> str:
        held = properties(mol, (p for p, _, _ in limits))
        broken = [p for p, low, high in limits if not low <= held[p] <= high]
        return ", ".join(broken) if len(broken) > spare else ""

    return passes


@cache
def _catalogue(name: str) -> Any:
    module = optional("rdkit.Chem.FilterCatalog", "molecules")
    params = module.FilterCatalogParams()
    params.AddCatalog(getattr(module.FilterCatalogParams.FilterCatalogs, name))
    return module.FilterCatalog(params)


@cache
def _properties() -> dict[str, Callable[[Any], float]]:
    made = optional("rdkit.Chem.rdMolDescriptors", "molecules")
    return {
        "weight": lambda mol: made._CalcMolWt(mol),
        "logp": lambda mol: made.CalcCrippenDescriptors(mol)[0],
        "refractivity": lambda mol: made.CalcCrippenDescriptors(mol)[1],
        "donors": made.CalcNumLipinskiHBD,
        "acceptors": made.CalcNumLipinskiHBA,
        "rotatable": made.CalcNumRotatableBonds,
        "tpsa": made.CalcTPSA,
        "atoms": lambda mol: mol.GetNumAtoms(onlyExplicit=False),
    }
