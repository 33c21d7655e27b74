"""The section of a report on where networks looked in scans: the worst mistakes and the surest right answers with their heat maps, whether
the maps depend on what was learnt, and a page of the volumes that can be turned.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import numpy as np

from osler.report.label_colours import COLOURS, Label, labelled
from osler.report.markup import Child, Html, tag
from osler.report.material import Material
from osler.report.viewer import Case, Layer, page
from osler.report.words import is_number, label, number, short

#: File beside the report with the volumes.
PAGE = "scans.html"
#: Groups: heading, and what they are.
GROUPS = {
    "mistakes": ("Worst mistakes: where it looked", "The rows whose answers were farthest from the truth, the worst first."),
    "surest": ("Surest right answers", "The rows that were answered right with most confidence."),
}
#: Groups of drawn scans, and layers of both pages: kind → member, words and range.
DRAWN = {"worst": "Worst scans", "usual": "Usual scans"}
_SCAN = ("scan", "scan, reduced", (0.0, 255.0))
HEAT = {"scan": _SCAN, "heat": ("heat", "heat: what speaks for the answer", (0.0, 255.0))}
MASKS = {"scan": _SCAN, "mask": ("wanted", "what should be drawn", (0.0, 1.0)), "answer": ("drawn", "what the model drew", (0.0, 1.0))}
#: What a map of each way shows.
WAYS = {
    "gradients": "integrated gradients", "fused": "Grad-CAM++ of all stages of the network",
}  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def turned(m: Material) -> list[Child]:
    """Where the volumes of this run can be turned; [] where it keeps none."""
    return [tag("p", f"Volumes can be leafed through and turned in {PAGE}, beside this report.")] if cases(m) else []


def section(m: Material) -> list[Child]:
    """The groups; [] where the run has none."""
    held = m.get("explanation", "scans", default={})
    out: list[Child] = []
    for group, (heading, words) in GROUPS.items():
        made = [shown for e in _entries(held, group) if (shown := _example(e)) is not None]
        if made:
            out += [tag("h3", heading), tag("p", words), tag("div", made, class_="scans")]
    if not out:
        return []
    way = WAYS.get(str(held.get("way")), str(held.get("way")))
    whose = (
        f"Every map is by {held.get('model')}, fitted without the row that it shows and without its unit (the model of the row's fold in "
        f"cross-validation; the saved predictor is a later fit on all rows). It shows what speaks for the answer that was given, by {way}; "
        "its heights are relative to its own largest value, so two maps cannot be compared by colour. A map is a hint, not a finding."
    )
    own = "These scans are rows of the data: whoever gets this report sees them. Fit again with --examples 0 to leave them out; the saved predictor keeps none of them."
    return [tag("p", whose), _sanity(held.get("sanity")), *out, tag("p", own, class_="note")]


def _entries(held: dict[str, Any], group: str) -> list[dict[str, Any]]:
    found = held.get(group, [])
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


def _example(entry: dict[str, Any]) -> Html | None:
    image, size = str(entry.get("image", "")), entry.get("size")
    if not _BASE64.fullmatch(image) or not (isinstance(size, list) and len(size) == 2 and all(is_number(s) for s in size)):
        return None
    says = _says(entry)
    shown = tag("img", src=f"data:image/jpeg;base64,{image}", width=f"{size[1]:g}", height=f"{size[0]:g}", alt=f"Row {entry.get('row')} with its heat map: {says}")
    where = f" Half of the heat lies in {100 * entry['narrow']:.1f} % of the scan." if is_number(entry.get("narrow")) else ""
    return tag("figure", shown, tag("figcaption", tag("strong", f"Row {entry.get('row')}. "), says, where))


def _says(entry: dict[str, Any]) -> str:
    if isinstance(entry.get("measures"), dict):
        return "; ".join(f"{label(k)} {number(v, 2)}" for k, v in list(entry["measures"].items())[:3] if is_number(v))
    if is_number(entry.get("sure")):
        return f"said {short(str(entry.get('said')), 24)} ({100 * entry['sure']:.0f} %), true {short(str(entry.get('true')), 24)}."
    return f"said {number(entry.get('said'), 3)}, true {number(entry.get('true'), 3)}."


def _sanity(found: Any) -> Html | None:
    """Whether random weights change the maps, in a sentence."""
    if not isinstance(found, dict) or not found.get("correlations"):
        return None
    last, n = float(found["correlations"][-1]), found.get("n")
    first = float(found["correlations"][0])
    says = f"rank correlation with the maps of the trained network {first:.2f} with a random last layer, {last:.2f} with all weights random, {n} scans"
    if found.get("passes"):
        return tag("p", f"The maps depend on what was learnt: {says} (Adebayo et al. 2018).")
    warned = f"These maps do NOT depend on what was learnt: {says} (Adebayo et al. 2018). They show the picture more than the model; draw no conclusion from them."
    return tag("div", tag("p", tag("strong", warned)), class_="box")


# -- volumes ----------------------------------------------------------------------------------------------------------


def cases(m: Material) -> list[Case]:
    """The volumes that the run keeps, for the viewer's page: with heat maps, or with what should be drawn on them and what was."""
    looked, drawn = (m.get("explanation", name, default={}) for name in ("scans", "drawings"))
    out = []
    for held, groups, layers in ((looked, GROUPS, HEAT), (drawn, DRAWN, MASKS)):
        for group, words in groups.items():
            for entry in _entries(held, group):
                data = {kind: _bytes(entry.get(key)) for kind, (key, _, _) in layers.items()}
                if all(data.values()):
                    made = tuple(
                        Layer(kind, f"{key}.nii.gz", data[kind], text, values, _labels(held, kind, text)) for kind, (key, text, values) in layers.items()
                    )
                    heading = (words[0] if isinstance(words, tuple) else words).partition(":")[0].lower()
                    out.append(Case(f"row {entry.get('row')}: {heading}", _says(entry), made, at=_at(entry.get("at"))))
    return out


def viewer_page(m: Material) -> str:
    """The page with all volumes; "" where there are none."""
    found = cases(m)
    return page(f"Scans: {m.chosen}", found, "Held-out rows, each by the model of its fold. Reduced volumes.") if found else ""


def _labels(held: dict[str, Any], kind: str, words: str) -> tuple[Label, ...]:
    """The classes of a mask with their colours; of a run that does not name them, one."""
    if kind not in COLOURS:
        return ()
    names = held.get("classes")
    names = [short(str(n), 40) for n in names] if isinstance(names, list) else []
    return labelled(np.zeros(1, np.uint8), kind, dict(enumerate(names, 1)), words)[1]


def _at(value: Any) -> tuple[float, float, float]:
    """Shares of three axes; the middle where they are none."""
    if isinstance(value, list) and len(value) == 3 and all(is_number(v) for v in value):
        return tuple(min(max(float(v), 0.0), 1.0) for v in value)
    return (0.5, 0.5, 0.5)


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return b""
