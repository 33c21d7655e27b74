"""Scores of every model in every part, curves of the chosen one, and what sets and intervals need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from osler import tasks
from osler.cohort.partners import unit_of
from osler.engine.clinical import is_score
from osler.engine.groups import is_single, kept
from osler.engine.prepare import Prepared
from osler.engine.train import FoldResult
from osler.evaluation.concordance import concordance_of_numbers
from osler.evaluation.conformal import fit_classes, fit_number
from osler.evaluation.scores import score
from osler.models.ensemble import mix, on_grid
from osler.tasks.base import Prediction, Target


@dataclass(frozen=True)
class Pooled:
    """One model's out-of-fold answers of one part.

    Attributes:
        rows: (n,) positions that were tested.
        repeats: one prediction per repeat, rows in the order of `rows`.
    """

    rows: np.ndarray
    repeats: tuple[Prediction, ...]

    @property
    def mean(self) -> Prediction:
        """The mean over repeats."""
        return mix(list(self.repeats), np.ones(len(self.repeats)))


@dataclass(frozen=True)
class Assessment:
    """What is known after all folds: `scores.json`, `curves.json`, and calibration data for prediction sets."""

    scores: dict[str, Any]
    curves: dict[str, Any]
    conformal: dict[str, Any]
    pooled: dict[str, dict[str, Pooled]]


def assess(prepared: Prepared, results: list[FoldResult]) -> Assessment:
    """Score every model in every part; choose; compute curves and conformal scores of the chosen model."""
    from osler.engine.curves import curves

    pooled = pool(prepared, results)
    study = prepared.study
    parts: dict[str, dict[str, Any]] = {}
    for part, by_model in pooled.items():
        parts[part] = {m: score_pooled(prepared, p, part, m) for m, p in by_model.items()}
        parts[part]["baseline"] = _baseline(prepared, results, part)
    chosen = "ensemble" if "ensemble" in pooled["cv"] else choose(prepared, pooled["cv"])
    chosen, fusion = kept(prepared, pooled["cv"], chosen)
    own = pooled["cv"][chosen]
    sets = _conformal(prepared.target.take(own.rows), own.mean, study.coverage)
    scores = {"chosen": chosen, "parts": parts} | ({"fusion": fusion} if fusion else {})
    return Assessment(scores, curves(prepared, pooled, chosen), sets, pooled)


def _conformal(target: Target, answer: Prediction, level: float) -> dict[str, Any]:
    """Calibration of sets or intervals on out-of-fold answers, as JSON; {} where the task has none."""
    if target.kind in ("binary", "multiclass"):
        return fit_classes(answer.value, target.y, level).to_json()
    if target.kind == "regression":
        return fit_number(answer.value[:, 0], target.y, level, scale=answer.spread).to_json()
    return {}


def pool(prepared: Prepared, results: list[FoldResult]) -> dict[str, dict[str, Pooled]]:
    """part → model → out-of-fold answers, folds put together, repeats kept apart."""
    grid = _grid(prepared.target)
    parts: dict[str, dict[str, Pooled]] = {}
    for part in dict.fromkeys(r.split.part for r in results):
        of_part = [r for r in results if r.split.part == part]
        parts[part] = {}
        for model in of_part[0].predictions:
            repeats, rows = [], np.empty(0, dtype=np.int64)
            for repeat in sorted({r.split.repeat for r in of_part}):
                folds = [r for r in of_part if r.split.repeat == repeat]
                tested = np.concatenate([r.split.test for r in folds])
                order = np.argsort(tested, kind="stable")
                rows = tested[order]
                repeats.append(Prediction.concat([on_grid(r.predictions[model], grid) for r in folds]).take(order))
            parts[part][model] = Pooled(rows, tuple(repeats))
    return parts


def score_pooled(prepared: Prepared, pooled: Pooled, part: str, model: str) -> dict[str, Any]:
    """Metrics with intervals: computed per repeat, then value and limits averaged over repeats, so that repeats sharpen
    the value and never the interval.
    """
    target, groups = prepared.target.take(pooled.rows), unit_of(part, prepared.things, prepared.groups)[pooled.rows]
    study = prepared.study
    boot = max(study.boot // len(pooled.repeats), 200)
    each = [
        score(target, p, groups, study.rng("score", part, model, str(i)), n_boot=boot)
        for i, p in enumerate(pooled.repeats)
    ]
    if prepared.things and target.kind == "regression":
        each = [e | _of_pairs(target, p, groups, e["rmse"]) for e, p in zip(each, pooled.repeats)]
    return {m: _average([e[m] for e in each]) for m in each[0]}


def _of_pairs(
    target: Target, answer: Prediction, groups: np.ndarray, rmse: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """What affinities are quoted by: mean squared error and concordance index."""
    found = concordance_of_numbers(target.y, answer.value[:, 0], target.weight)
    low, high = found.interval(groups)
    index = {"value": found.value, "low": low, "high": high}
    squared = {k: None if rmse[k] is None else rmse[k] ** 2 for k in ("value", "low", "high")}
    finite = {k: float(v) if np.isfinite(v) else None for k, v in index.items()}
    return {"mse": {**squared, "n": len(target)}, "concordance": {**finite, "n": len(target)}}


def _average(entries: list[dict[str, Any]]) -> dict[str, Any]:
    merged = dict(entries[0])
    for key in ("value", "low", "high"):
        numbers = [e[key] for e in entries if e.get(key) is not None]
        merged[key] = float(np.mean(numbers)) if len(numbers) == len(entries) else None
    return merged


def choose(prepared: Prepared, by_model: dict[str, Pooled]) -> str:
    """The model with the least out-of-fold loss: only where no ensemble was asked for, and never
    a published score that was put beside the models, nor one of some columns alone where others see them all."""
    task = tasks.get(prepared.study.task)
    losses, whole = {}, [m for m in by_model if not (is_score(m) or is_single(m))]
    for model, pooled in by_model.items():
        if is_score(model) or (whole and is_single(model)):
            continue
        target = prepared.target.take(pooled.rows)
        losses[model] = float(np.mean([task.loss(target, p).mean() for p in pooled.repeats]))
    return min(losses, key=lambda m: losses[m])


def _baseline(prepared: Prepared, results: list[FoldResult], part: str) -> dict[str, Any]:
    """Scores of predicting the same for everyone, learnt from the same training rows."""
    task, grid = prepared.task, _grid(prepared.target)
    folds = [r for r in results if r.split.part == part and r.split.repeat == 0]
    answers, tested = [], []
    for result in folds:
        learnt = task.baseline(prepared.target.take(result.split.train))
        answers.append(on_grid(task.predict_baseline(learnt, len(result.split.test)), grid))
        tested.append(result.split.test)
    rows = np.concatenate(tested)
    order = np.argsort(rows, kind="stable")
    pooled = Pooled(rows[order], (Prediction.concat(answers).take(order),))
    scored = score_pooled(prepared, pooled, part, "baseline")
    return {name: entry for name, entry in scored.items() if name != "calibration_slope"}


def _grid(target: Target) -> np.ndarray | None:
    if target.kind != "survival":
        return None
    times = np.unique(target.y[target.event])
    return times if len(times) <= 200 else np.unique(np.quantile(times, np.linspace(0, 1, 200), method="nearest"))
