"""Answer for new rows: read, check against what the predictor was trained with, predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from osler.cohort import check, dates, sources
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.read import read
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.scenes.predict import as_scans
from osler.engine.validate import typed
from osler.errors import ColumnError, OptionError, nearest
from osler.tasks.base import DRAWN


def predict(run: Run | Predictor | str | Path, source: Cohort | str | Path) -> Cohort:
    """New rows with prediction columns.

    Args:
        run: a run, its folder, or a predictor.
        source: a table that `osler.read` reads; columns are matched by name, extra columns are carried along.

    Returns:
        The rows of `source` with the columns of `osler.engine.answer`; `refusals` says which cells were unusable.

    Raises:
        ColumnError: none of the predictor's columns is there; the nearest names are suggested.
    """
    predictor = open_predictor(run)
    cohort = source if isinstance(source, Cohort) else read_for(predictor, source)
    if predictor.task in DRAWN:
        cohort = as_scans(predictor, cohort)
    with typed("reading a table in its terms"):
        cohort = as_trained(predictor, cohort)
    return predictor.predict(cohort)


def read_for(predictor: Predictor, source: str | Path) -> Cohort:
    """A table with the predictor's inputs read as what they were in training."""
    raw = sources.open_source(source)
    return read(raw, columns={c.name: c.modality for c in predictor.inputs if c.name in raw.table.columns})


def open_predictor(run: Run | Predictor | str | Path) -> Predictor:
    """The predictor of a run, of its folder, of a predictor's folder, or the predictor itself."""
    if isinstance(run, Predictor):
        return run
    if isinstance(run, Run):
        return run.predictor
    folder = Path(run)
    if (folder / "manifest.json").is_file():
        return Predictor.load(folder)
    return Run.load(folder).predictor


def answers_in_numbers(predictor: Predictor, what: str) -> None:
    """Refuse a predictor that answers with masks or boxes where numbers are needed.

    Raises:
        OptionError: it does (code `export` where it was to be exported).
    """
    if predictor.task in DRAWN:
        code = "export" if what == "exported" else "option"
        raise OptionError(f"only a run that answers in numbers can be {what}, this one draws: use osler predict RUN FOLDER --out FOLDER", code)


def as_trained(predictor: Predictor, cohort: Cohort) -> Cohort:
    """The cohort with its columns read in the predictor's terms: same modality, options, coding and cleaning.

    A column that is absent is wholly missing, which the prediction copes with and `in_domain` tells; at least half of
    the predictor's columns must be there.

    Raises:
        ColumnError: fewer than half of the columns are there.
    """
    held = {c.name for c in cohort.columns}
    lost = [c.name for c in predictor.inputs if c.name not in held]
    if len(lost) * 2 > len(predictor.inputs) or len(lost) == len(predictor.inputs):
        hint = nearest(lost[0], held)
        raise ColumnError(
            f"at least half of the predictor's {len(predictor.inputs)} columns "
            f"must be in the table, {len(lost)} are not, "
            f"first '{lost[0]}': {hint}"
        )
    known = {c.name: c for c in predictor.columns}
    columns = tuple(_like(c, known[c.name]) if c.name in known else c.with_(role="ignore") for c in cohort.columns)
    return check.clean(replace(cohort, columns=columns))


def _like(column: Column, trained: Column) -> Column:
    return trained.with_(name=column.name)


def rows_cohort(predictor: Predictor, rows: list[dict[str, Any]], root: Path | None = None) -> Cohort:
    """Rows given as dicts (one HTTP request, one form) as a cohort in the predictor's terms; absent keys are
    missing, references start from `root`.
    """
    data: dict[str, pl.Series] = {}
    for column in predictor.inputs:
        values = [row.get(column.name) for row in rows]
        if column.modality == "number":
            data[column.name] = pl.Series(column.name, values, dtype=pl.Float64, strict=False)
        elif column.modality == "date":
            data[column.name] = read_dates(values, predictor.states[column.name]["state"])
        else:
            data[column.name] = pl.Series(
                column.name, [None if v is None else _text(v) for v in values], dtype=pl.String
            )
    data[ROW] = pl.Series(ROW, range(1, len(rows) + 1), dtype=pl.Int64)
    return check.clean(Cohort(pl.DataFrame(data), predictor.inputs, root=root))


def read_dates(values: list[Any], state: dict[str, Any]) -> pl.Series:
    """Texts (n,) as moments: ISO 8601, or as the training table wrote them; null where neither reads."""
    texts = pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    return dates.parse(texts, [*state["formats"], *(f for f in dates.FORMATS if f.startswith("%Y-%m-%d"))])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
