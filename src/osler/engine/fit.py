"""The main verb: from a table and a question to a run folder, split first, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import models, tasks
from osler.cohort.certificate import certify, split_table
from osler.cohort.cohort import Cohort
from osler.cohort.lineage import without_files
from osler.cohort.split import Split
from osler.engine import plan
from osler.engine.answer import learn_domain
from osler.engine.assess import assess
from osler.engine.batches import encode
from osler.engine.describe import describe, environment
from osler.engine.files import alone, recover, whole_folder, write_atomic, write_json, write_parquet
from osler.engine.interpret import interpret
from osler.engine.log import Log
from osler.engine.named_files import TABLE as FILES
from osler.engine.named_files import listed
from osler.engine.populations import more_data, shifts
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared, cohort_sha256, prepare, table_sha256
from osler.engine.progress import Progress
from osler.engine.run import Run
from osler.engine.scenes.fit import learn as draw_and_judge
from osler.engine.study import Study
from osler.engine.tables import defused
from osler.engine.train import CHECKPOINTS, Fitted, FoldResult, cross_validate, fit_rows
from osler.engine.warm import pretraining
from osler.errors import OptionError, OslerError
from osler.explanation.background import learn_background
from osler.registry import load

#: What writes the pages of a finished run; it stands above the engine, so it is named and not imported.
WRITERS = {"report": "osler.report.build:build", "card": "osler.report.build:card_of"}


def fit(
    source: Cohort | str | Path,
    out: str | Path,
    study: Study | None = None,
    *,
    workers: int = 0,
    silent: bool = False,
    **options: Any,
) -> Run:
    """Learn from a table and write a run folder.

    Args:
        source: a path or address that `osler.read` reads, or a cohort.
        out: the run folder; a killed fit continues from its finished folds when called again with the same study.
        study: the question; `options` are fields of `Study` that replace its own.
        workers: processes; 0 takes one per core. The answer does not depend on it.
        silent: no progress.

    Returns:
        The finished run.

    Raises:
        InputError: the table, a column, the target or an option must change, or another process is writing `out`.
        ViolationError: the asked split would leak.
    """
    if workers < 0:
        raise OptionError(f"workers must be at least 0, was {workers}: 0 takes one per core")
    study = _study(source, study or Study(), options)
    final = _out(out)
    with alone(final), Progress(silent) as progress:
        progress("prepare", 0, 1)
        prepared = prepare(study, source)
        progress("prepare", 1, 1)
        work = _work_folder(final, prepared.study)
        _keep_answers(final, work)
        try:
            log = _learn(work, prepared, workers or os.cpu_count() or 1, progress)
        except OslerError:
            shutil.rmtree(work)  # the question must change, so nothing here would be of use again
            raise
        with whole_folder(final, work):
            shutil.rmtree(work / "folds", ignore_errors=True)
            log.write("finished")
    return Run.load(final)


def _learn(work: Path, prepared: Prepared, workers: int, progress: Progress) -> Log:
    """Everything between the splits and the finished folder."""
    log = Log(work / "log.jsonl")
    log.write("prepared", rows=len(prepared.cohort), units=prepared.facts["units"], splits=len(prepared.splits))
    _write_before(work, prepared)
    if prepared.study.task in tasks.DRAWN:
        draw_and_judge(work, prepared, log, progress, workers)
        (work / "digest").unlink()
        return log
    folds = cross_validate(prepared, work / "folds", workers, progress)
    log.write("folds", count=len(folds))
    last = prepared.splits[-1]
    progress("final model", 0, 1)
    fitted = fit_rows(prepared, last.train, last.key, work / "folds" / CHECKPOINTS)
    progress("final model", 1, 1)
    _write_after(work, prepared, folds, fitted, progress, log)
    return log


def _study(source: Cohort | str | Path, study: Study, options: dict[str, Any]) -> Study:
    """The study with options in place and the table named by path and hash."""
    changed = Study.from_json({**study.to_json(), **{k: v for k, v in options.items() if v is not None}})
    if isinstance(source, Cohort):
        roles = {
            r: tuple(c.name for c in source.role(r))
            for r in ("unit", "target", "site", "time", "duration", "event", "weight")
        }
        filled = {
            r: (names if r in ("unit", "target") else names[0])
            for r, names in roles.items()
            if names and not getattr(changed, r)
        }
        return changed.with_(source="", labels="", source_sha256=cohort_sha256(source), **filled)
    return changed.with_(source=str(source), source_sha256=table_sha256(source, changed.labels))


def _out(out: str | Path) -> Path:
    final = Path(out)
    if final.exists() and not (final / "study.json").is_file() and (not final.is_dir() or any(final.iterdir())):
        raise OptionError(
            f"out must be a new folder or an earlier run, '{final.name}' holds something else: name another"
        )
    return final


def _work_folder(final: Path, study: Study) -> Path:
    """The folder of an unfinished fit of this very study (kept folds and all), or a new one."""
    work = final.with_name(f".{final.name}.partial")
    recover(final, work)
    mark = work / "digest"
    if work.exists() and (not mark.is_file() or mark.read_text() != study.digest):
        shutil.rmtree(work)
    work.mkdir(mode=0o700, exist_ok=True)
    write_atomic(mark, study.digest.encode())
    return work


def _write_before(work: Path, prepared: Prepared) -> None:
    """What is known before any model is fitted: study, plan, cohort, ledger."""
    write_json(work / "study.json", prepared.study.to_json())
    write_json(work / "cohort.json", prepared.cohort.to_json())
    files = listed(prepared.cohort, prepared.study.key)
    if files.height:
        write_parquet(work / FILES, files)
    write_atomic(work / "plan.md", plan.text(prepared).encode())
    ledger = without_files(prepared.cohort.refusals).sort("row", "column", "reason")
    write_atomic(work / "refusals.csv", defused(ledger).write_csv().encode())


def _keep_answers(final: Path, work: Path) -> None:
    """What people answered for the report of an earlier fit belongs to the study, not to the fit."""
    for name in ("answers.yaml", "answers.json"):
        if (final / name).is_file():
            write_atomic(work / name, (final / name).read_bytes())


def _write_after(
    work: Path, prepared: Prepared, folds: list[FoldResult], fitted: Fitted, progress: Progress, log: Log
) -> None:
    """Scores, certificate, predictor, figures and report."""
    study, last = prepared.study, prepared.splits[-1]
    results = [*folds, *_holdout(prepared, fitted, last)]
    progress("scores", 0, 1)
    assessment = assess(prepared, results)
    progress("scores", 1, 1)
    states = [s for r in folds for s in r.states] + list(fitted.record)
    certificate = certify(
        prepared.cohort,
        prepared.splits,
        states,
        study.key,
        pairs=prepared.pairs,
        pretraining=pretraining(study, prepared.cohort),
    ).to_json()
    write_json(work / "scores.json", assessment.scores)
    populations = {"learning_curve": more_data(prepared) if study.explain else {}, "drift": shifts(prepared)}
    write_json(work / "curves.json", {**assessment.curves, **populations})
    write_json(work / "certificate.json", certificate)
    write_json(work / "findings.json", [f.__dict__ for f in prepared.findings])
    write_json(work / "environment.json", environment())
    write_parquet(
        work / "splits.parquet", split_table(prepared.cohort, prepared.splits, study.key, pairs=prepared.pairs)
    )
    write_parquet(work / "predictions.parquet", prediction_table(prepared, results))
    facts = describe(prepared, results, fitted, assessment)
    write_json(work / "facts.json", facts)
    predictor = make_predictor(prepared, fitted, assessment.scores["chosen"], assessment.conformal, certificate, facts)
    log.write("scored", verdict=certificate["verdict"])
    if study.explain:
        progress("explanation", 0, 1)
        write_json(work / "explanation.json", interpret(prepared, folds, predictor, study.rng("explain")))
        progress("explanation", 1, 1)
    predictor.save(work / "predictor", load(WRITERS, "writers", "card")(work))
    progress("report", 0, 1)
    load(WRITERS, "writers", "report")(work)
    progress("report", 1, 1)
    (work / "digest").unlink()


def _holdout(prepared: Prepared, fitted: Fitted, last: Split) -> list[FoldResult]:
    """The final models' answers for the hold-out, if there is one."""
    if not len(last.test):
        return []
    blocks = encode(prepared.cohort.take(last.test), fitted.states)
    answers = {name: models.get(spec).predict(params, blocks) for name, (spec, params) in fitted.params.items()}
    return [FoldResult(last, answers, fitted.record, {})]


def make_predictor(
    prepared: Prepared,
    fitted: Fitted,
    chosen: str,
    conformal: dict[str, Any],
    certificate: dict[str, Any],
    facts: dict[str, Any],
) -> Predictor:
    """The saved thing from what was fitted on the development rows."""
    target = prepared.target
    rows = prepared.splits[-1].train
    blocks = encode(prepared.cohort.take(rows), fitted.states)
    kept = fitted.params if chosen == "ensemble" or chosen not in fitted.params else {chosen: fitted.params[chosen]}
    if chosen == "ensemble":
        kept = {"ensemble": fitted.params["ensemble"]}
    roles = ("input", "target", "duration", "event")
    columns = tuple(c for c in prepared.cohort.columns if c.role in roles)
    return Predictor(
        columns, fitted.states, prepared.study.task, target.names, target.classes, target.horizon, dict(kept), chosen,
        conformal, learn_domain(blocks), {k: certificate[k] for k in ("verdict", "unit")}, facts["card"],
        learn_background(blocks, prepared.groups[rows]),
    )  # fmt: skip


def prediction_table(prepared: Prepared, results: list[FoldResult]) -> pl.DataFrame:
    """Every model's out-of-fold and hold-out answer: row, part, repeat, fold, model and the answer's columns.

    `probability` of the positive class (binary), `probability_0..k` (multiclass, multilabel), `value` (regression),
    `risk` and `event_probability` at the horizon (survival).
    """
    frames = []
    for result in results:
        rows = prepared.cohort.rows[result.split.test]
        for name, answer in result.predictions.items():
            n = len(rows)
            base = {
                "row": rows,
                "part": [result.split.part] * n,
                "repeat": np.full(n, result.split.repeat),
                "fold": np.full(n, result.split.fold),
                "model": [name] * n,
            }
            frames.append(pl.DataFrame({**base, **_answer(prepared, answer)}))
    return pl.concat(frames).sort("part", "model", "repeat", "row")


def _answer(prepared: Prepared, answer: Any) -> dict[str, np.ndarray]:
    kind = prepared.target.kind
    if kind == "binary":
        return {"probability": answer.value[:, 1]}
    if kind == "regression":
        return {"value": answer.value[:, 0]}
    if kind == "survival":
        return {"risk": answer.risk, "event_probability": answer.event_probability(prepared.target.horizon)}
    return {f"probability_{k}": answer.value[:, k] for k in range(answer.value.shape[1])}


__all__ = ["fit", "make_predictor", "prediction_table", "replace", "tasks"]
