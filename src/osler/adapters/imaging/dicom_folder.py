"""A folder that fills with series fetched from an archive: every object once, whole or absent, and only what was asked for."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

from osler.adapters.imaging import dicom_tags
from osler.adapters.imaging.dicom_net import DONE, MAX_OBJECT, NO_ROOM, ODD
from osler.adapters.imaging.dicom_read import library
from osler.cohort.atomic import sweep, sync_folder, write_atomic

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_NAMES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
#: The last of their tags in a file.
_SERIES = 0x0020000E
#: Bytes that are looked at before pydicom is asked, and most that a deflated beginning is unpacked to.
_HEAD, _UNPACKED = 1 << 16, 1 << 22


def identity(data: bytes) -> tuple[str, str, str] | None:
    """Study, series and instance UID of an object that is a DICOM file; None where it has not all of them. Of a deflated object only the
    beginning is unpacked, whatever it would unpack to.
    """
    found = dicom_tags.walk(data[:_HEAD])
    if found is None or "pixels_at" not in found:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = _beginning(data)
                found = {word: str(dataset.get(word) or "") for word in _NAMES}
        except Exception:
            return None
    names = tuple(str(found.get(word, "")) for word in _NAMES)
    return names if all(names) else None


def _beginning(data: bytes) -> Any:
    """The data set of a file as far as its series."""
    reader = library().filereader
    if data[128:132] != b"DICM":
        raise ValueError("no DICOM file")
    syntax, at = dicom_tags.meta(data[:_HEAD])
    raw = io.BytesIO(data)
    raw.seek(at)
    if syntax == dicom_tags.DEFLATED:
        raw = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[at:], _UNPACKED))
    return reader.read_dataset(
        raw,
        is_implicit_VR=syntax == dicom_tags.IMPLICIT,
        is_little_endian=syntax != dicom_tags.BIG_ENDIAN,
        stop_when=lambda tag, vr, length: tag > _SERIES,
    )


def name_of(uid: str) -> str:
    """A UID as the name of a file or folder: itself if it is one, otherwise a hash of what it says."""
    if len(uid) <= 64 and _UID.fullmatch(uid):
        return uid
    return hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def stored(root: Path, target: Path, data: bytes, room: int) -> int:
    """Put an object at its place in a folder of the root; `DONE` once it lasts through a power cut, `NO_ROOM` where it is larger than what is left
    or the disk refuses it.
    """
    if len(data) > min(MAX_OBJECT, room):
        return NO_ROOM
    try:
        target.parent.mkdir(exist_ok=True, mode=0o700)
        write_atomic(target, data, sync="folder")
        sync_folder(root)
    except OSError:
        return NO_ROOM
    return DONE


class SeriesFolder:
    """Objects as `SERIES/OBJECT.dcm`, so that a series is a reference to a volume.

    Args:
        folder: where series go; made if absent. What is in it already is not fetched again.
        quota: most bytes that it may hold.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep(folder)
        self._folder, self._quota, self._lock = folder, quota, threading.Lock()
        self._held = sum(path.stat().st_size for path in folder.rglob("*.dcm"))
        self._wanted: dict[str, str] = {}

    def path(self, series: str, instance: str) -> Path:
        """Where an object lies."""
        return self._folder / name_of(series) / f"{name_of(instance)}.dcm"

    def lacks(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Those of some objects (rows of a question at the level of instances) that are not here."""
        return [r for r in rows if not self.path(r["SeriesInstanceUID"], r["SOPInstanceUID"]).is_file()]

    def expect(self, rows: list[dict[str, str]]) -> None:
        """Take these objects from now on, and no others."""
        with self._lock:
            self._wanted = {r["SOPInstanceUID"]: r["SeriesInstanceUID"] for r in rows}

    def keep(self, instance: str, data: bytes) -> int:
        """Store an object that is a whole file; returns its C-STORE status once it is safe on disk. Another than those expected, or one
        that says of itself something else than its sender, is refused.
        """
        found = identity(data)
        with self._lock:
            if found is None or found[2] != instance or self._wanted.get(instance) != found[1]:
                return ODD
            target = self.path(found[1], instance)
            if target.is_file():
                return DONE
            status = stored(self._folder, target, data, self._quota - self._held)
            self._held += len(data) if status == DONE else 0
        return status
