"""The page and the picture of a generator's run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.engine.files import write_atomic
from osler.report.charts import Axes, Figure, legend
from osler.report.markup import Child, Html, join, table, tag
from osler.report.style import PAGE
from osler.report.words import number

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: Measures between 0 and 1 that are drawn, with their words.
SHARES = {
    "validity": "valid", "unique_1k": "different of 1,000", "novelty": "new", "internal_diversity": "internal diversity",
    "qed": "QED",
}  # fmt: skip
#: What each measure is, in the order of the table.
WORDS = {
    "validity": "share of drawn strings that are molecules",
    "unique_1k": "share of different ones among the first 1,000 valid molecules",
    "unique_10k": "share of different ones among the first 10,000 valid molecules",
    "novelty": "share of the different molecules that are not in the training part",
    "internal_diversity": "1 minus the mean Tanimoto similarity of two drawn molecules (Morgan, radius 2)",
    "scaffold_similarity": "cosine of scaffold counts with the molecules of held-out scaffolds",
    "fragment_similarity": "cosine of BRICS fragment counts with them",
    "nearest_similarity": "mean Tanimoto similarity to the nearest of them",
    "fcd": "Fréchet ChemNet distance to them (lower is nearer)",
    "sa": "synthetic accessibility, 1 easy to 10 hard",
    "qed": "drug-likeness, 0 to 1",
    "logp": "logP (Crippen)",
    "weight": "weight in daltons",
}


def build(folder: Path) -> list[Path]:
    """Write report.html and figures/*.svg from study.json, curves.json and, where they are, scores.json and certificate.json."""
    folder = Path(folder)
    run = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) if (folder / f"{name}.json").is_file() else {}
        for name in ("study", "curves", "scores", "certificate")
    }
    figures = [f for f in (shares(run["curves"]), distance(run["curves"])) if f is not None]
    pictures = folder / "figures"
    pictures.mkdir(exist_ok=True)
    texts = {folder / "report.html": page(run, figures), **{pictures / f"{f.name}.svg": f.svg(alone=True) for f in figures}}
    for path, text in texts.items():
        write_atomic(path, text.encode("utf-8"))
    return list(texts)


def shares(curves: dict[str, Any]) -> Figure | None:
    """Validity, uniqueness, novelty, diversity and drug-likeness against the step."""
    points = curves.get("curves", [])
    if not points:
        return None
    axes = Axes(0, points[-1]["step"], 0, 1, right=560)
    drawn = [
        axes.line(_series(points, name), i, name=words) for i, (name, words) in enumerate(SHARES.items(), 1)
    ]
    body = join([axes.draw("Step", "Share or score"), *drawn, legend(list(SHARES.values()), 574, 30)])
    last = points[-1]["measures"]
    told = ", ".join(f"{w} {last[n]['value']:.2f}" for n, w in SHARES.items() if n in last)
    return Figure(
        "curves", "What the generator gave while it learnt", f"At step {points[-1]['step']}: {told}.",
        "Measured on molecules drawn at each point.", body, 720, 360, True,
    )  # fmt: skip


def distance(curves: dict[str, Any]) -> Figure | None:
    """The Fréchet ChemNet distance against the step, where it was measured."""
    points = curves.get("curves", [])
    line = _series(points, "fcd")
    if len(line) < 2:
        return None
    axes = Axes(0, points[-1]["step"], 0, max(v for _, v in line) * 1.05)
    body = join([axes.draw("Step", "Fréchet ChemNet distance"), axes.line(line, 1)])
    return Figure(
        "distance", "How far from molecules of held-out scaffolds", f"From {line[0][1]:.1f} to {line[-1][1]:.1f}.",
        "Lower is nearer; it depends on how many molecules are compared.", body,
    )  # fmt: skip


def _series(points: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(p["step"], p["measures"][name]["value"]) for p in points if name in p["measures"]]


def page(run: dict[str, Any], figures: list[Figure]) -> Html:
    """The whole page."""
    study, curves = run["study"], run["curves"]
    model = study.get("options", {}).get("model", "generator")
    collapsed = curves.get("status") == "collapsed"
    lead = curves.get("message", "") if collapsed else f"A generator of molecules, trained on {study.get('library', '')}."
    sections = [
        ("Scores", _scores(run)), ("On the way", join(f.html() for f in figures)), ("Certificate", _certificate(run["certificate"])),
        ("Options", _options(study.get("options", {}))),
    ]  # fmt: skip
    top = tag("header", tag("p", "Osler · generation", class_="kicker"), tag("h1", model), tag("p", lead, class_="lead"))
    main = tag("main", [tag("section", tag("h2", name), body) for name, body in sections if body], id="content")
    foot = tag("footer", tag("p", "Made by Osler from the files of the run folder. A drawn molecule is a string that a model "
                                  "found likely: nobody has made it, and nobody knows what it does."))  # fmt: skip
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"), tag("title", f"{model} · Osler report"), Html(f"<style>{PAGE}</style>"),
    )  # fmt: skip
    return Html("<!doctype html>\n" + tag("html", head, tag("body", top, main, foot), lang="en"))


def _scores(run: dict[str, Any]) -> Child:
    measures = run["scores"].get("measures", {})
    rows = [
        [name, number(m["value"], 3), _limits(m), f"{m['n']:,}", WORDS[name]] for name in WORDS if (m := measures.get(name))
    ]
    head: list[Child] = ["measure", "value", "95 % interval", "n", "what it is"]
    return table(f"Of {run['scores'].get('drawn', 0):,} drawn strings", head, rows, numbers=9) if rows else None


def _limits(measure: dict[str, Any]) -> str:
    return f"{number(measure['low'], 3)} to {number(measure['high'], 3)}" if "low" in measure else ""


def _certificate(certificate: dict[str, Any]) -> Child:
    rows = [[c["name"], c["verdict"], str(c["n"]), c["detail"]] for c in certificate.get("checks", [])]
    return table(f"Verdict: {certificate['verdict']}", ["check", "verdict", "n", "detail"], rows, numbers=9) if rows else None


def _options(options: dict[str, Any]) -> Child:
    return table("As asked", ["option", "value"], [[k, str(v)] for k, v in options.items()], numbers=9) if options else None
