"""A folder of received objects, study by study, under names made of hashes: whatever was acknowledged is there once."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

from osler.adapters.imaging.dicom_folder import identity, stored
from osler.adapters.imaging.dicom_net import DONE, OTHER
from osler.cohort.atomic import sweep


class Inbox:
    """Objects as `STUDY/OBJECT.dcm`, both hashes of UIDs, never of what a sender says; objects of no study lie in `ab/`.

    Args:
        folder: where objects go; made if absent.
        quota: most bytes that it may hold.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._quota, self._lock = folder, quota, threading.Lock()
        sweep(folder)
        self._held = 0
        self._places: dict[str, str] = {}
        for path in folder.glob("*/*.dcm"):
            self._held += path.stat().st_size
            self._places[path.stem] = path.parent.name
        self._moved: dict[str, float] = dict.fromkeys({s for s in self._places.values() if len(s) > 2}, time.monotonic())

    def path(self, instance: str) -> Path:
        """Where the object of a UID lies, or would lie without a study."""
        name = _hashed(instance)
        return self._folder / self._places.get(name, name[:2]) / f"{name}.dcm"

    def keep(self, instance: str, data: bytes) -> int:
        """Store an object; returns its C-STORE status once it is safe on disk. The same bytes again change nothing."""
        name, found = _hashed(instance), identity(data)
        with self._lock:
            if name in self._places:
                return DONE if self.path(instance).read_bytes() == data else OTHER
            study = _hashed(found[0]) if found is not None else name[:2]
            target = self._folder / study / f"{name}.dcm"
            status = stored(self._folder, target, data, self._quota - self._held)
            if status != DONE:
                return status
            self._held += len(data)
            self._places[name] = study
            if found is not None:
                self._moved[study] = time.monotonic()
        return DONE

    def quiet(self, seconds: float) -> dict[str, list[str]]:
        """Study → its objects (names of its folder and files), of studies for which nothing came for so many seconds, `settled` ones left out."""
        with self._lock:
            now = time.monotonic()
            found: dict[str, list[str]] = {study: [] for study, at in sorted(self._moved.items()) if now - at >= seconds}
            for name, study in self._places.items() if found else ():
                if study in found:
                    found[study].append(name)
        return {study: sorted(names) for study, names in found.items()}

    def settled(self, study: str, objects: int) -> None:
        """A study with so many objects is looked after, until more of them come."""
        with self._lock:
            if sum(place == study for place in self._places.values()) == objects:
                self._moved.pop(study, None)


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:40]
