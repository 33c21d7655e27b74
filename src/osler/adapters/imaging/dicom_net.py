"""DICOM over the network through pynetdicom: echo, send, and a listener.

An object is acknowledged only when whoever keeps it says that it is safe, so that whatever a sender was told is on disk survives a kill or a
power cut; what it was not told it sends again, which changes nothing.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from osler import registry
from osler.errors import InputError, LimitError, ReadError

ECHO = "1.2.840.10008.1.1"
#: Statuses of C-STORE (PS3.4 Annex B.2.3): done, no room, another object under the same UID, not understood.
DONE, NO_ROOM, OTHER, ODD = 0x0000, 0xA700, 0x0111, 0xC000
#: Most bytes of one object that are kept.
MAX_OBJECT = 2 << 30


class Keeper(Protocol):
    """Whatever takes the objects that are received."""

    def keep(self, instance: str, data: bytes) -> int:
        """Take an object (a whole file) under its UID; gives the status of C-STORE once it is safe."""


@dataclass(frozen=True)
class Node:
    """Who listens, and who may send.

    Attributes:
        title: application entity title of this node, up to 16 letters; callers must name it.
        allow: titles that may call.
        host, port: address; port 0 takes a free one.
        most: associations at once; further ones are turned away and come back (back-pressure).
    """

    title: str
    allow: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 11112
    most: int = 8


class Listener:
    """C-ECHO and C-STORE for allowed callers.

    Args:
        node: address and titles.
        keeper: where objects go.
        tls: server side of TLS, if any.

    Raises:
        InputError: no caller is allowed, or the address cannot be bound.
    """

    def __init__(self, node: Node, keeper: Keeper, tls: ssl.SSLContext | None = None) -> None:
        if not node.allow:
            raise InputError("a listener must know who may send, no title was given: name one with --allow", "address")
        pynetdicom = registry.optional("pynetdicom", "imaging")
        _quiet()
        entity = pynetdicom.AE(ae_title=node.title)
        entity.require_called_aet, entity.require_calling_aet = True, list(node.allow)
        entity.maximum_associations, entity.maximum_pdu_size = node.most, 1 << 18
        entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = 30
        syntaxes = pynetdicom.ALL_TRANSFER_SYNTAXES
        for context in pynetdicom.AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, syntaxes)
        entity.add_supported_context(ECHO)
        handlers = [
            (pynetdicom.evt.EVT_CONN_OPEN, _at_once),
            (pynetdicom.evt.EVT_C_STORE, stored, [keeper]),
            (pynetdicom.evt.EVT_C_ECHO, lambda event: DONE),
        ]
        try:
            self._server = entity.start_server(
                (node.host, node.port), block=False, evt_handlers=handlers, ssl_context=tls
            )
        except OSError as error:
            raise InputError(
                f"port {node.port} must be free on this machine, it is not ({error.strerror}): name another", "address"
            ) from error
        self.port: int = self._server.server_address[1]

    def stop(self) -> None:
        """No more associations."""
        self._server.shutdown()


def stored(event: Any, keeper: Keeper) -> int:
    """The status of one C-STORE request; the object is written as it came, undecoded."""
    try:
        return keeper.keep(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
    except Exception:
        return ODD


def _at_once(event: Any) -> None:
    """Small messages leave when they are written, and do not wait for the acknowledgement of the one before (up to 40 ms an object)."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _quiet() -> None:
    """The log lines of pynetdicom and pydicom quote patients' values and callers."""
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Peer:
    """Another node.

    Attributes:
        host, port: its address.
        title: its application entity title.
        own: the title with which it is called.
    """

    host: str
    port: int
    title: str
    own: str = "OSLER"


def echo(peer: Peer, tls: ssl.SSLContext | None = None) -> None:
    """C-ECHO.

    Raises:
        ReadError: the node cannot be reached, turns the caller away, or does not answer.
    """
    with associated(peer, [(ECHO, ["1.2.840.10008.1.2"])], tls) as association:
        status = association.send_c_echo()
        if getattr(status, "Status", None) != DONE:
            raise ReadError("the node must answer an echo, it did not: look at its log", "timeout")


def send(peer: Peer, files: list[Path], tls: ssl.SSLContext | None = None) -> Iterator[tuple[Path, int | None]]:
    """C-STORE of files in their own encoding; gives each with its status, None where no answer came or it is no DICOM.

    Raises:
        ReadError: the node cannot be reached or turns the caller away.
    """
    pydicom = registry.optional("pydicom", "imaging")
    for start in range(0, len(files), 500):
        part = [(path, _kind(path)) for path in files[start : start + 500]]
        kinds = sorted({kind for _, kind in part if kind is not None})
        if len(kinds) > 128:
            raise LimitError(
                "files of one sending must be of at most 128 kinds and encodings, they are of more: send folder by folder"
            )
        with associated(peer, [(a, [b]) for a, b in kinds], tls) if kinds else nullcontext() as association:
            for path, kind in part:
                dataset = None if kind is None else pydicom.dcmread(io.BytesIO(path.read_bytes()))
                yield path, None if dataset is None else getattr(association.send_c_store(dataset), "Status", None)


def _kind(path: Path) -> tuple[str, str] | None:
    """SOP class and transfer syntax of a file; None if it is no DICOM file with meta information."""
    filereader = registry.optional("pydicom.filereader", "imaging")
    try:
        meta = filereader.read_file_meta_info(path)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except Exception:
        return None


@contextmanager
def associated(
    peer: Peer,
    contexts: list[tuple[str, list[str]]],
    tls: ssl.SSLContext | None,
    taken: Callable[[Any], int] | None = None,
) -> Iterator[Any]:
    """An association with another node; broken off, and not released, where something goes wrong in the meantime.

    Args:
        contexts: abstract syntax and transfer syntaxes of each presentation context.
        taken: called with each C-STORE request that comes back over this association (C-GET), whose classes then are those of
            `contexts` but the first; gives the status.

    Raises:
        ReadError: the node cannot be reached or turns the caller away.
    """
    pynetdicom = registry.optional("pynetdicom", "imaging")
    _quiet()
    entity = pynetdicom.AE(ae_title=peer.own)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 30
    for abstract, syntaxes in contexts:
        entity.add_requested_context(abstract, syntaxes)
    roles = [pynetdicom.build_role(one, scp_role=True) for one in sorted({a for a, _ in contexts[1:]})] if taken else []
    opened: list[Any] = []

    def connected(event: Any) -> None:
        opened.append(event)
        _at_once(event)

    association = entity.associate(
        peer.host,
        peer.port,
        ae_title=peer.title,
        tls_args=(tls, peer.host) if tls else None,
        ext_neg=roles or None,
        evt_handlers=[(pynetdicom.evt.EVT_CONN_OPEN, connected), *([(pynetdicom.evt.EVT_C_STORE, taken)] if taken else [])],
    )
    if not association.is_established:
        why = (
            "turned this caller away: check both titles"
            if association.is_rejected or opened  # a node that says no and hangs up may be gone before its no is read
            else "cannot be reached: check its address"
        )
        raise ReadError(f"the node at port {peer.port} must accept an association, it {why}", "address")
    association._reactor_checkpoint = _Checkpoint(association)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


class _Checkpoint:
    """Where an association's own loop stops while a request of ours waits for its answer.

    pynetdicom stops that loop by an event and a mark that may be out of date for a moment; a loop that is woken then takes the answer for
    a request, and ours waits in vain until it times out (seen once in some thousand objects on a busy machine). Here `clear` returns only
    when the loop stands still.
    """

    def __init__(self, association: Any) -> None:
        self._association, self._turn = association, threading.Condition()
        self._is_open, self._is_waiting = True, False

    def wait(self) -> None:
        """Called by the loop: go on when it is open."""
        with self._turn:
            self._is_waiting = True
            self._turn.notify_all()
            while not self._is_open:
                self._turn.wait()
            self._is_waiting = False

    def clear(self) -> None:
        """Close it, and return when the loop stands before it (or has ended)."""
        with self._turn:
            self._is_open = False
            is_loop = threading.current_thread() is self._association
            while not self._is_waiting and not is_loop and self._association.is_alive():
                self._turn.wait(0.05)

    def set(self) -> None:
        """Open it."""
        with self._turn:
            self._is_open = True
            self._turn.notify_all()
