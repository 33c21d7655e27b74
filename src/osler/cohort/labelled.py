"""A folder of scans and a table of labels: which column of the labels names the scans, found by trying, and said."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import ColumnError

#: The name that the key of the labels has in the joined table.
KEY = "label_key"
#: Most columns of the labels that are tried.
MAX_TRIED = 200


def joined(cohort: Cohort, labels: Cohort, on: str | None) -> tuple[Cohort, dict[str, object]]:
    """The labels beside the scans, and how they were matched.

    A key is a column of text of the labels (`on`, or whichever matches most scans) that holds paths below the folder, names of files
    with or without their ends, names of folders, patients' or series' identifiers. Of columns that both tables have, the labels' stay; the
    references stay the folder's.

    Raises:
        ColumnError: no column of the labels matches any scan, or the one that does repeats (code `column-kind`).
    """
    ours = _keys(cohort)
    names = [on] if on else [c.name for c in labels.columns][:MAX_TRIED]
    for name in names:
        labels.column(name)
    found = [
        (int(values.is_in(given.implode()).sum()), -order, name, kind, values)
        for name in names
        if (given := _plain(labels.table[name]).drop_nulls()).len()
        for order, (kind, values) in enumerate(ours.items())
    ]
    best = max(found, key=lambda one: one[:2], default=None)
    if best is None or not best[0]:
        raise ColumnError(
            f"a column of the labels must name the scans by {', '.join(ours)}, none does: name the key with --on, or the folder that its paths "
            "start from"
        )
    matched, _, name, kind, values = best
    kept = [c for c in labels.columns if c.name != name and c.name not in ("image", "volume")]
    given = labels.table.with_columns(_plain(labels.table[name]).alias(KEY))
    repeats = given[KEY].drop_nulls()
    if repeats.n_unique() != repeats.len():
        raise ColumnError(
            f"key '{name}' must name each of the labels' rows once, it repeats: give one row per {kind}", "column-kind"
        )
    taken = {c.name for c in kept}
    mine = replace(
        cohort,
        table=cohort.table.drop([c.name for c in cohort.columns if c.name in taken]).with_columns(values.alias(KEY)),
        columns=(*(c for c in cohort.columns if c.name not in taken), Column(KEY, "category", "id", reason=f"the labels' {kind}")),
    )
    theirs = replace(labels, table=given.select(["_row", KEY, *(c.name for c in kept)]), columns=(Column(KEY, "category", "id"), *kept))
    return mine.join(theirs, on=KEY), {"key": name, "matched_by": kind, "matched": matched}


def _keys(cohort: Cohort) -> dict[str, pl.Series]:
    """What scans may be called: kind of name → (n,) text. Names that several scans share are no names of files."""
    file = cohort.table["file"]
    name = file.str.split("/").list.last()
    keys = {"path": file}
    if cohort.root is not None:
        keys["path from the folder above"] = cohort.root.name + "/" + file
    keys |= {"file name": name, "file name without its end": name.str.replace(r"(?:\.nii)?\.\w{1,5}(?:\.gz)?$", "")}
    keys = {kind: values for kind, values in keys.items() if kind.startswith("path") or values.n_unique() == len(values)}
    for column, kind in (("patient", "patient"), ("series", "series")):
        if column in cohort.table.columns:
            keys[kind] = _plain(cohort.table[column])
    return {**keys, "folder name": file.str.split("/").list.get(-2, null_on_oob=True)}


def _plain(values: pl.Series) -> pl.Series:
    """Values as text, with "/" between folders and no "./" before them."""
    text = values.cast(pl.String, strict=False) if not values.dtype.is_nested() else pl.Series([None] * len(values), dtype=pl.String)
    return text.str.strip_chars().str.replace_all("\\", "/", literal=True).str.replace(r"^(?:\./)+", "")
