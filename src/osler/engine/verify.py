"""Recompute a run's certificate from what it left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from osler.cohort import certificate
from osler.cohort.certificate import Certificate
from osler.cohort.cohort import Cohort
from osler.engine.named_files import unchanged
from osler.engine.predictor import Predictor
from osler.engine.prepare import prepare, table_sha256
from osler.engine.run import Run


def verify(run: Run | str | Path, data: str | Path | None = None) -> Certificate:
    """The certificate of a run, recomputed; its verdict is "violated" if anything does not hold or was changed.

    The predictor's hashes are checked, and where the table is still where the study says (or is named by `data`) with
    the same SHA-256, units, duplicates and leaks are searched for anew, and the files that its cells name must have the
    bytes that the run learnt from.

    Raises:
        InputError: not a finished run.
        PredictorError: the predictor was changed.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    Predictor.load(run.folder / "predictor")
    source = _source(run, data)
    found = certificate.verify(run.folder, source)
    files = unchanged(run.folder, source, run.study.key) if source is not None else None
    return replace(found, checks=(*found.checks, files)) if files is not None else found


def _source(run: Run, data: str | Path | None) -> Cohort | None:
    path = Path(data or run.study.source or ".")
    if not path.is_file() or table_sha256(path, run.study.labels) != run.study.source_sha256:
        return None
    return prepare(run.study, path).cohort
