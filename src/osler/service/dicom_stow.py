"""STOW-RS into an inbox (PS3.18 10.5): objects over HTTP by whoever has the token, kept as those that come by C-STORE are."""

from __future__ import annotations

import functools
import io
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from osler.adapters.imaging import multipart
from osler.adapters.imaging.dicom_folder import identity
from osler.adapters.imaging.dicom_net import DONE, MAX_OBJECT, ODD, Keeper
from osler.errors import InputError, LimitError, ReadError
from osler.service.tokens import Doorkeeper

#: Connections at once; further ones are closed and come again. Seconds that a peer may be silent, and that a request may take.
AT_ONCE, SILENCE, LONGEST = 32, 60, 3600
#: Most bytes of one request.
MOST_BODY = 1 << 40
_PLACE = re.compile(r"(/\w[\w.-]{0,39}){0,3}/studies(/[0-9.]{1,64})?/?")


class StowListener:
    """An HTTP server with one call, POST .../studies.

    Args:
        address: host and port; port 0 takes a free one.
        token: digest of the token that a request must carry as `Authorization: Bearer`.
        keeper: where objects go.
        tls: server side of TLS, if any.

    Raises:
        InputError: the port is taken.
    """

    def __init__(self, address: tuple[str, int], token: bytes, keeper: Keeper, tls: ssl.SSLContext | None = None) -> None:
        self.keeper, self.tls, self.door = keeper, tls, Doorkeeper(token)
        try:
            self._server = _Server(address, functools.partial(_Handler, self))
        except OSError as error:
            raise InputError(f"port {address[1]} must be free on this machine, it is not ({error.strerror}): name another", "address") from error
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """No more requests."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *given: Any) -> None:
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; turned away where too many are there."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The request, and its place free again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: what a stranger's broken connection says may hold values."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE
    server_version, sys_version, protocol_version = "Osler", "", "HTTP/1.1"

    def __init__(self, listener: StowListener, *given: Any) -> None:
        self._listener, self._until = listener, time.monotonic() + LONGEST
        super().__init__(*given)

    def setup(self) -> None:
        """TLS is agreed upon here, in the request's own thread."""
        if self._listener.tls is not None:
            self.request.settimeout(SILENCE)
            self.request = self._listener.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses and paths are a stranger's."""

    def do_POST(self) -> None:
        """Objects in, what became of each out."""
        self.close_connection = True
        if not self._may():
            return self._say(401, {"www-authenticate": "Bearer"})
        if not _PLACE.fullmatch(self.path.partition("?")[0]):
            return self._say(404)
        with suppress(OSError):
            self._take()
        return None

    def _may(self) -> bool:
        """Whether the request carries the token; guessing is slowed down by address."""
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        address, door = self.client_address[0], self._listener.door
        return not door.throttled(address) and door.accepts(given.strip() if kind == "Bearer" else "", address)

    def _take(self) -> None:
        try:
            read = self._reader()
            if read is None:
                return self._say(411)
            boundary = multipart.boundary_of(self.headers.get("Content-Type", ""))
            kept: list[tuple[str, int]] = []
            for data in multipart.bodies(self._in_time(read), boundary, MAX_OBJECT):
                names = identity(data)
                kept.append((names[2], self._listener.keeper.keep(names[2], data)) if names is not None else ("", ODD))
        except LimitError:
            return self._say(413)
        except (ReadError, ValueError):
            return self._say(400)
        good = sum(status == DONE for _, status in kept)
        self._say(200 if kept and good == len(kept) else 202 if good else 409, body=_answer(kept))
        return None

    def _in_time(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same, until the request has taken too long."""

        def timed(most: int) -> bytes:
            if time.monotonic() > self._until:
                raise ReadError("a request must come within an hour, one did not: send less at once", "timeout")
            return read(most)

        return timed

    def _reader(self) -> Callable[[int], bytes] | None:
        if self.headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
            return _Chunks(self.rfile).read
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 15:
            return None
        left = [min(int(length), MOST_BODY)]

        def read(most: int) -> bytes:
            got = self.rfile.read1(min(most, left[0])) if left[0] else b""
            left[0] -= len(got)
            return got

        return read

    def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), "cache-control": "no-store", "connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        if body:
            self.send_header("content-type", "application/dicom+json")
        self.end_headers()
        self.wfile.write(body)


class _Chunks:
    """The bytes of a chunked body (RFC 9112 7.1)."""

    def __init__(self, raw: io.BufferedIOBase) -> None:
        self._raw, self._left, self._ended = raw, 0, False

    def read(self, most: int) -> bytes:
        """At most so many bytes, b"" at the end.

        Raises:
            ValueError: the size of a chunk is none.
        """
        if self._ended:
            return b""
        if not self._left:
            size = self._raw.readline(64).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", size):
                raise ValueError("no chunk")
            self._left = int(size, 16)
            if not self._left:
                self._ended = True
                return b""
        got = self._raw.read(min(most, self._left))
        self._left -= len(got)
        if not self._left and got:
            self._raw.readline(4)
        return got


def _answer(kept: list[tuple[str, int]]) -> bytes:
    """What became of each object (PS3.18 Annex I.2), in JSON of DICOM."""
    good = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid, status in kept if status == DONE]
    bad = [
        {**({"00081155": {"vr": "UI", "Value": [uid]}} if uid else {}), "00081197": {"vr": "US", "Value": [status]}}
        for uid, status in kept
        if status != DONE
    ]
    sequences = {"00081199": good, "00081198": bad}
    return json.dumps({tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}).encode()
