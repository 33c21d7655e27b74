"""The report page: sections in reading order, each left out where the run has nothing for it."""

from __future__ import annotations

from collections.abc import Callable

from osler.report import chemistry, drawings, figures, flow, looks, tables
from osler.report.charts import Figure
from osler.report.cold import whats_new
from osler.report.equation import Equation, digest, equation
from osler.report.figures import where
from osler.report.fused import fused
from osler.report.items import CARD_QUESTIONS, PROBAST_QUESTIONS
from osler.report.markup import Child, Html, anchor, join, table, tag
from osler.report.material import Material, command
from osler.report.probast import judge
from osler.report.style import PAGE
from osler.report.summary import kicker, summary, title
from osler.report.tripod import Filled, open_questions
from osler.report.words import is_number, number

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def page(material: Material, filled: list[Filled]) -> tuple[Html, list[Figure]]:
    """The whole page, and every picture on it."""
    drawn: list[Figure] = []
    sections = [(name, body) for name, make in _SECTIONS if (body := _section(make(material, filled, drawn)))]
    links = tag(
        "nav",
        tag("ul", [tag("li", tag("a", name, href=f"#{anchor(name)}")) for name, _ in sections]),
        aria_label="Sections",
    )
    top = tag(
        "header",
        tag("p", kicker(material), class_="kicker"),
        tag("h1", title(material)),
        summary(material, _open(material, filled)),
        links,
    )
    main = tag(
        "main",
        [
            tag("section", tag("h2", name, id=f"{anchor(name)}"), body, aria_labelledby=anchor(name))
            for name, body in sections
        ],
        id="content",
    )
    foot = tag(
        "footer",
        tag(
            "p",
            "Made by Osler from the files of the run folder. One file, no scripts, nothing fetched. It supports "
            "judgement and does not replace it; it is not a medical device.",
        ),
    )
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"), tag("title", f"{title(material)} · Osler report"), Html(f"<style>{PAGE}</style>"),
    )  # fmt: skip
    body = tag("body", tag("a", "Skip to the results", href="#content", class_="skip"), top, main, foot)
    return Html("<!doctype html>\n" + tag("html", head, body, lang="en")), drawn


def _open(material: Material, filled: list[Filled]) -> int:
    more = [k for k in (*CARD_QUESTIONS, *PROBAST_QUESTIONS) if k not in material.answers]
    return open_questions(filled) + len(more)


def _section(parts: list[Child]) -> Html:
    return join(p for p in parts if p)


def _pictures(drawn: list[Figure], made: list[Figure | None]) -> Html | None:
    """Pictures side by side, wide ones under one another; remembered in `drawn`."""
    kept = [f for f in made if f is not None]
    drawn += kept
    narrow, wide = [f.html() for f in kept if not f.wide], [f.html() for f in kept if f.wide]
    return join([tag("div", narrow, class_="pictures") if narrow else None, *wide]) if kept else None


def _certificate(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [tables.certificate(m)]


def _people(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [
        _pictures(drawn, [flow.flow(m)]),
        tables.table_one(m),
        _folded("Every column, as it was read", tables.columns(m)),
    ]


def _folded(name: str, body: Html | None) -> Html | None:
    return tag("details", tag("summary", name), body) if body else None


def _performance(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    out: list[Child] = []
    for part in [p for p in ("holdout", "cv", "training") if p in m.parts]:
        heading = tag("h3", where(part).capitalize()) if "holdout" in m.parts else None
        out += [heading, tables.scores(m, part, f"Models, {where(part)}"), drawings.by_class(m, part), _pictures(drawn, [drawings.spread(m, part), drawings.found(m, part)]), _pictures(drawn, figures.of_part(m, part)), drawings.at_rates(m, part),
                tables.confusion(m, part), tables.comparison(m, part), _folded("Every measure", tables.all_scores(m, part))]  # fmt: skip
    return [*out, fused(m), whats_new(m)]


def _thresholds(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [tables.thresholds(m)]


def _whom(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    pictures = _pictures(drawn, [figures.sites(m), figures.subgroups(m)])
    sites = [
        _folded(f"Measures and predictors at {site}", join(t for t in (
            tables.scores(m, f"site={site}", f"Models at {site}, left out of training"), tables.drift(m, f"site={site}")) if t))
        for site in m.sites
    ]  # fmt: skip
    return [pictures, tables.drift(m, "holdout"), *sites]


def _sure(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [tables.coverage(m), tables.sample_size(m), _pictures(drawn, [figures.learning(m)])]


def _why(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    reason = m.get("explanation", "reason")
    return [
        _rank(m),
        _pictures(drawn, [figures.importance(m)]),
        tag("p", f"Importance was {reason}.") if reason else None,
    ]


def _rank(m: Material) -> Html | None:
    """A box for columns that cannot be told apart."""
    held = m.get("facts", "rank", default={})
    lines = [s for r in held.values() if isinstance(r, dict) for s in r.get("sentences", [])]
    if not lines:
        return None
    first = "Some columns cannot be told apart by these data. Their single coefficients and importances mean nothing; only their combinations do."
    return tag(
        "div",
        tag("p", tag("strong", first)),
        tag("ul", [tag("li", f"{s[:1].upper()}{s[1:]}.") for s in dict.fromkeys(lines)]),
        class_="box",
    )


def _molecules(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return chemistry.section(m, drawn)


def _scans(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [*drawings.gallery(m, drawn), *looks.section(m), *looks.turned(m)]


def _model(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    found = equation(m.folder)
    weights = m.get("facts", "ensemble_weights", default={})
    mixed = (
        table("Weights of the ensemble", ["Model", "Mean weight"], [[k, number(v, 3)] for k, v in weights.items()])
        if weights
        else None
    )
    name = digest(m.folder)
    bundle = tag("p", "The saved predictor (folder predictor/, JSON and arrays, no code) answers for new cases: ", tag("code", "osler predict RUN TABLE"), ". ",
                 join(["SHA-256 of its manifest: ", tag("code", name), "."]) if name else None)  # fmt: skip
    why = (
        None
        if found or not m.chosen
        else tag("p", f"{m.chosen} is not an equation that fits on a page; the bundle holds every number of it.")
    )
    return [_equation(found) if found else why, mixed, bundle]


def _equation(found: Equation) -> Html:
    classes = list(found.classes) if len(found.intercept) > 1 else ["Coefficient"]
    rows: list[list[Child]] = [["(constant)", "", *[f"{v:.6g}".replace("-", "−") for v in found.intercept]]]
    for t in found.terms:
        rows.append(
            [
                t.name,
                "" if t.if_missing is None else f"{t.if_missing:.4g}",
                *[f"{v:.6g}".replace("-", "−") for v in t.coefficient],
            ]
        )
    note = f"Sum = constant + Σ coefficient × value, in the units of the data; levels and 'is missing' count 1 if true, else 0. {found.form}. The exact numbers are in predictor/."
    held = table("The model as an equation", ["Term", "If missing", *classes], rows, note=note)
    absent = [[k, *[f"{v:.6g}".replace("-", "−") for v in adds]] for k, adds in found.absent.items()]
    more = table("A missing or unseen category adds", ["Column", *classes], absent) if absent else None  # type: ignore[arg-type]
    times = found.baseline[:: max(1, len(found.baseline) // 20)]
    base = (
        table(
            "Baseline survival S0(t), where the sum is 0", ["Time", "S0"], [[f"{t:g}", number(s, 4)] for t, s in times]
        )
        if times
        else None
    )
    return join([held, more, base])


def _noticed(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    return [tables.findings(m), tables.refusals(m)]


def _limits(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    judged: list[list[Child]] = [[j.domain, j.question, j.answer, j.evidence] for j in judge(m)]
    told = next((f for f in filled if f.item.key == "26"), None)
    note = "A draft for whoever judges risk of bias (PROBAST+AI, doi:10.1136/bmj-2024-082505). 'Cannot tell' means that the run does not know."
    return [tag("p", told.text) if told else None, tag("p", told.answer) if told and told.answer else None,
            table("Risk of bias, pre-answered", ["Domain", "Question", "Answer", "Evidence"], judged, numbers=99, note=note)]  # fmt: skip


def _tripod(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    marks = {"auto": "✓ auto", "answered": "✓ answered", "ask": "? to answer", "n/a": "– n/a"}
    rows: list[list[Child]] = []
    for f in filled:
        asked = tag("span", f.item.question, class_="ask") if f.status == "ask" else None
        rows.append(
            [
                tag("span", f.item.key, class_="id", id=f"tripod-{f.item.key}"),
                f.item.asks,
                tag("span", marks[f.status], class_="mark"),
                join(
                    [f.answer, " " if f.answer and f.text else None, f.text, " " if f.text and asked else None, asked]
                ),
            ]
        )
    done = sum(f.status in ("auto", "answered") for f in filled)
    text = f"{done} of {len(filled)} sub-items are filled, {open_questions(filled)} wait for you, the rest do not apply. Write answers into answers.yaml in the run folder, then run osler report again."
    return [
        tag("p", text),
        table(
            "TRIPOD+AI 2024",
            ["Item", "What must be reported", "Status", "Here"],
            rows,
            numbers=99,
            note="Numbering as published (doi:10.1136/bmj-2023-078378); wording ours. Also in tripod.csv.",
        ),
    ]


def _again(m: Material, filled: list[Filled], drawn: list[Figure]) -> list[Child]:
    versions = m.get("environment", "libraries", default={})
    held = {"Python": m.get("environment", "python"), "System": " ".join(str(m.get("environment", k, default="")) for k in ("system", "machine")).strip(), **versions,
            "Seed": m.get("study", "seed"), "Study": m.get("facts", "study_digest"), "SHA-256 of the data": m.get("study", "source_sha256"), "SHA-256 of its files": m.get("study", "files_sha256")}  # fmt: skip
    facts = tag(
        "dl", [join([tag("dt", k), tag("dd", v)]) for k, v in held.items() if v not in (None, "")], class_="facts"
    )
    plan = _folded("The plan, written before any model was fitted", tag("pre", m.plan) if m.plan else None)
    study = _folded("Every choice, defaults included", _choices(m))
    return [tag("p", "The same question, asked again:"), tag("pre", command(m)), facts, plan, study]


def _choices(m: Material) -> Html | None:
    hidden = ("format", "key", "source", "source_sha256", "files_sha256")
    rows: list[list[Child]] = [
        [k, ", ".join(map(str, v)) if isinstance(v, list) else str(v) if not is_number(v) else f"{v:g}"]
        for k, v in m.members["study"].items()
        if k not in hidden
    ]
    return table("study.json", ["Choice", "Value"], rows, numbers=99) if rows else None


_SECTIONS: tuple[tuple[str, Callable[[Material, list[Filled], list[Figure]], list[Child]]], ...] = (
    ("Certificate", _certificate), ("Who is in it", _people), ("How good", _performance), ("Thresholds", _thresholds), ("For whom and where", _whom),
    ("How sure", _sure), ("What it leans on", _why), ("Molecules", _molecules), ("Scans", _scans), ("The full model", _model), ("Noticed in the data", _noticed), ("Limits and risk of bias", _limits),
    ("TRIPOD+AI", _tripod), ("Once more", _again),
)  # fmt: skip
