"""Which pixels of a scan belong to what: masks of classes, or of things one by one."""

from __future__ import annotations

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.finding import Finding
from osler.tasks import reading
from osler.tasks.drawn import Drawn

#: Scans, their share, and the share of voxels of a class below which it is called rare.
_FEW_SCANS, _FEW_SHARE, _FEW_VOXELS = 20, 0.1, 0.001


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

    def noticed(self, cohort: Cohort) -> tuple[Finding, ...]:
        """Classes that few scans have or that fill little of those that do; scans with nothing drawn."""
        column = reading.one_target(cohort)
        modality, values = self.modality_of(column), cohort.values(column.name)
        masks = [(m, n) for m, n in zip(modality.found(values, cohort.root), modality.voxels(values, cohort.root)) if m is not None]
        if modality.is_apart(column) or not masks:
            return ()
        findings = []
        nothing = sum(not len(numbers) for (numbers, _), _ in masks)
        if nothing:
            message = f"{_told(nothing, len(masks))} of mask '{column.name}' have nothing drawn"
            findings.append(Finding("mask-empty", "note", column.name, nothing, message, "right where nothing is there to find; otherwise leave them out"))
        for number, name in zip(column.options["numbers"], column.options["names"]):
            held = [(int(counts[numbers == number].sum()), n) for (numbers, counts), n in masks if (numbers == number).any()]
            share = sum(k for k, _ in held) / max(1, sum(n for _, n in held))
            if held and (len(held) < min(_FEW_SCANS, len(masks)) or len(held) < _FEW_SHARE * len(masks) or share < _FEW_VOXELS):
                message = f"class '{name}' of mask '{column.name}' is in {_told(len(held), len(masks))} and fills {100 * share:.2g} % of their voxels"
                advice = "drawing networks sample windows around it; its own measures say how well that went"
                findings.append(Finding("class-voxels", "note", column.name, len(held), message, advice))
        return tuple(findings)


def _told(n: int, of: int) -> str:
    """How many of all, small numbers not told exactly."""
    return f"{n if n >= 10 or of < 10 else 'fewer than 10'} of {of} scans"
