"""The scans of one request with their heat maps: small pictures beside the answer, and the page that shows them whole."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osler.adapters.imaging.overlay import jpeg
from osler.engine.heat import Heat, drawn, heat_of, scan_columns
from osler.engine.predict import rows_cohort
from osler.engine.predictor import Predictor
from osler.errors import OslerError
from osler.report import viewer
from osler.report.markup import tag

#: Slices of a volume that the small picture shows.
SLICES = 6


def heats(predictor: Predictor, row: Mapping[str, Any], root: Path | None) -> list[Heat]:
    """A map for every scan of one row; none where there is no scan, or it cannot be explained."""
    cohort = rows_cohort(predictor, [dict(row)], root)
    found = []
    for column in scan_columns(predictor):
        try:
            found += [heat for heat in heat_of(predictor, cohort, column) if heat is not None]
        except OslerError:
            continue
    return found


def pictures(found: list[Heat]) -> list[tuple[str, str]]:
    """Each map over its scan as safe markup, and in words."""
    made = []
    for heat in found:
        data = base64.b64encode(jpeg(drawn(heat, None, SLICES))).decode()
        made.append((tag("img", src=f"data:image/jpeg;base64,{data}", alt=f"{heat.column} with its heat map"), words(heat)))
    return made


def words(heat: Heat) -> str:
    """What a map shows."""
    of = f"speaks for {heat.output}" if heat.output else "raises the answer"
    where = f"half of the heat lies in {100 * heat.narrow():.1f} % of the scan" if heat.values.any() else "nothing in the scan does"
    return f"{heat.column}: what {of}, by {heat.way}; {where}. A hint, not a finding."


def page(found: list[Heat], title: str) -> str:
    """The viewer's page with all scans of one row."""
    cases = [viewer.case(heat.column, words(heat), heat.scan, None, heat.values) for heat in found]
    return viewer.page(title, cases, "Made for this request; the server keeps nothing of it.")
