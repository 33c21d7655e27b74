"""The tables of a report: certificate, scores, comparisons, thresholds, columns, findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.report.markup import Child, Html, join, table, tag
from osler.report.material import Material, clinical
from osler.report.words import (
    LEADING,
    SEVERITIES,
    VERDICTS,
    cell,
    count,
    estimate,
    is_number,
    label,
    listed,
    meaning,
    number,
    pair,
    percent,
    plural,
    share,
    short,
)  # fmt: skip


def mark(verdict: str) -> Html:
    """A verdict as a symbol and a word."""
    symbol, word = VERDICTS.get(verdict, VERDICTS["unknown"])
    return tag("span", f"{symbol} {word}", class_=f"mark {word.replace(' ', '-')}")


def certificate(material: Material) -> Html:
    """The seal and every check behind it."""
    held = material.members["certificate"]
    if not held:
        return tag("p", "This run holds no certificate.")
    verdict = str(held.get("verdict", "unknown"))
    symbol, word = VERDICTS.get(verdict, VERDICTS["unknown"])
    checks = material.checks
    open_ = [c for c in checks if c.get("verdict") == "unknown"]
    tells = {
        "clean": "Nothing was found on both sides of any split: no unit, site, duplicate, later record or fitted value.",
        "violated": "Something was found on both sides of a split. The numbers in this report must not be used as they are.",
    }.get(verdict, "It could not be established whether the splits are clean.")  # fmt: skip
    seal = tag(
        "div", tag("p", tag("span", f"{symbol} {word}", class_="mark"), class_="verdict"), tag("p", tells),
        tag("p", f"Not proven, because it could not be checked: {listed([str(c.get('name')) for c in open_], 6)}.") if open_ else None,
        tag("p", f"Unit of independence: {held.get('unit', 'row')}. {plural(len(checks), 'check')}, {len(open_)} without an answer. "
            f"{plural(len(held.get('fitted_states', [])), 'fitted state')} traced to the rows that each saw."),
        class_=f"seal {word.replace(' ', '-')}",
    )  # fmt: skip
    rows: list[list[Child]] = [
        [c.get("name"), mark(str(c.get("verdict"))), count(c.get("n")) if c.get("n") else "0", c.get("detail")]
        for c in checks
    ]
    listing = table("Checks", ["Check", "Verdict", "Found", "Detail"], rows, numbers=99,
                    note="Recompute it from the run folder with: osler verify RUN")  # fmt: skip
    shown = tag("details", tag("summary", "Every check of the certificate"), listing, open=verdict != "clean")
    return join([seal, shown])


def scores(material: Material, part: str, caption: str, metrics: list[str] | None = None) -> Html | None:
    """Every model's leading measures in one part, the chosen first, the baseline last."""
    held = material.parts.get(part, {})
    names = [
        m
        for m in (material.chosen, *[m for m in held if m not in (material.chosen, "baseline")], "baseline")
        if m in held
    ]
    if not names:
        return None
    shown = (
        metrics
        or [m for m in LEADING.get(material.kind, ()) if any(m in held[n] for n in names)]
        or list(held[names[0]])[:4]
    )
    rows: list[list[Child]] = []
    for name in names:
        kind = (
            " (chosen)"
            if name == material.chosen
            else " (plain method)"
            if name == "baseline" and material.kind in ("segmentation", "detection")
            else " (same for everyone)"
            if name == "baseline"
            else " (clinical score)"
            if name in clinical(material)
            else ""
        )
        sizes = [e.get("n") for e in held[name].values() if isinstance(e, dict) and is_number(e.get("n"))]
        rows.append(
            [f"{name}{kind}", cell(max(sizes, default=None)), *[stacked(estimate(m, held[name].get(m))) for m in shown]]
        )
    return table(
        caption, ["Model", "n", *[label(m) for m in shown]], rows, note=f"Value (95% interval). {_meanings(shown)}"
    )


def _meanings(metrics: list[str]) -> str:
    return " ".join(f"{label(m)}: {meaning(m)}." for m in metrics if meaning(m))


def all_scores(material: Material, part: str) -> Html | None:
    """Every measure of the chosen model and the baseline in one part."""
    own, base = material.parts.get(part, {}).get(material.chosen, {}), material.parts.get(part, {}).get("baseline", {})
    rows: list[list[Child]] = [
        [label(m), cell(e.get("n")), estimate(m, e), estimate(m, base.get(m)), meaning(m)]
        for m, e in own.items()
        if isinstance(e, dict)
    ]
    if not rows:
        return None
    made = [[r[0], r[1], r[2], r[3]] for r in rows]
    return table(f"Every measure of {material.chosen}", ["Measure", "n", "Value (95% interval)", "Baseline"], made)


def comparison(material: Material, part: str) -> Html | None:
    """Paired differences: other model minus the chosen one, on the same cases."""
    held = material.get("curves", "parts", part, "compare", default={})
    if not isinstance(held, dict) or not held:
        return None
    known = {m for by in held.values() for m in by}
    shown = [m for m in LEADING.get(material.kind, ()) if m in known] or sorted(known)[:3]
    rows: list[list[Child]] = []
    for name, by in held.items():
        row: list[Child] = [name]
        for m in shown:
            entry = by.get(m, {})
            p = entry.get("p_value")
            said = f", p {'< 0.001' if p < 0.001 else number(p, 3)}" if is_number(p) else ""
            row.append(stacked(estimate(m, entry), said))
        rows.append(row)
    return table(f"Difference to {material.chosen}, on the same cases", ["Model", *[label(m) for m in shown]], rows,
                 note="Other model minus the chosen one (95% interval, p value), resampling whole units. An interval over 0 means that the data do not tell them apart.")  # fmt: skip


def thresholds(material: Material) -> Html | None:
    """Operating points with their confusion tables; neither of two counts with a known sum is shown if one is below
    10.
    """
    held = material.get("curves", "thresholds", default={})
    if not isinstance(held, dict) or not held:
        return None
    said = {
        "chosen": "Chosen",
        "chosen_holdout": "Chosen, on the hold-out",
        "youden": "Youden index",
        "sensitivity_90": "Sensitivity 90%",
        "specificity_90": "Specificity 90%",
    }
    rows: list[list[Child]] = []
    for name, t in held.items():
        (tp, fn), (fp, tn) = pair(t.get("tp"), t.get("fn")), pair(t.get("fp"), t.get("tn"))
        rows.append([said.get(name, name), _with_interval(t), tp, fp, fn, tn,
                     *[stacked(percent(t.get(k))) for k in ("sensitivity", "specificity", "ppv", "npv")]])  # fmt: skip
    head: list[Child] = [
        "Rule",
        "Call from",
        "True +",
        "False +",
        "Missed",
        "True −",
        "Sensitivity",
        "Specificity",
        "PPV",
        "NPV",
    ]
    return table(
        "What a threshold does",
        head,
        rows,
        note="Counts of cases in cross-validation; 95% intervals. Pick the threshold by what a miss and a false alarm cost, not by the data. "
        "On the answers that a threshold was chosen on, its shares are hopeful: read them on a hold-out.",
    )


def _with_interval(point: Mapping[str, Any]) -> Html:
    """A threshold, and below it the interval of one that was chosen on data."""
    text = number(point.get("threshold"), 3)
    if not (is_number(point.get("low")) and is_number(point.get("high"))):
        return join([text])
    return stacked(f"{text} ({number(point['low'], 3)} to {number(point['high'], 3)})")


def stacked(text: str, more: str = "") -> Html:
    """ "0.90 (0.88 to 0.92)" with the interval on the line below."""
    value, _, rest = text.partition(" (")
    return join([value, tag("small", rest.rstrip(")") + more)]) if rest else join([value])


def confusion(material: Material, part: str) -> Html | None:
    """Counts of true class by called class, small cells hidden."""
    held = material.get("curves", "parts", part, "confusion_matrix", default=[])
    classes = list(material.get("facts", "classes", default={}))
    if not held or len(classes) != len(held):
        return None
    rows: list[list[Child]] = [[f"is {c}", *[cell(n) for n in row]] for c, row in zip(classes, held)]
    return table(
        "True class (rows) by called class (columns)",
        ["", *[f"called {c}" for c in classes]],
        rows,
        note="Counts from 1 to 9 are not shown.",
    )


def columns(material: Material) -> Html | None:
    """Every column: role, kind, summary, missing."""
    rows: list[list[Child]] = []
    for c in material.columns:
        s = c.get("summary") or {}
        missing = (
            f"{cell(s['missing'])} ({share(s['missing'], s['n'])})"
            if is_number(s.get("missing")) and s.get("n") and not 0 < s["missing"] < 10
            else cell(s.get("missing"))
        )
        unit = c.get("unit") or (c.get("options") or {}).get("quantity_unit") or ""
        rows.append([c.get("name"), c.get("role"), c.get("modality"), unit, summarised(s), missing, c.get("reason")])
    if not rows:
        return None
    return table(
        "Every column",
        ["Column", "Role", "Kind", "Unit", "Summary", "Missing", "Why read so"],
        rows,
        numbers=99,
        note="Numbers: median [quartiles]. Counts from 1 to 9 are not shown.",
    )


def summarised(s: dict[str, Any]) -> str:
    """A column's summary in a few words."""
    if is_number(s.get("median")):
        return f"{_three(s['median'])} [{_three(s.get('q1'))} to {_three(s.get('q3'))}]"
    known = s.get("n", 0) - s.get("missing", 0)
    if is_number(s.get("yes")):
        return f"{cell(s['yes'])} yes" + (
            f" ({share(s['yes'], known)})" if s["yes"] >= 10 and known - s["yes"] >= 10 else ""
        )
    if isinstance(s.get("counts"), dict):
        shown = [f"{short(k, 18)} {cell(n)}" for k, n in list(s["counts"].items())[:6]]
        more = s.get("levels", 0) - len(shown)
        return "; ".join(shown) + (f"; {more} more" if more > 0 else "")
    return f"{count(s['levels'])} levels" if is_number(s.get("levels")) else "–"


def _three(value: Any) -> str:
    return f"{value:,.4g}".replace("-", "−") if is_number(value) else "–"


def table_one(material: Material) -> Html | None:
    """Who is in the table, by part and by outcome; small cells were hidden when it was made."""
    held = material.get("facts", "table_one", default=[])
    return join([_one(entry) for entry in held if isinstance(entry, dict) and entry.get("rows")]) or None


def _one(held: dict[str, Any]) -> Html:
    rows, head = held["rows"], held.get("columns") or []
    if head[1:2] == ["level"] and not any(row[1] for row in rows):
        rows, head = [[row[0], *row[2:]] for row in rows], [head[0], *head[2:]]
    notes = " ".join(str(n).rstrip(".") + "." for n in held.get("notes", []))
    shown = [
        ["" if i == 0 and k and row[0] == rows[k - 1][0] else v for i, v in enumerate(row)]
        for k, row in enumerate(rows)
    ]
    named = {
        "variable": "Variable",
        "level": "Level",
        "statistic": "Statistic",
        "smd": "Std. difference",
        "p": "p value",
    }
    texts = 1 + ("level" in head) + ("statistic" in head)
    caption = f"Table one: who is in it{', by ' + str(held['group']) if held.get('group') else ''}"
    note = "Counts from 1 to 9 are hidden, and with them what would give them away. Std. difference: standardised, "
    return table(
        caption, [named.get(h, h) for h in head], shown, numbers=texts, note=f"{note}0.1 is small. {notes}"
    )


def findings(material: Material) -> Html | None:
    """What was noticed in the table, worst first, with advice."""
    held = [f for f in material.members["findings"] if isinstance(f, dict)]
    if not held:
        return None
    order = list(SEVERITIES)
    held.sort(key=lambda f: order.index(f["severity"]) if f.get("severity") in order else len(order))
    rows: list[list[Child]] = []
    for f in held:
        symbol, word, tone = SEVERITIES.get(str(f.get("severity")), SEVERITIES["note"])
        rows.append(
            [tag("span", f"{symbol} {word}", class_=f"mark {tone}".strip()), f.get("message"), f.get("advice") or "–"]
        )
    return table("What was noticed in the table", ["Weight", "What", "What to do"], rows, numbers=99)


def refusals(material: Material) -> Html:
    """Row accounting in words and by reason."""
    read, used = material.get("facts", "rows_read"), material.get("facts", "rows_used")
    line = tag("p", f"{count(read)} rows read = {count(used)} used + {count(material.get('facts', 'rows_refused', default=0))} refused. "
               f"Cells set missing because their value is impossible: {count(material.get('facts', 'cells_set_missing', default=0))}.")  # fmt: skip
    if not material.refused:
        return line
    rows: list[list[Child]] = [[why, count(n)] for why, n in material.refused.items()]
    return join([line, table("Refused rows by reason", ["Reason", "Rows"], rows)])


def sample_size(material: Material) -> Html | None:
    """Riley's minimum by criterion."""
    held = material.get("curves", "sample_size", default={})
    criteria = held.get("criteria") or {}
    rows: list[list[Child]] = [[str(k).replace("_", " "), count(n)] for k, n in criteria.items()]
    text = str(held.get("message", ""))
    if held.get("parameters"):
        few = (
            min(material.get("facts", "classes", default={}).values(), default=None)
            if material.kind == "binary"
            else material.get("facts", "events")
        )
        what, n = (
            ("cases", material.get("facts", "rows_used"))
            if few is None
            else ("events" if material.kind == "survival" else "cases with the rarer outcome", few)
        )
        n = n if is_number(n) else 0
        text += f" There are {number(n / held['parameters'], 1)} {what} per candidate parameter ({held['parameters']} of them)."
    parts = [tag("p", text.strip()) if text else None]
    if rows:
        at = (
            "at 15% of the largest possible R²"
            if material.kind == "survival"
            else "at the performance seen out of fold"
        )
        parts.append(
            table(
                "Cases needed, by criterion (Riley and others)",
                ["Criterion", "Cases"],
                rows,
                note=f"doi:10.1136/bmj.m441; {at}.",
            )
        )
    return join(parts) if any(parts) else None


def coverage(material: Material) -> Html | None:
    """Wanted and measured coverage of prediction sets or intervals."""
    held = material.get("curves", "coverage", default={})
    if not is_number(held.get("value")):
        return None
    what = "intervals" if material.kind == "regression" else "sets"
    size = (
        f"mean width {_three(held.get('mean_size'))}"
        if what == "intervals"
        else f"{number(held.get('mean_size'), 2)} answers per case on average"
    )
    return tag("p", f"Conformal prediction {what} with a wanted coverage of {number(100 * held.get('wanted', 0), 0)}% held the truth in {percent(held)} of {count(held.get('n'))} cases that they "
               f"had not been calibrated on; {size}.")  # fmt: skip


def drift(material: Material, part: str, most: int = 25) -> Html | None:
    """How the predictors of a part differ from those that were learnt from, the most different first."""
    held = material.get("curves", "drift", part, default={})
    found = [(name, d) for name, d in (held.get("columns") or {}).items() if isinstance(d, dict)]
    if not found:
        return None
    found.sort(key=lambda f: -(f[1].get("psi") or 0))
    place = "hold-out" if part == "holdout" else part.partition("=")[2]
    tone = {"stable": "✓ stable", "moderate": "! moderate", "large": "✕ large"}
    rows: list[list[Child]] = [
        [
            name,
            tone.get(str(d.get("verdict")), str(d.get("verdict"))),
            number(d.get("psi"), 2),
            _rounded(d.get("missing_before")),
            _rounded(d.get("missing_after")),
        ]
        for name, d in found[:most]
    ]
    more = f" The {len(found) - most} least different are not shown." if len(found) > most else ""
    apart = estimate("auroc", held.get("domain_auroc"))
    note = f"Stability index: below 0.1 stable, above 0.25 a large shift. A model that tries to tell the two groups apart by all predictors reaches AUROC {apart}; 0.5 would mean alike.{more}"
    return table(
        f"Predictors at {place} against those that were learnt from",
        ["Column", "Shift", "Stability index", "Missing before", "Missing here"],
        rows,
        numbers=2,
        note=note,
    )


def _rounded(value: Any) -> str:
    return f"{number(100 * value, 0)}%" if is_number(value) else "–"
