"""`osler quality`: scans named one by one, or a table of them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.instruments.quality import Quality, QualityOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _quality(images: list[str], out: Path | None, options: Any) -> int:
    from osler.cli import show, show_regions
    from osler.cohort.read import read
    from osler.instruments import scans

    if len(images) == 1 and scans.is_table(images[0]):
        show.show_findings(Quality().run(read(images[0]), options), out)
        return 0
    found = Quality().run(scans.files([{"image": path} for path in images]), options)
    show_regions.show_quality(found)
    show.write_findings(found, out)
    return 0


_quality.__doc__ = f"{Quality.summary}\n\nExample: {Quality.example}"
quality = flags_from(QualityOptions, _quality, [
    inspect.Parameter("images", _KEYWORD, annotation=list[str], default=typer.Argument(..., help="pictures, volumes or series; or one table")),
    inspect.Parameter("out", _KEYWORD, annotation=Path | None, default=typer.Option(None, "--out", help="CSV, Parquet, or a folder with the sheet")),
])  # fmt: skip
