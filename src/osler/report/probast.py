"""PROBAST+AI (Moons and others, BMJ 2025;388:e082505): the questions a run can pre-answer, each with a pointer to its
evidence.

An answer here is a draft for the person who judges risk of bias; where the run does not know, it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from osler.report.material import Material
from osler.report.words import count, is_number, number, plural

ANSWERS = ("yes", "probably yes", "probably no", "no", "cannot tell")


@dataclass(frozen=True)
class Judged:
    """A signalling question with a pre-answer.

    Attributes:
        domain: participants and data, predictors, outcome, or analysis.
        question: in our words. answer: one of `ANSWERS`. evidence: where it can be seen.
    """

    domain: str
    question: str
    answer: str
    evidence: str


def judge(material: Material) -> list[Judged]:
    """Every question that a run can pre-answer, in the order of the domains."""
    return [Judged(domain, question, *answer(material)) for domain, question, answer in _QUESTIONS]


def _verdict(m: Material, *names: str) -> tuple[str, str]:
    """The worst of some checks, and their details."""
    held = [c for c in m.checks if c.get("name") in names]
    verdicts = {c.get("verdict") for c in held}
    seen = "; ".join(f"{c['name']}: {c.get('verdict')}" for c in held)
    if not held:
        return "cannot tell", "the certificate holds no such check"
    if "violated" in verdicts:
        return "no", f"certificate: {seen}"
    if "unknown" in verdicts:
        return "cannot tell", f"certificate: {seen}"
    return ("yes" if "clean" in verdicts else "cannot tell"), f"certificate: {seen}"


def _source(m: Material) -> tuple[str, str]:
    answer = m.answers.get("probast.source", "")
    return (
        ("probably yes", f"answered: {answer}") if answer else ("cannot tell", "asked in answers.yaml (probast.source)")
    )


def _included(m: Material) -> tuple[str, str]:
    read, refused = m.get("facts", "rows_read", default=0), m.get("facts", "rows_refused", default=0)
    if not read:
        return "cannot tell", "no row accounting"
    answer = "yes" if refused == 0 else "probably yes" if refused <= 0.05 * read else "probably no"
    return answer, f"participant flow: {count(refused)} of {count(read)} rows refused"


def _timely(m: Material) -> tuple[str, str]:
    answer, seen = _verdict(m, "predictors after the prediction time")
    if answer == "yes" and not m.get("study", "time"):
        return "cannot tell", "no column of the prediction time was declared; nothing suspicious was found"
    return answer, seen


def _independent(m: Material) -> tuple[str, str]:
    answer, seen = _verdict(
        m,
        "target among inputs",
        "giveaway predictors",
        "missingness gives the target away",
        "pre-computed target means",
    )
    return ("probably yes" if answer == "yes" else answer), seen


def _alike(m: Material) -> tuple[str, str]:
    return "yes", "columns: one definition per column, the same code for every row"


def _enough(m: Material) -> tuple[str, str]:
    held = m.get("curves", "sample_size", default={})
    needed = [n for n in (held.get("criteria") or {}).values() if is_number(n)]
    if needed and is_number(held.get("n")):
        return ("yes" if held["n"] >= max(needed) else "probably no"), f"sample size: {held.get('message', '')}"
    events = m.get("facts", "events")
    if is_number(events) and held.get("parameters"):
        per = events / held["parameters"]
        return (
            "probably yes" if per >= 20 else "probably no" if per < 10 else "cannot tell"
        ), f"sample size: {number(per, 1)} events per candidate parameter"
    return "cannot tell", "sample size: no formula for this task"


def _missing(m: Material) -> tuple[str, str]:
    lost = [
        c
        for c in m.columns
        if c.get("role") == "input"
        and is_number((c.get("summary") or {}).get("missing"))
        and c["summary"]["missing"] > 0
    ]
    answer, seen = _verdict(m, "missingness gives the target away")
    if not lost:
        return "yes", "columns: no predictor has a missing cell"
    return (
        "probably yes" if answer == "yes" else "cannot tell"
    ), f"columns: {plural(len(lost), 'predictor')} with missing cells, filled inside each training part; {seen}"


def _overfitting(m: Material) -> tuple[str, str]:
    answer, seen = _verdict(m, "split membership", "fitted states")
    return answer, f"plan: cross-validation over every modelling step; {seen}"


def _calibrated(m: Material) -> tuple[str, str]:
    held = m.parts.get(m.part, {}).get(m.chosen, {})
    if "calibration_slope" in held or "ece" in held:
        return "yes", "calibration: slope, intercept and curve with intervals"
    return ("no" if held else "cannot tell"), "no calibration measure for this task in this run"


def _clustering(m: Material) -> tuple[str, str]:
    return _verdict(m, "unit overlap", "site overlap", "exact duplicates", "near duplicates")


def _tuning(m: Material) -> tuple[str, str]:
    answer, seen = _verdict(m, "fitted states")
    return answer, f"plan: scaling, imputation, selection and tuning inside each training part; {seen}"


def _separate(m: Material) -> tuple[str, str]:
    if m.part != "holdout":
        return (
            ("probably yes", "sites left out in turn")
            if m.sites
            else ("no", "no evaluation in other people, places or times in this run")
        )
    return _verdict(m, "hold-out kept apart")


_QUESTIONS: tuple[tuple[str, str, Callable[[Material], tuple[str, str]]], ...] = (
    ("Participants and data", "Is the source of the data fit for the intended use?", _source),
    ("Participants and data", "Were all eligible people analysed, and were exclusions proper?", _included),
    ("Predictors", "Were predictors defined and measured alike for all?", _alike),
    ("Predictors", "Are all predictors known at the time of prediction?", _timely),
    ("Outcome", "Was the outcome determined without the predictors in it?", _independent),
    ("Analysis", "Were there enough people and events?", _enough),
    ("Analysis", "Were missing data handled properly?", _missing),
    ("Analysis", "Were over-fitting and optimism accounted for?", _overfitting),
    ("Analysis", "Was tuning done inside the resampling?", _tuning),
    ("Analysis", "Were clustering, repeated people and leakage dealt with?", _clustering),
    ("Analysis", "Was calibration assessed beside discrimination?", _calibrated),
    ("Analysis", "Was the model evaluated on people, places or times that were kept apart?", _separate),
)  # fmt: skip
