"""A predictor at the inbox: each complete study is answered, and the answer goes as DICOM to a named archive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import dicom_series, scan
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, OTHER
from osler.adapters.imaging.dicom_results import Algorithm, Code, code_of, source_of
from osler.engine import heat
from osler.engine.answer import answer_blocks
from osler.engine.batches import encode
from osler.engine.predict import open_predictor, rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.scenes.dicom_masks import BARE, algorithm_of, meanings_of
from osler.engine.scenes.predict import asked_of, draw
from osler.engine.scenes.rows import RowScenes
from osler.errors import InputError, OptionError, OslerError, ReadError
from osler.scenes import Boxes
from osler.service import dicom_answers
from osler.service.dicom_answers import Answer
from osler.service.dicom_archive import Archive
from osler.service.dicom_jobs import Job, Jobs
from osler.tasks.base import DRAWN

#: Seconds between two looks at the queue, and most between two tries to reach the archive.
LOOK, PATIENCE = 1.0, 300.0
#: Modalities of objects that are answers or remarks themselves.
_ANSWERS = ("SEG", "SR", "OT", "PR", "KO", "RTSTRUCT", "DOC")
#: Names of classes that say no more than their target does.


@dataclass(frozen=True)
class Work:
    """What is done with a complete study.

    Attributes:
        run: a run's folder, or a predictor's; None to leave studies in the queue for other programs.
        archive: who gets the answers; None where there is no run.
        quiet: seconds without a new object after which a study is complete.
        drawn: heat maps are sent too.
        told: called with one line per event; it holds no patient's value.
    """

    run: Path | None
    archive: Archive | None
    quiet: float = 30.0
    drawn: bool = False
    told: Callable[[str], None] = print


def work(inbox: Inbox, folder: Path, asked: Work, stop: threading.Event) -> None:
    """Queue complete studies, and answer them, until `stop` is set.

    Raises:
        OptionError: the predictor reads something else than one scan.
    """
    predictor = None if asked.run is None else open_predictor(asked.run)
    if predictor is not None:
        column_of(predictor)
    jobs = Jobs(folder)
    worker = None if predictor is None else Worker(jobs, predictor, asked)
    while not stop.wait(LOOK if asked.quiet >= LOOK else 0.05):
        jobs.settle(inbox, asked.quiet)
        while worker is not None and not stop.is_set() and worker.step():
            pass


class Worker:
    """Answers one job after another.

    Args:
        jobs: the queue.
        predictor: what answers.
        asked: to whom answers go, and what is told.
    """

    def __init__(self, jobs: Jobs, predictor: Predictor, asked: Work) -> None:
        self._jobs, self._predictor, self._asked = jobs, predictor, asked
        self._later: dict[str, tuple[float, float]] = {}

    def step(self) -> bool:
        """Work on the first job whose time has come; False if there is none."""
        now = time.monotonic()
        job = next((j for j in self._jobs.waiting() if self._later.get(j.id, (0.0, 0.0))[0] <= now), None)
        if job is None:
            return False
        try:
            files = self._answered(job)
        except Exception as error:
            self._failed(job, error)
            return True
        self._sent(job, files)
        return True

    def _answered(self, job: Job) -> list[Path]:
        """The files of the answer; made anew only where no whole answer is there yet."""
        held = self._jobs.answer(job)
        if held is not None:
            return held
        with self._jobs.answering(job) as folder:
            for made in answers(self._predictor, job, self._asked.drawn):
                dicom_answers.write(made, folder)
        return self._jobs.answer(job) or []

    def _failed(self, job: Job, error: Exception) -> None:
        known = isinstance(error, OslerError)
        code, why = (error.code, error.message) if known else ("internal", f"the answer failed ({type(error).__name__})")
        self._jobs.end(job, "failed", {"code": code, "reason": why})
        self._asked.told(f"study {job.id[:8]}: not answered [{code}]")

    def _sent(self, job: Job, files: list[Path]) -> None:
        try:
            statuses = [status for _, status in self._asked.archive.send(files)]
        except ReadError:
            statuses = [None]
        if all(s in (DONE, OTHER) for s in statuses):
            self._jobs.end(job, "done", {"sent": len(files)})
            self._asked.told(f"study {job.id[:8]}: {len(job.objects)} objects answered, {len(files)} results sent")
        elif any(s in (None, NO_ROOM) for s in statuses):
            wait = min(PATIENCE, 2 * self._later.get(job.id, (0.0, 1.0))[1])
            self._later[job.id] = time.monotonic() + wait, wait
            self._asked.told(f"study {job.id[:8]}: the archive takes nothing now, next try in {wait:.0f} s")
        else:
            self._jobs.end(job, "failed", {"code": "input", "reason": "the archive refused a result"})
            self._asked.told(f"study {job.id[:8]}: the archive refused its results")


def column_of(predictor: Predictor) -> str:
    """The column of scans that a predictor reads.

    Raises:
        OptionError: it reads none, or several, or asks for more than half of its columns besides.
    """
    scans = [c.name for c in predictor.inputs if c.modality in ("image", "volume")]
    if len(scans) != 1:
        raise OptionError("a predictor at an inbox must read one column of scans, this one does not: name another")
    return scans[0]


def answers(predictor: Predictor, job: Job, drawn: bool) -> Iterator[list[Any]]:
    """The objects of the answer for every series (or picture) of a study that the predictor reads.

    Raises:
        InputError: the study holds nothing that it reads.
    """
    name = column_of(predictor)
    dims = 3 if next(c for c in predictor.inputs if c.name == name).modality == "volume" else 2
    any_read = False
    for reference in references(job, dims):
        any_read = True
        path, fragment = scan.parts(reference, job.study)
        yield dicom_answers.objects(source_of(path, fragment), scan.read_at(path, fragment), _answer(predictor, name, reference, job.study, drawn))
    if not any_read:
        what = "volume" if dims == 3 else "picture"
        raise InputError(f"a study must hold a {what} that can be read, this one holds none: ask for another predictor", "image-pixels")


def references(job: Job, dims: int) -> Iterator[str]:
    """References of the volumes, or of the pictures that belong to no volume, among a study's objects; what cannot be read is passed over."""
    wanted = set(job.objects)
    found = [(path, head) for path, head in dicom_series.heads_in(job.study) if path in wanted and head.get("Modality") not in _ANSWERS]
    for stack in dicom_series.stacks(found, job.study.name):
        if dims == 3 and not stack.code:
            yield f".#{stack.uid}/{stack.part}"
        elif dims == 2 and stack.code != "series-localizer" and (stack.code or len(stack.paths) < 2):
            for path in stack.paths:
                try:
                    fits = len(scan.header(path.name, job.study).shape) == 3
                except OslerError:
                    fits = False
                if fits:
                    yield path.name


def _answer(predictor: Predictor, name: str, reference: str, root: Path, drawn: bool) -> Answer:
    cohort = rows_cohort(predictor, [{name: reference}], root=root)
    algorithm = algorithm_of(predictor.target[0])
    if predictor.task in DRAWN:
        return _drawing(predictor, cohort, algorithm)
    blocks = encode(cohort, predictor.states)
    if not blocks[name].present[0]:
        raise InputError("a scan must be readable as the predictor reads it, this one is not: look at it with osler quality", "image-format")
    frame = answer_blocks(predictor, blocks, predictor.answer(blocks))
    target, classes = predictor.target[0], predictor.classes
    findings: dict[Code, float] = {}
    present: dict[Code, bool] = {}
    if predictor.task == "binary":
        code = code_of(target if classes[1].strip().lower() in BARE else classes[1])
        findings[code] = float(frame[f"{target}_prob_{classes[1]}"][0])
        present[code] = frame[f"{target}_pred"][0] == classes[1]
    elif predictor.task in ("multiclass", "multilabel"):
        columns = [f"{target}_prob_{c}" if predictor.task == "multiclass" else f"{c}_prob_1" for c in classes]
        findings = {code_of(c): float(frame[column][0]) for c, column in zip(classes, columns)}
    else:
        raise OptionError("a predictor at an inbox must answer with classes, masks or boxes, this one answers with numbers: name another")
    hot = heat.heat_of(predictor, cohort, name)[0] if drawn else None
    return Answer(findings=findings, present=present, heat=None if hot is None else hot.values, algorithm=algorithm)


def _drawing(predictor: Predictor, cohort: Any, algorithm: Algorithm) -> Answer:
    asked = asked_of(predictor)
    scene = RowScenes(cohort, asked, predictor.states, np.arange(1), with_drawings=False)[0]
    drawn = draw(predictor, scene)
    if drawn.labels is None:
        return dicom_answers.boxed(drawn.boxes or Boxes.none(asked.dims), asked.classes, scene.shape, algorithm)
    found, target = drawn.labels, predictor.target[0]
    meanings = meanings_of(asked, target, found)
    absent = {} if found.any() else dict.fromkeys(meanings.values() or (code_of(target),), False)
    return Answer(labels=found, meanings=meanings, present=absent, algorithm=algorithm)
