"""One model of the service: its predictor, its rows, its answers as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from osler.engine.parts import molecule_columns, parts_of_rows
from osler.engine.predict import rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.quick import QuickAnswers
from osler.engine.run import Run
from osler.errors import InputError, OslerError
from osler.registry import load
from osler.report.attribution import picture, sum_text
from osler.report.markup import anchor
from osler.service.batching import MOST_TOGETHER, Batcher
from osler.service.pages import Drawing
from osler.service.rowmodel import RowModel
from osler.service.uploads import received, takes_files

Row = Mapping[str, Any]

#: What explains rows; loaded when it is first asked for.
EXPLAIN = {"rows": "osler.engine.explain:explain_rows"}


@dataclass(frozen=True)
class Served:
    """A predictor under a name of its own.

    Attributes:
        name: its part of the address, `[a-z0-9][a-z0-9._-]{0,63}`.
        predictor: what answers.
        card_text: card.md for people.
    """

    name: str
    predictor: Predictor
    card_text: str = ""

    @cached_property
    def rows(self) -> RowModel:
        """What a row may be."""
        return RowModel(self.predictor)

    @cached_property
    def batcher(self) -> Batcher[dict[str, Any]]:
        """Where rows wait for their answer."""
        return Batcher(self.answers, together=0 if self.takes_files else MOST_TOGETHER)

    @cached_property
    def takes_files(self) -> bool:
        """Whether rows bring pictures or scans."""
        return takes_files(self.predictor.inputs)

    @cached_property
    def _quick(self) -> QuickAnswers:
        return QuickAnswers(self.predictor)

    def answers(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Per row its prediction columns, and under `refusals` the cells that could not be used."""
        with received(rows, self.predictor.inputs) as (placed, root):
            columns, cohort = self._quick.answer(placed, root)
        values = [[None if v != v else v for v in column.to_list()] for column in columns.values()]
        made: list[dict[str, Any]] = [{**dict(zip(columns, row)), "refusals": []} for row in zip(*values)]
        for line in cohort.refusals.to_dicts() if cohort.refusals.height else ():
            refusal = {"column": line["column"], "reason": line["reason"], "action": line["action"]}
            made[line["row"] - 1]["refusals"].append(refusal)
        return made

    async def explained(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Per row what every column contributed; one call at a time, beside the predictions."""
        explain_rows = load(EXPLAIN, "explanations", "rows")

        def work() -> list[dict[str, Any]]:
            with received(rows, self.predictor.inputs) as (placed, root):
                found = explain_rows(self.predictor, rows_cohort(self.predictor, placed, root))
            for i, row in enumerate(found, 1):
                for column, told in row.get("parts", {}).items():
                    drawn = picture(f"row-{i}-{anchor(column)}", told, f"Row {i}: what the atoms of {column} add")
                    told["svg"] = "" if drawn is None else str(drawn.svg(alone=True))
            return found

        return await self.batcher.aside(work)

    async def drawn(self, rows: Sequence[Row]) -> list[Drawing]:
        """The molecules of one row, atoms and bonds coloured, and its scans with their heat maps; none where there is none or it
        cannot be explained.
        """
        if not molecule_columns(self.predictor) and not self.takes_files:
            return []

        def work() -> list[Drawing]:
            return [*self._molecules(rows), *self._scans(rows)]

        return await self.batcher.aside(work)

    def _molecules(self, rows: Sequence[Row]) -> list[Drawing]:
        if not molecule_columns(self.predictor):
            return []
        cohort = rows_cohort(self.predictor, list(rows))
        try:
            told = parts_of_rows(self.predictor, cohort, whole=False)[0]["parts"]
        except OslerError:
            return []
        pictures = {
            column: picture(f"molecule-{i}", one, f"What the atoms of {column} add")
            for i, (column, one) in enumerate(told.items(), 1)
        }
        return [Drawing(drawn.svg(), sum_text(told[c])) for c, drawn in pictures.items() if drawn is not None]

    def _scans(self, rows: Sequence[Row]) -> list[Drawing]:
        if not self.takes_files:
            return []
        from osler.service import scans

        with received(rows, self.predictor.inputs) as (placed, root):
            return [Drawing(*made) for made in scans.pictures(scans.heats(self.predictor, placed[0], root))]

    async def viewed(self, rows: Sequence[Row]) -> str:
        """A page that shows the scans of one row with their heat maps; "" where it has none."""

        def work() -> str:
            from osler.service import scans

            with received(rows, self.predictor.inputs) as (placed, root):
                found = scans.heats(self.predictor, placed[0], root)
                return scans.page(found, f"{self.name}: where the evidence lies") if found else ""

        return await self.batcher.aside(work)

    def answer_names(self) -> dict[str, pl.DataType]:
        """Prediction columns and their types, for the schema."""
        columns, _ = self._quick.answer([{}])
        return {name: values.dtype for name, values in columns.items()}

    def card(self) -> dict[str, Any]:
        """Facts about the model as JSON."""
        p = self.predictor
        return {
            "model": self.name, "task": p.task, "target": list(p.target), "classes": list(p.classes), "horizon": p.horizon,
            "chosen": p.chosen, "certificate": p.certificate, "card": p.card, "card_text": self.card_text,
            "columns": [{"name": c.name, "modality": c.modality, "unit": c.unit} for c in p.inputs],
        }  # fmt: skip


def open_runs(folders: Sequence[Path]) -> tuple[Served, ...]:
    """The predictors of runs (or predictor folders), each under a name made from its folder; doubled names get a
    number.

    Raises:
        InputError: no folder was named, or one is not a run (code `run-missing`) or its predictor is not whole.
    """
    if not folders:
        raise InputError("at least one run folder must be named", "run-missing")
    served: dict[str, Served] = {}
    for folder in folders:
        folder = Path(folder)
        home = folder if (folder / "manifest.json").is_file() else Run.load(folder).folder / "predictor"
        predictor = Predictor.load(home)
        cards = [p for p in (folder / "card.md", home / "card.md") if p.is_file()]
        name = base = name_of(folder)
        number = 2
        while name in served:
            name, number = f"{base}-{number}", number + 1
        served[name] = Served(name, predictor, cards[0].read_text(encoding="utf-8") if cards else "")
    return tuple(served.values())


def name_of(folder: Path) -> str:
    """A folder's name as part of an address."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._")[:48]
    return name or "model"
