"""`plan.md`: what will be done and why, written before anything is trained."""

from __future__ import annotations

import numpy as np

from osler import modalities, models, tasks
from osler.cohort.partners import COLD
from osler.engine.clinical import row_name
from osler.engine.prepare import Prepared

_WHY = {
    "logistic": "a penalised straight line: often as good as anything on a small clinical table",
    "linear": "a penalised straight line: often as good as anything on a small clinical table",
    "elastic": "a straight line that may drop predictors",
    "spline": "a bent line per number: dose-response curves without interactions",
    "forest": "many bagged trees: interactions without much tuning",
    "boosting": "trees that correct one another: strong where there are many rows",
    "affinity": "boosted trees over what like pairs of things gave, one model per way in which a pair is new",
    "affinity_network": "an encoder per thing and attention from each to the parts of the other",
    "svm": "a smooth margin in kernel space",
    "gaussian_process": "the training rows answer, by how alike they are: strong on few rows and on molecules",
    "tree": "one tree that can be read",
    "ebm": "additive shape functions that can be read one by one",
    "cox": "proportional hazards with ties by Efron",
    "survival_forest": "bagged survival trees: no proportional hazards needed",
    "survival_boosting": "boosted trees on the partial likelihood",
    "mlp": "a residual network with piecewise-linear number embeddings",
    "network": "one encoder per column and a fusion",
    "pretrained": "a pre-trained encoder of molecules, trained on with the labels of this table",
    "smiles_rnn": "a recurrent network over several spellings of each molecule",
    "cnn": "convolutions over pictures and volumes, beside any other columns",
    "dmpnn": "messages between the atoms of a molecule, learnt with everything else",
    "pls": "a map of weights over the voxels of a scan, by partial least squares: learnt on few scans",
    "fusion": "one model per kind of columns, and a weighted sum of what those say whose columns are there",
    "atlas": "where things usually lie, whatever the pixels say",
    "threshold": "Otsu's threshold of every scan, touching things parted by a watershed",
    "unet": "a U-Net that configures itself from the scans",
    "ensemble": "a weighted mean of the others, the weights learnt from out-of-fold predictions of training rows",
}


def text(prepared: Prepared) -> str:
    """The plan in Markdown: question, rows, unit, splits, models, measures."""
    study, facts = prepared.study, prepared.facts
    unit = ", ".join(c.name for c in prepared.cohort.role("unit")) or "the row (no unit column was declared)"
    lines = [
        "# Plan", "",
        "Written before any model was fitted. Every choice below is in `study.json` and can be changed.", "",
        "## Question", "",
        f"- Task: **{study.task}** · target: {', '.join(prepared.target.names)}",
        *_question(prepared),
        f"- Predictors ({len(facts['inputs'])}): {', '.join(facts['inputs'])}", "",
        "## Rows", "",
        f"- read {facts['rows_read']} = used {facts['rows_used']} + refused {facts['rows_refused']} "
        f"(each with its reason in `refusals.csv`)",
        f"- cells set missing because their value is impossible: {facts['cells_set_missing']}",
        f"- unit of independence: {unit}; {facts['units']} units"
        + (f", {facts['units_merged_as_duplicates']} merged as (near-)duplicates" if facts["units_merged_as_duplicates"] else ""),
        *_preparation(prepared),
        "", "## Who is judged on whom", "",
        *_splits(prepared),
        "", "## Models", "",
        *[f"- `{spec}`: {_WHY.get(spec.partition(':')[0], 'named by the study')}" for spec in study.model],
        *_scores(prepared),
        "", *_learnt_inside(prepared),
        "", "## Measures", "",
        *_measures(prepared), "",
    ]  # fmt: skip
    if prepared.findings:
        lines += ["## Noticed", "", *[f"- {f.severity}: {f.message}" for f in prepared.findings], ""]
    return "\n".join(lines)


def _learnt_inside(prepared: Prepared) -> list[str]:
    if prepared.study.task in tasks.DRAWN:
        return ["Scaling, resampling, sizes, thresholds and whatever else a model chooses are learnt inside each training part only."]
    return ["Imputation, scaling, coding, selection, tuning and the ensemble's weights are learnt inside each training part only."]


def _measures(prepared: Prepared) -> list[str]:
    """What every model is judged by, and what stands beside it."""
    study, task = prepared.study, prepared.task
    interval = f"each with a 95 % interval from {study.boot} bootstrap samples of units, shared out among repeats"
    if study.task in tasks.DRAWN:
        target = prepared.cohort.role("target")[0]
        plain = task.plain(target)
        beside = [f"- `{plain}` stands beside every model as baseline: {_WHY[plain]}"] if plain else []
        return [f"- {', '.join(task.measures(target))}, {interval}", *beside]
    return [
        f"- {', '.join(task.metrics)}, {interval}",
        f"- prediction sets or intervals with a wanted coverage of {study.coverage:.0%}",
        "- a baseline that predicts the same for everyone stands beside every model",
    ]


def _preparation(prepared: Prepared) -> list[str]:
    """Columns whose cells go through steps of their own."""
    if prepared.study.task in tasks.DRAWN:
        return ["", "## Preparation", "", "- scans keep their resolution and units (shading is evened out where a column asks for it); the rest is the model's"]
    lines = []
    for column in prepared.cohort.role("input"):
        steps = modalities.get(column.modality).steps(column)
        lines += [f"- `{column.name}` ({column.modality}): {'; '.join(steps)}"] if steps else []
    return ["", "## Preparation", "", *lines] if lines else []


def _scores(prepared: Prepared) -> list[str]:
    """Published scores beside the models, and those that one or two columns keep away."""
    known = [
        f"- `{row_name(s)}`: a published score, {models.get(s).outcome}; only its level and slope are learnt"
        for s in prepared.scores
    ]
    lacking = prepared.facts.get("scores_lacking", {})
    return known + [
        f"- `{row_name(s)}` cannot be computed: no readable column for {', '.join(lost)}" for s, lost in lacking.items()
    ]


def _question(prepared: Prepared) -> list[str]:
    facts, target = prepared.facts, prepared.target
    if "classes" in facts:
        return ["- Classes: " + ", ".join(f"{c} ({n})" for c, n in facts["classes"].items())]
    if target.kind == "survival":
        return [f"- Events: {facts['events']} · horizon for probabilities: {target.horizon:g}"]
    return []


def _splits(prepared: Prepared) -> list[str]:
    study = prepared.study
    parts = [s for s in prepared.splits if s.part == "cv"]
    lines = [
        f"- cross-validation: {study.folds} folds × {study.repeats}, whole units "
        f"together, balanced by the target ({len(parts)} fits)"
    ]
    sites = [s for s in prepared.splits if s.part.startswith("site=")]
    if sites:
        lines.append(f"- leave one site out: {len(sites)} sites")
    cold = dict.fromkeys(s.part.removeprefix(COLD) for s in prepared.splits if s.part.startswith(COLD))
    if prepared.things:
        sizes = ", ".join(f"'{name}' {len(np.unique(c[c >= 0]))}" for name, c in prepared.things.items())
        parts = "; ".join(f"new {' and '.join(asked.split('+'))}" for asked in cold) or "none: the unit leaves too little"
        lines.append(f"- pairs of things ({sizes} distinct); parts that keep things out of training: {parts}")
    last = prepared.splits[-1]
    if last.part == "holdout":
        lines.append(f"- hold-out: {len(last.test)} rows, looked at once, after everything else ({study.holdout})")
    return lines
