"""`osler pacs`: receive DICOM objects, send them, and ask whether a node is there."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def pacs(
    action: Annotated[str, typer.Argument(help="listen, echo or send")],
    where: Annotated[str, typer.Argument(help="folder that receives (listen), or HOST:PORT of the node (echo, send)")],
    folder: Annotated[Path | None, typer.Argument(help="folder of DICOM files (send)")] = None,
    title: Annotated[str, typer.Option(help="own application entity title")] = "OSLER",
    called: Annotated[str, typer.Option(help="title of the other node (echo, send)")] = "ANY-SCP",
    allow: Annotated[list[str], typer.Option(help="title that may send here (listen; may be repeated)")] = [],  # noqa: B006
    host: Annotated[str, typer.Option(help="address to listen on; others than 127.0.0.1 need TLS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 11112,
    quota: Annotated[float, typer.Option(help="most GiB in the receiving folder")] = 100.0,
    cert: Annotated[
        Path | None, typer.Option(help="TLS certificate chain (PEM); towards a node, its authority")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="TLS private key (PEM; listen)")] = None,
) -> int:
    """Receive DICOM objects from named callers, send a folder to a node, or ask whether a node is there.

    Example: osler pacs listen inbox --allow SCANNER1 --port 11112

    Example: osler pacs send 127.0.0.1:4242 scans-deid --called ORTHANC
    """
    from osler.adapters.imaging.dicom_net import Node
    from osler.errors import OptionError, nearest
    from osler.service import dicom_node

    if action == "listen":
        node = Node(title, tuple(allow), host, port)
        return _listen(Path(where), node, int(quota * (1 << 30)), (cert, key))
    if action not in ("echo", "send"):
        raise OptionError(
            f"action must be listen, echo or send, was '{action}': {nearest(action, ('listen', 'echo', 'send'))}"
        )
    peer, tls = dicom_node.peer_of(where, called, title), dicom_node.client_side(cert)
    if action == "echo":
        from osler.adapters.imaging.dicom_net import echo

        echo(peer, tls)
        print("the node answers")
        return 0
    if folder is None or not folder.is_dir():
        raise OptionError("send needs a folder of DICOM files, none was named: give it after the address")
    return _send(peer, sorted(p for p in folder.rglob("*") if p.is_file()), tls)


def _listen(folder: Path, node: object, quota: int, tls: tuple[Path | None, Path | None]) -> int:
    from osler.service import dicom_node

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    dicom_node.listen(
        folder, node, quota, tls, lambda port: print(f"listening on {node.host}:{port}", flush=True), stop
    )
    return 0


def _send(peer: object, files: list[Path], tls: object) -> int:
    """Send and count; exit code 1 if a DICOM object was not taken."""
    from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, OTHER, send

    words = {
        DONE: "sent",
        NO_ROOM: "refused: the node has no room",
        OTHER: "refused: another object has the same UID",
        None: "no DICOM, or no answer",
    }
    counts = Counter(words.get(status, "refused by the node") for _, status in send(peer, files, tls))
    for word, count in counts.most_common():
        print(f"{count:>8} {word}")
    return 0 if set(counts) <= {"sent"} else 1
