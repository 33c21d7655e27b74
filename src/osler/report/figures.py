"""The pictures of a report, each drawn only if the run holds what it needs."""

from __future__ import annotations

from typing import Any

from osler.report.charts import Axes, Estimate, Figure, box, forest, left_of, legend, line, words
from osler.report.markup import Child, Html, anchor, join, tag
from osler.report.material import Material
from osler.report.words import (
    LEADING,
    SMALL,
    cell,
    count,
    digits_of,
    estimate,
    is_number,
    label,
    listed,
    number,
    short,
)

#: Measures of at most 1, and what stands at the reference line of their forest plot.
REFERENCE = {"auroc": 0.5, "c_uno": 0.5, "c_harrell": 0.5, "r2": 0.0}


def of_part(material: Material, part: str) -> list[Figure]:
    """Discrimination, calibration, usefulness of one part, as far as the task has them."""
    curves = material.get("curves", "parts", part, default={})
    made = [
        roc(material, part, curves.get("roc")), roc_by_class(material, part, curves.get("roc_by_class")), calibration(material, part, curves.get("calibration"), curves.get("histogram")),
        calibration_by_class(material, part, curves.get("calibration_by_class")),
        decision(material, part, curves.get("decision_curve")), residuals(material, part, curves.get("residuals")),
        survival(material, part, curves.get("risk_groups")),
    ]  # fmt: skip
    return [f for f in made if f is not None]


def where(part: str) -> str:
    """A part in words."""
    if part.startswith("site="):
        return f"at {part[5:]}, left out of training"
    if part.startswith("cold="):
        return f"new {' and new '.join(part[5:].split('+'))}, kept out of training"
    return {"cv": "cross-validation", "holdout": "hold-out", "training": "on the rows it was fitted to"}.get(part, part)


def roc(material: Material, part: str, data: Any) -> Figure | None:
    """Sensitivity against 1 − specificity of every model."""
    if not isinstance(data, dict) or not data:
        return None
    axes = Axes(0, 1, 0, 1, right=366)
    names = [m for m in material.models if m in data] or list(data)
    names = names[:5]
    parts: list[Child] = [
        axes.draw("1 − specificity", "Sensitivity", percent=True),
        line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "ideal"),
    ]
    for i, name in reversed(list(enumerate(names))):
        points = [(1 - a, b) for a, b in zip(data[name]["specificity"], data[name]["sensitivity"])]
        parts.append(axes.line(points, i + 1, name=name))
    parts.append(legend(names, 376, 26))
    said = "; ".join(f"{m} {estimate('auroc', material.entry('auroc', m, part))}" for m in names)
    return Figure(
        f"roc-{anchor(part)}", "Discrimination (ROC curve)", f"Curves of sensitivity against one minus specificity, {where(part)}. AUROC: {said}.",
        f"The closer to the upper left corner, the better cases are told apart; the dotted line is a coin. AUROC, {where(part)}: {said}.", join(parts),
    )  # fmt: skip


def roc_by_class(material: Material, part: str, data: Any) -> Figure | None:
    """Sensitivity against 1 − specificity of each class against all others, or of each label."""
    if not isinstance(data, dict) or not data:
        return None
    axes = Axes(0, 1, 0, 1, right=366)
    names = list(data)[:5]
    parts: list[Child] = [
        axes.draw("1 − specificity", "Sensitivity", percent=True),
        line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "ideal"),
    ]
    parts += [
        axes.line([(1 - a, b) for a, b in zip(data[n]["specificity"], data[n]["sensitivity"])], i + 1, name=n)
        for i, n in enumerate(names)
    ]
    parts.append(legend(names, 376, 26))
    what = "each label" if material.kind == "multilabel" else "each class against all others"
    more = f" The first 5 of {len(data)} are drawn." if len(data) > 5 else ""
    return Figure(f"roc-by-class-{anchor(part)}", f"Discrimination of {what}", f"ROC curves of {listed(names)}, {where(part)}.",
                  f"The closer to the upper left corner, the better {what} is told apart, {where(part)}; the dotted line is a coin.{more}", join(parts))  # fmt: skip


def calibration(material: Material, part: str, data: Any, histogram: Any) -> Figure | None:
    """Observed share against predicted probability, with an interval, and how often each probability is given."""
    if not isinstance(data, dict) or not (data.get("curve") or data.get("bins")):
        return None
    axes = Axes(0, 1, 0, 1, bottom=262)
    what = f"event by {number(data['horizon'], 0)}" if "horizon" in data else material.target
    base = Axes(0, 1, 0, 1, top=300, bottom=340)
    parts: list[Child] = [
        axes.draw("Predicted probability", f"Observed share: {what}"[:40], percent=True),
        line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "ideal"),
    ]
    curve = data.get("curve")
    if isinstance(curve, dict):
        parts += [axes.band(list(zip(curve["predicted"], curve["low"])), list(zip(curve["predicted"], curve["high"]))),
                  axes.line(list(zip(curve["predicted"], curve["observed"])))]  # fmt: skip
    for bin_ in data.get("bins", []):
        if is_number(bin_.get("observed")):
            x, seen = axes.x(bin_["predicted"]), bin_["observed"]
            low, high = (bin_[end] if is_number(bin_.get(end)) else seen for end in ("low", "high"))
            parts += [line(x, axes.y(low), x, axes.y(high), "whisker"),
                      tag("circle", cx=f"{x:g}", cy=f"{axes.y(bin_['observed']):g}", r="3.5", class_="f1")]  # fmt: skip
    tall = 360
    if isinstance(histogram, dict):
        parts.append(_histogram(histogram, base))
        tall = 402
    slope = estimate("calibration_slope", material.entry("calibration_slope", part=part))
    ratio = estimate("observed_expected", material.entry("observed_expected", part=part))
    said = f"Slope {slope}; observed / expected {ratio}."
    more = (
        " Below: how many cases got each probability, with the outcome upwards, without it "
        "downwards; bars of fewer than 10 cases are left out."
        if tall > 360
        else ""
    )
    shown = (
        "The line is smoothed with its 95% interval; points are tenths of the cases."
        if isinstance(curve, dict)
        else "Points are groups of cases of similar risk, with 95% intervals."
    )
    return Figure(f"calibration-{anchor(part)}", "Calibration", f"Observed share against predicted probability, {where(part)}. {said}",
                  f"On the dotted line, what is said is what happens. {shown} {said}{more}", join(parts), height=tall)  # fmt: skip


def calibration_by_class(material: Material, part: str, data: Any) -> Figure | None:
    """Observed share against predicted probability of each class against all others, or of each label, with bands."""
    if not isinstance(data, dict):
        return None
    first = list(data)[:5]
    shown = {n: data[n] for n in first if isinstance(data[n], dict) and isinstance(data[n].get("curve"), dict)}
    if not shown:
        return None
    axes = Axes(0, 1, 0, 1, right=366)
    parts: list[Child] = [
        axes.draw("Predicted probability", "Observed share", percent=True),
        line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "ideal"),
    ]
    series = {n: first.index(n) + 1 for n in shown}
    for name, held in shown.items():
        at, curve = held["curve"]["predicted"], held["curve"]
        parts.append(axes.band(list(zip(at, curve["low"])), list(zip(at, curve["high"])), series[name]))
    for name, held in shown.items():
        parts.append(
            axes.line(list(zip(held["curve"]["predicted"], held["curve"]["observed"])), series[name], name=name)
        )
    parts.append(legend(list(shown), 376, 26, list(series.values())))
    what = "each label" if material.kind == "multilabel" else "each class against all others"
    slopes = "; ".join(f"{n} {estimate('calibration_slope', held.get('slope'))}" for n, held in shown.items())
    small = [n for n in first if n not in shown]
    more = f" Not drawn, because fewer than {SMALL} cases have it or lack it: {listed(small)}." if small else ""
    more += f" The first 5 of {len(data)} are looked at." if len(data) > 5 else ""
    return Figure(f"calibration-by-class-{anchor(part)}", f"Calibration of {what}", f"Observed share against predicted probability of {listed(list(shown))}, {where(part)}. Slopes: {slopes}.",
                  f"On the dotted line, what is said is what happens. The lines are smoothed, with 95% intervals. Slopes: {slopes}.{more}", join(parts))  # fmt: skip


def _histogram(data: dict[str, list[int]], axes: Axes) -> Html:
    up, down = data.get("positive", []), data.get("negative", [])
    if sum(0 < n < SMALL for n in (*up, *down)) > 4 and len(up) % 2 == 0:
        up, down = [a + b for a, b in zip(up[::2], up[1::2])], [a + b for a, b in zip(down[::2], down[1::2])]
    most = max([*up, *down, 1])
    width = (axes.right - axes.left) / max(len(up), 1)
    middle = 350
    parts: list[Child] = [line(axes.left, middle, axes.right, middle, "axis")]
    for i, (a, b) in enumerate(zip(up, down)):
        for n, sign, class_ in ((a, -1, "f1"), (b, 1, "f2")):
            if n >= SMALL:
                tall = 38 * n / most
                parts.append(
                    box(axes.left + i * width + 1, middle if sign > 0 else middle - tall, width - 2, tall, class_)
                )
    parts += [
        words(axes.left - 7, middle - 8, "with", "soft small end"),
        words(axes.left - 7, middle + 16, "without", "soft small end"),
    ]
    return join(parts)


def decision(material: Material, part: str, data: Any) -> Figure | None:
    """Net benefit of every model, of treating all and of treating none."""
    if not isinstance(data, dict) or not data.get("models"):
        return None
    at = data["thresholds"]
    names = [m for m in material.models if m in data["models"]][:5] or list(data["models"])[:5]
    high = max([v for m in names for v in data["models"][m]["net_benefit"] if is_number(v)] + [0.02])
    low, high = -0.15 * high, high * 1.08
    axes = Axes(0, 1, low, high, left=left_of(low, high), right=366)
    parts: list[Child] = [axes.draw("Threshold probability", "Net benefit")]
    parts.append(
        tag("path", d=axes.path([(t, v) for t, v in zip(at, data["all"]) if v >= axes.y0]), class_="line axis")
    )
    parts.append(line(axes.x(0), axes.y(0), axes.x(1), axes.y(0), "ideal"))
    for i, name in reversed(list(enumerate(names))):
        parts.append(
            axes.line(
                [(t, v) for t, v in zip(at, data["models"][name]["net_benefit"]) if is_number(v) and v >= axes.y0],
                i + 1,
                name=name,
            )
        )
    parts.append(legend(names, 376, 26))
    low = 26 + 17 * len(names)
    parts += [tag("path", d=f"M376 {low - 4}h26", class_="line axis"), words(408, low, "treat all", "small"),
              tag("path", d=f"M376 {low + 13}h26", class_="ideal"), words(408, low + 17, "treat none", "small")]  # fmt: skip
    useful = data["models"].get(material.chosen, data["models"][names[0]]).get("useful", [])
    useful = [r for r in useful if r[1] - r[0] > 0.015] or useful
    said = (
        listed(
            [
                f"{number(100 * a, 0)}%" if a == b else f"{number(100 * a, 0)}% to {number(100 * b, 0)}%"
                for a, b in useful
            ]
        )
        or "no threshold"
    )
    text = f"Acting on the model does more good than treating all or none, beyond chance, at thresholds of {said}."
    return Figure(f"decision-{anchor(part)}", "Usefulness (decision curve)", f"Net benefit against threshold probability, {where(part)}. {text}",
                  f"The threshold is the risk at which one would act: a low one means that missing a case is worse than acting in vain. {text}", join(parts))  # fmt: skip


def residuals(material: Material, part: str, data: Any) -> Figure | None:
    """Mean outcome against mean prediction in groups of cases, with the spread of the errors."""
    if not isinstance(data, list) or not data:
        return None
    bins = [b for b in data if is_number(b.get("observed")) and b.get("n", SMALL) >= SMALL]
    if not bins:
        return None
    ends = [v for b in bins for v in (b["predicted"], b["observed"] - b["sd"], b["observed"] + b["sd"])]
    low, high = min(ends), max(ends)
    axes = Axes(low, high, low, high, left=left_of(low, high))
    parts: list[Child] = [
        axes.draw("Predicted", f"Observed {material.target}"[:40]),
        line(axes.x(low), axes.y(low), axes.x(high), axes.y(high), "ideal"),
    ]
    for b in bins:
        x = axes.x(b["predicted"])
        parts += [line(x, axes.y(b["observed"] - b["sd"]), x, axes.y(b["observed"] + b["sd"]), "whisker"),
                  tag("circle", cx=f"{x:g}", cy=f"{axes.y(b['observed']):g}", r="4", class_="f1")]  # fmt: skip
    said = f"R² {estimate('r2', material.entry('r2', part=part))}; mean absolute error {estimate('mae', material.entry('mae', part=part))}."
    return Figure(f"observed-{anchor(part)}", "Observed against predicted", f"Mean observed against mean predicted value in {len(bins)} groups, {where(part)}. {said}",
                  f"Each point is a group of {count(min(b['n'] for b in bins))} or more cases of similar prediction; bars are one standard deviation of the errors. {said}", join(parts))  # fmt: skip


def survival(material: Material, part: str, data: Any) -> Figure | None:
    """Kaplan-Meier curves of thirds of predicted risk, with the numbers at risk."""
    if not isinstance(data, dict) or not data.get("groups"):
        return None
    groups = data["groups"][:4]
    axes = Axes(0, max([*data["at"], 1e-9]), 0, 1, left=96, right=456, bottom=250)
    parts: list[Child] = [axes.draw("Time", "Free of the event"), words(4, 306, "Cases at risk", "small strong")]
    for i, group in enumerate(groups):
        steps: list[tuple[float, float]] = [(0.0, 1.0)]
        for t, v in zip(group["times"], group["survival"]):
            steps += [(t, steps[-1][1]), (t, v)]
        if group.get("low"):
            parts.append(
                axes.band(list(zip(group["times"], group["low"])), list(zip(group["times"], group["high"])), i + 1)
            )
        parts.append(axes.line(steps, i + 1, name=group["group"]))
        y = 324 + 17 * i
        parts += [
            tag("path", d=f"M4 {y - 4}h18", class_=f"line s{i + 1} d{i + 1}"),
            words(26, y, short(group["group"], 11), "small"),
        ]
        for t, n in zip(data["at"], group["at_risk"]):
            parts.append(words(axes.x(t), y, cell(n) if n is not None else f"<{SMALL}", "small mid"))
    said = "; ".join(f"{g['group']}: {count(g['n'])} cases" for g in groups)
    return Figure(f"survival-{anchor(part)}", "Outcome by predicted risk", f"Kaplan-Meier curves by thirds of predicted risk, {where(part)}. {said}.",
                  f"The further apart, the better the model tells early from late events ({where(part)}; "
                  f"{said}). A curve ends where fewer than 10 cases are at risk.",
                  join(parts), height=336 + 17 * len(groups))  # fmt: skip


def lead_metric(material: Material, scores: dict[str, Any]) -> str:
    """The first leading measure that a set of scores holds."""
    return next((m for m in LEADING.get(material.kind, ()) if isinstance(scores.get(m), dict)), "")


def sites(material: Material) -> Figure | None:
    """The leading measure at every site that was left out of training, beside the cross-validation's."""
    held = {s: m.get(material.chosen, {}) for s, m in material.sites.items()}
    if not held:
        return None
    metric = lead_metric(material, next(iter(held.values())))
    if not metric:
        return None
    rows = [
        _line(site, scores.get(metric), f"{cell(scores.get(metric, {}).get('n'))} cases")
        for site, scores in held.items()
    ]
    rows.append(
        _line(
            "all, cross-validation",
            material.entry(metric, part="cv"),
            f"{cell(material.cases('cv'))} cases",
            heading=True,
        )
    )
    body, tall = forest(
        rows, label(metric), reference=REFERENCE.get(metric), decimals=_decimals(metric, material.entry(metric))
    )
    values = [r.value for r in rows[:-1] if r.value is not None]
    said = f"from {number(min(values), 2)} to {number(max(values), 2)}" if values else "not estimable"
    return Figure("sites", f"{label(metric)} at sites left out of training", f"{label(metric)} at {len(held)} sites, {said}.",
                  f"Each site was judged by a model that never saw it. {label(metric)} ranges {said} over {len(held)} sites; bars are 95% intervals.", body, 720, tall, True)  # fmt: skip


def subgroups(material: Material) -> Figure | None:
    """The leading measure in every subgroup."""
    held = material.get("curves", "subgroups", default={})
    rows: list[Estimate] = []
    metric = ""
    for column, levels in held.items():
        if not isinstance(levels, list):
            continue
        rows.append(Estimate(column, "", None, None, None, True))
        for level in levels:
            scores = level.get("scores", {})
            metric = metric or lead_metric(material, scores)
            beside = (level.get("hidden") and "small, hidden") or f"{cell(level.get('n'))} cases"
            rows.append(_line(str(level.get("group")), scores.get(metric), beside))
    if not metric:
        return None
    overall = material.entry(metric, part="cv")
    rows.append(_line("all", overall, f"{cell(material.cases('cv'))} cases", heading=True))
    body, tall = forest(rows, label(metric), reference=overall.get("value"), decimals=_decimals(metric, overall))
    return Figure("subgroups", f"{label(metric)} by subgroup", f"{label(metric)} in subgroups by {listed(list(held))}, cross-validation.",
                  "The dotted line is the value over all cases; bars are 95% intervals. Groups with a count below 10 "
                  "are hidden. A small group's interval is wide: overlap does not prove equality.",
                  body, 720, tall, True)  # fmt: skip


def importance(material: Material, most: int = 20) -> Figure | None:
    """By how much the loss grows when a column is shuffled, with intervals."""
    held = material.get("explanation", "importance", default={})
    if not isinstance(held, dict) or not held:
        return None
    shown = list(held.items())[:most]
    rows = [_line(name, entry, "") for name, entry in shown]
    biggest = max([abs(r.value) for r in rows if r.value is not None] + [1e-12])
    decimals = 4 if biggest < 0.1 else 3 if biggest < 10 else 1
    body, tall = forest(rows, "Increase of the loss when the column is shuffled", start=0.0, decimals=decimals)
    more = f" The {len(held) - most} weakest are not drawn." if len(held) > most else ""
    return Figure("importance", "What the model leans on", f"Permutation importance of {len(rows)} predictors; the strongest is {shown[0][0]}.",
                  f"By how much worse the predictions for unseen cases become when one column is shuffled, with 95% "
                  f"intervals. It says what the model uses, not what causes the outcome; "
                  f"of two columns that say the same, each may look weak.{more}", body, 720, tall, True)  # fmt: skip


def learning(material: Material) -> Figure | None:
    """The leading measure against the number of training rows."""
    data = material.get("curves", "learning_curve", default={})
    units, mean = data.get("units") or [], data.get("mean") or []
    if len(units) < 2 or not all(is_number(v) for v in [*units, *mean]):
        return None
    metric = str(data.get("metric", "score"))
    top = 1.0 if metric in REFERENCE else float("inf")
    low, high = ([min(v, top) if is_number(v) else v for v in data.get(k) or mean] for k in ("low", "high"))
    ends = [v for v in (*mean, *low, *high) if is_number(v)]
    room = (max(ends) - min(ends)) * 0.1 or 0.1
    bottom, top = min(ends) - room, min(max(ends) + room, top)
    axes = Axes(0, max(units), bottom, top, left=left_of(bottom, top))
    parts: list[Child] = [
        axes.draw("Units that were learnt from", label(metric)),
        axes.band(list(zip(units, low)), list(zip(units, high))),
    ]
    parts.append(axes.line(list(zip(units, mean))))
    return Figure(
        "learning",
        "Learning curve",
        f"{label(metric)} against the number of training units.",
        str(data.get("sentence", "")),
        join(parts),
    )


def _line(name: str, entry: Any, beside: str, heading: bool = False) -> Estimate:
    held = entry if isinstance(entry, dict) else {}
    low, high = held.get("low"), held.get("high")
    complete = is_number(held.get("value")) and is_number(low) and is_number(high)
    return Estimate(
        name,
        beside,
        held["value"] if complete else None,
        low if complete else None,
        high if complete else None,
        heading,
    )


def _decimals(metric: str, entry: dict[str, Any]) -> int:
    return digits_of(metric, entry) if entry else 2
