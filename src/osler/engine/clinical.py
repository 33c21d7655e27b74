"""Scores that clinicians already use, put beside the models that are fitted: which can be computed, and how."""

from __future__ import annotations

from dataclasses import replace

from osler import models
from osler.cohort.cohort import Cohort
from osler.models.clinical.base import ClinicalScore
from osler.models.clinical.inputs import match

#: What the name of such a row in `scores.json` starts with.
HEAD = "score:"

#: Modalities whose encoded values a score can read.
READABLE = ("number", "category", "boolean")

#: A score that lacks at most this many of its inputs, and has at least as many, is named in the plan.
NEARLY = 2


def offered(cohort: Cohort, kind: str) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Scores that can be computed from the predictors, and those that nearly can.

    A score is offered for a binary or survival outcome if every input that it needs is a predictor and is readable. It
    orders people as published; an intercept and a slope are learnt inside each training part, and nothing else.

    Args:
        cohort: rows with roles; only columns of the role `input` are looked at.
        kind: the task.

    Returns:
        Specifications with the units fixed, in the order of `models.SCORES`; score → inputs that it lacks.
    """
    readable = [c.role == "input" and c.modality in READABLE for c in cohort.columns]
    columns = tuple(c if ok else c.with_(role="ignore") for c, ok in zip(cohort.columns, readable))
    seen = replace(cohort, columns=columns)
    specs, lacking = [], {}
    for name in models.SCORES:
        score = _score(name, seen)
        if kind not in score.answers:
            continue
        lost = score.applicable(seen)
        if not lost:
            specs.append(_spec(score.bind(seen)))
        elif len(lost) <= NEARLY and len(match(score.inputs, seen.columns, {})) >= len(lost) + NEARLY:
            lacking[name] = lost
    return tuple(specs), lacking


def is_score(name: str) -> bool:
    """Whether a model of `scores.json` is a published score that was put beside the others."""
    return name.startswith(HEAD)


def row_name(spec: str) -> str:
    """The name of a score's row: "score:framingham"."""
    return HEAD + spec.partition(":")[0]


def _score(name: str, cohort: Cohort) -> ClinicalScore:
    """The score, told which code of the sex and race columns means what, where the columns' coding says so."""
    score = models.get(name)
    found = match(score.inputs, cohort.columns, {})
    marks = {}
    for i in score.inputs:
        if i.kind not in ("sex", "race") or i.name not in found:
            continue
        wanted = {"sex": ("male", "man", "men", "m"), "race": ("black", "african american")}[i.kind]
        codes = [code for code, label in cohort.column(found[i.name]).coding.items() if label.strip().lower() in wanted]
        if codes:
            marks["male" if i.kind == "sex" else "black"] = codes[0]
    return type(score)(replace(score.options, recalibrate=True, **marks))


def _spec(score: ClinicalScore) -> str:
    """A specification that makes the same score anywhere; columns are found by name again."""
    options = {"male": score.options.male, "black": score.options.black, "units": "+".join(score.options.units)}
    parts = [f"{k}={v}" for k, v in options.items() if v]
    return f"{score.name}:{','.join([*parts, 'recalibrate=true'])}"
