"""One complete study, one job: a queue of small files beside the received objects, in which a kill loses nothing and doubles nothing.

    jobs/waiting/ID.json     a study with the objects that it had when nothing more came
    jobs/results/ID/         its answer, whole or absent; sent from here, as often as it needs
    jobs/done/ID.json        answered and sent        jobs/failed/ID.json   cannot be answered, and why

The ID is a hash of the study and its objects, so that the same study gives the same job however often the node was killed between
its last object and now. A study that grows is a new job with all of its objects.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.adapters.imaging.dicom_inbox import Inbox
from osler.cohort.atomic import sweep, sync_folder, write_atomic
from osler.engine.files import whole_folder

STATES = ("waiting", "done", "failed")


@dataclass(frozen=True)
class Job:
    """A study to answer for.

    Attributes:
        id: its name in the queue.
        study: folder of its objects.
        objects: files that it has.
    """

    id: str
    study: Path
    objects: tuple[Path, ...]


class Jobs:
    """The queue of an inbox.

    Args:
        folder: the inbox's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._inbox, self._folder = folder, folder / "jobs"
        for state in (*STATES, "results"):
            (self._folder / state).mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep(self._folder)
        for job in self.names("done") | self.names("failed"):
            self._place("waiting", job).unlink(missing_ok=True)

    def _place(self, state: str, job: str) -> Path:
        return self._folder / state / f"{job}.json"

    def names(self, state: str) -> set[str]:
        """IDs of the jobs of a state."""
        return {path.stem for path in (self._folder / state).glob("*.json")}

    def settle(self, inbox: Inbox, seconds: float) -> int:
        """Make a job of every study for which nothing came for so many seconds; returns how many are new."""
        new = 0
        for study, objects in inbox.quiet(seconds).items():
            job = hashlib.sha256("\n".join([study, *objects]).encode()).hexdigest()[:32]
            if not any(self._place(state, job).exists() for state in STATES):
                body = {"study": study, "objects": objects}
                write_atomic(self._place("waiting", job), json.dumps(body).encode(), sync="folder")
                new += 1
            inbox.settled(study, len(objects))
        return new

    def waiting(self) -> list[Job]:
        """Jobs in the order in which they came."""
        places = sorted((self._folder / "waiting").glob("*.json"), key=lambda p: (p.stat().st_mtime_ns, p.name))
        return [self._read(path) for path in places]

    def _read(self, path: Path) -> Job:
        body = json.loads(path.read_bytes())
        folder = self._inbox / body["study"]
        return Job(path.stem, folder, tuple(folder / f"{name}.dcm" for name in body["objects"]))

    def answer(self, job: Job) -> list[Path] | None:
        """The files of its answer; None where it has none yet."""
        folder = self._folder / "results" / job.id
        return sorted(folder.iterdir()) if folder.is_dir() else None

    @contextmanager
    def answering(self, job: Job) -> Iterator[Path]:
        """A folder to fill with the answer's files; it counts only when it is whole."""
        work = self._folder / "results" / f".{job.id}.partial"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        with whole_folder(self._folder / "results" / job.id, work):
            yield work

    def end(self, job: Job, state: str, told: dict[str, Any]) -> None:
        """A job is done or failed: its line is on disk before it leaves the queue."""
        body = {**json.loads(self._place("waiting", job.id).read_bytes()), **told}
        write_atomic(self._place(state, job.id), json.dumps(body).encode(), sync="folder")
        self._place("waiting", job.id).unlink()
        sync_folder(self._folder / "waiting")
        shutil.rmtree(self._folder / "results" / job.id, ignore_errors=True)

    def counts(self) -> dict[str, int]:
        """State → jobs."""
        return {state: len(os.listdir(self._folder / state)) for state in STATES}
