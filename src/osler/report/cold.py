"""Tables of pairs in the report: what the chosen model reaches where a pair, one of its things, or both are new."""

from __future__ import annotations

from osler.report.markup import Child, Html, table
from osler.report.material import Material
from osler.report.tables import cell, estimate, stacked
from osler.report.words import LEADING, is_number, label

#: How the parts are named that keep things out of training.
COLD = "cold="
#: Measures of pairs, most telling first.
_SHOWN = ("mse", "concordance")


def whats_new(material: Material) -> Html | None:
    """One row per way in which a pair can be new, with the baseline beside the chosen model; None for other tables."""
    parts = [p for p in material.parts if p.startswith(COLD)]
    if not parts:
        return None
    wide = material.parts["cv"].get(material.chosen, {})
    shown = [m for m in (*_SHOWN, *LEADING.get(material.kind, ())) if m in wide][:2]
    rows: list[list[Child]] = []
    for part in ("cv", *parts):
        held = material.parts[part]
        own, base = held.get(material.chosen, {}), held.get("baseline", {})
        sizes = [e.get("n") for e in own.values() if isinstance(e, dict) and is_number(e.get("n"))]
        rows.append([
            in_words(part), cell(max(sizes, default=None)), *[stacked(estimate(m, own.get(m))) for m in shown],
            *[estimate(m, base.get(m)) for m in shown[:1]],
        ])  # fmt: skip
    heads = ["What is new", "n", *[label(m) for m in shown], *[f"{label(m)}, same for everyone" for m in shown[:1]]]
    note = (
        f"Value (95% interval) of {material.chosen}. Read the row of the question that is asked: how a model does on "
        "pairs of known things says little about new ones. Intervals of the last rows count things, not pairs."
    )
    return table("Pairs and things that training did not have", heads, rows, note=note)


def in_words(part: str) -> str:
    """What is new in a part."""
    if not part.startswith(COLD):
        return "the pair only, or as the unit says"
    return "new " + " and new ".join(part.removeprefix(COLD).split("+"))
