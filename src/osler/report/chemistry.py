"""The section of a report on molecules: examples with coloured atoms, activity cliffs, and matched pairs as a table."""

from __future__ import annotations

from typing import Any

from osler.adapters.rdkit.outline import outline
from osler.report.attribution import SCALE, SIZE, WAYS, largest, picture, scale, signed
from osler.report.charts import Figure
from osler.report.markup import Child, Html, join, table, tag
from osler.report.material import Material
from osler.report.words import is_number, number

#: Size of a drawn fragment.
SMALL = (120, 58)
#: Groups of examples: their heading, and how they were found.
GROUPS = {
    "mistakes": (
        "Worst mistakes",
        "Answers from folds that had not seen the molecule, farthest from the measured value first. The colours are the "
        "final model's.",
    ),
    "typical": (
        "Typical molecules",
        "Each stands for many alike: it has the most neighbours (Tanimoto similarity of at least 0.35) among those that "
        "are left.",
    ),
}


def section(m: Material, drawn: list[Figure]) -> list[Child]:
    """Everything there is to say; [] where the run has no examples."""
    held = m.get("explanation", "molecules", default={})
    if not held:
        return []
    groups = [*(_group(m, held, key, drawn) for key in GROUPS), _cliffs(m, held, drawn), changes(held, m.target)]
    made = [g for g in groups if g]
    if not made:
        return []
    return [_intro(m, held), *made, _note()]


def _intro(m: Material, held: dict[str, Any]) -> Html:
    first = next(iter([*held.get("mistakes", []), *held.get("typical", [])]), None)
    way = WAYS.get(first["told"]["way"], "") if first else ""
    scale_of = first["told"]["scale"] if first else "mean"
    what = m.target if scale_of == "mean" else f"{scale_of} of {held.get('positive', '')}"
    return tag(
        "p",
        f"Every atom and bond has a number: what it adds to the model's answer ({what}) for this molecule. Orange raises, "
        f"blue lowers; all molecules of a group share one scale. {way}",
    )


def _note() -> Html:
    return tag(
        "p",
        "These molecules are rows of the table: whoever gets this report sees them. Fit again with --examples 0 to leave "
        "them out; the saved predictor keeps none of them.",
        class_="note",
    )


def _group(m: Material, held: dict[str, Any], key: str, drawn: list[Figure]) -> Html | None:
    """The examples of one group beside one another, on one colour scale."""
    title, words = GROUPS[key]
    examples = held.get(key, [])
    top = max((largest(e["told"]) for e in examples), default=0.0)
    made = [_figure(f"molecule-{key}-{i}", e, held, m.target, top) for i, e in enumerate(examples, 1)]
    kept = [f for f in made if f is not None]
    if not kept:
        return None
    drawn += kept
    pictures = tag("div", [f.html() for f in kept], class_="compounds")
    return join([tag("h3", title), tag("p", words, class_="note"), pictures, _key(top)])


def _figure(name: str, example: dict[str, Any], held: dict[str, Any], target: str, top: float) -> Figure | None:
    """One example with its values."""
    told = example["told"]
    lines = [_values(example, held, target), _nearest(example.get("near"), held), tag("code", told["smiles"])]
    caption = join(tag("span", line, class_="line") for line in lines if line)
    return picture(name, told, f"Row {example['row']}", caption, top, keyed=False)


def _values(example: dict[str, Any], held: dict[str, Any], target: str) -> str:
    """Measured and predicted values in words."""
    value, said = example["measured"], example["predicted"]
    if held.get("positive"):
        known = f"measured {held['positive'] if value > 0.5 else 'not ' + held['positive']}"
        return known + (f", predicted {number(100 * said, 0)}%" if is_number(said) else "")
    off = f", predicted {number(said, 2)} (off by {signed(said - value)})" if is_number(said) else ""
    return f"{target} measured {number(value, 2)}{off}"


def _nearest(near: dict[str, Any] | None, held: dict[str, Any]) -> str:
    """The nearest other molecule and its value in words; "" where there is none."""
    if near is None:
        return ""
    value = number(near["measured"], 2)
    if held.get("positive"):
        value = held["positive"] if near["measured"] > 0.5 else f"not {held['positive']}"
    return f"nearest measured: row {near['row']} (similarity {number(near['similarity'], 2)}), {value}"


def _key(top: float) -> Html:
    """The colour scale that the molecules above share."""
    body = scale(top, 12, 6, SIZE[0] - 24)
    words = f"Blue lowers the answer by up to {number(top, 3)}, orange raises it by up to {number(top, 3)}."
    said = [tag("title", "Colour scale"), tag("desc", words)]
    return tag("div", tag("svg", *said, body, viewBox=f"0 0 {SIZE[0]} {SCALE}", role="img"), class_="key")


def _cliffs(m: Material, held: dict[str, Any], drawn: list[Figure]) -> Html | None:
    """Two molecules each that differ in one part and lie far apart."""
    found = held.get("cliffs", [])
    examples = [e[end] for e in found for end in ("lower", "higher")]
    top = max((largest(e["told"]) for e in examples), default=0.0)
    rows: list[Child] = []
    for i, cliff in enumerate(found, 1):
        made = [_figure(f"molecule-cliff-{i}-{end}", cliff[end], held, m.target, top) for end in ("lower", "higher")]
        lower, higher = made
        if lower is None or higher is None:
            continue
        drawn += [lower, higher]
        said = tag("p", "↓ ", f"{signed(cliff['change'])} by exchanging one part")
        exchange = tag("div", [_fragment(cliff["before"]), said, _fragment(cliff["after"])], class_="exchange")
        rows.append(tag("div", [lower.html(), exchange, higher.html()], class_="compounds cliff"))
    if not rows:
        return None
    words = (
        "Pairs that differ in one part and whose measured values lie farthest apart. A model that colours both alike has "
        "not learnt why."
    )
    return join([tag("h3", "Activity cliffs"), tag("p", words, class_="note"), *rows, _key(top)])


def _fragment(smiles: str) -> Html:
    """A small drawing of an exchanged part; its joints end in waves."""
    if smiles == "[H][*:1]":
        return tag("span", "H", class_="part")
    lines = outline(smiles.replace("[*:1]", "*").replace("[*:2]", "*"), SMALL)
    if lines is None:
        return tag("code", smiles)
    parts: list[Child] = [tag("title", smiles)]
    parts += [tag("path", d=d, class_="mol wave" if "C" in d else "mol") for d in lines.lines]
    parts += [tag("path", d=d, class_="wedge") for d in lines.wedges]
    parts += [tag("path", d=d, class_="letter") for d in lines.letters]
    return tag("svg", parts, viewBox=f"0 0 {SMALL[0]} {SMALL[1]}", role="img", class_="part")


def changes(held: dict[str, Any], target: str) -> Html | None:
    """The clearest exchanges, drawn, with their mean change and its interval."""
    told = held.get("pairs", {})
    rows: list[list[Child]] = [
        [
            _fragment(c["before"]), _fragment(c["after"]), str(c["n"]), signed(c["mean"]),
            f"{signed(c['low'])} to {signed(c['high'])}" if is_number(c["low"]) else "", signed(c["predicted"]),
        ]
        for c in told.get("changes", [])
    ]  # fmt: skip
    if not rows:
        return None
    note = (
        f"Among {told['molecules']:,} molecules {told['pairs']:,} pairs differ in one part at their end; "
        f"{told['exchanges']} exchanges have at least 3 different kept parts (n), {told['rare']} have fewer. 95% intervals "
        "of the mean over kept parts, one by one: among many exchanges some lie far from 0 by chance. Model: the mean "
        "change of its answers for the same pairs, which it has learnt from."
    )
    what = f"Change of {target}" if not held.get("positive") else f"Change of the share of {held['positive']}"
    head: list[Child] = ["From", "To", "n", what, "95% interval", "Model"]
    caption = "Matched pairs: exchanges with the clearest change"
    return join([
        tag("h3", "What one exchange does"), table(caption, head, rows, numbers=2, note=note, class_="exchanges"),
    ])  # fmt: skip
