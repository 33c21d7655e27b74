"""`osler measure`: regions of one scan or of a table of scans."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.instruments.measure import Measure, MeasureOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _measure(path: str | None, mask_file: str | None, out: Path | None, options: Any) -> int:
    from osler.cli import show, show_regions
    from osler.cohort.read import read
    from osler.instruments import scans
    from osler.instruments.measure.instrument import of_files

    if path is not None and mask_file is None and scans.is_table(path):
        show.show_findings(Measure().run(read(path), options), out)
        return 0
    found = Measure().run(*of_files(path, mask_file, options))
    show_regions.show_regions(found)
    show.write_findings(found, out)
    return 0


_measure.__doc__ = f"{Measure.summary}\n\nExample: {Measure.example}\n\nExample: osler measure --before may.nii.gz --after july.nii.gz --days 61"
measure = flags_from(MeasureOptions, _measure, [
    inspect.Parameter("path", _KEYWORD, annotation=str | None, default=typer.Argument(None, help="image, or mask alone, or a table of both")),
    inspect.Parameter("mask_file", _KEYWORD, annotation=str | None, default=typer.Argument(None, help="mask of the image")),
    inspect.Parameter("out", _KEYWORD, annotation=Path | None, default=typer.Option(None, "--out", help="CSV or Parquet file, or a folder")),
])  # fmt: skip
