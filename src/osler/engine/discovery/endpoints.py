"""Endpoints of an ADMET profile whose tables are in the catalogue: what each column means and which direction is
wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Groups of a profile, in the order in which they are shown.
GROUPS = ("physico-chemistry", "absorption", "distribution", "metabolism", "toxicity", "side effects", "other")


@dataclass(frozen=True)
class Endpoint:
    """One table and what it measures.

    Attributes:
        name: of the run. group: one of `GROUPS`. title: in words. unit: of a number, "" for a probability.
        dataset: name in the catalogue. molecule: column of SMILES. target: the column asked for; "*" for every column
            that `others` does not name.
        better: "high" or "low" where a direction is wanted of a drug, "" where there is none.
        others: columns that are no targets.
    """

    name: str
    group: str
    title: str
    unit: str
    dataset: str
    target: str
    better: str = ""
    molecule: str = "smiles"
    others: tuple[str, ...] = ()

    def targets_of(self, columns: Sequence[str]) -> list[str]:
        """The target columns of a table with these columns."""
        return [c for c in columns if c not in (self.molecule, *self.others)] if self.target == "*" else [self.target]


_ALL = (
    Endpoint("lipophilicity", "physico-chemistry", "lipophilicity", "logD at pH 7.4", "lipophilicity", "exp"),
    Endpoint(
        "solubility",
        "physico-chemistry",
        "aqueous solubility",
        "log10 of mol/L",
        "esol_delaney",
        "measured log solubility in mols per litre",
        "high",
    ),
    Endpoint(
        "caco2", "absorption", "Caco-2 permeability", "log10 of cm/s", "tdc_caco2_wang", "Y", "high", molecule="Drug"
    ),
    Endpoint(
        "bioavailability",
        "absorption",
        "oral bioavailability",
        "",
        "admet2025_oral_bioavailability",
        "oral_bioavailability",
        "high",
    ),
    Endpoint("bbb", "distribution", "blood-brain barrier penetration", "", "bbbp", "p_np"),
    Endpoint(
        "hlm",
        "metabolism",
        "stability in human liver microsomes, as the table codes it",
        "",
        "admet2025_hlm_metabolic_stability",
        "HLM_metabolic_stability",
    ),
    Endpoint("herg", "toxicity", "hERG block", "", "admet2025_herg", "hERG", "low"),
    Endpoint("mutagenicity", "toxicity", "mutagenicity (Ames)", "", "admet2025_mutagenicity", "Mutagenicity", "low"),
    Endpoint("clintox", "toxicity", "failure in trials for toxicity", "", "clintox", "CT_TOX", "low"),
    Endpoint("tox21", "toxicity", "Tox21 pathway", "", "tox21", "*", "low", others=("mol_id",)),
    Endpoint("sider", "side effects", "side effect", "", "sider", "*"),
)
#: Name → endpoint.
ENDPOINTS: dict[str, Endpoint] = {e.name: e for e in _ALL}
