"""Facts about a run in JSON: what the report, the model card and the plan of others are written from."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import polars as pl

from osler import modalities
from osler.cohort.column import ROW, Column
from osler.engine.assess import Assessment
from osler.engine.learn import tuned_specs
from osler.engine.prepare import Prepared
from osler.engine.train import Fitted, FoldResult
from osler.errors import InputError
from osler.models.rank import is_deficient

#: Libraries whose version decides a number.
LIBRARIES = ("osler", "numpy", "polars", "scipy", "scikit-learn", "lightgbm", "torch", "interpret-core", "optuna")

#: Most predictors in table one.
MOST_DESCRIBED = 60


def environment() -> dict[str, Any]:
    """Versions of Python, the system and every library that decides a number; nothing that names the machine or
    user.
    """
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": sys.platform,
        "machine": platform.machine(),
        "libraries": found,
    }


def describe(
    prepared: Prepared, results: list[FoldResult], fitted: Fitted, assessment: Assessment
) -> dict[str, Any]:
    """Row accounting, columns, weights of the ensemble, rank findings and the model card's facts."""
    cohort, study = prepared.cohort, prepared.study
    columns = []
    for column in cohort.columns:
        facts = column.to_json()
        if column.role in ("input", "target", "duration", "event", "site"):
            modality = modalities.get(column.modality)
            facts["summary"] = modality.summarise(cohort.values(column.name), column, cohort.root)
        columns.append(facts)
    weights = [r.facts["ensemble"]["weights"] for r in results if "weights" in r.facts.get("ensemble", {})]
    mean = {m: float(np.mean([w[m] for w in weights])) for m in weights[0]} if weights else {}
    ranks = {name: params.meta["rank"] for name, (_, params) in fitted.params.items() if is_deficient(params.meta)}
    return {
        **prepared.facts,
        "columns": columns,
        "ensemble_weights": mean,
        "rank": ranks,
        "tuned": tuned_specs(fitted.params) if study.tune else {},
        "table_one": table_one(prepared),
        "card": card(prepared, assessment),
        "study_digest": study.digest,
    }


def table_one(prepared: Prepared) -> list[dict[str, Any]]:
    """Who is in the table, by part where there is a hold-out and by outcome where that has classes; small counts
    hidden.

    Each entry: `group`, `columns` (headings), `rows` (text cells), `notes`.
    """
    from osler.instruments.tableone import TableOne, TableOneOptions

    cohort = prepared.cohort
    names = tuple(c.name for c in cohort.role("input") if c.modality in ("number", "category", "boolean"))[
        :MOST_DESCRIBED
    ]
    made = []
    for group, labels in _groupings(prepared).items():
        plain = tuple(c.with_(role="ignore") if c.role in ("target", "treatment") else c for c in cohort.columns)
        held, options = replace(cohort, columns=plain), TableOneOptions(columns=names)
        if labels is not None:
            title = group if group not in cohort.table.columns else f"{group} (grouped)"
            held = cohort.with_column(pl.Series(labels, dtype=pl.String), Column(title, "category", "ignore"))
            options = TableOneOptions(group=title, columns=names)
        try:
            found = TableOne().run(held, options)
        except InputError:
            continue
        rows = [["" if v is None else str(v) for v in row] for row in found.cohort.table.drop(ROW, strict=False).rows()]
        columns = [c for c in found.cohort.table.columns if c != ROW]
        made.append(
            {
                "group": group if labels is not None else "",
                "columns": columns,
                "rows": rows,
                "notes": list(found.facts["notes"]),
            }
        )
    return made


def _groupings(prepared: Prepared) -> dict[str, list[str] | None]:
    """What table one is split by: name → label of every row, or None for everyone together."""
    target, last = prepared.target, prepared.splits[-1]
    made: dict[str, list[str] | None] = {}
    if last.part == "holdout":
        held = np.zeros(len(prepared.cohort), dtype=bool)
        held[last.test] = True
        made["part"] = np.where(held, "hold-out", "development").tolist()
    if target.kind in ("binary", "multiclass") and len(target.classes) <= 6:
        made[", ".join(target.names)] = [target.classes[int(k)] for k in target.y]
    elif target.kind == "survival":
        made["event"] = np.where(target.event.astype(bool), "event", "no event seen").tolist()
    return made or {"": None}


def card(prepared: Prepared, assessment: Assessment) -> dict[str, Any]:
    """Facts of the model card: what it answers, for whom it was learnt, how good it is, and its operating point."""
    study, chosen = prepared.study, assessment.scores["chosen"]
    part = "holdout" if "holdout" in assessment.scores["parts"] else "cv"
    facts: dict[str, Any] = {
        "task": study.task, "target": list(prepared.target.names), "chosen": chosen, "part": part,
        "rows": len(prepared.development), "units": len(np.unique(prepared.groups[prepared.development])),
        "scores": assessment.scores["parts"][part][chosen],
    }  # fmt: skip
    threshold = assessment.curves.get("threshold")
    if threshold is not None:
        facts["threshold"] = threshold
        facts["operating_point"] = _operating_point(assessment.curves["thresholds"])
    return facts


def _operating_point(held: dict[str, Any]) -> dict[str, Any]:
    """Rule, threshold and its interval, and what it does: on the out-of-fold answers that it was chosen on, and on the
    hold-out where there is one; n with every share.
    """
    chosen = held["chosen"]
    found = {k: chosen[k] for k in ("rule", "wanted", "threshold", "low", "high") if k in chosen}
    for part, point in (("cv", chosen), ("holdout", held.get("chosen_holdout"))):
        if point is not None:
            n = {"positives": point["tp"] + point["fn"], "negatives": point["fp"] + point["tn"]}
            found[part] = n | {k: point[k] for k in ("sensitivity", "specificity")}
    return found
