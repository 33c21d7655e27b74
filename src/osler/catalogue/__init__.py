"""Public data sets: name, licence, address, SHA-256, and how to make a cohort of them; no data inside."""

from osler.catalogue.index import Entry, entries, entry
from osler.catalogue.places import download, find, folders, locate, packages
from osler.catalogue.tables import path, read, table

__all__ = [
    "Entry",
    "download",
    "entries",
    "entry",
    "find",
    "folders",
    "locate",
    "packages",
    "path",
    "read",
    "table",
]
