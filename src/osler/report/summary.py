"""The first screen: what was asked, how good the answer is on whom, against what, and what is missing, in plain
words.
"""

from __future__ import annotations

from osler.report.figures import lead_metric, where
from osler.report.markup import Child, Html, join, tag
from osler.report.material import Material, clinical
from osler.report.words import (
    VERDICTS,
    count,
    estimate,
    interval,
    is_number,
    label,
    listed,
    number,
    plural,
    share,
    short,
)

#: What the first figure means for people.
SAID = {
    "ap_50": "Of the things that are there or were drawn, {of_100} of 100 are both (an overlap of more than half).",
    "dice": "A drawn mask and the true one share {figure} (Dice; 1 is the same mask).",
    "auroc": "Of 100 pairs of one case with the outcome and one without, the model ranks about {of_100} the right way round.",
    "c_uno": "Of 100 pairs of cases, the one with the earlier event had the higher predicted risk in about {of_100}.",
    "c_harrell": "Of 100 pairs of cases, the one with the earlier event had the higher predicted risk in about {of_100}.",
    "mae": "A prediction is off by {value} on average, in the unit of {target}.",
}


def title(material: Material) -> str:
    """The report's heading."""
    verb = {"survival": "Predicting the time to", "regression": "Predicting", "segmentation": "Drawing", "detection": "Finding"}.get(material.kind, "Predicting")
    return f"{verb} {short(material.target, 60)}"


def question(material: Material) -> str:
    """What was asked, as a sentence."""
    inputs = material.get("facts", "inputs", default=[])
    source = f" in {short(material.source, 60)}" if material.source else ""
    event = material.get("study", "event")
    outcome = {
        "binary": f"whether {material.target} is {_positive(material)}", "multiclass": f"which class of {material.target} a case has",
        "multilabel": f"which of {material.target} a case has", "regression": f"the value of {material.target}",
        "survival": f"when the event ({short(event, 30)}) happens",
    }.get(material.kind, material.target)  # fmt: skip
    if material.kind == "segmentation":
        return f"Can a model mark '{short(material.target, 40)}' as people did, on {plural(len(inputs), 'kind')} of scans, for {count(material.get('facts', 'rows_used'))} cases{source}?"
    return f"Can {plural(len(inputs), 'predictor')} tell {outcome}, for {count(material.get('facts', 'rows_used'))} cases{source}?"


def _positive(material: Material) -> str:
    rule = str(material.get("study", "positive", default=""))
    classes = list(material.get("facts", "classes", default={}))
    return short(rule or (classes[-1] if classes else "positive"), 30)


def kicker(material: Material) -> str:
    """The line over the heading: what kind of study this is."""
    kinds = {
        "binary": "yes or no",
        "multiclass": "one of several classes",
        "multilabel": "several labels",
        "regression": "a number",
        "survival": "time to an event",
        "segmentation": "masks drawn on scans",
    }
    how = (
        "development and hold-out evaluation" if material.part == "holdout" else "development with internal validation"
    )
    return f"Prediction model: {how} · outcome: {kinds.get(material.kind, material.kind or 'unknown')} · Osler {material.get('environment', 'libraries', 'osler', default='')}"


def summary(material: Material, open_questions: int) -> Html:
    """The answer in four figures and a few sentences."""
    if not material.chosen:
        return tag("p", "This run holds no scores: there is nothing to summarise.", class_="lead")
    return join(
        [
            tag("p", question(material), class_="lead"),
            _figures(material),
            tag("ul", [tag("li", s) for s in sentences(material, open_questions)]),
        ]
    )


def _figures(material: Material) -> Html:
    metric = lead_metric(material, material.parts.get(material.part, {}).get(material.chosen, {}))
    cells = [_figure(label(metric), *_value(material, metric))] if metric else []
    for other in ("f1_50", "hd95", "calibration_slope", "brier", "accuracy", "rmse", "r2"):
        if other != metric and material.entry(other) and len(cells) < 2:
            cells.append(_figure(label(other), *_value(material, other)))
    sites = [m.get(material.chosen, {}).get(metric, {}).get("value") for m in material.sites.values()]
    seen = [v for v in sites if is_number(v)]
    if seen:
        cells.append(
            _figure(
                f"{label(metric)} at sites left out",
                f"{number(min(seen), 2)} to {number(max(seen), 2)}",
                f"lowest and highest of {len(seen)} sites, each unseen in training",
            )
        )
    verdict = str(material.get("certificate", "verdict", default="unknown"))
    mark, word = VERDICTS.get(verdict, VERDICTS["unknown"])
    checks = material.checks
    cells.append(
        _figure(
            "Leakage certificate",
            f"{mark} {word}",
            f"{plural(len(checks), 'check')}; unit of independence: {short(material.unit, 24)}",
        )
    )
    return tag("div", cells, class_="answer")


def _value(material: Material, metric: str) -> tuple[str, str]:
    entry = material.entry(metric)
    decimals = 2 if metric not in ("mae", "rmse") else 1
    base = material.entry(metric, "baseline")
    beside = (
        f"; baseline {number(base.get('value'), decimals)}" if base and metric not in ("calibration_slope",) else ""
    )
    return number(
        entry.get("value"), decimals
    ), f"95% interval {interval(entry, decimals)}, {where(material.part)}, n {count(entry.get('n'))}{beside}"


def _figure(what: str, value: str, how: str) -> Html:
    return tag("div", tag("p", what, class_="what"), tag("p", value, class_="figure"), tag("p", how, class_="how"))


def sentences(material: Material, open_questions: int) -> list[Child]:
    """How good, beside what, calibrated how, elsewhere, and what is missing."""
    said = [
        _good(material),
        _baseline(material),
        _clinical(material),
        _calibrated(material),
        _elsewhere(material),
        *_missing(material, open_questions),
    ]
    return [s for s in said if s]


def _good(material: Material) -> str:
    metric = lead_metric(material, material.parts.get(material.part, {}).get(material.chosen, {}))
    entry = material.entry(metric) if metric else {}
    if not is_number(entry.get("value")):
        return ""
    text = SAID.get(metric, f"{label(metric)} is {{figure}}.")
    figures = {
        "of_100": number(100 * entry["value"], 0),
        "value": estimate(metric, entry),
        "figure": estimate(metric, entry),
        "target": short(material.target, 30),
    }
    tested = (
        "cases that were kept apart until the end"
        if material.part == "holdout"
        else "cases that the judged model had not been trained on"
    )
    return (
        f"Judged on {count(entry.get('n'))} {tested}: "
        + text.format(**figures)[0].lower()
        + text.format(**figures)[1:]
        + f" Model: {material.chosen}."
    )


def _baseline(material: Material) -> str:
    metric = lead_metric(material, material.parts.get(material.part, {}).get(material.chosen, {}))
    own, base = material.entry(metric) if metric else {}, material.entry(metric, "baseline") if metric else {}
    if not is_number(own.get("low")) or not is_number(base.get("value")):
        return ""
    if material.kind in ("segmentation", "detection"):
        return f"That is {'clearly' if own['low'] > base['value'] else 'not clearly'} better than the plain method beside it ({label(metric)} {estimate(metric, base)})."
    lower = metric in ("mae", "rmse", "brier", "log_loss", "ibs")
    better = own["high"] < base["value"] if lower else own["low"] > base["value"]
    tells = "clearly better than" if better else "not clearly better than"
    return f"That is {tells} saying the same for everyone ({label(metric)} {estimate(metric, base)})."


def _clinical(material: Material) -> str:
    if material.kind not in ("binary", "survival") or not material.chosen:
        return ""
    if not clinical(material):
        return "No score that clinicians already use was compared: none was named, or its columns are not in the table."
    metric = lead_metric(material, material.parts[material.part][material.chosen])
    return " ".join(
        f"The clinical score {m} reaches {label(metric)} "
        f"{estimate(metric, material.entry(metric, m))} on the same cases."
        for m in clinical(material)
    )


def _calibrated(material: Material) -> str:
    slope, ratio = material.entry("calibration_slope"), material.entry("observed_expected")
    if not is_number(slope.get("low")):
        return ""
    fits = slope["low"] <= 1 <= slope["high"]
    text = (
        "Predictions are about as extreme as they should be"
        if fits
        else "Predictions are too extreme"
        if slope["high"] < 1
        else "Predictions are too cautious"
    )
    tail = ""
    if is_number(ratio.get("value")):
        tail = f", and for every 100 expected outcomes {number(100 * ratio['value'], 0)} were seen ({interval({k: 100 * ratio[k] if is_number(ratio.get(k)) else None for k in ('low', 'high')}, 0)})"
    return f"{text} (calibration slope {estimate('calibration_slope', slope)}){tail}."


def _elsewhere(material: Material) -> str:
    held = {s: m.get(material.chosen, {}) for s, m in material.sites.items()}
    if not held:
        return "" if material.part == "holdout" else "No other hospital was tested: how it does elsewhere is not known."
    metric = lead_metric(material, next(iter(held.values())))
    seen = {s: e[metric] for s, e in held.items() if metric and is_number(e.get(metric, {}).get("value"))}
    if not seen:
        return ""
    worst = min(seen, key=lambda s: seen[s]["value"])
    return f"At a site it never saw the weakest result was {label(metric)} {estimate(metric, seen[worst])}, at {short(worst, 40)}."


def _missing(material: Material, open_questions: int) -> list[str]:
    out = []
    unknown = [c["name"] for c in material.checks if c.get("verdict") == "unknown"]
    violated = [c["name"] for c in material.checks if c.get("verdict") == "violated"]
    if violated:
        out.append(f"Do not use these numbers: the certificate is violated ({listed(violated, 4)}).")
    if unknown:
        out.append(f"Not proven: {listed(unknown, 4)} could not be checked.")
    size = str(material.get("curves", "sample_size", "message", default=""))
    if size:
        out.append(size)
    empty = [
        c
        for c in material.columns
        if c.get("role") == "input"
        and c.get("summary", {}).get("missing", 0) > 0.3 * max(c.get("summary", {}).get("n", 1), 1)
    ]
    if empty:
        held = [f"{short(c['name'], 24)} ({share(c['summary']['missing'], c['summary']['n'])})" for c in empty]
        out.append(f"Often not measured: {listed(held, 5)}.")
    rank = [
        name
        for r in material.get("facts", "rank", default={}).values()
        if isinstance(r, dict)
        for name in r.get("unclear", [])
    ]
    if rank:
        out.append(
            f"The data cannot tell apart {listed([short(n, 24) for n in dict.fromkeys(rank)], 6)}: "
            f"their single coefficients mean nothing."
        )
    if open_questions:
        out.append(
            f"{plural(open_questions, 'question')} of the TRIPOD+AI checklist "
            f"can only be answered by you (answers.yaml)."
        )
    return out
