"""Public tables of the catalogue that say which molecule binds which target, each brought to the same three columns.

Names of targets stay those of each table (ChEMBL, UniProt, gene, Entrez), because no table here says which of them are
the same: the same protein can therefore be listed more than once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import polars as pl

from osler import catalogue
from osler.engine.discovery.known import Columns, pairs_of, structures_of

#: A pair of names, left out and lines read, as `known.pairs_of` gives them.
Pairs = tuple[pl.DataFrame, Counter[str], int]
#: Tables of named molecules with their structures: data set, column of names, column of SMILES.
STRUCTURES = (
    ("bbbp", "name", "smiles"),
    ("tdc_caco2_wang", "Drug_ID", "Drug"),
    ("esol_delaney", "Compound ID", "smiles"),
)
#: Tables of ChEMBL numbers with their structures.
CHEMBL = (("lipophilicity", "CMPD_CHEMBLID", "smiles"), ("dta-kiba_drugs", "drug", "smiles"))
_CHEMBL_NUMBER = re.compile(r"CHEMBL\d+")


def _moleculeace() -> Pairs:
    """30 targets of ChEMBL (van Tilborg, Alenicheva, Grisoni 2022): pairs of pKi or pEC50 of 6 and more."""
    columns = Columns("smiles", "target", affinity="y [pEC50/pKi]", least=6.0)
    frame, refused, n = pairs_of(catalogue.path("moleculeace"), columns, {})
    return frame.with_columns(target="ChEMBL " + pl.col("target").str.split("_").list.first()), refused, n


def _kinases(name: str, least: float, prefix: str) -> Pairs:
    structures = _structures([(f"dta-{name}_drugs", "drug", "smiles")])
    frame, refused, n = pairs_of(
        catalogue.path(f"dta-{name}_pairs"), Columns("drug", "target", affinity="y", least=least), structures
    )
    return frame.with_columns(target=prefix + pl.col("target")), refused, n


def _davis() -> Pairs:
    """68 kinase inhibitors and 442 kinases (Davis 2011): pairs of pKd of 7 and more."""
    return _kinases("davis", 7.0, "gene ")


def _kiba() -> Pairs:
    """Kinase inhibitors with a KIBA score (Tang 2014) of 12.1 and more."""
    return _kinases("kiba", 12.1, "UniProt ")


def _drugcentral() -> Pairs:
    """Drugs and the genes of their targets (DrugCentral 2016), as far as a table of the catalogue draws the drug."""
    table = catalogue.table("drugcentral_targets")
    drawn = drug_structures()
    smiles = table["drugbank_id"].replace_strict(drawn, default=None, return_dtype=pl.String)
    refused = Counter({"no structure of this name": int(smiles.is_null().sum())})
    frame = table.select(
        smiles=smiles, name=pl.col("drugbank_name"), target="Entrez " + pl.col("GeneID").cast(pl.String)
    )
    return frame.filter(pl.col("smiles").is_not_null()), refused, table.height


def drug_structures() -> dict[str, str]:
    """DrugBank number → SMILES of DrugCentral's drugs: by name in tables of named molecules, else by their ChEMBL
    number.
    """
    targets, classes = (catalogue.table(name) for name in ("drugcentral_targets", "drugcentral_drug_to_class"))
    named = _structures(STRUCTURES)
    numbered = _structures(CHEMBL)
    found: dict[str, str] = {}
    for drug, name in (
        pl.concat([t.select("drugbank_id", "drugbank_name") for t in (targets, classes)])
        .unique(maintain_order=True)
        .iter_rows()
    ):
        if name.lower() in named:
            found.setdefault(drug, named[name.lower()])
    for drug, address in targets.select("drugbank_id", "urls").iter_rows():
        for number in _CHEMBL_NUMBER.findall(address or ""):
            if number.lower() in numbered:
                found.setdefault(drug, numbered[number.lower()])
    return found


def _structures(sets: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return structures_of([(catalogue.table(data), data, name, smiles) for data, name, smiles in sets])


#: Name → what makes its pairs.
TABLES: dict[str, Callable[[], Pairs]] = {
    "drugcentral": _drugcentral,
    "moleculeace": _moleculeace,
    "davis": _davis,
    "kiba": _kiba,
}
