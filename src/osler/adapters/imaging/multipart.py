"""The bodies of a multipart message (RFC 2046) from a stream, within limits; names and types that its parts claim are never used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from osler.errors import LimitError, ReadError

#: Most bytes before the first part, and of the headers of one part.
MAX_HEADERS = 1 << 14
#: Most parts of one message.
MAX_PARTS = 100_000
_STEP = 1 << 16
#: RFC 2046 allows 70 letters; Orthanc sends 73.
_BOUNDARY = re.compile(r'(?i);\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200})(?=[\s;,]|$))')


def boundary_of(kind: str) -> bytes:
    """The boundary in a Content-Type.

    Raises:
        ReadError: it is not that of a multipart message.
    """
    found = _BOUNDARY.search(kind) if kind.lower().startswith("multipart/") else None
    if found is None:
        raise ReadError("the archive must answer with a multipart message, it does not: check the address of its DICOMweb")
    return (found[1] or found[2]).encode("latin-1", "replace")


def bodies(read: Callable[[int], bytes], boundary: bytes, most: int) -> Iterator[bytes]:
    """The body of each part, in order.

    Args:
        read: gives at most so many bytes of the message, b"" at its end.
        most: bytes of one body at most.

    Raises:
        ReadError: the message ends before its last boundary. LimitError: a part or its headers are too long, or there are too many.
    """
    stream = _Stream(read)
    edge = b"--" + boundary
    stream.until(edge, MAX_HEADERS)
    for _ in range(MAX_PARTS):
        if stream.take(2) == b"--":
            return
        if not stream.begins(b"\r\n"):  # a part without headers begins with an empty line
            stream.until(b"\r\n\r\n", MAX_HEADERS)
        else:
            stream.take(2)
        yield stream.until(b"\r\n" + edge, most)
    raise LimitError(f"a message must have at most {MAX_PARTS:,} parts, one has more: fetch series by series")


class _Stream:
    """Bytes that are read until a mark is met."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._held = read, bytearray()

    def _more(self) -> None:
        got = self._read(_STEP)
        if not got:
            raise ReadError("a multipart message must end with its boundary, one ends before: fetch again", "read-truncated")
        self._held += got

    def take(self, count: int) -> bytes:
        """The next bytes."""
        while len(self._held) < count:
            self._more()
        found = bytes(self._held[:count])
        del self._held[:count]
        return found

    def begins(self, mark: bytes) -> bool:
        """Whether the next bytes are these; they stay."""
        while len(self._held) < len(mark):
            self._more()
        return self._held.startswith(mark)

    def until(self, mark: bytes, most: int) -> bytes:
        """What comes before a mark, which is passed over."""
        looked = 0
        while (at := self._held.find(mark, looked)) < 0:
            looked = max(0, len(self._held) - len(mark) + 1)
            if looked > most:
                break
            self._more()
        if at < 0 or at > most:
            raise LimitError(f"a part of a multipart message must be at most {most:,} bytes, one is longer: ask for less")
        found = bytes(self._held[:at])
        del self._held[: at + len(mark)]
        return found
