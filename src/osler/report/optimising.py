"""The page and the pictures of an optimisation."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osler.engine.files import write_atomic
from osler.report.charts import Axes, Figure, left_of
from osler.report.markup import Child, Html, join, table, tag
from osler.report.molecules import STYLE, gallery
from osler.report.style import PAGE
from osler.report.words import count, number

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: Molecules that are drawn on the page, besides the lead.
SHOWN = 11
Row = dict[str, Any]


def build(folder: Path) -> list[Path]:
    """Write report.html, front.svg and, where the score rose on the way, path.svg from optimise.json and the tables."""
    folder = Path(folder)
    facts = json.loads((folder / "optimise.json").read_text(encoding="utf-8"))
    tables = {name: _rows(folder / f"{name}.csv") for name in ("scored", "front", "best")}
    figures = [f for f in (front(facts, tables), path(facts)) if f is not None]
    texts = {folder / "report.html": page(facts, tables, figures), **{folder / f"{f.name}.svg": f.svg(alone=True) for f in figures}}
    for where, text in texts.items():
        write_atomic(where, text.encode("utf-8"))
    return list(texts)


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as source:
        return [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(source)]


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return {"true": True, "false": False, "": None}.get(text, text)


# -- pictures -------------------------------------------------------------------------------------------------------


def front(facts: Row, tables: dict[str, list[Row]]) -> Figure | None:
    """Every scored molecule by the first aim and the last objective, those of the front joined."""
    names = facts["axes"]
    up, across = names[0], names[-1] if len(names) == 2 else names[1]
    seen = [row for row in tables["scored"] if isinstance(row.get(up), float) and isinstance(row.get(across), float)]
    if not seen:
        return None
    (x0, x1), (y0, y1) = (_range([row[name] for row in seen]) for name in (across, up))
    axes = Axes(x0, x1, y0, y1, left=left_of(y0, y1))
    parts: list[Child] = [axes.draw(words_of(across), words_of(up))]
    for row in seen:
        kind = "f1" if row["unmet"] == 0 else "f4"
        parts.append(tag("circle", cx=axes.x(row[across]), cy=axes.y(row[up]), r=2, fill_opacity=0.4, class_=kind))
    edge = sorted(((row[across], row[up]) for row in tables["front"]), key=lambda one: one[0])
    if len(names) == 2:
        parts.append(axes.line(edge, 2, name="Pareto front"))
    for x, y in edge:
        parts.append(tag("circle", cx=axes.x(x), cy=axes.y(y), r=3.5, class_="f2"))
    lead = facts["lead"]
    if lead and isinstance(lead.get(up), float):
        x, y = axes.x(lead[across]), axes.y(lead[up])
        parts.append(tag("path", d=f"M{x - 7:g} {y:g}H{x + 7:g}M{x:g} {y - 7:g}V{y + 7:g}", class_="over"))
    met = facts["meet_every_condition"]
    told = f"{count(facts['scored'])} molecules scored, {count(met)} meet every condition, {count(facts['front'])} are on the front."
    caption = "Orange: no molecule that meets every condition is better in all objectives. Blue: meets every condition. Purple: does not."
    return Figure("front", "The Pareto front", told, caption + (" The cross is the lead." if lead else ""), join(parts))


def path(facts: Row) -> Figure | None:
    """The best score against the molecules scored."""
    points = facts["best_so_far"]
    if len(points) < 2:
        return None
    steps: list[tuple[float, float]] = []
    for place, score in points:
        steps += [(place, steps[-1][1])] if steps else []
        steps.append((place, score))
    steps.append((facts["scored"], steps[-1][1]))
    y0, y1 = _range([score for _, score in steps])
    axes = Axes(0, facts["scored"], y0, y1, left=left_of(y0, y1))
    told = f"From {points[0][1]:.3g} to {points[-1][1]:.3g}."
    body = join([axes.draw("Molecules scored", "Best score so far"), axes.line(steps, 1)])
    return Figure("path", "How the best score rose", told, "Only molecules that meet every condition count.", body)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room


def words_of(column: str) -> str:
    """An objective in words."""
    known = {"similarity": "Similarity to the lead", "sa": "Synthetic accessibility (1 is easy)"}
    return known.get(column) or f"{column.removesuffix('_cautious')}, the cautious value"


# -- the page -------------------------------------------------------------------------------------------------------


def page(facts: Row, tables: dict[str, list[Row]], figures: Sequence[Figure]) -> Html:
    """The whole page."""
    sections = [
        ("At a glance", _glance(facts)), ("The best molecules", _gallery(facts, tables["best"])),
        ("The search", tag("div", *(f.html() for f in figures), class_="pictures") if figures else None),
        ("Best molecules in numbers", _numbers(facts, tables["best"])), ("What was asked", _asked(facts)), ("What was done", _done(facts)),
    ]  # fmt: skip
    aims = " and ".join(f"{'raise' if aim['sign'] > 0 else 'lower'} {aim['column']}" for aim in facts["aims"])
    lead = f"A search for molecules that {aims}, by {count(facts['scored'])} questions to the runs."
    top = tag("header", tag("p", "Osler · optimisation", class_="kicker"), tag("h1", "Molecules made better"), tag("p", lead, class_="lead"))
    main = tag("main", [tag("section", tag("h2", name), body) for name, body in sections if body], id="content")
    foot = tag("footer", tag("p", "Made by Osler from the files of the folder. Every value is a prediction: nobody has made these molecules, and a "
                                  "search finds a model's errors as surely as its truths. Measure before you believe."))  # fmt: skip
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("meta", name="color-scheme", content="light dark"),
        tag("title", "Optimisation · Osler report"), Html(f"<style>{PAGE}{STYLE}</style>"),
    )  # fmt: skip
    return Html("<!doctype html>\n" + tag("html", head, tag("body", top, main, foot), lang="en"))


def _glance(facts: Row) -> Child:
    """From the lead to the best molecule, aim by aim."""
    lead, best = facts["lead"], facts["best"]
    boxes = [
        tag("div", tag("p", aim["column"], class_="what"), tag("p", _from_to(lead, best, aim["column"]), class_="figure"),
            tag("p", f"predicted, {'lead to best' if lead else 'best'}; cautious value {_from_to(lead, best, aim['column'] + '_cautious')}", class_="how"))
        for aim in facts["aims"]
    ]  # fmt: skip
    if lead:
        boxes.append(_box("Similarity to the lead", _short(best["similarity"]), "Tanimoto, ECFP4"))
    boxes.append(_box("Scored", f"{count(facts['scored'])} of {count(facts['budget'])}", "molecules that the runs were asked about, of the budget"))
    boxes.append(_box("Meet every condition", count(facts["meet_every_condition"]), f"of them; {count(facts['front'])} on the Pareto front"))
    return tag("div", boxes, class_="answer")


def _box(what: str, figure: str, how: str) -> Html:
    return tag("div", tag("p", what, class_="what"), tag("p", figure, class_="figure"), tag("p", how, class_="how"))


def _from_to(lead: Row | None, best: Row, column: str) -> str:
    return f"{_short(lead.get(column))} → {_short(best.get(column))}" if lead else _short(best.get(column))


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 2) if isinstance(value, (int, float)) else str(value or "")


def _columns(facts: Row) -> list[str]:
    """Columns that the aims and conditions speak of, similarity and accessibility, each once."""
    conditions = [c.partition("<")[0].partition(">")[0].partition("=")[0] for c in facts["conditions"]]
    asked = [aim["column"] for aim in facts["aims"]] + [c for c in conditions if not c.endswith("_in_domain")]
    return list(dict.fromkeys([*asked, *(["similarity"] if facts["lead"] else []), "sa", "qed"]))


def _gallery(facts: Row, best: Sequence[Row]) -> Child:
    columns, lead = _columns(facts), facts["lead"]

    def entry(row: Row, name: str) -> tuple[str, list[Child]]:
        told = [f"{column} {_short(row.get(column))}" for column in columns]
        return row["smiles"], [tag("strong", name), " · ".join(told[:2]), " · ".join(told[2:])]

    shown = [entry(row, f"{i}. {row['change']}") for i, row in enumerate(best[:SHOWN], 1)]
    return gallery([*([entry(lead, "the lead")] if lead else []), *shown])


def _numbers(facts: Row, best: Sequence[Row]) -> Child:
    cautious = [f"{aim['column']}_cautious" for aim in facts["aims"]]
    columns = ["score", *cautious, *_columns(facts)]
    rows: list[list[Child]] = [
        [tag("code", row["smiles"]), row["change"], *(_short(row.get(column)) for column in columns), f"{row['unmet']:.0f}"] for row in best
    ]
    return table("Best first", ["molecule", "made by", *columns, "unmet"], rows, numbers=2)


def _asked(facts: Row) -> Child:
    rows: list[list[Child]] = [["aim", f"{'large' if a['sign'] > 0 else 'small'} {a['column']}" + (
        f", worst at {a['worst']:g}, best at {a['best']:g}" if a["best"] is not None else "")] for a in facts["aims"]]  # fmt: skip
    rows += [["condition", condition] for condition in facts["conditions"]]
    rows += [[f"caution: {column}", text] for column, text in facts["caution"].items()]
    options = [[k, ", ".join(map(str, v)) if isinstance(v, list) else str(v)] for k, v in facts["options"].items()]
    made = tag("details", tag("summary", "All options"), table("As asked", ["option", "value"], options, numbers=9))
    return join([table("Aims and conditions", ["what", "text"], rows, numbers=9), made])


def _done(facts: Row) -> Child:
    rows: list[list[Child]] = [[f"scored, made by {name}", count(n)] for name, n in facts["scored_by_method"].items()]
    rows += [[f"passed over: {why}", count(n)] for why, n in facts["passed_over"].items()]
    rows.append(["rounds", count(facts["rounds"])])
    note = f"scored.csv holds every scored molecule in its order; its SHA-256 is {facts['scored_sha256']}."
    dry = tag("p", "The search ran dry before its budget was spent: nothing new that is worth asking about was made.") if facts["ran_dry"] else None
    return join([dry, table("Molecules", ["what", "n"], rows, note=note)])
