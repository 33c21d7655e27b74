"""What is drawn and tabled beside the scores: curves, thresholds, comparisons, subgroups, coverage, sample size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from osler.engine.prepare import Prepared
from osler.errors import OptionError
from osler.evaluation import sample_size
from osler.evaluation.calibration import calibration
from osler.evaluation.compare import compare
from osler.evaluation.conformal import coverage, fit_classes, fit_number
from osler.evaluation.confusion import confusion, confusion_matrix, operating_points, threshold_report
from osler.evaluation.decision_curve import decision_curve
from osler.evaluation.subgroups import subgroups
from osler.tasks.base import Prediction, Target

if TYPE_CHECKING:
    from osler.engine.assess import Pooled

#: Words in a column's name that make it a subgroup of interest, beside the site.
SUBGROUPS = ("sex", "gender", "race", "ethnic", "age", "insurance", "language", "smok", "region", "centre", "center")
MOST_LEVELS = 8

#: No calibration curve of a class with fewer rows, or with fewer rows of all others.
FEWEST = 10


def curves(prepared: Prepared, pooled: dict[str, dict[str, Pooled]], chosen: str) -> dict[str, Any]:
    """Everything beside the scores, in JSON: parts → curves of the chosen model; thresholds; comparisons; subgroups."""
    facts: dict[str, Any] = {"parts": {}}
    for part, by_model in pooled.items():
        if part in ("cv", "holdout"):
            facts["parts"][part] = _part(prepared, by_model, chosen, part)
    first = pooled["cv"][chosen]
    target, groups = prepared.target.take(first.rows), prepared.groups[first.rows]
    answer = first.mean
    facts["subgroups"] = _subgroups(prepared, first.rows, target, answer, groups)
    facts["coverage"] = _coverage(target, answer, groups, prepared)
    facts["sample_size"] = _sample_size(prepared, target, answer)
    if target.kind == "binary":
        facts["thresholds"] = _thresholds(prepared, target, answer, groups)
        facts["threshold"] = facts["thresholds"]["chosen"]["threshold"]
        held = pooled.get("holdout", {}).get(chosen)
        if held is not None:
            facts["thresholds"]["chosen_holdout"] = _at(prepared, held, facts["threshold"])
    return facts


def replicates(n: int, most: int) -> int:
    """Bootstrap replicates behind a drawn band: fewer on large tables, where bands are narrow, and never under 40."""
    return max(40, min(most, 1_500_000 // max(n, 1)))


def _part(prepared: Prepared, by_model: dict[str, Pooled], chosen: str, part: str) -> dict[str, Any]:
    rows = by_model[chosen].rows
    answers = {m: p.mean for m, p in by_model.items()}
    rng = prepared.study.rng("curves", part)
    return part_curves(prepared.target.take(rows), answers, prepared.groups[rows], rng, chosen)


def part_curves(
    target: Target, answers: dict[str, Prediction], groups: np.ndarray, rng: np.random.Generator, chosen: str
) -> dict[str, Any]:
    """What is drawn of one part: comparisons with the chosen model, calibration, decision curve and ROC or their likes.

    Args:
        target: n true values.
        answers: model → its n answers.
        groups: (n,) units.
        rng: draws the bootstraps.
        chosen: the model whose calibration is shown.
    """
    facts: dict[str, Any] = {}
    if len(answers) > 1:
        facts["compare"] = compare(target, answers, groups, rng, reference=chosen, n_boot=replicates(len(target), 300))
    answer = answers[chosen]
    if target.kind == "binary":
        p = answer.value[:, 1]
        facts["calibration"] = calibration(target.y, p, groups, rng, n_boot=replicates(len(target), 200))
        shown = {m: a.value[:, 1] for m, a in answers.items()}
        facts["decision_curve"] = decision_curve(target.y, shown, groups, rng, n_boot=replicates(len(target), 200))
        facts["roc"] = {m: _roc(target.y, q) for m, q in shown.items()}
        facts["histogram"] = _histogram(p, target.y)
    elif target.kind in ("multiclass", "multilabel"):
        if target.kind == "multiclass":
            facts["confusion_matrix"] = confusion_matrix(target.y, answer.value).tolist()
        each = _against_rest(target, answer, groups)
        facts["roc_by_class"] = {name: _roc(y, p) for name, (y, p, _) in each.items()}
        facts["calibration_by_class"] = {name: _class_calibration(*one, rng) for name, one in each.items()}
    elif target.kind == "regression":
        facts["residuals"] = _residuals(target.y, answer.value[:, 0])
    elif target.kind == "survival":
        from osler.evaluation.survival import calibration_at

        facts["calibration"] = calibration_at(target, answer, target.horizon)
        facts["risk_groups"] = _risk_groups(target, answer.event_probability(target.horizon))
    return facts


def _against_rest(
    target: Target, answer: Prediction, groups: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Class or label → (m,) 1 for it and 0 for all else, (m,) its probability, (m,) units; rows where a label was
    assessed.
    """
    found = {}
    for k, name in enumerate(target.classes):
        y = (target.y == k).astype(float) if target.kind == "multiclass" else target.y[:, k]
        seen = np.isin(y, (0, 1))
        found[name] = (y[seen].astype(int), answer.value[seen, k], groups[seen])
    return found


def _class_calibration(y: np.ndarray, p: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Slope and smoothed curve, with its band, of one class against the rest; neither where one side is small."""
    if min(int(y.sum()), int((1 - y).sum())) < FEWEST:
        return {"hidden": f"fewer than {FEWEST} rows with or without it"}
    found = calibration(y, p, groups, rng, n_boot=replicates(len(y), 100))
    return {"slope": found["slope"], "curve": found["curve"]}


def _roc(y: np.ndarray, p: np.ndarray, most: int = 200) -> dict[str, list[float]]:
    thresholds, sensitivity, specificity = operating_points(y, p)
    keep = np.unique(np.linspace(0, len(thresholds) - 1, min(most, len(thresholds))).astype(int))
    return {"specificity": specificity[keep].round(5).tolist(), "sensitivity": sensitivity[keep].round(5).tolist()}


def _risk_groups(target: Target, risk: np.ndarray, points: int = 60) -> dict[str, Any]:
    """Kaplan-Meier curves with limits of thirds of predicted risk, on an even grid of times and only while ten are at
    risk.
    """
    from osler.tasks.kaplan_meier import greenwood, kaplan_meier

    order = np.argsort(risk, kind="stable")
    at = np.linspace(0.0, float(target.y.max()), 6)
    groups = []
    for name, rows in zip(("low risk", "middle risk", "high risk"), np.array_split(order, 3)):
        time, event = target.y[rows], target.event[rows].astype(bool)
        if len(rows) < 10:
            continue
        last = float(np.sort(time)[-10])
        grid = np.linspace(0.0, last, points)[1:]
        curve = kaplan_meier(time, event, None if target.weight is None else target.weight[rows])
        limits = [greenwood(curve, float(t)) for t in grid]
        kept = [v if np.isfinite(v).all() else (1.0, 1.0) for v in limits]
        groups.append({
            "group": name, "n": len(rows), "times": grid.tolist(), "survival": [float(curve.at(float(t))) for t in grid],
            "low": [float(v[0]) for v in kept], "high": [float(v[1]) for v in kept],
            "at_risk": [n if (n := int((time >= t).sum())) >= 10 or n == 0 else None for t in at],
        })  # fmt: skip
    return {"at": at.tolist(), "groups": groups}


def _histogram(p: np.ndarray, y: np.ndarray, bins: int = 20) -> dict[str, list[int]]:
    edges = np.linspace(0, 1, bins + 1)
    return {name: np.histogram(p[y == k], edges)[0].tolist() for k, name in enumerate(("negative", "positive"))}


def _residuals(y: np.ndarray, mean: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """Mean prediction, mean outcome and spread of the residual in bins of equal size; no single row is shown."""
    order = np.argsort(mean, kind="stable")
    out = []
    for part in np.array_split(order, min(bins, max(len(y) // 10, 1))):
        r = y[part] - mean[part]
        out.append(
            {
                "n": len(part),
                "predicted": float(mean[part].mean()),
                "observed": float(y[part].mean()),
                "sd": float(r.std()),
            }
        )
    return out


def _thresholds(prepared: Prepared, target: Target, answer: Prediction, groups: np.ndarray) -> dict[str, Any]:
    """Operating points: the study's, Youden's, sensitivity 90 % and specificity 90 %, each with its table."""
    p, rng = answer.value[:, 1], prepared.study.rng("thresholds")

    def table(text: str) -> dict[str, Any]:
        rule, value = threshold_rule(text)
        if rule == "fixed":
            return {"rule": "fixed", "threshold": value, **confusion(target.y, p, value, groups)}
        return threshold_report(target.y, p, rule, value, groups, rng, n_boot=replicates(len(target), 200))

    asked = {
        "chosen": prepared.study.threshold,
        "youden": "youden",
        "sensitivity_90": "sensitivity=0.9",
        "specificity_90": "specificity=0.9",
    }
    return {name: table(text) for name, text in asked.items()}


def _at(prepared: Prepared, held: Pooled, threshold: float) -> dict[str, Any]:
    """The table of rows that had no part in choosing the threshold."""
    target, groups = prepared.target.take(held.rows), prepared.groups[held.rows]
    return {"rule": "fixed", **confusion(target.y, held.mean.value[:, 1], threshold, groups)}


def threshold_rule(text: str) -> tuple[str, float | None]:
    """Rule and value of a study's threshold: ("fixed", 0.5), ("youden", None), ("sensitivity", 0.9) or ("specificity",
    0.9).

    Raises:
        OptionError: it reads as none of these, or the number is not between 0 and 1.
    """
    rule, _, number = text.partition("=")
    if rule == "youden" and not number:
        return rule, None
    try:
        value = float(number if rule in ("sensitivity", "specificity") else text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise OptionError(
            f"threshold must be a number between 0 and 1, youden, sensitivity=S or specificity=S, was '{text}'"
        )
    return (rule if number else "fixed"), value


def _subgroups(
    prepared: Prepared, rows: np.ndarray, target: Target, answer: Prediction, groups: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    cohort = prepared.cohort.take(rows)
    found = {}
    for column in cohort.columns:
        named = any(w in column.name.lower() for w in SUBGROUPS) and column.role in ("input", "ignore")
        if column.role != "site" and not named:
            continue
        labels = _labels(cohort.values(column.name), column.modality)
        if labels is not None and 1 < len({v for v in labels if v is not None}) <= MOST_LEVELS:
            rng = prepared.study.rng("subgroups", column.name)
            found[column.name] = subgroups(target, answer, labels, groups, rng, n_boot=replicates(len(target), 200))
    return found


def _labels(values: pl.Series, modality: str) -> list[str | None] | None:
    """Levels of a category as text, thirds of a number, or None."""
    if modality in ("category", "boolean") or values.n_unique() <= MOST_LEVELS:
        return _as_text(values)
    if modality != "number":
        return None
    number = values.cast(pl.Float64, strict=False)
    low, high = number.quantile(1 / 3), number.quantile(2 / 3)
    names = (f"up to {low:.4g}", f"{low:.4g} to {high:.4g}", f"over {high:.4g}")
    return [
        None if v is None else names[0] if v <= low else names[1] if v <= high else names[2] for v in number.to_list()
    ]


def _as_text(values: pl.Series) -> list[str | None]:
    """Levels as they are spelt in the table: whole numbers without a point."""
    if values.dtype.is_float():
        return [None if v is None or v != v else f"{v:g}" for v in values.to_list()]
    return values.cast(pl.String).to_list()


def _coverage(target: Target, answer: Prediction, groups: np.ndarray, prepared: Prepared) -> dict[str, Any]:
    """Measured coverage of sets or intervals: calibrated on one half of the units, counted on the other, 20 times."""
    from osler.cohort.split import stratified_group_folds

    if target.kind not in ("binary", "multiclass", "regression"):
        return {}
    rng, level = prepared.study.rng("coverage"), prepared.study.coverage
    hits, sizes = [], []
    for _ in range(20):
        learn = stratified_group_folds(groups, target.strata, 2, rng) == 0
        if target.kind == "regression":
            one, other = answer.take(learn), answer.take(~learn)
            held = fit_number(one.value[:, 0], target.y[learn], level, scale=one.spread)
            low, high = held.interval(other.value[:, 0], scale=other.spread)
            hits.append((target.y[~learn] >= low) & (target.y[~learn] <= high))
            sizes.append(float(np.mean(high - low)))
        else:
            held = fit_classes(answer.value[learn], target.y[learn], level)
            inside = held.sets(answer.value[~learn])
            hits.append(inside[np.arange(len(inside)), target.y[~learn]])
            sizes.append(float(inside.sum(axis=1).mean()))
    measured = coverage(np.concatenate(hits[:1]))
    return {
        **measured,
        "value": float(np.mean([h.mean() for h in hits])),
        "wanted": level,
        "mean_size": float(np.mean(sizes)),
    }


def _sample_size(prepared: Prepared, target: Target, answer: Prediction) -> dict[str, Any]:
    """Riley's minimum for the number of predictor parameters at hand, at the performance seen out of fold (survival: at
    15 % of the largest R2, as Riley advises where nothing is known)."""
    columns = prepared.cohort.role("input")
    levels = [prepared.cohort.values(c.name).n_unique() - 1 for c in columns if c.modality == "category"]
    parameters = int(sum(1 for c in columns if c.modality != "category") + sum(min(v, 20) for v in levels))
    if target.kind == "binary":
        share = float(target.y.mean())
        from osler.evaluation.metrics import auroc

        seen = float(auroc(target.y, answer.value[:, 1]))
        r2 = sample_size.r2_from_auroc(min(max(seen, 0.55), 0.995), share)
        needed = sample_size.binary(parameters, share, r2)
    elif target.kind == "regression":
        seen = 1 - float(np.mean((target.y - answer.value[:, 0]) ** 2) / max(np.var(target.y), 1e-12))
        needed = sample_size.number(
            parameters, min(max(seen, 0.05), 0.95), float(target.y.mean()), float(target.y.std())
        )
    elif target.kind == "survival" and target.event.any():
        follow_up = float(target.y.mean())
        rate = float(target.event.mean()) / follow_up
        r2 = 0.15 * sample_size.max_r2_survival(rate * follow_up)
        needed = sample_size.survival(parameters, rate, follow_up, target.horizon, r2)
    else:
        return {"parameters": parameters}
    return {"parameters": parameters, **needed, "n": len(target), "message": sample_size.judge(len(target), needed)}
