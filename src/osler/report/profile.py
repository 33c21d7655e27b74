"""The page of ADMET profiles: each molecule drawn, where its answers lie among approved drugs, and every line as a
table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osler.report.charts import Figure, line, words
from osler.report.markup import Child, Html, join, table, tag
from osler.report.molecules import STYLE, picture
from osler.report.style import PAGE
from osler.report.words import count, number, short

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: Molecules that are shown; the others are in admet.json.
MOST = 50
_LEFT, _RIGHT, _STEP = 236.0, 556.0, 22.0
_MORE = (
    ".top{display:flex;flex-wrap:wrap;gap:1rem 2rem;align-items:flex-start}"
    ".top svg.molecule{width:19rem;height:auto;max-width:100%}"
)


def page(found: dict[str, Any]) -> Html:
    """One self-contained page from the content of admet.json."""
    molecules, reference = found["molecules"], found["reference"]
    shown = molecules[:MOST]
    lead = f"{count(len(molecules))} molecule{'s' if len(molecules) != 1 else ''}"
    lead += f", beside {count(reference['n'])} {reference['what']}" if reference["n"] else ""
    more = f"The first {MOST} are shown; all are in admet.json." if len(molecules) > MOST else ""
    top = tag(
        "header",
        tag("p", "Osler · ADMET profile", class_="kicker"),
        tag("h1", _title(shown)),
        tag("p", f"{lead}. {more}".strip(), class_="lead"),
    )
    main = tag(
        "main", [_molecule(m, reference, i) for i, m in enumerate(shown, 1)], _refused(found["not_read"]), id="content"
    )
    foot = tag(
        "footer",
        tag(
            "p",
            "Predictions of models that were trained on tables of measurements, for research; no statement about "
            "what a substance does in a person. Rules and alerts are reasons to look twice, not verdicts.",
        ),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{_title(shown)} · ADMET profile"),
        Html(f"<style>{PAGE}{STYLE}{_MORE}</style>"),
    )
    return Html(
        "<!doctype html>\n"
        + tag(
            "html",
            head,
            tag("body", tag("a", "To the profile", href="#content", class_="skip"), top, main, foot),
            lang="en",
        )
    )


def _title(molecules: Sequence[dict[str, Any]]) -> str:
    names = [m["name"] or short(m["smiles"], 60) for m in molecules]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _molecule(molecule: dict[str, Any], reference: dict[str, Any], place: int) -> Html:
    name = molecule["name"] or f"Molecule {molecule['place']}"
    facts = tag(
        "dl",
        [
            part
            for n in molecule["numbers"]
            for part in (tag("dt", n["what"]), tag("dd", _with_unit(number(n["value"], 2), n["unit"])))
        ],
        class_="facts",
    )
    dots = dot_plot(molecule, f"dots-{place}")
    return tag(
        "section",
        tag("h2", name),
        tag("p", tag("code", molecule["smiles"])),
        tag("div", picture(molecule["smiles"], name, (360, 250)), facts, class_="top"),
        tag("div", dots.html(), class_="pictures") if dots else None,
        _predictions(molecule, reference),
        _verdicts(molecule),
    )


def _with_unit(value: str, unit: str) -> str:
    return f"{value} {unit}".strip()


def dot_plot(molecule: dict[str, Any], name: str = "dots") -> Figure | None:
    """Where each answer lies among the reference, 0 to 100; filled in domain, open outside it. None where nothing has
    a percentile.
    """
    rows = [
        (line["endpoint"], line["percentile"], line["in_domain"], line["wanted"])
        for line in molecule["lines"]
        if line["percentile"] is not None
    ]
    rows = [
        (n["what"].partition(",")[0], n["percentile"], True, "")
        for n in molecule["numbers"]
        if n["percentile"] is not None
    ] + rows
    if not rows:
        return None
    bottom = 22 + _STEP * len(rows)
    parts: list[Child] = []
    for tick in (0, 25, 50, 75, 100):
        at = _LEFT + (_RIGHT - _LEFT) * tick / 100
        parts += [
            line(at, 12, at, bottom, "ideal" if tick == 50 else "grid"),
            words(at, bottom + 16, str(tick), "soft mid"),
        ]
    for i, (label, percentile, inside, wanted) in enumerate(rows):
        y = 26 + _STEP * i
        at = _LEFT + (_RIGHT - _LEFT) * percentile / 100
        parts += [
            tag("text", tag("title", label), short(label, 36), x="4", y=f"{y + 4:g}", class_="small"),
            line(_LEFT, y, _RIGHT, y, "grid"),
            tag("circle", cx=f"{at:g}", cy=f"{y:g}", r="5.5", class_="f1" if inside else "axis s1"),
            words(
                _RIGHT + 12,
                y + 4,
                f"{percentile:.0f}" + {"high": " (higher wanted)", "low": " (lower wanted)"}.get(wanted, ""),
                "small",
            ),
        ]
    parts.append(words((_LEFT + _RIGHT) / 2, bottom + 36, "percentile among the reference", "mid"))
    told = "; ".join(f"{label}: {percentile:.0f}" for label, percentile, _, _ in rows)
    caption = (
        "The share of reference molecules with a smaller answer. A filled dot is in the run's domain, "
        "an open one outside it."
    )
    return Figure(name, "Among approved drugs", told, caption, join(parts), 680, int(bottom + 48), True)


def _predictions(molecule: dict[str, Any], reference: dict[str, Any]) -> Child:
    if not molecule["lines"]:
        return None
    head: list[Child] = ["endpoint", "answer", "interval", "percentile", "domain", "rows learnt from", "certificate"]
    rows: list[list[Child]] = []
    for one in molecule["lines"]:
        decimals = 2 if one["kind"] == "number" else 3
        limits = f"{number(one['low'], decimals)} to {number(one['high'], decimals)}" if one["low"] is not None else ""
        seen = (
            [tag("small", f"in its table; left out, the answer was {number(one['out_of_fold'], decimals)}")]
            if one["in_training"]
            else []
        )
        rows.append(
            [
                join([one["endpoint"]]),
                join([_with_unit(number(one["value"], decimals), one["unit"]), *seen]),
                limits,
                "" if one["percentile"] is None else f"{one['percentile']:.0f}",
                "inside" if one["in_domain"] else "outside",
                count(one["n"]),
                tag(
                    "span",
                    one["certificate"],
                    class_=f"mark {'clean' if one['certificate'] == 'clean' else 'violated'}",
                ),
            ]
        )
    note = (
        "Numbers: 90 % conformal intervals. Probabilities: the 95 % band of the share that was observed "
        "among left-out molecules with that probability."
        + (f" Percentiles: among {count(reference['n'])} {reference['what']}." if reference["n"] else "")
    )
    return table("Answers of the runs", head, rows, numbers=1, note=note)


def _verdicts(molecule: dict[str, Any]) -> Child:
    rows: list[list[Child]] = [
        [
            one["name"],
            one["what"],
            ("passes" if one["passes"] else f"breaks: {one['met']}")
            if one["kind"] == "rule"
            else one["met"] or "no alert",
        ]
        for one in molecule["verdicts"]
    ]
    return table("Rules and alerts, which need no model", ["rule", "what it is", "this molecule"], rows, numbers=9)


def _refused(refused: Sequence[dict[str, Any]]) -> Child:
    rows: list[list[Child]] = [[str(r["place"]), r["name"], r["reason"]] for r in refused[:200]]
    return (
        tag(
            "section",
            tag("h2", "Not read"),
            table("Entries that are no molecules", ["entry", "name", "reason"], rows, numbers=9),
        )
        if rows
        else None
    )
