"""uvicorn's HTTP protocol with a clock and a limit on headers: a client that dawdles or sends endless headers is cut
off.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds in which the headers of a request must have come, and how many bytes and lines they may have.
HEADER_SECONDS, MOST_HEADER_BYTES, MOST_HEADERS = 5.0, 32 * 1024, 100


class BoundedProtocol(HttpToolsProtocol):
    """One connection. The clock runs from the first byte of a request (or from connecting) until its headers are
    whole.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._clock: TimerHandle | None = None
        self._header_bytes = 0
        self._in_body = False

    def connection_made(self, transport: Transport) -> None:
        """Start the clock: a connection that says nothing is closed too."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count header bytes; the rest is uvicorn's."""
        if not self._in_body:
            self._header_bytes += len(data)
            if self._clock is None:
                self._start_clock()
        super().data_received(data)
        if not self._in_body and self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """The clock stops; what follows is the body, whose time and size the guard limits."""
        self._stop_clock()
        self._in_body = True
        if len(self.headers) > MOST_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are headers again."""
        self._in_body, self._header_bytes = False, 0
        if self.cycle is not None:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Body bytes of a request that was not refused."""
        if self.cycle is not None:
            super().on_body(body)

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(HEADER_SECONDS, self._refuse, b"408 Request Timeout")

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _refuse(self, status: bytes) -> None:
        self._stop_clock()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
