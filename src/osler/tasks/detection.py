"""Which things lie where on a scan: boxes with a class and how sure the model is of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import refusals
from osler.tasks import reading
from osler.tasks.drawn import Drawn


class Detection(Drawn):
    """Boxes round things of one or several classes, in pictures or volumes."""

    kind = "detection"
    modality = "boxes"
    judge = "osler.evaluation.froc:FoundBoxes"
    metrics = ("map_50", "map", "cpm", "sensitivity_at_1")
    primary = "map_50"
    bigger_is_better = True

    def usual(self, column: Column) -> str:
        """The one-stage network."""
        return "retina"

    def plain(self, column: Column) -> str:
        """None: there is no simple way to find things of any kind."""
        return ""

    def settled(self, cohort: Cohort) -> Cohort:
        """As of every drawn task; boxes that cannot be asked for are in the ledger."""
        cohort = super().settled(cohort)
        target, scans = reading.one_target(cohort), self.scans(cohort)
        doubts = self.modality_of(target).doubts(cohort.values(target.name), cohort.values(scans[0].name), target, cohort.root)
        rows = cohort.rows.tolist()
        ledger = [cohort.refusals]
        for why in dict.fromkeys(w for one in doubts for w in one):
            ledger.append(refusals([r for r, one in zip(rows, doubts) for w in one if w == why], target.name, why, "box left out"))
        return replace(cohort, refusals=pl.concat(ledger))

    def marked(self, cohort: Cohort) -> list[np.ndarray | None]:
        """Per row the codes of its boxes' classes, from 1."""
        column = reading.one_target(cohort)
        return [None if m is None else m + 1 for m in self.modality_of(column).found(cohort.values(column.name), column, cohort.root)]
