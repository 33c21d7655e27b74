"""Evaluate predictions that anyone's model made: one table with the truth and one or more columns of
predictions.

`found.columns_of` decides which column is what, or says what it could not decide; here the decided columns
are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.errors import TargetError
from osler.evaluation import (
    calibration,
    compare,
    confusion,
    curves,
    decision_curve,
    found,
    scores,
    subgroups,
)
from osler.tasks import get, reading
from osler.tasks.base import Prediction, Target

_NOT_A_PROBABILITY = (
    "is not a probability (values outside 0 to 1): only discrimination is reported, calibration and decision "
    "curves are not"
)
_DISCRIMINATION = ("auroc", "auprc")


def evaluate_predictions(
    source: str | Path | pl.DataFrame | Cohort,
    *,
    y: str | None = None,
    p: Sequence[str] | str | None = None,
    positive: str | None = None,
    unit: str | None = None,
    by: Sequence[str] | None = None,
    duration: str | None = None,
    event: str | None = None,
    threshold: float = 0.5,
    n_boot: int = 1000,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Everything Osler measures, for predictions in a table.

    Args:
        source: a file that `osler.read` reads, a polars frame, or a cohort.
        y: column of the truth; looked for (`y`, `label`, `target`, `outcome`, TARGET beside `TARGET_prob_*`) if None.
        p: columns of predictions, one per model; looked for (`prob*`, `score*`, `pred*`, `risk*`) if None.
        positive: the positive class, or a comparison such as ">0".
        unit: column of the unit of independence (patient); looked for if None.
        by: subgroup columns; looked for (`sex`, `site`, `race`, `ethnicity`, `age_group`) if None.
        duration, event: survival: time and event columns; predictions are then risks (higher is worse).
        threshold: a probability from here up is called positive.
        n_boot: bootstrap replicates, drawn with `rng` (seed 0 if None).

    Returns:
        JSON values: `scores` (shape of scores.json, part `holdout`), `columns` (what each was taken for), `notes`
        (sentences), `refused` (column, reason, rows), `comparison` (model → metric → difference from the first),
        `figures` (model → roc, precision_recall, calibration, confusion), `decision_curve`, `subgroups` (column →
        model → levels).

    Raises:
        TargetError, ColumnError: the truth or the predictions cannot be told; the message names the candidates.
    """
    cohort = _cohort(source)
    rng = np.random.default_rng(0) if rng is None else rng
    named = (p,) if isinstance(p, str) else tuple(p or ())
    asked = found.Asked(y, named, unit, None if by is None else tuple(by), duration, event)
    roles = found.columns_of(cohort.table.drop(ROW), asked)
    if roles.duration:
        return _survival(cohort, roles, rng, n_boot)
    return _at_once(cohort, roles, positive, rng, n_boot, threshold)


def _at_once(
    cohort: Cohort, roles: found.Roles, positive: str | None, rng: np.random.Generator, n_boot: int, threshold: float
) -> dict[str, Any]:
    """The answer of `evaluate_predictions` for a truth that is known at once: classes or numbers."""
    target, models, notes, refused, kept = _read(cohort, roles, positive)
    groups = _groups(cohort, roles.unit)[kept]
    table = cohort.take(np.flatnonzero(kept))
    out = _score(target, models, groups, rng, n_boot, threshold)
    probable = {k: m for k, m in models.items() if _is_probability(target, m)}
    notes += [f"'{k}' {_NOT_A_PROBABILITY}" for k in models if k not in probable]
    return {
        "scores": {"chosen": next(iter(models)), "parts": {"holdout": out}},
        "task": target.kind, "columns": roles.to_json(), "notes": roles.notes + notes, "refused": refused,
        "n": len(target), "units": len(np.unique(groups)),
        "comparison": _compare(target, models, groups, rng, n_boot, threshold),
        "figures": {k: figures(target, m, groups, rng, threshold, k in probable) for k, m in models.items()},
        "decision_curve": _decision(target, probable, groups, rng),
        "subgroups": _subgroups(table, roles.by, target, models, groups, rng, threshold),
    }  # fmt: skip


def _cohort(source: str | Path | pl.DataFrame | Cohort) -> Cohort:
    if isinstance(source, Cohort):
        return source
    if isinstance(source, pl.DataFrame):
        modality = lambda d: "boolean" if d == pl.Boolean else "number" if d.is_numeric() else "category"  # noqa: E731
        return Cohort(source, tuple(Column(n, modality(d)) for n, d in source.schema.items() if n != ROW))
    from osler.cohort.read import read

    return read(source)


def _groups(cohort: Cohort, unit: str | None) -> np.ndarray:
    if unit is None:
        return np.arange(len(cohort))
    return reading.units(cohort.declare(unit=unit))


def _read(
    cohort: Cohort, roles: found.Roles, positive: str | None
) -> tuple[Target, dict[str, Prediction], list[str], list[dict[str, Any]], np.ndarray]:
    """Target and predictions of the rows that have both, with an account of the others."""
    options = {"positive": positive} if positive else {}
    cohort = cohort.declare(target=roles.y)
    if options:
        cohort = cohort.declare(columns={roles.y: {"options": {**cohort.column(roles.y).options, **options}}})
    raw = {
        name: np.column_stack([reading.numbers(cohort, _as_number(cohort.column(c))) for c in names])
        for name, names in roles.models.items()
    }
    kind = _kind(cohort, roles, raw)
    task = get(kind)
    missing = {"the truth is missing": (roles.y, ~task.usable(cohort))}
    for name, values in raw.items():
        missing[f"the prediction of '{name}' is missing or not a number"] = (
            name,
            np.isnan(values).any(axis=1),
        )
    kept = np.ones(len(cohort), dtype=bool)
    refused = []
    for reason, (name, mask) in missing.items():
        if mask.any():
            refused.append({"column": name, "reason": reason, "rows": cohort.rows[mask].tolist()})
        kept &= ~mask
    if not kept.any():
        raise TargetError(
            f"truth '{roles.y}' and predictions must be present together in some rows, are in none",
            "target-rows",
        )
    target = task.target_of(cohort.where(kept, "both present"))
    models = {
        name: _prediction(target, roles.models[name], values[kept], name) for name, values in raw.items()
    }
    notes = [task.describe(cohort.where(kept, "both present"))] if kind == "binary" else []
    return target, models, notes, refused, kept


def _as_number(column: Column) -> Column:
    return column.with_(modality="number")


def _kind(cohort: Cohort, roles: found.Roles, raw: dict[str, np.ndarray]) -> str:
    if max(v.shape[1] for v in raw.values()) > 2:
        return "multiclass"
    from osler.tasks import infer_kind

    kind = infer_kind(cohort)
    if kind == "multiclass":
        raise TargetError(
            f"truth '{roles.y}' has more than two classes: give one probability column per class, named "
            f"{roles.y}_prob_CLASS, or say which class is positive",
            "target-class",
        )
    return kind


def _prediction(target: Target, names: tuple[str, ...], values: np.ndarray, model: str) -> Prediction:
    """(n, 1) numbers or the probability of the positive class become what the task's metrics take."""
    if target.kind == "regression":
        return Prediction(values[:, :1])
    if target.kind == "multiclass":
        order = []
        for name in target.classes:
            hits = [i for i, column in enumerate(names) if column.endswith(f"_prob_{name}")]
            if not hits:
                raise TargetError(
                    f"model '{model}' must have a probability column for class '{name}', has none: add one "
                    f"that ends in _prob_{name}",
                    "target-class",
                )
            order.append(hits[0])
        values = values[:, order]
        if (values < 0).any() or np.abs(values.sum(axis=1) - 1).max() > 0.02:
            raise TargetError(
                f"class probabilities of model '{model}' must add up to 1 in every row, they do not: check "
                "the columns",
                "column-kind",
            )
        return Prediction(values / values.sum(axis=1, keepdims=True))
    if values.shape[1] == 2:
        hits = [i for i, column in enumerate(names) if column.endswith(f"_prob_{target.classes[1]}")]
        values = values[:, hits or [1]]
    score = values[:, 0]
    return Prediction(np.column_stack([1 - score, score]))


def _is_probability(target: Target, prediction: Prediction) -> bool:
    return target.kind != "binary" or bool((prediction.value >= 0).all() and (prediction.value <= 1).all())


def _score(
    target: Target,
    models: dict[str, Prediction],
    groups: np.ndarray,
    rng: np.random.Generator,
    n_boot: int,
    threshold: float,
) -> dict[str, dict[str, scores.Score]]:
    seed = int(rng.integers(2**62))
    out = {}
    for name, prediction in models.items():
        names = None if _is_probability(target, prediction) else _DISCRIMINATION
        out[name] = scores.score(
            target, prediction, groups, np.random.default_rng(seed), n_boot, threshold=threshold, names=names
        )
    return out


def _compare(
    target: Target,
    models: dict[str, Prediction],
    groups: np.ndarray,
    rng: np.random.Generator,
    n_boot: int,
    threshold: float,
) -> dict[str, Any]:
    if len(models) < 2:
        return {}
    both = compare.compare(target, models, groups, rng, n_boot=n_boot, threshold=threshold)
    first = next(iter(models))
    for name, metrics in both.items():
        if not (_is_probability(target, models[name]) and _is_probability(target, models[first])):
            both[name] = {k: v for k, v in metrics.items() if k in _DISCRIMINATION}
    return both


def figures(
    target: Target,
    prediction: Prediction,
    groups: np.ndarray,
    rng: np.random.Generator,
    threshold: float,
    is_probability: bool,
) -> dict[str, Any]:
    """What a report draws for one model: ROC, precision-recall and calibration curves and the confusion
    table.
    """
    if target.kind == "multiclass":
        return {
            "confusion_matrix": confusion.confusion_matrix(target.y, prediction.value).tolist(),
            "classes": list(target.classes),
        }
    if target.kind == "regression":
        smoother = calibration.Smoother.of(prediction.value[:, 0])
        return {
            "calibration": {
                "curve": {"predicted": smoother.at.tolist(), "observed": smoother.curve(target.y).tolist()}
            }
        }
    y, p = target.y, prediction.value[:, 1]
    if not 0 < y.sum() < len(y):
        return {}
    out: dict[str, Any] = {
        "roc": curves.roc_curve(y, p, groups, rng),
        "precision_recall": curves.precision_recall_curve(y, p),
    }
    if is_probability:
        out["calibration"] = calibration.calibration(y, p, groups, rng)
        out["confusion"] = confusion.confusion(y, p, threshold, groups)
        out["youden"] = confusion.threshold_report(y, p, "youden", None, groups, rng, 200)
    return out


def _decision(
    target: Target, models: dict[str, Prediction], groups: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    if target.kind != "binary" or not models:
        return {}
    return decision_curve.decision_curve(target.y, {k: m.value[:, 1] for k, m in models.items()}, groups, rng)


def _subgroups(
    table: Cohort,
    by: tuple[str, ...],
    target: Target,
    models: dict[str, Prediction],
    groups: np.ndarray,
    rng: np.random.Generator,
    threshold: float,
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for column in by:
        labels = reading.labels(table, table.column(column))
        out[column] = {}
        for name, prediction in models.items():
            levels = subgroups.subgroups(
                target, prediction, labels, groups, rng, n_boot=300, threshold=threshold
            )
            if not _is_probability(target, prediction):
                levels = [_discrimination_only(level) for level in levels]
            out[column][name] = levels
    return out


def _discrimination_only(level: dict[str, Any]) -> dict[str, Any]:
    keep = lambda scored: {k: v for k, v in scored.items() if k in _DISCRIMINATION}  # noqa: E731
    return {k: keep(v) if k in ("scores", "difference") else v for k, v in level.items()}


def _survival(cohort: Cohort, roles: found.Roles, rng: np.random.Generator, n_boot: int) -> dict[str, Any]:
    """Concordance of risks with times to event: any increasing function of risk gives the same answer, so
    ranks are used.
    """
    cohort = cohort.declare(duration=roles.duration, event=roles.event)
    task = get("survival")
    raw = {
        name: reading.numbers(cohort, _as_number(cohort.column(names[0])))
        for name, names in roles.models.items()
    }
    kept = task.usable(cohort)
    refused = (
        [
            {
                "column": roles.duration,
                "reason": "time or event is missing",
                "rows": cohort.rows[~kept].tolist(),
            }
        ]
        if not kept.all()
        else []
    )
    for name, values in raw.items():
        if np.isnan(values).any():
            refused.append(
                {
                    "column": name,
                    "reason": "the prediction is missing or not a number",
                    "rows": cohort.rows[np.isnan(values)].tolist(),
                }
            )
        kept &= ~np.isnan(values)
    target = task.target_of(cohort.where(kept, "both present"))
    groups = _groups(cohort, roles.unit)[kept]
    from osler.evaluation import metrics

    seed, out, models = int(rng.integers(2**62)), {}, {}
    for name, values in raw.items():
        rank = metrics.mid_ranks(values[kept]) / kept.sum()
        prediction = Prediction(np.exp(-rank)[:, None], np.array([float(np.median(target.y))]))
        models[name] = prediction
        scored = scores.score(target, prediction, groups, np.random.default_rng(seed), n_boot)
        out[name] = {k: v for k, v in scored.items() if k in ("c_harrell", "c_uno")}
    note = (
        "risks without survival probabilities: only concordance is reported, calibration and the Brier "
        "score are not"
    )
    return {
        "scores": {"chosen": next(iter(out)), "parts": {"holdout": out}},
        "task": "survival", "columns": roles.to_json(), "notes": [*roles.notes, note], "refused": refused,
        "n": len(target), "units": len(np.unique(groups)),
        "comparison": compare.compare(target, models, groups, rng) if len(models) > 1 else {},
        "figures": {}, "decision_curve": {}, "subgroups": {},
    }  # fmt: skip
