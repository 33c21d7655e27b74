"""The files that cells of a cohort name: their sizes and hashes are part of a run, so that a changed scan is noticed.

Every file is read once, as a stream, and known again by its path, size and time of change (`osler.adapters.imaging.cache`). A
series of DICOM files in a folder counts as one. Names are kept as pseudonyms by the run's key.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from osler.cohort.certificate import Check
from osler.cohort.cohort import Cohort
from osler.cohort.scans import NAMED
from osler.cohort.split import pseudonym
from osler.errors import ReadError

#: What `files.parquet` of a run holds: a file's pseudonym, its size (of all files of a series) and the SHA-256 of its bytes.
SCHEMA = {"file": pl.String, "bytes": pl.Int64, "sha256": pl.String}
#: The file of a run.
TABLE = "files.parquet"
#: What the check of these files is called.
CHECK = "files named by cells"


def named_files(cohort: Cohort) -> dict[str, Path]:
    """Path below the cohort's root, as cells write it → the file or folder; what is not there is left out."""
    from osler.adapters.imaging import scan

    root = cohort.root if cohort.root is not None else Path.cwd()
    found: dict[str, Path] = {}
    for column in cohort.columns:
        if column.modality not in NAMED or column.role == "ignore" or cohort.table[column.name].dtype != pl.String:
            continue
        for reference in cohort.table[column.name].str.strip_chars().drop_nulls().unique(maintain_order=True):
            try:
                path, fragment = scan.parts(reference, root)
            except ReadError:
                continue
            name = reference.removesuffix(f"#{fragment}") if fragment else reference
            found.setdefault(name, path)
    return found


def listed(cohort: Cohort, key: bytes) -> pl.DataFrame:
    """One row per file that cells name, by `SCHEMA`, in the order of the pseudonyms.

    Args:
        cohort: the rows that are used.
        key: the run's, for pseudonyms.
    """
    from osler.adapters.imaging import cache

    rows = []
    for name, path in named_files(cohort).items():
        size = sum(p.stat().st_size for p in path.iterdir() if p.is_file()) if path.is_dir() else path.stat().st_size
        rows.append((pseudonym(key, name), size, cache.store().digest(path)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("file")


def sha256_of(files: pl.DataFrame) -> str:
    """SHA-256 that stands for all files of `listed`, "" where there are none."""
    if not files.height:
        return ""
    return hashlib.sha256("\n".join(f"{name} {size} {sha}" for name, size, sha in files.iter_rows()).encode()).hexdigest()


def unchanged(folder: Path, cohort: Cohort, key: bytes) -> Check | None:
    """Whether the files that cells name are those that the run learnt from; None where it knows of none.

    Args:
        folder: the run. cohort: prepared anew from the run's own table. key: the run's.
    """
    if not (folder / TABLE).is_file():
        return None
    try:
        known = pl.read_parquet(folder / TABLE)
    except (OSError, pl.exceptions.PolarsError):
        known = None
    if known is None or dict(known.schema) != SCHEMA:
        return Check(CHECK, "violated", 1, f"{TABLE} does not read: it was changed since it was written")
    both = known.join(listed(cohort, key), on="file", how="full", suffix="_now", coalesce=True)
    gone, new = both["sha256_now"].null_count(), both["sha256"].null_count()
    other = int(((both["sha256"] != both["sha256_now"]).fill_null(False)).sum())
    if not gone + new + other:
        return Check(CHECK, "clean", 0, f"all {known.height} files have the bytes that the run learnt from")
    parts = [f"{n} {what}" for n, what in ((other, "changed"), (gone, "are gone"), (new, "are new")) if n]
    return Check(CHECK, "violated", gone + new + other, f"of {known.height} files {', '.join(parts)} since the run was made")
