"""Archives that speak DICOMweb (PS3.18): QIDO-RS asks, WADO-RS fetches, STOW-RS sends; over HTTP of the standard library.

Redirects are not followed, nothing but a loopback address is spoken to without TLS, and every answer has a limit.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import ssl
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osler import registry
from osler.adapters.imaging import multipart
from osler.adapters.imaging.dicom_fetch import Fetched, each_series
from osler.adapters.imaging.dicom_folder import SeriesFolder, identity
from osler.adapters.imaging.dicom_net import DONE, MAX_OBJECT, ODD
from osler.adapters.imaging.dicom_query import Question, found_by, printable
from osler.adapters.imaging.dicom_read import is_dicom
from osler.errors import LimitError, OptionError, ReadError

#: Rows of one question, and most bytes of an answer in JSON.
PAGE, MAX_JSON = 1000, 64 << 20
_TIMEOUT = 60
#: Letters that may stand in a query as they are (RFC 3986); some archives take an escaped one literally.
_OPEN = "!$'()*,:@/?"
_DICOM, _JSON = "application/dicom", "application/dicom+json"
_MIXED = f'multipart/related; type="{_DICOM}"'
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Web:
    """The root of a DICOMweb service.

    Attributes:
        host, port, path: where it is.
        tls: how it is spoken to; None for HTTP without TLS.
        authorization: value of the header of that name, "" for none.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    authorization: str = field(default="", repr=False)


def web_of(address: str, authority: Path | None, credentials: Path | None) -> Web:
    """A service by its address.

    Args:
        authority: who has signed its certificate (PEM); None for those that the system trusts.
        credentials: a file with `USER:PASSWORD` or a token.

    Raises:
        OptionError: the address is malformed, holds a password, or is one of another machine without TLS.
    """
    try:
        parts = urllib.parse.urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urllib.parse.urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise OptionError("the address of an archive must be TITLE@HOST:PORT or https://HOST/PATH, it is neither: write it as https://pacs.example/dicom-web")
    if parts.username or parts.password:
        raise OptionError("an address must not hold a password, this one does: put USER:PASSWORD into a file and name it with --credentials")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise OptionError("an archive on another machine must be spoken to by https, this address begins with http: name its https address")
    tls = ssl.create_default_context(cafile=str(authority) if authority else None) if parts.scheme == "https" else None
    return Web(host, port or (443 if tls else 80), parts.path.rstrip("/"), tls, _authorization(credentials))


def _authorization(credentials: Path | None) -> str:
    if credentials is None:
        return ""
    text = credentials.read_text(encoding="utf-8").strip() if credentials.is_file() else ""
    if not text or not text.isprintable() or len(text) > 8192:
        raise OptionError("the file of --credentials must hold USER:PASSWORD or a token on one line, it does not: write it so")
    return f"Basic {base64.b64encode(text.encode()).decode()}" if ":" in text else f"Bearer {text}"


@contextmanager
def _answered(web: Web, method: str, path: str, headers: dict[str, str], body: Any = None) -> Iterator[http.client.HTTPResponse]:
    """The answer of a service to one request.

    Raises:
        ReadError: there is no answer, it is none of HTTP, or ends early.
    """
    kind = http.client.HTTPConnection if web.tls is None else http.client.HTTPSConnection
    connection = kind(web.host, web.port, timeout=_TIMEOUT, **({"context": web.tls} if web.tls else {}))
    sent = {"Connection": "close", **headers, **({"Authorization": web.authorization} if web.authorization else {})}
    try:
        connection.request(method, web.path + path, body=body, headers=sent)
        yield connection.getresponse()
    except ssl.SSLError as error:
        raise ReadError("the archive must show a certificate that is trusted, it does not: name who signed it with --authority", "address") from error
    except (OSError, http.client.HTTPException) as error:
        raise ReadError(f"the archive at port {web.port} must answer, it does not or stops early: check its address", "address") from error
    finally:
        connection.close()


def _checked(answer: http.client.HTTPResponse) -> None:
    if answer.status in (401, 403):
        raise ReadError("the archive must let this caller in, it does not: name --credentials that it knows", "address")
    if not 200 <= answer.status < 300:
        raise ReadError(f"the archive must answer the question, it refuses with status {answer.status}: check its address", "address")


# -- asking --------------------------------------------------------------------------------------------------------------------


def find(web: Web, asked: Question) -> list[dict[str, str]]:
    """QIDO-RS; rows as C-FIND gives them.

    Raises:
        ReadError: the service cannot be reached, refuses, or answers with something else.
        LimitError: more rows than `asked.most`, or an answer that is too long.
    """
    return found_by(lambda one: _pages(web, one), asked)


def _pages(web: Web, asked: Question) -> list[dict[str, str]]:
    path = {"study": "", "series": f"/{_quoted(asked.study)}/series"}.get(
        asked.level, f"/{_quoted(asked.study)}/series/{_quoted(asked.series)}/instances"
    )
    key = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}.get(asked.level, "SOPInstanceUID")
    own = {"study": asked.study, "series": asked.series}.get(asked.level, "")
    matched = {**asked.where, **({key: own} if own else {})}
    rows: dict[str, dict[str, str]] = {}
    while True:
        terms = [*matched.items(), *(("includefield", c) for c in asked.columns), ("limit", str(PAGE)), ("offset", str(len(rows)))]
        page = [_row(one, asked) for one in _json(web, f"/studies{path}?{urllib.parse.urlencode(terms, safe=_OPEN, quote_via=urllib.parse.quote)}")]
        new = {row[key]: row for row in page if row[key] and row[key] not in rows}
        rows |= new
        if len(rows) > asked.most:
            raise LimitError(f"an archive must give at most {asked.most:,} answers, it gives more: narrow the question with --where")
        if len(page) < PAGE or not new:
            return list(rows.values())


def _json(web: Web, path: str) -> list[Any]:
    with _answered(web, "GET", path, {"Accept": _JSON}) as answer:
        _checked(answer)
        data = b"[]" if answer.status == 204 else answer.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        raise LimitError(f"an answer must be at most {MAX_JSON >> 20} MiB, one is longer: narrow the question with --where")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReadError("the archive must answer in JSON of DICOM, it does not: check the address of its DICOMweb") from error
    if not isinstance(found, list):
        raise ReadError("the archive must answer in JSON of DICOM, it does not: check the address of its DICOMweb")
    return found


def _row(one: Any, asked: Question) -> dict[str, str]:
    """One answer (PS3.18 Annex F) as text; whatever has another form is ""."""
    tags = registry.optional("pydicom.datadict", "imaging")
    row = {}
    for word in asked.columns:
        element = one.get(f"{tags.tag_for_keyword(word):08X}") if isinstance(one, dict) else None
        values = element.get("Value") if isinstance(element, dict) else None
        texts = [v.get("Alphabetic", "") if isinstance(v, dict) else v for v in values] if isinstance(values, list) else []
        row[word] = printable("\\".join(str(t) for t in texts if isinstance(t, (str, int, float))))
    return {**row, **({"StudyInstanceUID": asked.study} if asked.study else {}), **({"SeriesInstanceUID": asked.series} if asked.series else {})}


def _quoted(uid: str) -> str:
    """A UID as one step of a path, whatever it says."""
    return urllib.parse.quote(uid, safe="").replace("..", "%2E%2E")


# -- fetching ------------------------------------------------------------------------------------------------------------------


def fetch(web: Web, rows: list[dict[str, str]], folder: SeriesFolder) -> Iterator[Fetched]:
    """WADO-RS: series as they are stored, into a folder.

    Raises:
        ReadError, LimitError: as `find`; an object is larger than is kept.
    """

    def bring(uids: tuple[str, str], missing: list[dict[str, str]], is_whole: bool) -> None:
        path = f"/studies/{_quoted(uids[0])}/series/{_quoted(uids[1])}"
        for one in [""] if is_whole else [f"/instances/{_quoted(row['SOPInstanceUID'])}" for row in missing]:
            _kept(web, path + one, folder)

    yield from each_series(rows, lambda study, series: find(web, Question("instance", {}, study, series, most=100_000)), folder, bring)


def _kept(web: Web, path: str, folder: SeriesFolder) -> None:
    with _answered(web, "GET", path, {"Accept": f"{_MIXED}; transfer-syntax=*"}) as answer:
        if answer.status == 404:
            return
        _checked(answer)
        for data in multipart.bodies(answer.read, multipart.boundary_of(answer.headers.get("Content-Type", "")), MAX_OBJECT):
            names = identity(data)
            if names is not None:
                folder.keep(names[2], data)


# -- sending -------------------------------------------------------------------------------------------------------------------


def send(web: Web, files: list[Path]) -> Iterator[tuple[Path, int | None]]:
    """STOW-RS, one object per request; gives each file with its status as C-STORE would, None for what is no DICOM.

    Raises:
        ReadError: the service cannot be reached or lets nobody in.
    """
    for path in files:
        yield path, _stored(web, path) if is_dicom(path) else None


def _stored(web: Web, path: Path) -> int:
    edge = secrets.token_hex(16)  # no file can hold what is drawn anew for every request
    start = f"--{edge}\r\nContent-Type: {_DICOM}\r\n\r\n".encode()
    end = f"\r\n--{edge}--\r\n".encode()
    size = path.stat().st_size
    headers = {"Content-Type": f"{_MIXED}; boundary={edge}", "Accept": _JSON, "Content-Length": str(len(start) + size + len(end))}
    with path.open("rb") as raw, _answered(web, "POST", "/studies", headers, _pieces(start, raw, end)) as answer:
        if answer.status in (401, 403):
            _checked(answer)
        data = answer.read(1 << 20)
        if answer.status == 200:
            return DONE
    return _reason(data)


def _pieces(start: bytes, raw: Any, end: bytes) -> Iterator[bytes]:
    yield start
    while piece := raw.read(1 << 20):
        yield piece
    yield end


def _reason(data: bytes) -> int:
    """Why an object was refused (FailureReason of the first item of FailedSOPSequence), as far as the answer says it."""
    try:
        reason = json.loads(data)["00081198"]["Value"][0]["00081197"]["Value"][0]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ODD
    return reason if isinstance(reason, int) and 0 < reason < 1 << 16 else ODD
