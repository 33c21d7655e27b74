"""Columns of proteins, as far as the table needs to know them: recognised by header and letters, structure files read
for their sequence, and emptied of what cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from osler import registry
from osler.cohort import limits
from osler.cohort.column import ROW, Column
from osler.cohort.facts import Facts
from osler.cohort.lineage import refusals
from osler.cohort.names import words
from osler.errors import InputError

#: Words of headers under which proteins stand.
HEADERS = frozenset({
    "protein", "proteins", "sequence", "sequences", "fasta", "peptide", "target", "receptor", "aa", "seq",
})  # fmt: skip
#: Values that are looked at, and the share of them that must be proteins: under such a header, and under any other.
SAMPLE = 200
NAMED, UNNAMED = 0.5, 0.95
#: How the ledger begins the reason of a cell that is no protein.
REASON = "not a protein"
#: The largest structure file that a cell may name, in bytes.
MAX_STRUCTURE = 256 << 20

_STRUCTURE = r"(?i)\.(?:pdb|ent|cif|mmcif)(?:\.gz)?$"
_LETTERS = r"^(?:>[^\n]*\n)?[A-Za-z\s]+\*?$"
#: Letters between blanks, at least: sequences are written whole, in lines, or in tens; sentences are not.
_LEAST_WORD = 8
_READERS = {"sequence": "osler.adapters.gemmi:read_sequence"}


def is_proteins(facts: Facts) -> bool:
    """Whether a column of text holds proteins: by its header and half of a sample, or by 95 % of a sample, that are
    chains of residues (half of 20 and more letters; under a header that says nothing, 30) or names of structure files.
    """
    if facts.words is None:
        return False
    sample = facts.words.gather_every(max(1, len(facts.words) // SAMPLE)).head(SAMPLE)
    if not len(sample):
        return False
    named = bool(set(words(facts.name)) & HEADERS)
    least = NAMED if named else UNNAMED
    if float(sample.str.contains(_STRUCTURE).mean() or 0.0) >= least:
        return find_spec("gemmi") is not None
    if float(sample.str.len_chars().median() or 0.0) < (20 if named else 30):
        return False
    spelt = sample.str.contains(_LETTERS)
    if float(spelt.mean() or 0.0) < least or (not named and sample.str.contains(r"[a-z ]").any()):
        return False
    if float((sample.str.len_chars() / (sample.str.count_matches(r"\s+") + 1)).median() or 0.0) < _LEAST_WORD:
        return False
    return _modality().sniff(sample.filter(spelt)) * float(spelt.mean() or 0.0) >= least


def readable(
    table: pl.DataFrame, columns: Sequence[Column], root: Path | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table with the sequence in place of every structure file that a protein column names, every cell emptied
    that is no protein, and the ledger of these cells.

    Args:
        root: the folder of the table: files are looked for in it and below; without one no file is opened.
    """
    ledger = [refusals([], "", "", "set missing")]
    for column in columns:
        if column.modality != "protein" or column.role == "ignore":
            continue
        values, why = _from_files(table[column.name], root)
        reasons = _modality().reasons(values, column)
        reasons = pl.Series([why.get(i, reason) for i, reason in enumerate(reasons.to_list())], dtype=pl.String)
        bad = reasons != ""
        if bad.any():
            lines = pl.DataFrame({"row": table[ROW].filter(bad), "reason": reasons.filter(bad)})
            for (reason,), part in lines.group_by("reason", maintain_order=True):
                ledger.append(refusals(part["row"].to_list(), column.name, f"{REASON}: {reason}", "set missing"))
        table = table.with_columns(values.set(bad, None).alias(column.name) if bad.any() else values.alias(column.name))
    return table, pl.concat(ledger)


def _from_files(values: pl.Series, root: Path | None) -> tuple[pl.Series, dict[int, str]]:
    """Values with sequences instead of names of structure files, and why a file gave none, by position."""
    if values.dtype != pl.String or root is None:
        return values, {}
    named = values.str.strip_chars().str.contains(_STRUCTURE).fill_null(False)
    if not named.any():
        return values, {}
    cells, why, read = values.to_list(), {}, {}
    for i in named.arg_true().to_list():
        name = cells[i].strip()
        if name not in read:
            read[name] = _sequence(root, name)
        cells[i], reason = read[name]
        if reason:
            why[i] = reason
    return pl.Series(values.name, cells, dtype=pl.String), why


def _sequence(root: Path, name: str) -> tuple[str | None, str]:
    try:
        path = limits.inside(root, name)
        if not path.is_file():
            return None, "its structure file is not there"
        text = b"".join(limits.unpack(path, MAX_STRUCTURE)).decode("utf-8", errors="replace")
        is_mmcif = ".cif" in path.name.lower() or ".mmcif" in path.name.lower()
        return registry.load(_READERS, "readers", "sequence")(text, path.name, is_mmcif), ""
    except InputError as error:
        return None, f"its structure file gives no sequence ({error.code})"


def _modality() -> Any:
    index = registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index")
    return registry.load(index, "modalities", "protein")()
