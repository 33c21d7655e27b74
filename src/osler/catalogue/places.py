"""Where a data set's file is: inside an installed package, in a folder of the user, or (only if asked) at
its address."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from osler.catalogue.index import Entry, entries
from osler.cohort.atomic import being_written
from osler.errors import InputError, LimitError, ReadError

MIRROR_VARIABLE = "OSLER_DATA_MIRROR"
_TIMEOUT_SECONDS = 60


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, found without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def packages() -> list[tuple[str, Path]]:
    """The installed packages that carry data sets, in the order that they are looked in."""
    named = dict.fromkeys(e.package for e in entries() if e.package)
    found = [(name, package_folder(name)) for name in named]
    return [(name, folder) for name, folder in found if folder]


def folders() -> list[tuple[str, Path]]:
    """The folders that are looked in, in order: (what it is, path). Packages come before these."""
    found = []
    if os.environ.get(MIRROR_VARIABLE):
        found.append((MIRROR_VARIABLE, Path(os.environ[MIRROR_VARIABLE]).expanduser()))
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    found.append(("downloads", Path(cache) / "osler" / "data"))
    return found


def find(entry: Entry, *, allow_network: bool = False) -> Path:
    """The file of an entry, its SHA-256 checked.

    Raises:
        InputError: code `data-absent` if no local place has it (and the network was not allowed or has no
            such file).
        ReadError: code `data-hash` if a file is there with other bytes.
    """
    local = locate(entry)
    if local is not None:
        check(local, entry)
        return local
    if not allow_network:
        raise InputError(_absent(entry), "data-absent")
    return download(entry, folders()[-1][1])


def locate(entry: Entry) -> Path | None:
    """The first local file of an entry, unchecked; None if there is none."""
    if entry.package:
        folder = package_folder(entry.package)
        path = folder / entry.file if folder else None
        return path if path and path.is_file() else None
    for _, folder in folders():
        path = folder / entry.file
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None


def check(path: Path, entry: Entry) -> None:
    """Compare a file with the index.

    Raises:
        ReadError: code `data-hash`, size or SHA-256 differ.
    """
    if path.stat().st_size == entry.bytes and _sha256(path) == entry.sha256:
        return
    raise ReadError(
        f"file of data set '{entry.name}' must have SHA-256 {entry.sha256[:12]}..., {path} has other bytes: "
        "replace it by the published file or remove it",
        "data-hash",
    )


def download(entry: Entry, folder: Path) -> Path:
    """Fetch a file from its official address into `folder`, check it, and only then give it its name.

    Raises:
        InputError: code `data-absent`, the official address is a page, not a file, or does not answer.
        LimitError: more bytes came than the index says.
        ReadError: code `data-hash`.
    """
    if not entry.has_file_address:
        raise InputError(_absent(entry), "data-absent")
    target = folder / entry.file
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with being_written(target) as (out, part), _open(entry.official_url) as answer:
            _copy(answer, out, entry)
            out.flush()
            check(part, entry)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise InputError(
            f"{entry.official_url} must answer, it did not ({type(error).__name__}): try later", "data-absent"
        ) from error
    return target


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to another https address."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://"):
            raise InputError(
                "a download must stay on https, the server redirected elsewhere: fetch the file by hand",
                "address",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str) -> Any:
    if not url.startswith("https://"):
        raise InputError("a download address must begin with https://", "address")
    return urllib.request.build_opener(_OnlyHttps()).open(url, timeout=_TIMEOUT_SECONDS)


def _copy(source: BinaryIO, out: BinaryIO, entry: Entry) -> None:
    left = entry.bytes
    while chunk := source.read(1 << 16):
        left -= len(chunk)
        if left < 0:
            raise LimitError(
                f"download of '{entry.name}' must be {entry.bytes} bytes, more came: it is another file"
            )
        out.write(chunk)


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _absent(entry: Entry) -> str:
    if entry.package:
        return (
            f"data set '{entry.name}' comes with the Python package '{entry.package}', "
            f"which must be installed and is not"
        )
    looked = ", ".join(f"{path} ({what})" for what, path in folders())
    how = (
        "allow the network (--network)"
        if entry.has_file_address
        else f"get it by hand from {entry.official_url}"
    )
    return (
        f"data set '{entry.name}' must be in a local place, {entry.file} was not in "
        f"{looked}: set {MIRROR_VARIABLE}, or {how}"
    )
