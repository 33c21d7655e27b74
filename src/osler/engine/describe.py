"""Facts about a run in JSON: what the report, the model card and the plan of others are written from."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import numpy as np

from osler import modalities
from osler.engine.assess import Assessment
from osler.engine.prepare import Prepared
from osler.engine.train import Fitted, FoldResult
from osler.models.rank import is_deficient

#: Libraries whose version decides a number.
LIBRARIES = ("osler", "numpy", "polars", "scipy", "scikit-learn", "lightgbm", "torch", "interpret-core", "optuna")


def environment() -> dict[str, Any]:
    """Versions of Python, the system and every library that decides a number; nothing that names the machine or user."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "system": sys.platform, "machine": platform.machine(), "libraries": found}


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
            facts["summary"] = modality.summarise(cohort.values(column.name), column)
        columns.append(facts)
    weights = [r.facts["ensemble"]["weights"] for r in results if "weights" in r.facts.get("ensemble", {})]
    mean = {m: float(np.mean([w[m] for w in weights])) for m in weights[0]} if weights else {}
    ranks = {name: params.meta["rank"] for name, (_, params) in fitted.params.items() if is_deficient(params.meta)}
    return {
        **prepared.facts,
        "columns": columns,
        "ensemble_weights": mean,
        "rank": ranks,
        "card": card(prepared, assessment),
        "study_digest": study.digest,
    }


def card(prepared: Prepared, assessment: Assessment) -> dict[str, Any]:
    """Facts of the model card: what it answers, for whom it was learnt, how good it is, and its operating point."""
    study, chosen = prepared.study, assessment.scores["chosen"]
    part = "holdout" if "holdout" in assessment.scores["parts"] else "cv"
    facts: dict[str, Any] = {
        "task": study.task, "target": list(prepared.target.names), "chosen": chosen, "part": part,
        "rows": len(prepared.development), "units": int(len(np.unique(prepared.groups[prepared.development]))),
        "scores": assessment.scores["parts"][part][chosen],
    }  # fmt: skip
    threshold = assessment.curves.get("threshold")
    if threshold is not None:
        facts["threshold"] = threshold
    return facts
