"""Predictions of anyone's model: scored by `osler.evaluation.foreign`, written as scores.json and details.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.engine.files import write_atomic
from osler.evaluation.foreign import evaluate_predictions


def evaluate_table(source: str | Path, out: str | Path | None = None, **options: Any) -> dict[str, Any]:
    """Score a table of predictions and, with `out`, write `scores.json` (as a run's) and `details.json` there.

    Args:
        source: the table.
        out: folder to write.
        options: as `osler.evaluation.foreign.evaluate_predictions`.
    """
    found = evaluate_predictions(source, **options)
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        rest = {key: value for key, value in found.items() if key != "scores"}
        write_atomic(folder / "scores.json", json.dumps(found["scores"], indent=1).encode())
        write_atomic(folder / "details.json", json.dumps(rest, indent=1, default=str).encode())
    return found
