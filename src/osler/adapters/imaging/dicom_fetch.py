"""Objects out of a DICOM archive by C-GET or C-MOVE (PS3.4 Annex C), series by series, and only those that are not here yet."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from osler import registry
from osler.adapters.imaging.dicom_folder import SeriesFolder
from osler.adapters.imaging.dicom_net import Listener, Node, Peer, associated, stored
from osler.adapters.imaging.dicom_query import Question, find

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
#: Presentation contexts that one association may propose (PS3.8: odd numbers to 255).
_CONTEXTS = 128
#: Proposed for what comes: as it is stored in the first place, open where the archive must unpack it.
_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99",
)  # fmt: skip
#: Statuses that say that more comes.
_PENDING = 0xFF00


@dataclass(frozen=True)
class Fetched:
    """One series after it was fetched.

    Attributes:
        study, series: its UIDs.
        listed: objects that the archive says it has.
        new: objects that came now.
        missing: objects that did not come.
    """

    study: str
    series: str
    listed: int
    new: int
    missing: int


#: Brings what is expected of one series: (its UIDs, the objects that are missing, whether these are all that it has).
Bring = Callable[[tuple[str, str], list[dict[str, str]], bool], None]


def each_series(rows: list[dict[str, str]], listed: Callable[[str, str], list[dict[str, str]]], folder: SeriesFolder, bring: Bring) -> Iterator[Fetched]:
    """Fetch series one after another; what is in the folder already is not asked for again.

    Args:
        rows: one per series, with its UIDs.
        listed: the objects that the archive has of a series.
        bring: fetches into the folder.
    """
    for row in rows:
        study, series = row["StudyInstanceUID"], row["SeriesInstanceUID"]
        objects = listed(study, series)
        missing = folder.lacks(objects)
        if missing:
            folder.expect(missing)
            bring((study, series), missing, len(missing) == len(objects))
        left = folder.lacks(objects)
        yield Fetched(study, series, len(objects), len(missing) - len(left), len(left))
    folder.expect([])


def get(peer: Peer, rows: list[dict[str, str]], folder: SeriesFolder, tls: ssl.SSLContext | None = None) -> Iterator[Fetched]:
    """C-GET: objects come back over the association that asks, so nothing need listen here.

    Raises:
        ReadError: the node cannot be reached, turns the caller away, or refuses a question.
    """

    def bring(uids: tuple[str, str], missing: list[dict[str, str]], is_whole: bool) -> None:
        classes = sorted({r["SOPClassUID"] for r in missing if r["SOPClassUID"]}) or _usual()
        syntaxes = _SYNTAXES[: max(1, (_CONTEXTS - 1) // max(1, len(classes)))]
        contexts = [(GET, list(_SYNTAXES[:2])), *((c, [s]) for c in classes for s in syntaxes)][:_CONTEXTS]
        with associated(peer, contexts, tls, lambda event: stored(event, folder)) as association:
            for asked in _asked(uids, missing, is_whole):
                _ended(association.send_c_get(asked, GET))

    yield from each_series(rows, _listed(peer, tls), folder, bring)


def move(
    peer: Peer, rows: list[dict[str, str]], folder: SeriesFolder, node: Node, tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None] = (None, None)
) -> Iterator[Fetched]:
    """C-MOVE: the archive opens an association of its own to a listener here, whose title and address it must know.

    Args:
        node: title, address and the titles that may send; the archive's own is among them.
        tls: towards the archive, and of the listener.

    Raises:
        ReadError: as `get`. InputError: the listener's port is taken.
    """

    def bring(uids: tuple[str, str], missing: list[dict[str, str]], is_whole: bool) -> None:
        with associated(peer, [(MOVE, list(_SYNTAXES[:2]))], tls[0]) as association:
            for asked in _asked(uids, missing, is_whole):
                _ended(association.send_c_move(asked, node.title, MOVE))

    listener = Listener(node, folder, tls[1])
    try:
        yield from each_series(rows, _listed(peer, tls[0]), folder, bring)
    finally:
        listener.stop()


def _listed(peer: Peer, tls: ssl.SSLContext | None) -> Callable[[str, str], list[dict[str, str]]]:
    return lambda study, series: find(peer, Question("instance", {}, study, series, most=100_000), tls)


def _asked(uids: tuple[str, str], missing: list[dict[str, str]], is_whole: bool) -> Iterator[Any]:
    """The series as a whole, or object by object where a part of it is here."""
    pydicom = registry.optional("pydicom", "imaging")
    for row in [None] if is_whole else missing:
        asked = pydicom.Dataset()
        asked.QueryRetrieveLevel = "SERIES" if row is None else "IMAGE"
        asked.StudyInstanceUID, asked.SeriesInstanceUID = uids
        if row is not None:
            asked.SOPInstanceUID = row["SOPInstanceUID"]
        yield asked


def _usual() -> list[str]:
    """Classes of the objects that most archives hold, for one that does not say which its own are of."""
    pynetdicom = registry.optional("pynetdicom", "imaging")
    return [str(one.abstract_syntax) for one in pynetdicom.StoragePresentationContexts][: _CONTEXTS - 1]


def _ended(answers: Iterator[tuple[Any, Any]]) -> None:
    """Wait until the archive says that it is done; what is there then is counted on disk, not believed."""
    for status, _ in answers:
        if getattr(status, "Status", None) != _PENDING:
            return
