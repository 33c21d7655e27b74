"""A DICOM node: where it may listen, with which protection, and how it is stopped."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import Listener, Node, Peer
from osler.engine.files import alone
from osler.errors import OptionError
from osler.service.addresses import check_address
from osler.service.dicom_stow import StowListener


def listen(
    folder: Path,
    node: Node,
    quota: int,
    tls: tuple[Path | None, Path | None],
    told: Callable[[int], None],
    stop: threading.Event,
    then: Callable[[Inbox], None] | None = None,
    web: tuple[int, bytes, Callable[[int], None]] | None = None,
) -> None:
    """Receive objects into a folder until `stop` is set.

    Args:
        folder: where objects go.
        node: address, own title, titles that may send.
        quota: most bytes in the folder.
        tls: certificate chain and private key (PEM), or two None.
        told: called with the port once it listens.
        stop: set by whoever ends it.
        then: called with the inbox once objects can come; works until `stop` is set. Without it nothing is done with them.
        web: port of STOW-RS, the digest of its token, and what is called with the port once it listens; None for none.

    Raises:
        InputError: the address is not loopback and TLS is off, nobody is allowed, the port is taken, or another listener has the folder.
    """
    check_address(node.host, *tls)
    check_title(node.title)
    for title in node.allow:
        check_title(title)
    with ExitStack() as open_, _only_one(folder):
        inbox = Inbox(folder, quota)
        listener = Listener(node, inbox, server_side(tls))
        open_.callback(listener.stop)
        told(listener.port)
        if web is not None:
            stow = StowListener((node.host, web[0]), web[1], inbox, server_side(tls))
            open_.callback(stow.stop)
            web[2](stow.port)
        if then is not None:
            then(inbox)
        stop.wait()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """The right to write a folder, which ends with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as held:
        try:
            held.enter_context(alone(folder / "inbox"))
        except OptionError as error:
            raise OptionError(f"a folder must have one listener, '{folder.name}' has another: stop it, or name another folder") from error
        yield


def server_side(tls: tuple[Path | None, Path | None]) -> ssl.SSLContext | None:
    """TLS of a listener from its certificate chain and private key (PEM); None without them."""
    cert, key = tls
    if cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


def client_side(authority: Path | None) -> ssl.SSLContext | None:
    """TLS towards another node whose certificate an authority (PEM) has signed; None without one."""
    return None if authority is None else ssl.create_default_context(cafile=str(authority))


def peer_of(address: str, called: str, own: str) -> Peer:
    """Another node from `TITLE@HOST:PORT`, or `HOST:PORT` and its title.

    Raises:
        OptionError: the address or a title is malformed.
    """
    title, at, rest = address.rpartition("@")
    called = title if at else called
    host, colon, port = rest.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise OptionError("the address of a node must be TITLE@HOST:PORT, it is not: write it as ORTHANC@127.0.0.1:104")
    check_title(called)
    check_title(own)
    return Peer(host.strip("[]"), int(port), called, own)


def check_title(title: str) -> None:
    """Refuse what is no application entity title (PS3.5: 1 to 16 printable ASCII characters without backslash).

    Raises:
        OptionError: it is none.
    """
    if (
        not 1 <= len(title.strip()) <= 16
        or len(title) > 16
        or not title.isascii()
        or not title.isprintable()
        or "\\" in title
    ):
        raise OptionError(
            "an application entity title must have 1 to 16 ASCII characters and no backslash, one has not: shorten it"
        )
