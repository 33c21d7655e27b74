"""An archive by its address: what it holds and how its series are fetched, whichever way it speaks."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from osler.adapters.imaging import dicom_fetch, dicom_net, dicom_query, dicom_web
from osler.adapters.imaging.dicom_fetch import Fetched
from osler.adapters.imaging.dicom_folder import SeriesFolder
from osler.adapters.imaging.dicom_net import Node, Peer
from osler.adapters.imaging.dicom_query import Question
from osler.adapters.imaging.dicom_web import Web
from osler.errors import OptionError, ReadError, nearest
from osler.service.addresses import check_address
from osler.service.dicom_node import client_side, peer_of, server_side

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Way:
    """How series come.

    Attributes:
        by: "get" or "move".
        host, port: where this node listens if the archive moves series here.
        tls: certificate chain and private key (PEM) of that listener, or two None.

    Raises:
        OptionError: there is no such way. InputError: the address is not loopback and TLS is off.
    """

    by: str = "get"
    host: str = "127.0.0.1"
    port: int = 11112
    tls: tuple[Path | None, Path | None] = (None, None)

    def __post_init__(self) -> None:
        if self.by not in ("get", "move"):
            raise OptionError(f"option 'by' must be get or move, was '{self.by}': {nearest(self.by, ('get', 'move'))}")
        check_address(self.host, *self.tls)


class Archive(Protocol):
    """Whatever holds studies and can be asked for them."""

    def find(self, asked: Question) -> list[dict[str, str]]:
        """Rows of what it holds."""

    def fetch(self, rows: list[dict[str, str]], folder: SeriesFolder, way: Way) -> Iterator[Fetched]:
        """Series into a folder, one after another."""

    def send(self, files: list[Path]) -> Iterator[tuple[Path, int | None]]:
        """Files into the archive; each with its status of C-STORE, None where no answer came or it is no DICOM."""


@dataclass(frozen=True)
class NodeArchive:
    """An archive that speaks the DICOM protocol (C-FIND, C-GET, C-MOVE)."""

    peer: Peer
    tls: ssl.SSLContext | None = None

    def find(self, asked: Question) -> list[dict[str, str]]:
        """Rows by C-FIND."""
        return dicom_query.find(self.peer, asked, self.tls)

    def fetch(self, rows: list[dict[str, str]], folder: SeriesFolder, way: Way) -> Iterator[Fetched]:
        """Series by C-GET or C-MOVE."""
        if way.by == "get":
            return dicom_fetch.get(self.peer, rows, folder, self.tls)
        node = Node(self.peer.own, (self.peer.title,), way.host, way.port)
        return dicom_fetch.move(self.peer, rows, folder, node, (self.tls, server_side(way.tls)))

    def send(self, files: list[Path]) -> Iterator[tuple[Path, int | None]]:
        """Files by C-STORE."""
        return dicom_net.send(self.peer, files, self.tls)


@dataclass(frozen=True)
class WebArchive:
    """An archive that speaks DICOMweb (QIDO-RS, WADO-RS, STOW-RS)."""

    web: Web

    def find(self, asked: Question) -> list[dict[str, str]]:
        """Rows by QIDO-RS."""
        return dicom_web.find(self.web, asked)

    def fetch(self, rows: list[dict[str, str]], folder: SeriesFolder, way: Way) -> Iterator[Fetched]:
        """Series by WADO-RS."""
        return dicom_web.fetch(self.web, rows, folder)

    def send(self, files: list[Path]) -> Iterator[tuple[Path, int | None]]:
        """Files by STOW-RS, each with the status that C-STORE would give."""
        return dicom_web.send(self.web, files)


def opened(address: str, called: str, own: str, authority: Path | None, credentials: Path | None = None) -> Archive:
    """An archive by its address, `TITLE@HOST:PORT` or `https://HOST/PATH`.

    Raises:
        OptionError: the address or a title is malformed.
    """
    if "://" in address:
        return WebArchive(dicom_web.web_of(address, authority, credentials))
    return NodeArchive(peer_of(address, called, own), client_side(authority))


def conditions(texts: list[str]) -> dict[str, str]:
    """Keyword → value of `KEYWORD=VALUE` texts.

    Raises:
        OptionError: a text is none.
    """
    found = {}
    for text in texts:
        word, equals, value = text.partition("=")
        if not equals or not word.strip():
            raise OptionError("a condition must be KEYWORD=VALUE, one is not: write it as PatientID=MRN4711")
        found[word.strip()] = value
    return found


def series_of(archive: Archive, studies: list[str], series: str, where: dict[str, str], table: Path | None) -> list[dict[str, str]]:
    """One row per series that is wanted: of a table of `osler pacs query`, of named studies, or of the studies that match.

    Raises:
        OptionError: nothing was named. ReadError: nothing matches, or the table has no UIDs of studies.
    """
    rows = _tabled(table) if table is not None else [{"StudyInstanceUID": one, "SeriesInstanceUID": series} for one in studies]
    if not rows:
        if not where:
            raise OptionError("fetch needs what to fetch, nothing was named: give --study, --where or --found")
        rows = archive.find(Question("study", where))
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.get("SeriesInstanceUID"):
            found[row["SeriesInstanceUID"]] = row
            continue
        for one in archive.find(Question("series", {}, row["StudyInstanceUID"])):
            found[one["SeriesInstanceUID"]] = one
    if not found:
        raise ReadError("an archive must hold what is fetched, nothing matches: ask it with osler pacs query", "read-missing")
    return list(found.values())


def _tabled(path: Path) -> list[dict[str, str]]:
    import polars as pl

    if not path.is_file():
        raise ReadError(f"'{path.name}' must be a table of osler pacs query, it does not exist: check the path", "read-missing")
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ReadError(f"'{path.name}' must be a table of osler pacs query, it cannot be read: ask again") from error
    if _UIDS[0] not in frame.columns:
        raise ReadError(f"'{path.name}' must be a table of osler pacs query, it has no column {_UIDS[0]}: ask again")
    kept = frame.select([c for c in _UIDS if c in frame.columns]).cast(pl.String).drop_nulls(_UIDS[0]).unique(maintain_order=True)
    return kept.fill_null("").to_dicts()
