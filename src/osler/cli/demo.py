"""`osler demo`: the main job on real data that comes with the install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="run folder to write")] = Path("osler-demo"),
    workers: Annotated[int, typer.Option(help="processes; 0 is one per core")] = 0,
) -> int:
    """Learn to tell malignant from benign breast masses (569 patients, Wisconsin), with report and certificate.

    Example: osler demo
    """
    from osler.catalogue import tables
    from osler.cli.show import show_run
    from osler.engine.fit import fit

    print("569 real patients from the install: 30 measurements of cell nuclei, benign or malignant.")
    run = fit(tables.read("breast_cancer"), out, positive="malignant", repeats=1, workers=workers)
    show_run(run)
    print(f"Next: open {run.folder / 'report.html'}, then: osler verify {run.folder}; osler serve {run.folder}")
    return 0
