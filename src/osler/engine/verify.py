"""Recompute a run's certificate from what it left behind."""

from __future__ import annotations

from pathlib import Path

from osler.cohort import certificate
from osler.cohort.certificate import Certificate
from osler.cohort.cohort import Cohort
from osler.engine.predictor import Predictor
from osler.engine.prepare import prepare, table_sha256
from osler.engine.run import Run


def verify(run: Run | str | Path, data: str | Path | None = None) -> Certificate:
    """The certificate of a run, recomputed; its verdict is "violated" if anything does not hold or was changed.

    The predictor's hashes are checked, and where the table is still where the study says (or is named by `data`) with
    the same SHA-256, units, duplicates and leaks are searched for anew.

    Raises:
        InputError: not a finished run.
        PredictorError: the predictor was changed.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    Predictor.load(run.folder / "predictor")
    return certificate.verify(run.folder, _source(run, data))


def _source(run: Run, data: str | Path | None) -> Cohort | None:
    path = Path(data or run.study.source or ".")
    if not path.is_file() or table_sha256(path, run.study.labels) != run.study.source_sha256:
        return None
    return prepare(run.study, path).cohort
