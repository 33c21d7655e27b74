"""`osler report`: write a run's report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(run: Annotated[Path, typer.Argument(help="run folder")]) -> int:
    """Write report.html, card.md and the TRIPOD+AI table of a finished run again.

    Example: osler report runs/heart
    """
    from osler.engine.run import Run
    from osler.report.build import build

    for written in build(Run.load(run).folder):
        print(f"written: {written}")
    return 0
