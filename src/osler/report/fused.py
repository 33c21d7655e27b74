"""Several kinds of columns in one run: each by itself beside the fusion of all, and which of them answers."""

from __future__ import annotations

from osler.report.markup import Child, Html, join, table, tag
from osler.report.material import Material
from osler.report.tables import stacked
from osler.report.words import estimate, is_number, label, number


def fused(material: Material) -> Html | None:
    """A sentence on what is kept and the table behind it; None where a run has no fusion."""
    held = material.get("scores", "fusion", default={})
    if not isinstance(held, dict) or not held.get("singles"):
        return None
    measure, scores = held["measure"], material.parts.get("cv", {})
    rows: list[list[Child]] = [[held["fused"], estimate(measure, scores.get(held["fused"], {}).get(measure)), "–"]]
    for name, entry in held["singles"].items():
        p = entry.get("p_value")
        said = f", p {'< 0.001' if p < 0.001 else number(p, 3)}" if is_number(p) else ""
        row: list[Child] = [name, estimate(measure, scores.get(name, {}).get(measure)), stacked(estimate(measure, entry), said)]
        rows.append(row)
    head: list[Child] = ["Model", label(measure), "All together minus this one"]
    note = "Cross-validation, the same cases, whole units together (95% interval, p value of the paired difference). An interval over 0 means that the data do not tell them apart."
    return join([tag("p", sentence(held)), table("All columns together, and each kind by itself", head, rows, note=note)])


def sentence(held: dict) -> str:
    """Which model is kept and what the paired test says of the best single one."""
    best = held["best_single"]
    entry, kept, whole = held["singles"][best], held["kept"], held["fused"]
    apart = (entry["low"] > 0) == (entry["high"] > 0)
    if kept != whole:
        test = "and the paired test tells them apart" if apart else "though the paired test does not tell them apart"
        return f"Fusing did not pay here: {best} alone was better than {whole} in cross-validation, {test}. {best} is kept and answers."
    test = "the paired test tells it from" if apart else "the paired test does not tell it from"
    return f"All columns together were at least as good as every single one: {whole} is kept, and {test} the best of these, {best}."
