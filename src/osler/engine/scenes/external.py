"""A predictor that draws meets scans from elsewhere: the untouched result, scan by scan and together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from osler import modalities, registry, tasks
from osler.cohort import split
from osler.cohort.certificate import overlap_with_run
from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.engine.files import write_json, write_parquet
from osler.engine.predict import as_trained
from osler.engine.run import Run
from osler.engine.scenes.predict import amounts, as_scans, asked_of, draw, target_of
from osler.engine.scenes.rows import RowScenes
from osler.errors import CODES, ColumnError, InputError, PredictorError, TargetError, nearest

if TYPE_CHECKING:
    from osler.engine.external import External
    from osler.engine.predictor import Predictor


def evaluate(run: Run, source: Cohort | str | Path, out: str | Path | None = None) -> External:
    """Judge a run that draws on scans from elsewhere whose masks or boxes are known.

    Args:
        run: the finished run.
        source: the external folder or table; its target is read in the run's terms.
        out: folder for `scores.json`, `external.json` and `predictions.parquet` (a row per scan).

    Raises:
        ColumnError: there is no column of the target. TargetError: no scan has a drawing that fits.
    """
    from osler.engine.external import External

    predictor, study = run.predictor, run.study
    cohort, facts = _in_its_terms(predictor, _read(predictor, source), study.unit)
    task = tasks.get(predictor.task)
    problems = {reason: int(mask.sum()) for reason, mask in task.problems(cohort).items() if mask.any()}
    usable = task.usable(cohort)
    if not usable.any() or not any(m is not None and len(m) for m in task.marked(cohort.where(usable))):
        why = f": {next(iter(problems))}" if problems else ", or nothing is marked in it"
        raise TargetError(f"the external scans must have '{predictor.target[0]}' drawn on them, none fits{why}: name another table")
    cohort = cohort.where(usable, "drawings that fit")
    groups = split.groups_of(cohort)
    scenes = RowScenes(cohort, asked_of(predictor), predictor.states, groups)
    target = target_of(predictor)
    judge = registry.load({"judge": task.judged_by(target)}, "measures", "judge")()
    records, answers, kept = [], [], []
    for i in range(len(scenes)):
        try:
            scene = scenes[i]
            drawn = draw(predictor, scene)
        except PredictorError:
            raise
        except InputError as error:
            why = f"{CODES[error.code]} ({error.code})"
            problems[why] = problems.get(why, 0) + 1
            continue
        kept.append(i)
        records.append(judge.record(scene.drawn, drawn, scene.spacing, scenes.asked, target.options))
        answers.append(amounts(drawn, scene.spacing, scenes.asked))
    if not kept:
        raise TargetError(f"the external scans must be of the kind learnt from, none is: {next(iter(problems))}")
    cohort, groups = cohort.take(np.array(kept)), groups[kept]
    scored = judge.score(records, groups, scenes.asked, study.rng("external", "holdout"), study.boot)
    facts |= {"rows": len(cohort), "left_out": problems, "recalibration_rows": 0, "message": "the untouched predictor"}
    facts["overlap"] = [dict(c.__dict__) for c in overlap_with_run(run.folder, cohort)]
    result = External({"chosen": run.chosen, "parts": {"holdout": {run.chosen: scored}}}, facts, cohort)
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "scores.json", result.scores)
        write_json(folder / "external.json", facts)
        write_parquet(folder / "predictions.parquet", _table(cohort, records, answers))
    return result


def _read(predictor: Predictor, source: Cohort | str | Path) -> Cohort:
    from osler.cohort import sources

    if isinstance(source, Cohort):
        return source
    raw = sources.open_source(source)
    kinds = {c.name: c.modality for c in predictor.columns if c.role in ("input", "target")}
    return read(raw, columns={name: kind for name, kind in kinds.items() if name in raw.table.columns})


def _in_its_terms(predictor: Predictor, cohort: Cohort, units: tuple[str, ...]) -> tuple[Cohort, dict[str, Any]]:
    """The scans and drawings under the names and numbers of training.

    Where one class was learnt and the drawings from elsewhere hold one number, it is that class, whatever the number (255 or 1).
    """
    trained = target_of(predictor)
    cohort = as_scans(predictor, cohort, with_target=True)
    held = {c.name for c in cohort.columns}
    if trained.name not in held:
        raise ColumnError(f"the external table must have the target '{trained.name}', it has not: {nearest(trained.name, held)}")
    found = cohort.values(trained.name)
    cohort = as_trained(predictor, cohort)
    target = trained
    numbers = list(trained.options.get("numbers", ()))
    if trained.modality == "mask" and len(numbers) == 1 and not trained.options.get("instances"):
        here = {int(k) for pair in modalities.get("mask").found(found, cohort.root) if pair is not None for k in pair[0]}
        if len(here) == 1 and here != set(numbers):
            target = trained.with_(options={**trained.options, "numbers": sorted(here)})
    columns = tuple(target if c.name == target.name else c for c in cohort.columns)
    cohort = replace(cohort, columns=columns)
    named = [u for u in units if u in held]
    cohort = cohort.declare(unit=named) if named else cohort
    return cohort, {"shared": [c.name for c in predictor.inputs], "numbers": list(target.options.get("numbers", ()))}


def _table(cohort: Cohort, records: list[dict[str, Any]], answers: list[dict[str, float]]) -> pl.DataFrame:
    """A row per scan: its number, its measures, and how much was drawn."""
    lines = []
    for row, record, found in zip(cohort.rows.tolist(), records, answers):
        lines.append({"row": row, **{k: v for k, v in record.items() if not isinstance(v, list)}, **found})
    return pl.DataFrame(lines, infer_schema_length=None)


__all__ = ["evaluate"]
