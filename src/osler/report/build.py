"""Write the pages of a run folder: report.html, card.md, figures, and the TRIPOD+AI table."""

from __future__ import annotations

import json
from pathlib import Path

from osler.engine.files import write_atomic
from osler.report import looks, tripod
from osler.report.answers import read_answers, write_questions
from osler.report.card import card
from osler.report.material import Material
from osler.report.page import page


def card_of(folder: Path) -> str:
    """The model card (Markdown) of a run folder's members: what the predictor carries with it.

    Raises:
        ReadError, OptionError: as `build`.
    """
    folder = Path(folder)
    return card(Material.load(folder, read_answers(folder)))


def build(folder: Path) -> list[Path]:
    """Write report.html, card.md, tripod.csv, tripod.json and figures/*.svg from the members of a run folder, and scans.html where
    it keeps volumes that a network looked at.

    answers.yaml, with every question that only people can answer, is written if the folder has none, and read if it
    has.

    Args:
        folder: a run folder; members that are absent leave their sections out.

    Returns:
        What was written.

    Raises:
        ReadError: answers.yaml is not `key: text` lines.
        OptionError: answers.yaml has a key that is no question.
    """
    folder = Path(folder)
    material = Material.load(folder, read_answers(folder))
    filled = tripod.fill(material)
    html, figures = page(material, filled)
    pictures = folder / "figures"
    pictures.mkdir(exist_ok=True)
    texts = {
        folder / "report.html": html, folder / "card.md": card(material), folder / "tripod.csv": tripod.to_csv(filled),
        folder / "tripod.json": json.dumps(tripod.to_json(filled), indent=1, ensure_ascii=False) + "\n",
        **{pictures / f"{f.name}.svg": f.svg(alone=True) for f in figures},
    }  # fmt: skip
    turned = looks.viewer_page(material)
    if turned:
        texts[folder / looks.PAGE] = turned
    for path, text in texts.items():
        write_atomic(path, text.encode("utf-8", errors="replace"))
    asked = write_questions(folder)
    return [*texts, *([asked] if asked else [])]
