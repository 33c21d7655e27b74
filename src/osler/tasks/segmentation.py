"""Which pixels of a scan belong to what: masks of classes, or of things one by one."""

from __future__ import annotations

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.tasks import reading
from osler.tasks.drawn import Drawn


class Segmentation(Drawn):
    """Masks of one or several classes; with the option `instances` of the target column, of every thing apart."""

    kind = "segmentation"
    modality = "mask"
    judge = "osler.evaluation.masks:Masks"
    metrics = ("dice", "jaccard", "hd95", "asd", "nsd", "ap", "ap_50", "f1_50")
    primary = "dice"
    bigger_is_better = True

    def usual(self, column: Column) -> str:
        """A U-Net that configures itself."""
        return "unet"

    def plain(self, column: Column) -> str:
        """Where things lie usually; of things apart, what a threshold finds."""
        return "threshold" if self.modality_of(column).is_apart(column) else "atlas"

    def judged_by(self, column: Column) -> str:
        """Overlap of classes; of things apart how many are found."""
        return "osler.evaluation.masks:Things" if self.modality_of(column).is_apart(column) else self.judge

    def measures(self, column: Column) -> tuple[str, ...]:
        """Overlap and distances of classes; of things apart how many were found."""
        of_things = ("ap", "ap_50", "f1_50", "dice", "jaccard")
        return of_things if self.modality_of(column).is_apart(column) else self.metrics[:5]

    def marked(self, cohort: Cohort) -> list[np.ndarray | None]:
        """Per row the codes of the classes that its mask holds; of things apart a 1 for each."""
        column = reading.one_target(cohort)
        modality = self.modality_of(column)
        apart, numbers = modality.is_apart(column), list(column.options.get("numbers", ()))
        out: list[np.ndarray | None] = []
        for found in modality.found(cohort.values(column.name), cohort.root):
            if found is None:
                out.append(None)
            elif apart:
                out.append(np.ones(len(found[0]), dtype=np.int64))
            else:
                out.append(np.array([numbers.index(k) + 1 for k in found[0].tolist() if k in numbers], dtype=np.int64))
        return out
