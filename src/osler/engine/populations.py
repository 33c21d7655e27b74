"""Questions about the rows rather than the model: would more of them help, and are two groups of them alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler import models
from osler.cohort.cohort import Cohort
from osler.engine.batches import CohortBatches, encode, fit_states
from osler.engine.prepare import Prepared
from osler.engine.train import name_of, weighted
from osler.errors import TargetError
from osler.evaluation.drift import drift
from osler.evaluation.learning_curve import learning_curve
from osler.evaluation.scores import value_only
from osler.tasks.base import Target

#: Models that are cheap enough to be fitted a dozen times more; the first of them in the study is used.
CHEAP = ("logistic", "linear", "cox")

#: Task → the score of the curve.
METRIC = {"binary": "auroc", "multiclass": "auroc", "multilabel": "auroc", "regression": "r2", "survival": "c_harrell"}

#: No curve beyond this many development rows or predictors, where it would cost more than it tells; no drift by site
#: beyond this many sites.
MOST_ROWS, MOST_INPUTS, MOST_SITES = 20_000, 60, 10


def more_data(prepared: Prepared) -> dict[str, Any]:
    """Would more data help: the learning curve of the study's cheapest model on the development rows; {} if there is
    none.

    Every point fits modalities and model on its own training units only. Drawn 5 times below 500 rows, 3 times below
    2,000 (survival: 2 times), else twice, so that the cost stays at a few seconds.
    """
    study, rows = prepared.study, prepared.development
    spec = next((s for s in study.model if s.partition(":")[0] in CHEAP), "")
    few = len(rows) <= MOST_ROWS and len(prepared.cohort.role("input")) <= MOST_INPUTS
    if not spec or not few or len(np.unique(prepared.groups[rows])) < 40:
        return {}
    target, groups, cohort = prepared.target.take(rows), prepared.groups[rows], prepared.cohort.take(rows)
    metric, estimator = METRIC[target.kind], models.get(spec)

    def fit_and_score(train: np.ndarray, test: np.ndarray, rng: np.random.Generator) -> float:
        here, there = cohort.take(train), cohort.take(test)
        states, seen = fit_states(here), weighted(target.take(train), study.imbalance)
        if not _learnable(seen):
            return float("nan")
        params = estimator.fit(CohortBatches(here, states, seen, groups[train]).all(), rng)
        return value_only(target.take(test), estimator.predict(params, encode(there, states)))[metric]

    repeats = 5 if len(rows) < 500 else 3 if len(rows) < 2000 else 2
    if target.kind == "survival":
        repeats = min(repeats, 2)
    strata = target.strata if target.kind in ("binary", "multiclass", "survival") else None
    try:
        found = learning_curve(fit_and_score, groups, study.rng("learning curve"), strata=strata, repeats=repeats)
    except (TargetError, np.linalg.LinAlgError):
        return {}
    if not np.isfinite(found["mean"]).all():
        return {}
    return {"model": name_of(spec), "metric": metric, "repeats": repeats, **found}


def _learnable(target: Target) -> bool:
    """Whether there are two classes, or an event, to learn from."""
    if target.kind == "survival":
        return bool(target.event.any())
    return target.kind not in ("binary", "multiclass") or len(np.unique(target.y)) > 1


def shifts(prepared: Prepared) -> dict[str, Any]:
    """Drift of the predictors: development against hold-out ("holdout"), every site against the others
    ("site=NAME").
    """
    last = prepared.splits[-1]
    found: dict[str, Any] = {}
    if last.part == "holdout":
        found["holdout"] = _drift(prepared, last.train, last.test, "holdout")
    sites = [s for s in prepared.splits if s.part.startswith("site=")]
    for split in sites if len(sites) <= MOST_SITES else []:
        found[split.part] = _drift(prepared, split.train, split.test, split.part)
    return found


def _drift(prepared: Prepared, before: np.ndarray, after: np.ndarray, part: str) -> dict[str, Any]:
    groups = (prepared.groups[before], prepared.groups[after])
    first, second = (plain_values(prepared.cohort.take(rows)) for rows in (before, after))
    return drift(first, second, prepared.study.rng("drift", part), groups=groups)


def plain_values(cohort: Cohort) -> Cohort:
    """The cohort with only such predictors as drift is measured on: numbers, yes/no and categories."""
    shown = ("number", "boolean", "category")
    columns = [c for c in cohort.columns if c.role == "input" and c.modality in shown]
    return Cohort(cohort.table.select(["_row", *(c.name for c in columns)]), tuple(columns))
