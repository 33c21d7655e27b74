"""Columns of molecules, as far as the table needs to know them: recognised by header and spelling, and emptied of what
cannot be read.

Whether a text is a molecule is told by the modality `molecule`, which is reached by its name in the INDEX, and only
for a column that looks like SMILES or is declared: a table without molecules never loads the library for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from typing import Any

import polars as pl

from osler import registry
from osler.cohort.column import ROW, Column
from osler.cohort.facts import Facts
from osler.cohort.lineage import refusals
from osler.cohort.names import words

#: Words of headers under which molecules stand.
HEADERS = frozenset({"smiles", "smile", "molecule", "molecules", "structure", "mol", "inchi", "ligand", "compound"})
#: Values that are looked at, and the share of them that must be molecules: under such a header, and under any other.
SAMPLE = 200
NAMED, UNNAMED = 0.5, 0.95
#: Texts that are read together.
BLOCK = 20_000

_GRAMMAR = r"^(?:\[[^\[\]]+\]|Br|Cl|[BCNOPSFIbcnops]|%\d\d|[().=#$\-+\\/:~\d])+$"
_BUILT = r"[=#(\[]|[cno]\d"
#: How the ledger begins the reason of a cell that is no molecule.
REASON = "not a molecule"


def is_molecules(facts: Facts) -> bool:
    """Whether a column of text holds molecules: by its header and half of a sample, or by 95 % of a sample."""
    if facts.words is None or not find_spec("rdkit"):
        return False
    sample = facts.words.gather_every(max(1, len(facts.words) // SAMPLE)).head(SAMPLE)
    if not len(sample) or float(sample.str.len_chars().mean() or 0.0) < 5.0:
        return False
    named = bool(set(words(facts.name)) & HEADERS)
    spelt = sample.str.contains(_GRAMMAR) | sample.str.starts_with("InChI=")
    built = sample.str.contains(_BUILT)
    least = NAMED if named else UNNAMED
    if float(spelt.mean() or 0.0) < least or float(built.mean() or 0.0) < NAMED:
        return False
    return _modality().sniff(sample.filter(spelt)) * float(spelt.mean() or 0.0) >= least


def readable(
    table: pl.DataFrame,
    columns: Sequence[Column],
    known: Collection[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table with every cell of a molecule column emptied that is no molecule, and the ledger of these cells.

    Args:
        table, columns: cells and what they mean.
        known: columns whose every cell was found to be a molecule before.
        progress: called with ("molecules of NAME", done, total distinct).
    """
    ledger = [refusals([], "", "", "set missing")]
    for column in columns:
        if column.modality != "molecule" or column.role == "ignore" or column.name in known:
            continue
        reasons = reasons_of(table[column.name], column, progress)
        bad = reasons != ""
        if bad.any():
            lines = pl.DataFrame({"row": table[ROW].filter(bad), "reason": reasons.filter(bad)})
            for (reason,), part in lines.group_by("reason", maintain_order=True):
                why = f"{REASON}: {reason}"
                ledger.append(refusals(part["row"].to_list(), column.name, why, "set missing"))
            table = table.with_columns(table[column.name].set(bad, None))
    return table, pl.concat(ledger)


def reasons_of(
    values: pl.Series, column: Column, progress: Callable[[str, int, int], None] | None = None
) -> pl.Series:
    """(n,) why each cell is no molecule that the column takes, "" where it is one or is missing. Every distinct text of a
    long column is read once, `BLOCK` at a time.
    """
    if values.dtype != pl.String or len(values) <= BLOCK:
        return _modality().reasons(values, column)
    texts = values.unique(maintain_order=True)
    told = []
    for start in range(0, len(texts), BLOCK):
        told.append(_modality().reasons(texts[start : start + BLOCK], column))
        if progress is not None:
            progress(f"molecules of {column.name}", min(start + BLOCK, len(texts)), len(texts))
    lines = pl.DataFrame({"text": texts, "reason": pl.concat(told)}).filter(pl.col("reason") != "")
    rows = pl.DataFrame({"text": values}).join(lines, on="text", how="left", maintain_order="left")
    return rows["reason"].fill_null("")


def _modality() -> Any:
    index = registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index")
    return registry.load(index, "modalities", "molecule")()
