"""From prepared rows to a run of a task that is drawn: folds, hold-out, final models, drawings, scores and predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from osler import models
from osler.blocks import dense
from osler.cohort.certificate import certify, split_table
from osler.engine import plan
from osler.engine.answer import learn_domain
from osler.engine.describe import describe, environment
from osler.engine.files import write_atomic, write_json, write_parquet
from osler.engine.log import Log
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared
from osler.engine.progress import Progress
from osler.engine.scenes import folds, plans
from osler.engine.scenes.assess import assess, measures_table
from osler.engine.scenes.gallery import gallery
from osler.engine.scenes.rows import described, learn_states, scenes_of
from osler.engine.train import Fitted
from osler.registry import load

#: What writes the pages of a finished run; it stands above the engine, so it is named and not imported.
WRITERS = {"report": "osler.report.build:build", "card": "osler.report.build:card_of"}

#: Rows whose scans are looked at to know the usual ones.
FAMILIAR = 200


def learn(work: Path, prepared: Prepared, log: Log, progress: Progress, workers: int = 1) -> None:
    """Everything between what is written before (`osler.engine.fit`) and the finished folder."""
    last = prepared.splits[-1]
    rows = last.train
    cohort = prepared.cohort.take(rows)
    scenes = scenes_of(cohort, prepared.task, learn_states(cohort), prepared.groups[rows])
    made = {spec: models.drawer(spec).plan(scenes) for spec in prepared.study.model}
    write_atomic(work / "plan.md", (plan.text(prepared) + plans.text(made)).encode())
    drawings = work / "drawings"
    results = folds.cross_validate(prepared, work / "folds", drawings, progress, workers)
    log.write("folds", count=len(results))
    progress("final model", 0, 1)
    specs = folds.specs_of(prepared) if len(last.test) else {s: s for s in prepared.study.model}
    fitted = folds.fit_rows(prepared, rows, last.key, specs, progress)
    if len(last.test):
        results.append(folds.draw_rows(prepared, last, fitted, drawings))
    progress("final model", 1, 1)
    _write_after(work, prepared, results, fitted, log)
    progress("report", 0, 1)
    load(WRITERS, "writers", "report")(work)
    progress("report", 1, 1)


def _write_after(work: Path, prepared: Prepared, results: list[folds.FoldDrawings], fitted: Fitted, log: Log) -> None:
    """Scores, measures of every drawing, certificate and predictor."""
    study = prepared.study
    assessment = assess(prepared, results)
    states = [s for r in results if r.split.part != "holdout" for s in r.states] + list(fitted.record)
    certificate = certify(prepared.cohort, prepared.splits, states, study.key, pairs=prepared.pairs).to_json()
    write_json(work / "scores.json", assessment.scores)
    write_json(work / "curves.json", assessment.curves)
    write_json(work / "certificate.json", certificate)
    write_json(work / "findings.json", [f.__dict__ for f in prepared.findings])
    write_json(work / "environment.json", environment())
    write_parquet(work / "splits.parquet", split_table(prepared.cohort, prepared.splits, study.key, pairs=prepared.pairs))
    write_parquet(work / "predictions.parquet", measures_table(prepared, results, work / "drawings"))
    facts = describe(prepared, [], fitted, assessment)
    write_json(work / "facts.json", facts)
    predictor = make_predictor(prepared, fitted, assessment.scores["chosen"], certificate, facts)
    log.write("scored", verdict=certificate["verdict"])
    shown = gallery(prepared, results, fitted.states, assessment.scores["chosen"], work / "drawings")
    write_json(work / "explanation.json", {"drawings": shown} if shown else {})
    predictor.save(work / "predictor", load(WRITERS, "writers", "card")(work))


def make_predictor(
    prepared: Prepared, fitted: Fitted, chosen: str, certificate: dict[str, Any], facts: dict[str, Any]
) -> Predictor:
    """The saved thing: the chosen drawer, what scans it knows, and what its classes mean."""
    rows = prepared.splits[-1].train
    target = prepared.target
    columns = tuple(c for c in prepared.cohort.columns if c.role in ("input", "target"))
    few = rows[np.linspace(0, len(rows) - 1, min(len(rows), FAMILIAR)).astype(int)]
    seen = scenes_of(prepared.cohort.take(few), prepared.task, fitted.states, prepared.groups[few])
    return Predictor(
        columns, fitted.states, prepared.study.task, target.names, target.classes, None, {chosen: fitted.params[chosen]}, chosen, {},
        domain_of(described(seen), next(iter(fitted.states))), {k: certificate[k] for k in ("verdict", "unit")}, facts["card"],
    )  # fmt: skip


def domain_of(numbers: np.ndarray, column: str) -> dict[str, Any]:
    """Ranges of what training scans looked like (`osler.engine.answer.learn_domain`)."""
    return learn_domain({column: dense(numbers, [str(i) for i in range(numbers.shape[1])])})
