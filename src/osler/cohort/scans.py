"""Columns of pictures and volumes, as far as the table needs to know them: recognised by the ends of names, and emptied of what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from osler import registry
from osler.cohort.column import ROW, Column
from osler.cohort.facts import Facts
from osler.cohort.lineage import refusals
from osler.errors import CODES

#: The modalities whose cells name files that are read when they are needed.
NAMED = ("image", "volume", "mask", "boxes")
#: Values that are looked at, and the share of them that must end as names of such files do.
SAMPLE, LEAST = 200, 0.95
_ENDS = {
    "image": r"(?i)\.(?:png|jpe?g|tiff?|bmp|webp|gif|p[gp]m|dcm|dicom|ima)(?:#\d+)?$|(?:\.np[yz]|ubyte(?:\.gz)?|\.idx(?:\.gz)?)#[\w/]*\d$",
    "volume": r"(?i)\.(?:nii|nii\.gz|nrrd|nhdr|mha|mhd)(?:#\d+)?$",
    "boxes": r"(?i)^[^\[]+\.xml$|^[^\[]+\.json(?:#.+)?$|^\[\s*\]$|^\[\s*\{\s*\"(?:box|corners|centre_mm|class|score)\"",
}


def is_scan(path: Path) -> bool:
    """Whether a file is a picture or a scan by its name, or DICOM by its first bytes, and so no table."""
    if re.search(_ENDS["image"], path.name) or re.search(_ENDS["volume"], path.name):
        return True
    with path.open("rb") as raw:
        return raw.read(132)[128:] == b"DICM"


def kind_of(facts: Facts) -> str:
    """"image", "volume" or "boxes" where 95 % of a sample of a column of text are written as such cells are, otherwise ""."""
    if facts.words is None:
        return ""
    sample = facts.words.gather_every(max(1, len(facts.words) // SAMPLE)).head(SAMPLE)
    if not len(sample):
        return ""
    return next((kind for kind, ends in _ENDS.items() if float(sample.str.contains(ends).mean() or 0.0) >= LEAST), "")


def readable(table: pl.DataFrame, columns: Sequence[Column], root: Path | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table with every cell emptied whose file cannot be read by its header, and the ledger of these cells.

    Args:
        root: the folder of the table, which no path may leave; the current folder for a table without one.
    """
    ledger = [refusals([], "", "", "set missing")]
    for column in columns:
        if column.modality not in NAMED or column.role == "ignore" or table[column.name].dtype != pl.String:
            continue
        values = table[column.name]
        wrong = _modality(column.modality).reasons(values, root)
        if not wrong:
            continue
        codes = values.str.strip_chars().replace_strict(wrong, default=None, return_dtype=pl.String)
        lines = pl.DataFrame({"row": table[ROW], "code": codes}).drop_nulls("code")
        for (code,), part in lines.group_by("code", maintain_order=True):
            why = f"no {column.modality} can be read: {CODES[code]} ({code})"
            ledger.append(refusals(part["row"].to_list(), column.name, why, "set missing"))
        table = table.with_columns(values.set(codes.is_not_null(), None).alias(column.name))
    return table, pl.concat(ledger)


def _modality(name: str) -> Any:
    index = registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index")
    return registry.load(index, "modalities", name)()
