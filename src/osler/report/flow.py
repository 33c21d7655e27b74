"""The participant flow: rows read, refused with reasons, used, and which were kept for the end."""

from __future__ import annotations

from osler.report.charts import Figure, box, words
from osler.report.markup import Child, Html, join, tag
from osler.report.material import Material, holdout_sizes
from osler.report.words import SMALL, cell, count, plural, share, short


def flow(material: Material) -> Figure | None:
    """Boxes from the table to the parts that were judged; None where the run has no row accounting."""
    read, used = material.get("facts", "rows_read"), material.get("facts", "rows_used")
    if read is None or used is None:
        return None
    refused = material.get("facts", "rows_refused", default=read - used)
    reasons = list(material.refused.items())[:6]
    parts: list[Child] = [_box(20, 10, 300, ["Rows read", count(read)])]
    tall = 31 + 17 * len(reasons)
    lines = [f"Refused: {count(refused)}", *[f"{count(n)}  {short(why, 46)}" for why, n in reasons]]
    if len(material.refused) > 6:
        lines[-1] += f" (+ {len(material.refused) - 6} more reasons)"
    parts += [_down(170, 55, 62 + tall), _across(170, 350, 55 + tall / 2)]
    parts.append(_box(350, 55, 365, lines, tall=tall))
    y = 70 + tall
    parts.append(
        _box(
            20,
            y,
            300,
            ["Used for development and judging", f"{count(used)} rows · {_units(material)}", _events(material)],
        )
    )
    sizes = holdout_sizes(material)
    y += 78
    if sizes is None:
        parts += [
            _down(170, y - 10, y + 14),
            _box(20, y + 22, 300, ["Development (cross-validation)", f"{count(used)} rows, each judged unseen"]),
        ]
    else:
        parts += [
            _down(170, y - 10, y + 14),
            _box(20, y + 22, 300, ["Development (cross-validation)", plural(sizes[0], "row")]),
        ]
        parts += [
            tag("path", d=f"M170 {y - 1}H510V{y + 14}", class_="arrow"),
            _tip(510, y + 20),
            _box(360, y + 22, 300, ["Hold-out, judged once at the end", plural(sizes[1], "row")]),
        ]
    said = f"{count(read)} rows read, {count(refused)} refused, {count(used)} used"
    said += f", {count(sizes[0])} for development and {count(sizes[1])} held out" if sizes else ""
    return Figure(
        "flow",
        "Participant flow",
        f"{said}.",
        f"{said}. Every refused row is listed with its reason in refusals.csv.",
        join(parts),
        720,
        y + 84,
        True,
    )


def _box(x: float, y: float, width: float, lines: list[str], tall: float = 0) -> Html:
    kept = [text for text in lines if text]
    tall = tall or 14 + 17 * len(kept)
    texts = [words(x + 12, y + 20 + 17 * i, text, "strong" if i == 0 else "soft") for i, text in enumerate(kept)]
    return join([box(x, y, width, tall, "box"), *texts])


def _down(x: float, start: float, end: float) -> Html:
    return join([tag("path", d=f"M{x:g} {start:g}V{end:g}", class_="arrow"), _tip(x, end + 6)])


def _tip(x: float, y: float) -> Html:
    return tag("path", d=f"M{x - 4:g} {y - 7:g}h8l-4 7z", class_="tip")


def _across(x: float, end: float, y: float) -> Html:
    return join(
        [
            tag("path", d=f"M{x:g} {y:g}H{end - 6:g}", class_="arrow"),
            tag("path", d=f"M{end - 7:g} {y - 4:g}v8l7 -4z", class_="tip"),
        ]
    )


def _units(material: Material) -> str:
    if material.unit in ("row", ""):
        return "no unit declared"
    return f"{count(material.get('facts', 'units'))} different values of {short(material.unit, 18)}"


def _events(material: Material) -> str:
    classes = material.get("facts", "classes", default={})
    total = sum(n for n in classes.values() if isinstance(n, int))
    if classes and len(classes) == 2:
        name, n = list(classes.items())[-1]
        shown = f" ({share(n, total)})" if n >= SMALL and total - n >= SMALL else ""
        return f"{cell(n)} with {short(material.target, 16)} = {short(name, 10)}{shown}"
    if classes:
        return short("; ".join(f"{k}: {cell(n)}" for k, n in classes.items()), 44)
    events = material.get("facts", "events")
    return f"{cell(events)} events" if events is not None else ""
