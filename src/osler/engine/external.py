"""External validation: a finished predictor meets a table it never saw. The untouched result is kept apart from every
repair.

    holdout                the predictor as it is, on all rows
    holdout_recalibrated   slope and intercept (or intercept alone) learnt on a stated part, judged on the rest
    holdout_untouched_rest the untouched predictor on that same rest, to compare like with like
    holdout_refit          the same study fitted anew on the development rows with only the predictors that both sides
    measure holdout_refit_patterns the refit where, besides, each common pattern of cells left out there has a model
    fitted without them
    ..._recalibrated       a refit recalibrated as above
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from osler import models, tasks
from osler.cohort import split
from osler.cohort.certificate import overlap_with_run
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.curves import part_curves
from osler.engine.files import write_json
from osler.engine.patterns import answer_by_pattern, common_patterns, often_left_out
from osler.engine.populations import plain_values
from osler.engine.predict import as_trained
from osler.engine.prepare import Prepared, open_cohort, prepare, table_sha256
from osler.engine.run import Run
from osler.engine.study import Study
from osler.engine.train import fit_rows, name_of
from osler.errors import TargetError
from osler.evaluation.calibration import recalibrate
from osler.evaluation.drift import drift
from osler.evaluation.scores import score
from osler.tasks.base import Prediction, Target
from osler.tasks.survival import split_event

#: A predictor with more than this share of empty cells at the new site counts as not measured there.
EMPTY = 0.95


@dataclass(frozen=True)
class External:
    """What external validation found.

    Attributes:
        scores: as `scores.json`, parts as drawn in this module's docstring.
        facts: columns shared, absent, nearly empty; rows; what each repair used; drift from development; rows and units
            that the run has seen already; curves of the untouched predictor (JSON).
        cohort: the external rows with the untouched predictions.
    """

    scores: dict[str, Any]
    facts: dict[str, Any]
    cohort: Cohort


def evaluate(
    run: Run | str | Path,
    source: Cohort | str | Path,
    out: str | Path | None = None,
    *,
    recalibration_share: float = 0.5,
    refit: bool = True,
) -> External:
    """Judge a run's predictor on a table from elsewhere.

    Args:
        run: the finished run.
        source: the external table; its target is read in the run's terms.
        out: folder for `scores.json` and `external.json`.
        recalibration_share: share of the external units that recalibration may learn from.
        refit: also fit anew on shared predictors, where the development table is still where the study says.

    Raises:
        ColumnError: the target or most predictors are absent.
        TargetError: no external row has a target.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    if run.study.task in tasks.DRAWN:
        from osler.engine.scenes.external import evaluate as judge_drawings

        return judge_drawings(run, source, out)
    predictor, study = run.predictor, run.study
    cohort = as_trained(predictor, _with_target(study, source, {c.name: c.modality for c in predictor.inputs}))
    task = tasks.get(study.task)
    like = _like(run)
    usable = task.usable(cohort, like)
    if not usable.any():
        named = ", ".join(predictor.target)
        raise TargetError(f"the external table must have rows with the target '{named}', it has none")
    cohort = cohort.where(usable, "target present")
    target, groups = task.target_of(cohort, like), split.groups_of(cohort)
    rng = study.rng("external")
    learn = _share(target, groups, recalibration_share, rng)
    scores: dict[str, Any] = {}
    untouched = predictor.raw(cohort)
    facts = {**_columns(run, cohort), "rows": len(cohort), "recalibration_rows": int(learn.sum())}
    facts["overlap"] = [dict(c.__dict__) for c in overlap_with_run(run.folder, cohort)]
    facts["drift"] = _shift(run, cohort)
    curves = part_curves(target, {run.chosen: untouched}, groups, study.rng("external", "curves"), run.chosen)
    facts["curves"] = {"parts": {"holdout": curves}}
    _judge(scores, facts, "holdout", run.chosen, target, untouched, groups, learn, study)
    if refit:
        again = _refit(run, cohort, facts)
        if again is not None:
            _judge(scores, facts, "holdout_refit", run.chosen, target, again, groups, learn, study)
        apart = _by_pattern(run, cohort, facts, untouched if again is None else again)
        if apart is not None:
            _judge(scores, facts, "holdout_refit_patterns", run.chosen, target, apart, groups, learn, study)
    result = External({"chosen": run.chosen, "parts": scores}, facts, predictor.predict(cohort))
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "scores.json", result.scores)
        write_json(folder / "external.json", result.facts)
    return result


def _with_target(study: Study, source: Cohort | str | Path, known: dict[str, str]) -> Cohort:
    """The external table with roles as in the study, as far as its columns are there."""
    from osler.cohort.read import read

    cohort = source if isinstance(source, Cohort) else read(source, columns=known)
    held = {c.name for c in cohort.columns}
    for name in (*study.target, study.duration, split_event(study.event, held)[0]):
        if name:
            cohort.column(name)
    here = study.with_(
        unit=tuple(u for u in study.unit if u in held), site=study.site if study.site in held else "",
        time=study.time if study.time in held else "", weight="", column=(),
        input=tuple(i for i in study.input if i in held), ignore=tuple(i for i in study.ignore if i in held),
    )  # fmt: skip
    return open_cohort(here, cohort)


def _like(run: Run) -> Target:
    p = run.predictor
    return Target(p.task, p.target, np.empty(0), None, p.classes, p.horizon)


def _share(target: Target, groups: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) true for the units that recalibration may learn from, balanced by the target."""
    k = max(2, round(1 / min(max(share, 0.05), 0.95)))
    if len(np.unique(groups)) < 2 * k:
        return np.zeros(len(target), dtype=bool)
    return split.stratified_group_folds(groups, target.strata, k, rng) == 0


def _judge(
    scores: dict[str, Any], facts: dict[str, Any], part: str, model: str, target: Target, answer: Prediction,
    groups: np.ndarray, learn: np.ndarray, study: Study,
) -> None:  # fmt: skip
    """Score an answer untouched on all rows and, for binary targets, recalibrated on the rest."""
    scores[part] = {model: score(target, answer, groups, study.rng("external", part), n_boot=study.boot)}
    rest = ~learn
    if target.kind != "binary" or learn.sum() < 20 or len(np.unique(target.y[learn])) < 2:
        return
    how = "intercept" if min(np.bincount(target.y[learn], minlength=2)) < 20 else "platt"
    learnt = recalibrate(target.y[learn], answer.value[learn, 1], how)
    p = learnt(answer.value[rest, 1])
    facts.setdefault("recalibration", {})[part] = learnt.to_json()
    repaired = Prediction(np.column_stack([1 - p, p]))
    seen, of = target.take(rest), groups[rest]
    again = score(seen, repaired, of, study.rng("external", part, "again"), n_boot=study.boot)
    scores[f"{part}_recalibrated"] = {model: again}
    if part == "holdout":
        same = answer.take(rest)
        untouched = score(seen, same, of, study.rng("external", "rest"), n_boot=study.boot)
        scores["holdout_untouched_rest"] = {model: untouched}


def _columns(run: Run, cohort: Cohort) -> dict[str, Any]:
    """Which predictors are shared, absent, or nearly empty at the new site, beside their state in development."""
    held = {c.name for c in cohort.columns}
    before = {c["name"]: c.get("summary", {}) for c in run.json("facts.json").get("columns", [])}
    absent = [c.name for c in run.predictor.inputs if c.name not in held]
    empty, shares = [], {}
    for column in run.predictor.inputs:
        if column.name in held:
            shares[column.name] = float(cohort.values(column.name).null_count() / max(len(cohort), 1))
            if shares[column.name] >= EMPTY:
                empty.append(column.name)
    known = {n: s.get("missing", 0) / max(s.get("n", 1), 1) for n, s in before.items() if "missing" in s}
    shared = [n for n in shares if n not in empty]
    return {
        "shared": shared, "absent": absent, "nearly_empty": empty,
        "missing_share": {n: {"development": known.get(n), "external": s} for n, s in shares.items()},
        "message": _message(absent, empty, shares),
    }  # fmt: skip


def _message(absent: list[str], empty: list[str], shares: dict[str, float]) -> str:
    parts = []
    if absent:
        parts.append(f"not in this table: {', '.join(absent)}")
    if empty:
        parts.append("nearly empty here: " + ", ".join(f"{n} ({shares[n]:.0%} missing)" for n in empty))
    return "; ".join(parts) or "every predictor is measured here"


def _shift(run: Run, cohort: Cohort) -> dict[str, Any]:
    """Drift from the rows that the run learnt from, where their table is still where the study says; else why not."""
    before = development_of(run)
    if before is None:
        return {"message": "not measured: the development table is no longer where the study says"}
    prepared = before.cohort.take(before.splits[-1].train)
    return drift(plain_values(prepared), plain_values(cohort), run.study.rng("external", "drift"))


def development_of(run: Run, **changes: Any) -> Prepared | None:
    """The study's table prepared again (with some of the study's fields changed), or None where it has moved or
    changed.
    """
    path = Path(run.study.source)
    if not run.study.source or table_sha256(path, run.study.labels) != run.study.source_sha256:
        return None
    return prepare(run.study.with_(**changes), path)


def _refit(run: Run, cohort: Cohort, facts: dict[str, Any]) -> Prediction | None:
    """The same study on the development rows with shared predictors only; None where that cannot or need not be done.

    Only which predictors are measured at the new site is used, never its outcomes.
    """
    lost = [*facts["absent"], *facts["nearly_empty"]]
    if not lost or not facts["shared"]:
        all_here = "not needed: every predictor is measured at both"
        facts["refit"] = "impossible: no shared predictor" if lost else all_here
        return None
    prepared = development_of(run, input=tuple(facts["shared"]), ignore=())
    if prepared is None:
        facts["refit"] = "not done: the development table is no longer where the study says"
        return None
    last = prepared.splits[-1]
    fitted = fit_rows(prepared, last.train, "refit")
    spec, params = fitted.params[run.chosen]
    facts["refit"] = f"fitted anew on {len(last.train)} development rows with {', '.join(facts['shared'])}"
    here = replace(cohort, columns=tuple(c for c in cohort.columns))
    return models.get(spec).predict(params, encode(here, fitted.states))


def _by_pattern(run: Run, cohort: Cohort, facts: dict[str, Any], others: Prediction) -> Prediction | None:
    """Answers that use models fitted without what a row lacks; None where that cannot or need not be done.

    As in `_refit`, only what is measured at the new site is used. Rows of rare patterns keep their answer in `others`.
    """
    names = often_left_out(facts["missing_share"], facts["shared"])
    patterns = common_patterns(cohort, names)
    model = tuple(spec for spec in run.study.model if name_of(spec) == run.chosen)
    if not patterns or not model:
        return None
    prepared = development_of(run, input=tuple(facts["shared"]), ignore=(), model=model)
    if prepared is None:
        return None
    facts["refit_patterns"] = [{"lost": list(p.lost), "rows": len(p.rows)} for p in patterns]
    return answer_by_pattern(prepared, cohort, patterns, others)
