"""The page and the picture of a generator's run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.engine.files import write_atomic
from osler.report.charts import Axes, Figure, legend
from osler.report.markup import Child, Html, join, table, tag
from osler.report.molecules import STYLE, gallery
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
#: Titles.
NAMES = {
    "generator_gru": "A language model of molecules", "generator_gan": "A language model of molecules against a critic",
    "generator_graph_gan": "Graphs of molecules against a graph critic",
}  # fmt: skip
#: What stands at the top: measure, words over it and under it.
GLANCE = (
    ("validity", "Valid", "of the drawn strings are molecules"), ("unique_10k", "Different", "of the valid molecules differ"),
    ("novelty", "New", "of the different ones are not in the training part"),
    ("fcd", "Fréchet ChemNet distance", "to molecules of held-out scaffolds; lower is nearer"),
)  # fmt: skip
#: Under each drawing: property, word, decimals.
CAPTION = (("qed", "QED", 2), ("sa", "SA", 1), ("logp", "logP", 1), ("weight", "Da", 0))
#: Molecules that are drawn on the page.
SHOWN = 12


def build(folder: Path) -> list[Path]:
    """Write report.html and figures/*.svg from study.json, curves.json and, where they are, scores.json, examples.json and
    certificate.json.
    """
    folder = Path(folder)
    run = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) if (folder / f"{name}.json").is_file() else {}
        for name in ("study", "curves", "scores", "certificate", "examples")
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
    axes = Axes(0, points[-1]["step"], 0, 1)
    drawn = [
        axes.line(_series(points, name), i, name=words) for i, (name, words) in enumerate(SHARES.items(), 1)
    ]
    words = list(SHARES.values())
    keys = [legend(words[i : i + 2], 56 + 77 * i, 376, (i + 1, i + 2)) for i in range(0, len(words), 2)]
    body = join([axes.draw("Step", "Share or score"), *drawn, *keys])
    last = points[-1]["measures"]
    told = ", ".join(f"{w} {last[n]['value']:.2f}" for n, w in SHARES.items() if n in last)
    return Figure(
        "curves", "What the generator gave while it learnt", f"At step {points[-1]['step']}: {told}.",
        "Measured on molecules drawn at each point.", body, 480, 404,
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
    study = run["study"]
    model = study.get("options", {}).get("model", "generator")
    sections = [
        ("At a glance", _glance(run)), ("What it draws", _examples(run)),
        ("On the way", tag("div", *(f.html() for f in figures), class_="pictures") if figures else None),
        ("Scores", _scores(run)), ("Certificate", _certificate(run["certificate"])), ("Options", _options(study.get("options", {}))),
    ]  # fmt: skip
    top = tag("header", tag("p", "Osler · generation", class_="kicker"), tag("h1", NAMES.get(model, model)), _lead(run))
    main = tag("main", [tag("section", tag("h2", name), body) for name, body in sections if body], id="content")
    foot = tag("footer", tag("p", "Made by Osler from the files of the run folder. A drawn molecule is a string that a model "
                                  "found likely: nobody has made it, and nobody knows what it does."))  # fmt: skip
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{model} · Osler report"), Html(f"<style>{PAGE}{STYLE}</style>"),
    )  # fmt: skip
    return Html("<!doctype html>\n" + tag("html", head, tag("body", top, main, foot), lang="en"))


def _lead(run: dict[str, Any]) -> Html:
    if run["curves"].get("status") == "collapsed":
        verdict = tag("p", "Stopped: the generator collapsed", class_="verdict")
        return tag("div", verdict, tag("p", run["curves"].get("message", "")), class_="seal violated")
    return tag("p", f"A generator of molecules, trained on {run['study'].get('library', '')}.", class_="lead")


def _glance(run: dict[str, Any]) -> Child:
    """Four numbers that a chemist asks for first."""
    points = run["curves"].get("curves", [])
    measures = run["scores"].get("measures") or (points[-1]["measures"] if points else {})
    boxes = []
    for name, what, how in GLANCE:
        if name in measures:
            value = measures[name]["value"]
            shown = f"{100 * value:.1f} %" if name != "fcd" else number(value, 1)
            boxes.append(tag("div", tag("p", what, class_="what"), tag("p", shown, class_="figure"), tag("p", how, class_="how")))
    return tag("div", boxes, class_="answer") if boxes else None


def _examples(run: dict[str, Any]) -> Child:
    """Drawn molecules with what is known of them."""
    found = run["examples"][:SHOWN] if run["examples"] else []
    if not found:
        return None
    entries = []
    for one in found:
        told = [f"{words} {one[key]:.{digits}f}" for key, words, digits in CAPTION if key in one]
        often = tag("strong", f"drawn {one['times']:,} times") if one["times"] > 1 else None
        entries.append((one["smiles"], [*([often] if often else []), " · ".join(told[:2]), " · ".join(told[2:])]))
    collapsed = run["curves"].get("status") == "collapsed"
    note = "The first drawn molecules that are not in the training part, none chosen by hand."
    note = "The molecules that were drawn most often." if collapsed else note
    return join([tag("p", note), gallery(entries)])


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
    if not certificate:
        return None
    rows = [[c["name"], tag("span", c["verdict"], class_=f"mark {c['verdict']}"), str(c["n"]), c["detail"]] for c in certificate["checks"]]
    verdict = certificate["verdict"]
    words = "No held-out scaffold was trained on" if verdict == "clean" else "The certificate is violated"
    how = tag("p", "osler generate verify makes it anew from the split table.")
    said = tag("div", tag("p", words, class_="verdict"), how, class_=f"seal {verdict}")
    return join([said, table("Checks", ["check", "verdict", "violations", "detail"], rows, numbers=9)])


def _options(options: dict[str, Any]) -> Child:
    if not options:
        return None
    rows: list[list[Child]] = [[k, str(v)] for k, v in options.items()]
    return tag("details", tag("summary", "All options"), table("As asked", ["option", "value"], rows, numbers=9))
