"""Write the pages of a run folder: report.html and card.md."""

from __future__ import annotations

import html
import json
from pathlib import Path


def build(folder: Path) -> list[Path]:
    """Write `report.html` and `card.md` from the JSON members of a run folder; returns what was written."""
    scores = json.loads((folder / "scores.json").read_text())
    rows = "".join(
        f"<tr><td>{html.escape(part)}</td><td>{html.escape(model)}</td><td>{html.escape(str(m))}</td></tr>"
        for part, models in scores["parts"].items()
        for model, m in models.items()
    )
    (folder / "report.html").write_text(f"<!doctype html><meta charset=utf-8><title>Osler</title><table>{rows}</table>")
    (folder / "card.md").write_text(f"# Model card\n\nchosen: {scores['chosen']}\n")
    return [folder / "report.html", folder / "card.md"]
