"""The index of public data sets: who made them, under which licence, where they are and what their bytes
must be."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from osler.errors import InputError, nearest

INDEX_FILE = Path(__file__).with_name("index.csv")

DOMAINS = ("clinical", "drugs", "genomics", "imaging")


@dataclass(frozen=True)
class Entry:
    """One data file of the catalogue; the catalogue itself holds no data.

    Attributes:
        name: what the user types, unique.
        domain: one of `DOMAINS`.
        package: the installed Python package that carries the file ("sklearn", "lifelines"), or "".
        file: path inside the package, or inside the folder OSLER_DATA_MIRROR ("clinical/pbc.csv.gz").
        title: what it is.
        licence: as its makers state it; read it before you pass the data on.
        rows: rows or items, 0 if that has no meaning.
        task: what it is used for.
        official_url: the makers' page or file.
        source: where the bytes were taken from (repository, commit, path).
        sha256: of the file itself, compression included.
        bytes: size of the file.
    """

    name: str
    domain: str
    package: str
    file: str
    title: str
    licence: str
    rows: int
    task: str
    official_url: str
    source: str
    sha256: str
    bytes: int

    @property
    def has_file_address(self) -> bool:
        """True if `official_url` is the address of this very file and not of a page about it."""
        address = self.official_url
        return address.startswith("https://") and address.rsplit("/", 1)[-1] == self.file.rsplit("/", 1)[-1]


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry, in the order of the index (by domain, then by name)."""
    with INDEX_FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(_entry(row) for row in csv.DictReader(lines))


def entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        InputError: code `data-unknown`; the nearest known name is suggested.
    """
    known = {e.name: e for e in entries()}
    if name not in known:
        raise InputError(
            f"data set must be in the catalogue, was '{name}': {nearest(name, known)}", "data-unknown"
        )
    return known[name]


def _entry(row: dict[str, str]) -> Entry:
    typed = {f.name: int(row[f.name]) if f.name in ("rows", "bytes") else row[f.name] for f in fields(Entry)}
    return Entry(**typed)
