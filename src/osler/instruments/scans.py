"""What instruments for scans need from a cohort: which column holds them, and the scan or mask of each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from osler.adapters.imaging.scan import Scan, read
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import ColumnError, InputError, LimitError, OslerError

#: Modalities whose cells are references to scans.
SCANS = ("image", "volume", "mask")
#: Ends of names that are tables.
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".xlsx", ".json", ".jsonl", ".ndjson", ".arrow", ".feather")
#: Most labels of one mask.
MOST_LABELS = 1000


def files(rows: Sequence[dict[str, str]]) -> Cohort:
    """A cohort of files named one by one: one column per key, whose modality is `mask` for masks and `volume` otherwise."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pl.DataFrame({name: pl.Series([row.get(name) for row in rows], dtype=pl.String) for name in names})
    masks = ("mask", "before", "after")
    return Cohort(table, tuple(Column(n, "mask" if n in masks else "volume") for n in names))


def is_table(path: str) -> bool:
    """Whether an argument of a command names a table of references rather than one scan."""
    name = path.lower().removesuffix(".gz").removesuffix(".zip")
    return "://" in path or name.endswith(TABLES) or (Path(path) / "cohort.json").is_file()


def column_of(cohort: Cohort, named: str, modalities: Sequence[str], usual: Sequence[str], besides: str | None = None) -> str | None:
    """The named column; else the first of a modality, else the first with a usual name, else None; never the column `besides`.

    Raises:
        ColumnError: the named column is not in the table.
    """
    if named:
        return cohort.column(named).name
    free = [c for c in cohort.columns if c.name != besides]
    fitting = [c for c in free if c.modality in modalities] or [c for c in free if c.name.lower() in usual]
    return fitting[0].name if fitting else None


def needed(found: str | None, what: str, option: str) -> str:
    """The column that was found.

    Raises:
        ColumnError: there is none.
    """
    if found is None:
        raise ColumnError(f"the table must have a column of {what}, it has none: name it with --{option} COLUMN", "column-unknown")
    return found


def cells(cohort: Cohort, *names: str | None) -> Iterator[tuple[int, list[str | None]]]:
    """Position of each row and its references, None where a column is absent or its cell empty."""
    columns = [cohort.values(n).cast(pl.String).to_list() if n else [None] * len(cohort) for n in names]
    for position, row in enumerate(zip(*columns, strict=True)):
        yield position, [v if v and v.strip() else None for v in row]


def mask_of(reference: str | None, root: Path | None) -> Scan:
    """A mask with whole-numbered labels and a known place in space.

    Raises:
        InputError: there is none, it has no spacing, or it holds other values than labels. ReadError: as `read`.
    """
    if reference is None:
        raise InputError("a row must name its mask, it names none: fill in the cell")
    found = read(reference, root, dims=3)
    if not np.isfinite(found.spacing).all():
        raise InputError("a mask must say the spacing of its voxels, it does not: export it as NIfTI or NRRD", "series-geometry")
    if found.values.shape[0] != 1 or not np.array_equal(found.values, np.round(found.values)) or found.values.min() < 0:
        raise InputError("a mask must hold whole numbers from 0 on in one channel, it does not: is it the image?")
    return found


def labels_of(mask: Scan, label: int) -> list[int]:
    """The labels of a mask in rising order, or the one asked for.

    Raises:
        InputError: the mask is empty, or lacks the label. LimitError: it holds too many labels.
    """
    held = labels_held(mask)
    if not held:
        raise InputError("a mask must mark at least one voxel, it marks none: check that the right file is named")
    if label and label not in held:
        raise InputError(f"a mask must hold label {label}, it holds {', '.join(map(str, held[:8]))}: name one of those")
    return [label] if label else held


def labels_held(mask: Scan) -> list[int]:
    """Every label above 0, in rising order.

    Raises:
        LimitError: there are too many.
    """
    values = mask.values[0]
    if values.max() < 1 << 20:
        held = np.flatnonzero(np.bincount(values.ravel().astype(np.int64)))
    else:
        held = np.unique(values)
    held = [int(v) for v in held if v > 0]
    if len(held) > MOST_LABELS:
        raise LimitError(f"a mask must hold at most {MOST_LABELS} labels, it holds {len(held):,}: is it the image?")
    return held


def free_name(cohort: Cohort, name: str) -> str:
    """The name of a new column, with `measured_` in front if the table has that name already, and a number if it has that too."""
    held = {c.name for c in cohort.columns}
    return next(n for n in (name, f"measured_{name}", *(f"measured_{name}_{k}" for k in range(2, 1000))) if n not in held)


def refused(error: OslerError) -> str:
    """The sentence of an error with its code, for the column `notes`."""
    return f"{error.message} [{error.code}]"
