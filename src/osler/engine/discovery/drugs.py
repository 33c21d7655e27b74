"""What is known of drugs: what each is used for, and features (targets, classes, structure) by which drugs can be
alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from osler import catalogue
from osler.adapters.rdkit import features as chemistry
from osler.adapters.rdkit import fingerprints, fragments, scaffolds
from osler.adapters.rdkit.standardise import Policy
from osler.engine.discovery.known import column_of, open_table
from osler.engine.discovery.public import drug_structures
from osler.errors import ColumnError, OptionError, ReadError

#: Most drugs: similarities of all pairs are held in memory.
MOST = 8_000
#: Source of DrugCentral's classes by their type. `use` says what a drug is for, which is what is asked: it is no
#: source unless wanted.
CLASS_SOURCES = {
    "Mechanism of Action": "mechanism",
    "FDA Established Pharmacologic Class": "mechanism",
    "Physiologic Effect": "mechanism",
    "Chemical/Ingredient": "mechanism",
    "Application": "use",
    "Pharmacological Action": "use",
}
#: Types of classes that put drugs into one chemical class.
CHEMICAL = ("FDA Established Pharmacologic Class", "Chemical/Ingredient")


@dataclass(frozen=True)
class Drugs:
    """n drugs, k indications.

    Attributes:
        ids, names: (n,) number and name of each drug.
        indications: (k,) names. used: (n, k) true where a drug is used for it.
        similarity: source → (n, n) from 0 to 1, 0 of a drug with itself.
        annotations: (n,) how many features of all sources a drug has.
        smiles: (n,) canonical SMILES, None where nothing draws the drug.
        classes: (n,) codes of chemical classes that stay together, singletons included.
        refused: reason → lines left out.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    indications: tuple[str, ...]
    used: np.ndarray
    similarity: Mapping[str, np.ndarray]
    annotations: np.ndarray
    smiles: tuple[str | None, ...]
    classes: np.ndarray
    refused: dict[str, int]

    def __len__(self) -> int:
        return len(self.ids)


def drugs_of(
    uses: pl.DataFrame,
    facts: Mapping[str, pl.DataFrame],
    drawn: Mapping[str, str],
    names: Mapping[str, str],
    chemical: pl.DataFrame | None = None,
    refused: Mapping[str, int] | None = None,
) -> Drugs:
    """Drugs from tables of pairs.

    Args:
        uses: columns drug, indication. facts: source → columns drug, feature. drawn: drug → SMILES. names: drug →
            name.
        chemical: columns drug, class: drugs of one class stay together when classes are left out; else drugs of one
            scaffold do.

    Raises:
        ReadError: nothing is left, or more than `MOST` drugs.
        OptionError: there is no source by which drugs could be alike.
    """
    everywhere = [uses["drug"], *(f["drug"] for f in facts.values()), pl.Series(list(drawn), dtype=pl.String)]
    ids = tuple(sorted(set(pl.concat([s.cast(pl.String) for s in everywhere]).drop_nulls())))
    if not uses.height or len(ids) > MOST:
        raise ReadError(
            f"drugs must be from 1 to {MOST:,} with at least one use, they are {len(ids):,} with {uses.height} uses",
            "limit-size",
        )
    if not facts and not drawn:
        raise OptionError(
            "drugs must have something by which they can be alike, they have nothing: add --feature or --structures"
        )
    at = {d: i for i, d in enumerate(ids)}
    indications = tuple(sorted(set(uses["indication"])))
    used = np.zeros((len(ids), len(indications)), dtype=bool)
    number = {name: k for k, name in enumerate(indications)}
    for drug, name in uses.select("drug", "indication").iter_rows():
        used[at[drug], number[name]] = True
    similarity, counts = {}, np.zeros(len(ids), dtype=np.int64)
    for source, table in facts.items():
        similarity[source], n = _alike(table, at)
        counts += n
    smiles, mols = _molecules(ids, drawn)
    if drawn:
        similarity["structure"] = _structures(mols)
    return Drugs(
        ids,
        tuple(names.get(d, d) for d in ids),
        indications,
        used,
        similarity,
        counts,
        smiles,
        _classes(ids, chemical, mols),
        dict(refused or {}),
    )


def _alike(table: pl.DataFrame, at: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) cosine of features weighted by how rare they are, and (n,) number of features."""
    from scipy.sparse import csr_matrix

    pairs = table.select("drug", "feature").drop_nulls().unique(maintain_order=True)
    levels = {f: j for j, f in enumerate(sorted(set(pairs["feature"])))}
    rows = np.array([at[d] for d in pairs["drug"]], dtype=np.int64)
    columns = np.array([levels[f] for f in pairs["feature"]], dtype=np.int64)
    present = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(at), max(len(levels), 1)))
    rare = np.log((len(at) + 1.0) / (np.asarray(present.sum(axis=0)).ravel() + 1.0))
    weighted = present.multiply(rare[None, :]).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scaled = weighted.multiply(1.0 / np.maximum(length, 1e-12)[:, None]).tocsr()
    found = (scaled @ scaled.T).toarray().astype(np.float32)
    np.fill_diagonal(found, 0.0)
    return np.clip(found, 0.0, 1.0), np.asarray(present.sum(axis=1)).ravel().astype(np.int64)


def _molecules(ids: Sequence[str], drawn: Mapping[str, str]) -> tuple[tuple[str | None, ...], list[object | None]]:
    mols = [chemistry.read(drawn[d], Policy(), "auto")[0] if d in drawn else None for d in ids]
    return tuple(None if m is None else fragments.canonical(m) for m in mols), mols


def _structures(mols: Sequence[object | None]) -> np.ndarray:
    """(n, n) Tanimoto of ECFP4; 0 where a drug is not drawn."""
    there = np.array([i for i, m in enumerate(mols) if m is not None], dtype=np.int64)
    out = np.zeros((len(mols), len(mols)), dtype=np.float32)
    if len(there):
        bits = np.unpackbits(fingerprints.bits([mols[i] for i in there]).view(np.uint8), axis=1).astype(np.float32)
        common = bits @ bits.T
        sizes = bits.sum(axis=1)
        out[np.ix_(there, there)] = common / np.maximum(sizes[:, None] + sizes[None, :] - common, 1.0)
    np.fill_diagonal(out, 0.0)
    return out


def _classes(ids: Sequence[str], chemical: pl.DataFrame | None, mols: Sequence[object | None]) -> np.ndarray:
    """(n,) codes: drugs linked by a class they share; drugs without one by their scaffold."""
    from osler.cohort.split import components

    held: dict[str, list[int]] = {}
    at = {d: i for i, d in enumerate(ids)}
    if chemical is not None:
        for drug, name in chemical.select("drug", "class").unique(maintain_order=True).iter_rows():
            if drug in at:
                held.setdefault(f"class {name}", []).append(at[drug])
    classed = {i for members in held.values() for i in members}
    for i, mol in enumerate(mols):
        if i not in classed and mol is not None:
            held.setdefault(f"scaffold {scaffolds.scaffold(mol)}", []).append(i)
    links = [(a, b) for members in held.values() for a, b in itertools.pairwise(members)]
    return components(len(ids), np.array(links, dtype=np.int64).reshape(-1, 2).T)


# -- where they come from --------------------------------------------------------------------------------------


def drugcentral(with_use: bool = False) -> Drugs:
    """DrugCentral (2016) by its tables in the catalogue: indications that are not marked NOT, targets, classes,
    structures where some table of the catalogue draws the drug.

    Args:
        with_use: take classes that say what a drug is for (antihypertensive agent) as a source too.

    Raises:
        InputError: a table is not at hand.
    """
    uses, targets, classes, kinds = (
        catalogue.table(f"drugcentral_{n}").cast(pl.String)
        for n in ("indications", "targets", "drug_to_class", "classes")
    )
    known = classes.join(kinds.select("class_id", "class_type"), on="class_id", how="left")
    source = pl.col("class_type").replace_strict(CLASS_SOURCES, default=None)
    facts = {"targets": targets.select(drug="drugbank_id", feature="GeneID")}
    for name in ("mechanism", "use") if with_use else ("mechanism",):
        facts[name] = known.filter(source == name).select(drug="drugbank_id", feature="class_id")
    chemical = known.filter(pl.col("class_type").is_in(list(CHEMICAL))).select(
        drug="drugbank_id", **{"class": "class_id"}
    )
    no = (pl.col("category") == "NOT").fill_null(False)
    named = {
        **dict(classes.select("drugbank_id", "drugbank_name").iter_rows()),
        **dict(targets.select("drugbank_id", "drugbank_name").iter_rows()),
        **dict(uses.select("drugbank_id", "drug").iter_rows()),
    }
    pairs = uses.filter(~no).select(drug="drugbank_id", indication="disease")
    return drugs_of(
        pairs, facts, drug_structures(), named, chemical, {"marked as no indication": int(uses.select(no.sum()).item())}
    )


def from_tables(known: str, drug: str, indication: str, feature: Sequence[str], structures: str) -> Drugs:
    """Drugs of a user's own tables.

    Args:
        known: table of uses with the columns `drug` and `indication`. feature: FILE:COLUMN each, with a column `drug`
            too.
        structures: FILE:COLUMN of SMILES, "" for none.

    Raises:
        InputError: a table or a column is not there.
    """
    table = open_table(known)
    uses = pl.DataFrame(
        {
            "drug": column_of(table, drug, "drug", known).cast(pl.String).str.strip_chars(),
            "indication": column_of(table, indication, "indication", known).cast(pl.String).str.strip_chars(),
        }
    )
    whole = uses.drop_nulls()
    facts = {}
    for text in feature:
        path, column = _split(text, "feature")
        facts[column] = _pairs(path, drug, column).rename({column: "feature"} if column != "feature" else {})
    drawn = {}
    if structures:
        path, column = _split(structures, "structures")
        drawn = dict(_pairs(path, drug, column).iter_rows())
    return drugs_of(whole, facts, drawn, {}, None, {"drug or indication is missing": uses.height - whole.height})


def _split(text: str, what: str) -> tuple[str, str]:
    path, _, column = text.rpartition(":")
    if not path:
        raise OptionError(f"{what} must be written FILE:COLUMN, was '{text}'")
    return path, column


def _pairs(path: str, drug: str, column: str) -> pl.DataFrame:
    table = open_table(path)
    if column == drug:
        raise ColumnError(f"a feature must be another column than '{drug}': name the column that holds it")
    found = {"drug": column_of(table, drug, "drug", path), column: column_of(table, column, "feature", path)}
    return pl.DataFrame({name: s.cast(pl.String).str.strip_chars() for name, s in found.items()}).drop_nulls()
