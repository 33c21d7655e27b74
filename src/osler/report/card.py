"""The model card in Markdown (Mitchell and others, FAT* 2019): who owns it, what for, how good on whom, and what to
mind.
"""

from __future__ import annotations

import re

from osler.report.items import CARD_QUESTIONS
from osler.report.markup import clean
from osler.report.material import Material
from osler.report.summary import question, sentences
from osler.report.words import VERDICTS, cell, count, estimate, is_number, label, listed, plural

_ACTIVE = re.compile(r"([\\`*_\[\]#!|~>])")


def md(text: object) -> str:
    """Text as Markdown that shows it and does nothing: HTML escaped, special characters with a backslash, one line."""
    flat = " ".join(clean(text).split())
    return _ACTIVE.sub(r"\\\1", flat.replace("&", "&amp;").replace("<", "&lt;")).replace("://", ":\u200c//")


def card(material: Material) -> str:
    """The card; what only the owner knows is asked, never made up."""
    m = material
    verdict = str(m.get("certificate", "verdict", default="unknown"))
    versions = m.get("environment", "libraries", default={})
    lines = [
        f"# Model card: {md(m.target)}", "",
        f"- Model: {md(m.chosen or 'none')} · task: {md(m.kind)} · study "
        f"{md(m.get('facts', 'study_digest', default='unknown'))} · Osler {md(versions.get('osler', 'unknown'))}",
        f"- Leakage certificate: **{VERDICTS.get(verdict, VERDICTS['unknown'])[1]}** "
        f"(unit of independence: {md(m.unit)})",
        f"- Owner: {_asked(m, 'card.owner')}", "",
        "## Intended use", "", _asked(m, "card.intended_use"), "", "Out of scope: " + _asked(m, "card.out_of_scope"), "",
        "## Factors", "", *_factors(m), "",
        "## Metrics", "", *_metrics(m), "",
        "## Data", "", f"{md(question(m))}", "",
        f"- Rows read {count(m.get('facts', 'rows_read'))}, used {count(m.get('facts', 'rows_used'))}, "
        f"refused {count(m.get('facts', 'rows_refused'))}",
        f"- Predictors: {md(listed(m.get('facts', 'inputs', default=[]), 40))}", "",
        "## Quantitative results", "", *[f"- {md(s)}" for s in sentences(m, 0)], "", *_subgroups(m), "",
        "## Ethics and caveats", "",
        f"- Ethics approval: {_asked(m, '17')}", f"- Known inequalities: {_asked(m, '3c')}", f"- Limits: {_asked(m, '26')}",
        "- This card was filled from a run; it is no proof of benefit for patients and no medical device.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _asked(m: Material, key: str) -> str:
    from osler.report.items import questions

    answer = m.answers.get(key)
    return md(answer) if answer else f"*to be answered:* {md({**questions(), **CARD_QUESTIONS}[key])}"


def _factors(m: Material) -> list[str]:
    held = m.get("curves", "subgroups", default={})
    sites = [f"- Sites left out in turn: {md(listed(list(m.sites), 12))}"] if m.sites else []
    return [*[f"- {md(c)}: {plural(len(levels), 'group')}" for c, levels in held.items()], *sites] or [
        "- No group of people was measured apart."
    ]


def _metrics(m: Material) -> list[str]:
    held = m.parts.get(m.part, {}).get(m.chosen, {})
    base = m.parts.get(m.part, {}).get("baseline", {})
    rows = [
        f"| {md(label(k))} | {md(estimate(k, e))} | {md(estimate(k, base.get(k)))} | {cell(e.get('n'))} |"
        for k, e in held.items()
        if isinstance(e, dict) and is_number(e.get("value"))
    ]
    return (
        ["| Measure | Value (95% interval) | Baseline | n |", "|---|---|---|---|", *rows] if rows else ["No measure."]
    )


def _subgroups(m: Material) -> list[str]:
    from osler.report.figures import lead_metric

    rows = []
    for column, levels in m.get("curves", "subgroups", default={}).items():
        for level in levels:
            metric = lead_metric(m, level.get("scores", {}))
            value = "hidden (small)" if level.get("hidden") else estimate(metric, level.get("scores", {}).get(metric))
            rows.append(
                f"| {md(column)} | {md(level.get('group'))} | {'' if level.get('hidden') else cell(level.get('n'))} "
                f"| {md(label(metric)) if metric else ''} | {md(value)} |"
            )
    return ["| Group | Level | n | Measure | Value (95% interval) |", "|---|---|---|---|---|", *rows] if rows else []
