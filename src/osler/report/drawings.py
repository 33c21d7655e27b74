"""The section of a report on masks and boxes: measures of every class, how they spread over scans, and the worst scans with outlines."""

from __future__ import annotations

import math
import re
from typing import Any

from osler.report.charts import Axes, Figure, legend, line, ticks, words
from osler.report.figures import where
from osler.report.markup import Child, Html, anchor, join, table, tag
from osler.report.material import Material
from osler.report.words import LEADING, cell, estimate, is_number, label, number, short

#: Groups of shown scans: their heading, and how they were found.
GROUPS = {
    "worst": ("Worst scans", "Drawn by models that had not seen the scan, the lowest {measure} first."),
    "usual": ("Usual scans", "Drawn by models that had not seen the scan, those in the middle by {measure}."),
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
#: Longer side of a shown scan in the units of its picture.
SIDE = 320.0


def by_class(m: Material, part: str) -> Html | None:
    """The leading measures of every class, of the chosen model and the baseline."""
    held = m.parts.get(part, {})
    own, base = held.get(m.chosen, {}), held.get("baseline", {})
    classes = list(dict.fromkeys(k.partition("[")[2].rstrip("]") for k in own if "[" in k))
    if not classes:
        return None
    shown = [k for k in LEADING.get(m.kind, ()) if any(f"{k}[{c}]" in own for c in classes)]
    rows: list[list[Child]] = []
    for name in classes:
        for model, scores in ((m.chosen, own), ("baseline", base)):
            if scores:
                sizes = [scores[f"{k}[{name}]"].get("n") for k in shown if f"{k}[{name}]" in scores]
                rows.append([name if model == m.chosen else "", short(model, 30), cell(max([s for s in sizes if is_number(s)], default=None)),
                             *[estimate(k, scores.get(f"{k}[{name}]")) for k in shown]])  # fmt: skip
    counted = "Things" if m.kind == "detection" else "Scans"
    note = "Value (95% interval)." + ("" if m.kind == "detection" else " A class that neither mask has is not counted in that scan.")
    return table(f"Every class, {where(part)}", ["Class", "Model", counted, *map(label, shown)], rows, numbers=2, note=note)


def spread(m: Material, part: str) -> Figure | None:
    """The leading measure of every scan as a dot, a line per class and model."""
    held = m.get("curves", "measures", part, default={})
    lead = next((k for k in LEADING.get(m.kind, ()) if k in held.get(m.chosen, {})), "")
    if not lead:
        return None
    names = [k for k in held[m.chosen] if k == lead or k.startswith(f"{lead}[")]
    lines = [(name, model) for name in names for model in (m.chosen, "baseline") if held.get(model, {}).get(name)]
    tall = 60 + 30 * len(lines)
    axes = Axes(0.0, 1.0, 0.0, 1.0, left=150, right=464, top=8, bottom=tall - 44)
    parts: list[Child] = [words((axes.left + axes.right) / 2, axes.bottom + 36, label(lead), "mid")]
    for tick in ticks(0.0, 1.0):
        parts += [line(axes.x(tick), axes.top, axes.x(tick), axes.bottom, "grid"), words(axes.x(tick), axes.bottom + 16, f"{tick:.1f}", "soft mid")]
    for at, (name, model) in enumerate(lines):
        y = 24 + 30 * at
        values = sorted(v for v in held[model][name] if is_number(v))
        kind = 1 if model == m.chosen else 2
        says = label(name).removeprefix(label(lead)).strip(" []") or "all"
        parts.append(words(144, y + 4, short(f"{says}{'' if kind == 1 else ' (baseline)'}", 24), "end"))
        parts += [tag("circle", cx=f"{axes.x(v):g}", cy=f"{y + (i % 5 - 2) * 2:g}", r="2.4", class_=f"f{kind}", fill_opacity="0.55") for i, v in enumerate(values)]
        if values:
            middle = values[len(values) // 2]
            parts.append(line(axes.x(middle), y - 9, axes.x(middle), y + 9, f"line s{kind}"))
    text = f"{label(lead)} of each scan, a dot per scan and a stroke at the median; the more to the right the better."
    return Figure(f"scans-{part}", f"{label(lead)} of every scan, {where(part)}", text, text, join(parts), height=tall)


def found(m: Material, part: str) -> Figure | None:
    """How many things are found at how many false boxes per scan, a line per class."""
    held = m.get("curves", "found", part, default={})
    names = [k for k, v in held.items() if isinstance(v, dict) and v.get("sensitivity")][:5]
    if not names:
        return None
    low, high = -3.0, 3.0
    axes = Axes(low, high, 0.0, 1.0, right=366)
    parts: list[Child] = [words((axes.left + axes.right) / 2, axes.bottom + 36, "False boxes per scan", "mid"), words(axes.left, axes.top - 1, "Things found", "soft")]
    for power in range(-3, 4):
        x = axes.x(power)
        parts += [line(x, axes.top, x, axes.bottom, "grid"), words(x, axes.bottom + 16, f"1/{2**-power}" if power < 0 else str(2**power), "soft mid")]
    for share in ticks(0.0, 1.0):
        parts += [line(axes.left, axes.y(share), axes.right, axes.y(share), "grid"), words(axes.left - 6, axes.y(share) + 4, f"{share:.0%}", "soft end")]
    for i, name in enumerate(names):
        steps = [(math.log2(max(rate, 2**low)), share) for rate, share in zip(held[name]["false_per_scan"], held[name]["sensitivity"])]
        inside = [p for p in steps if p[0] <= high]
        beyond = [(high, inside[-1][1])] if inside else []
        parts.append(axes.line([*inside, *beyond], i + 1, name=name))
    parts.append(legend(names, 376, 26))
    said = "; ".join(f"{name}: {_at(held[name], 1.0)}" for name in names)
    text = f"Share of things found against false boxes per scan, {where(part)}. At one false box per scan: {said}."
    return Figure(f"found-{anchor(part)}", "Things found (free-response curve)", text,
                  f"The higher and the more to the left, the better; {text[0].lower()}{text[1:]}", join(parts))  # fmt: skip


def at_rates(m: Material, part: str) -> Html | None:
    """What a score does: the share of things found, and the score that gives it, at each rate of false boxes."""
    held = m.get("curves", "found", part, default={})
    rows: list[list[Child]] = [
        [name, *(_at(curve, 2.0**power) for power in range(-3, 4))] for name, curve in held.items() if isinstance(curve, dict) and curve.get("sensitivity")
    ]
    rates = [f"1/{2**-power}" if power < 0 else str(2**power) for power in range(-3, 4)]
    note = "Share of things found by boxes of at least the score in brackets, at no more than so many false boxes per scan."
    return table(f"What a score does, {where(part)}", ["Class", *rates], rows, numbers=1, note=note) if rows else None


def _at(curve: dict[str, Any], rate: float) -> str:
    """Share found, and the score that gives it, at no more than so many false boxes per scan."""
    points = [(s, p) for f, s, p in zip(curve["false_per_scan"], curve["sensitivity"], curve["score"]) if f <= rate + 1e-9]
    return f"{points[-1][0]:.0%} (score {points[-1][1]:.2f})" if points else "none"


def gallery(m: Material, drawn: list[Figure]) -> list[Child]:
    """The worst and the usual scans; [] where the run shows none."""
    held = m.get("explanation", "drawings", default={})
    out: list[Child] = []
    for group, (heading, how) in GROUPS.items():
        found = [e for e in held.get(group, []) if isinstance(e, dict)]
        made = [f for f in (_example(e, f"{group}-{i + 1}", held) for i, e in enumerate(found)) if f is not None]
        if made:
            drawn += made
            out += [tag("h3", heading), tag("p", how.format(measure=label(str(held.get("measure", ""))))),
                    tag("div", [f.html() for f in made], class_="scans")]  # fmt: skip
    if out:
        out.append(tag("p", "These scans are rows of the data: whoever gets this report sees them. Fit again with --examples 0 to leave them out; "
                       "the saved predictor keeps none of them.", class_="note"))  # fmt: skip
    return out


def _example(entry: dict[str, Any], name: str, held: dict[str, Any]) -> Figure | None:
    """One slice with the outlines of truth (solid) and answer (dashed), a colour per class."""
    image, size, pixel = str(entry.get("image", "")), entry.get("size"), entry.get("pixel")
    if not _BASE64.fullmatch(image) or not _pair(size) or not _pair(pixel):
        return None
    tall, wide = size[0] * pixel[0], size[1] * pixel[1]
    scale = SIDE / max(tall, wide)
    across, up = scale * pixel[1], scale * pixel[0]
    body: list[Child] = [tag("image", href=f"data:image/png;base64,{image}", width=f"{wide * scale:g}", height=f"{tall * scale:g}", preserveAspectRatio="none")]
    for kind, dashes in (("truth", None), ("answer", "5 3")):
        for k, part in enumerate(p for p in entry.get(kind, []) if isinstance(p, dict)):
            path = "".join(_path(one, across, up) for one in part.get("lines", []))
            if path:
                body.append(tag("path", tag("title", f"{part.get('name', '')}: {kind}"), d=path, fill="none", stroke_width="1.8",
                                stroke=_COLOURS[k % len(_COLOURS)] if kind == "truth" else _BRIGHT[k % len(_BRIGHT)], stroke_dasharray=dashes))  # fmt: skip
    measures = entry.get("measures", {})
    lead = str(held.get("measure", ""))
    said = "; ".join(f"{label(k)} {number(v, 2)}" for k, v in measures.items() if is_number(v) and (k == lead or k.startswith((f"{lead}[", "hd95"))))
    at = entry.get("slice")
    which = f"row {entry.get('row')}" + (f", slice {at['at'] + 1} of {at['of']}" if isinstance(at, dict) else "")
    names = [str(p.get("name", "")) for p in entry.get("truth", []) if isinstance(p, dict)]
    hues = "; ".join(f"{n}: {_HUES[k % len(_HUES)]}" for k, n in enumerate(names))
    caption = f"{said}. Solid: true, dashed: drawn by the model ({hues})."
    return Figure(f"scan-{name}", f"{lead and label(lead)} {number(measures.get(lead), 2)}, {which}", f"{caption} {which}", caption, join(body),
                  width=round(wide * scale), height=round(tall * scale))  # fmt: skip


#: Colours of outlines on grey: truth, and the lighter one of the model's answer.
_COLOURS, _BRIGHT = ("#2fd27c", "#4aa8ff", "#ffd23f"), ("#ff5a3c", "#ff9f1c", "#ff7ad9")
_HUES = ("green and red", "blue and orange", "yellow and pink")


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_number(v) and v > 0 for v in value)


def _path(points: Any, across: float, up: float) -> str:
    kept = [p for p in points if isinstance(p, list) and len(p) == 2 and all(map(is_number, p))] if isinstance(points, list) else []
    return "M" + "L".join(f"{x * across:.1f} {y * up:.1f}" for x, y in kept) + "Z" if len(kept) > 2 else ""
