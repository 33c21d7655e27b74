"""TRIPOD+AI filled from a run: every sub-item is auto (from the run), answered or ask (a question to the user), or n/a
with a reason.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from osler.report.items import ITEMS, SubItem
from osler.report.material import Material
from osler.report.tripod_drawn import DRAWN, KINDS
from osler.report.tripod_texts import AUTO, NOT_APPLICABLE

STATUSES = ("auto", "answered", "ask", "n/a")


@dataclass(frozen=True)
class Filled:
    """A sub-item with what the run and the user say about it.

    Attributes:
        item: the sub-item. status: one of `STATUSES`.
        text: what the run knows, or why the item does not apply; never invented. answer: the user's words.
    """

    item: SubItem
    status: str
    text: str
    answer: str = ""


def fill(material: Material) -> list[Filled]:
    """All 52 sub-items, in order."""
    return [_fill(item, material) for item in ITEMS]


def _fill(item: SubItem, material: Material) -> Filled:
    reason = NOT_APPLICABLE[item.key](material) if item.key in NOT_APPLICABLE else ""
    answer = material.answers.get(item.key, "")
    known = {**AUTO, **DRAWN} if material.kind in KINDS else AUTO
    text = known[item.key](material) if item.key in known else ""
    if answer:
        return Filled(item, "answered", text, answer)
    if reason:
        return Filled(item, "n/a", reason)
    if item.question:
        return Filled(item, "ask", text)
    return Filled(item, "auto", text or "Not recorded by this run.")


def open_questions(filled: list[Filled]) -> int:
    """How many sub-items wait for the user."""
    return sum(f.status == "ask" for f in filled)


def to_csv(filled: list[Filled]) -> str:
    """The checklist as CSV: item, section, what must be reported, status, text, question, answer. No cell is a
    formula.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["item", "section", "asks", "status", "text", "question", "answer"])
    for f in filled:
        row = [
            f.item.key,
            f.item.section,
            f.item.asks,
            f.status,
            f.text,
            f.item.question if f.status == "ask" else "",
            f.answer,
        ]
        writer.writerow([f"'{v}" if v[:1] in "=+-@\t\r＝＋－＠|%" and v else v for v in row])
    return out.getvalue()


def to_json(filled: list[Filled]) -> dict[str, object]:
    """The checklist as JSON: counts by status, and every sub-item."""
    counts = {s: sum(f.status == s for f in filled) for s in STATUSES}
    rows = [
        {
            "item": f.item.key,
            "section": f.item.section,
            "status": f.status,
            "text": f.text,
            "question": f.item.question,
            "answer": f.answer,
        }
        for f in filled
    ]
    return {"format": "osler.tripod/1", "list": "TRIPOD+AI 2024", "counts": counts, "items": rows}
