"""What a run can say about each sub-item of TRIPOD+AI: functions from the material to a sentence; "" where it knows
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from osler.report.figures import lead_metric, where
from osler.report.material import Material, command, holdout_sizes
from osler.report.summary import sentences, title
from osler.report.words import cell, count, estimate, is_number, label, listed, number, plural, share, short


def _title(m: Material) -> str:
    how = "Development and hold-out evaluation" if m.part == "holdout" else "Development and internal validation"
    place = " with leave-one-site-out evaluation" if m.sites else ""
    return (
        f"Draft title: {how} of a prediction model for {m.target}{place} ({count(m.get('facts', 'rows_used'))} cases)."
    )


def _abstract(m: Material) -> str:
    return f"Draft: {title(m)}. " + " ".join(str(s) for s in sentences(m, 0))


def _objective(m: Material) -> str:
    both = "development and evaluation on a hold-out" if m.part == "holdout" else "development with internal validation"
    return f"{both.capitalize()} of a model for {m.target} (task: {m.kind})."


def _source(m: Material) -> str:
    digest = str(m.get("study", "source_sha256", default=""))
    named = f"File {m.source}. " if m.source else "The table was handed over by a program. "
    return f"{named}SHA-256 of the data: {digest}." if digest else named


def _dates(m: Material) -> str:
    dates = [c for c in m.columns if c.get("role") == "time"]
    if not dates:
        return "No column of the prediction time was declared."
    s = dates[0].get("summary") or {}
    ends = f" from {s['first']} to {s['last']}" if "first" in s and "last" in s else ""
    return f"The prediction time is column {dates[0]['name']}{ends}."


def _centres(m: Material) -> str:
    if not m.get("study", "site"):
        return "No column of the site was declared."
    held = m.sites or {}
    return f"Column {m.get('study', 'site')} names the site: {plural(len(held), 'site')} ({listed(list(held))})."


def _eligible(m: Material) -> str:
    text = f"Of {count(m.get('facts', 'rows_read'))} rows read, {count(m.get('facts', 'rows_refused', default=0))} were refused"
    why = listed([f"{k} ({n})" for k, n in list(m.refused.items())[:5]])
    return f"{text}{': ' + why if why else ''}."


def _cleaning(m: Material) -> str:
    steps = listed([str(s.get("name")) for s in m.get("cohort", "lineage", default=[]) if isinstance(s, dict)])
    return (
        f"Steps: {steps or 'read'}. Cells set missing because their value is impossible: "
        f"{count(m.get('facts', 'cells_set_missing', default=0))}; "
        f"{plural(len(m.members['findings']), 'finding')} of the quality checks are listed in this "
        f"report. The same rules for every row, whatever its group."
    )


def _outcome(m: Material) -> str:
    classes = m.get("facts", "classes", default={})
    rule = m.get("study", "positive")
    parts = [f"Outcome column: {m.target}."]
    if classes:
        parts.append("Classes: " + listed([f"{k} ({cell(n)})" for k, n in classes.items()]) + ".")
    if rule:
        parts.append(f"Positive: {rule}.")
    if m.kind == "survival":
        parts.append(
            f"Duration: {m.get('study', 'duration')}; event: {m.get('study', 'event')}; horizon "
            f"{number(m.get('facts', 'horizon'), 0)}; {cell(m.get('facts', 'events'))} events."
        )
    return " ".join(parts)


def _predictors(m: Material) -> str:
    inputs = m.get("facts", "inputs", default=[])
    how = "named by the user" if m.get("study", "input") else "every column that was not given another role or left out"
    return f"{plural(len(inputs), 'predictor')}, {how}: {listed(inputs, 30)}. None was dropped by looking at the outcome outside a training part."


def _definitions(m: Material) -> str:
    held = [c for c in m.columns if c.get("role") == "input"]
    named = [
        f"{c['name']} ({c.get('modality')}{', ' + str((c.get('options') or {}).get('quantity_unit')) if (c.get('options') or {}).get('quantity_unit') else ''})"
        for c in held
    ]
    late = _check(m, "predictors after the prediction time")
    return f"{listed(named, 40)}. Predictors recorded after the prediction time: {late or 'not checked'}."


def _check(m: Material, name: str) -> str:
    return next((f"{c.get('verdict')} ({c.get('detail')})" for c in m.checks if c.get("name") == name), "")


def _size(m: Material) -> str:
    s = m.get("curves", "sample_size", default={})
    criteria = listed([f"{str(k).replace('_', ' ')} {count(n)}" for k, n in (s.get("criteria") or {}).items()])
    text = (
        str(s.get("message", ""))
        or f"{count(m.get('facts', 'rows_used'))} cases for {plural(s.get('parameters', 0), 'candidate parameter')}; no formula for this task."
    )
    return f"{text}{' Cases needed by criterion (Riley and others, BMJ 2020;368:m441): ' + criteria + '.' if criteria else ''} The size was that of the table at hand."


def _missing(m: Material) -> str:
    held = [
        (c["name"], c["summary"]["missing"], c["summary"].get("n", 0))
        for c in m.columns
        if is_number((c.get("summary") or {}).get("missing")) and c["summary"]["missing"] > 0
    ]
    named = listed(
        [f"{n} {share(k, of) if k >= 10 else '<10 cells'}" for n, k, of in sorted(held, key=lambda h: -h[1])], 20
    )
    handled = "Missing numbers take the training part's median with an indicator where often missing, or go to the trees as missing; missing categories are a state of their own. All of it is learnt inside each training part."
    return f"{'Missing: ' + named + '.' if named else 'No cell is missing.'} {handled} Rows without a usable outcome: see refusals.csv."


def _use(m: Material) -> str:
    s = m.members["study"]
    text = f"{s.get('folds', 0)}-fold cross-validation, repeated {plural(s.get('repeats', 0), 'time')}, whole units together (unit: {m.unit})"
    text += f"; {plural(len(m.sites), 'site')} left out in turn" if m.sites else ""
    sizes = holdout_sizes(m)
    return (
        f"{text}; hold-out of {count(sizes[1])} rows ({s.get('holdout')}), looked at once."
        if sizes
        else f"{text}; no hold-out."
    )


def _handling(m: Material) -> str:
    linear = "linear models: standardised numbers, one column per level of a category"
    return f"Numbers enter as they are or standardised, categories by level, booleans as 0 and 1 ({linear}; trees: raw numbers). No number was cut into classes beforehand."


def _building(m: Material) -> str:
    models = [str(x) for x in m.get("study", "model", default=[])]
    tune = m.get("study", "tune", default=0)
    tuning = (
        f"{plural(tune, 'trial')} of tuning per model inside each training part"
        if tune
        else "penalties and stopping chosen inside each training part, no other tuning"
    )
    return f"Models: {listed(models)}; {tuning}; the one that answers is {m.chosen}, with the least out-of-fold loss or as the ensemble. The plan was written before training (plan.md)."


def _clusters(m: Material) -> str:
    if not m.sites:
        return ""
    return f"Every one of {plural(len(m.sites), 'site')} was left out of training once and judged apart; results by site are reported (23b)."


def _measures(m: Material) -> str:
    held = m.parts.get(m.part, {}).get(m.chosen, {})
    compared = f"; {listed(m.models)} compared by paired differences on the same cases" if len(m.models) > 2 else ""
    return f"{listed([label(k) for k in held], 30)}, each with a {share(m.get('study', 'level', default=0.95), 1)} interval from resampled units{compared}."


def _computed(m: Material) -> str:
    return "Out-of-fold predictions of each part's own models (predictions.parquet); afterwards: osler predict RUN TABLE, or the saved predictor (predictor/, with SHA-256 per member)."


def _imbalance(m: Material) -> str:
    how = str(m.get("study", "imbalance", default="none"))
    if how == "none":
        return "None: no resampling and no class weights, so that probabilities stay calibrated."
    return f"Class weights ({how}) in training; calibration was measured afterwards and is reported (23a)."


def _groups(m: Material) -> str:
    held = m.get("curves", "subgroups", default={})
    return (
        f"Performance was measured by {listed(list(held))}, with small groups hidden."
        if held
        else "No column looked like a group of people (sex, age, ethnicity, site), so no subgroup was measured."
    )


def _output(m: Material) -> str:
    what = {"binary": "a probability", "multiclass": "a probability per class", "multilabel": "a probability per label", "regression": "a number with an interval",
            "survival": f"a survival curve, and the probability of the event by {number(m.get('facts', 'horizon'), 0)}"}.get(m.kind, m.kind)  # fmt: skip
    threshold = m.get("curves", "threshold")
    call = (
        f" Calls are made from {number(threshold, 3)} on (rule: {m.get('study', 'threshold')})."
        if threshold is not None
        else ""
    )
    return f"Output: {what}.{call}"


def _differences(m: Material) -> str:
    sizes = holdout_sizes(m)
    return (
        f"Development {count(sizes[0])} rows, hold-out {count(sizes[1])} rows ({m.get('study', 'holdout')}); "
        f"the same columns and outcome definition. {_moved(m)}"
        if sizes
        else ""
    )


def _moved(m: Material) -> str:
    held = m.get("curves", "drift", "holdout", "columns", default={})
    moved = [
        f"{k} ({d.get('verdict')})"
        for k, d in held.items()
        if isinstance(d, dict) and d.get("verdict") in ("moderate", "large")
    ]
    return (
        f"Predictors that moved: {listed(moved, 15) or 'none'} of {len(held)}; table one stands by part."
        if held
        else "Table one stands by part, with standardised differences."
    )


def _flow(m: Material) -> str:
    return f"{count(m.get('facts', 'rows_read'))} rows read, {count(m.get('facts', 'rows_refused', default=0))} refused, {count(m.get('facts', 'rows_used'))} used ({_outcome(m)})"


def _characteristics(m: Material) -> str:
    held = [str(t.get("group") or "all") for t in m.get("facts", "table_one", default=[]) if isinstance(t, dict)]
    first = f"Table one by {listed(held)}, and the" if held else "The"
    return f"{first} table of columns, with missing cells; counts below 10 are hidden."


def _analysed(m: Material) -> str:
    parts = listed([f"{where(p)}: {count(m.cases(p))} cases" for p in m.parts], 12)
    events = m.get("facts", "events") if m.kind == "survival" else None
    classes = m.get("facts", "classes", default={})
    said = (
        f" Events: {cell(events)}."
        if events is not None
        else " " + listed([f"{k}: {cell(n)}" for k, n in classes.items()]) + "."
        if classes
        else ""
    )
    return f"{parts}.{said}"


def _full(m: Material) -> str:
    return "The coefficients in this report where the model is an equation; always the predictor folder (JSON and arrays, no code), named by the hash in the section on the full model."


def _performance(m: Material) -> str:
    held = m.parts.get(m.part, {}).get(m.chosen, {})
    text = listed(
        [f"{label(k)} {estimate(k, e)}" for k, e in held.items() if isinstance(e, dict) and is_number(e.get("value"))][
            :6
        ],
        6,
    )
    drawn = m.get("curves", "parts", m.part, default={})
    kinds = {
        "subgroups": m.get("curves", "subgroups"),
        "calibration": drawn.get("calibration") or drawn.get("calibration_by_class"),
        "decision curves": drawn.get("decision_curve"), "observed against predicted": drawn.get("residuals"),
        "curves of risk groups": drawn.get("risk_groups"),
    }  # fmt: skip
    more = listed([name for name, there in kinds.items() if there])
    return f"{m.chosen}, {where(m.part)}: {text}.{f' {more.capitalize()}: in this report.' if more else ''}"


def _by_site(m: Material) -> str:
    held = {s: e.get(m.chosen, {}) for s, e in m.sites.items()}
    metric = lead_metric(m, next(iter(held.values()), {}))
    return (
        listed([f"{short(s, 30)}: {label(metric)} {estimate(metric, e.get(metric))}" for s, e in held.items()], 20)
        + "."
        if metric
        else ""
    )


def _limits(m: Material) -> str:
    bad = [
        f"{c['name']}: {c.get('verdict')}, {c.get('detail')}"
        for c in m.checks
        if c.get("verdict") in ("unknown", "violated")
    ]
    out = [f"Found here: {'; '.join(bad)}." if bad else "Every check of the certificate that applies is clean."]
    if m.part != "holdout" and not m.sites:
        out.append("Internal validation only: no other time or place.")
    return " ".join(out)


def _poor_inputs(m: Material) -> str:
    return "The predictor refuses unknown columns by name, takes a missing cell as in training, counts an unseen category as 'other', and marks cases outside the range of training (in_domain)."


def _no_sites(m: Material) -> str:
    return "" if m.sites else "No site or other cluster was declared."


def _no_update(m: Material) -> str:
    return "The model was not updated."


def _no_holdout(m: Material) -> str:
    return (
        ""
        if m.part == "holdout"
        else "Development only: there is no separate evaluation set in this run (osler evaluate adds one)."
    )


AUTO: dict[str, Callable[[Material], str]] = {
    "1": _title, "2": _abstract, "4": _objective, "5a": _source, "5b": _dates, "6a": _centres, "6b": _eligible, "7": _cleaning, "8a": _outcome,
    "9a": _predictors, "9b": _definitions, "10": _size, "11": _missing, "12a": _use, "12b": _handling, "12c": _building, "12d": _clusters,
    "12e": _measures, "12g": _computed, "13": _imbalance, "14": _groups, "15": _output, "16": _differences, "18f": lambda m: f"Reproduce with: {command(m)}",
    "20a": _flow, "20b": _characteristics, "20c": _differences, "21": _analysed, "22": _full, "23a": _performance, "23b": _by_site, "26": _limits, "27a": _poor_inputs,
}  # fmt: skip

NOT_APPLICABLE: dict[str, Callable[[Material], str]] = {
    "12d": _no_sites, "12f": _no_update, "16": _no_holdout, "20c": _no_holdout, "23b": _no_sites, "24": _no_update,
}  # fmt: skip
