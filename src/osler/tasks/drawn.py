"""What is to be drawn on scans: what the tasks have in common whose answer is a mask or boxes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import numpy as np

from osler import registry
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import TargetError
from osler.scenes import Asked, Drawing
from osler.tasks import reading
from osler.tasks.base import Prediction, Target, Task

#: Modalities whose cells name scans, and how many axes these have.
SCANS = {"image": 2, "volume": 3}


class Judge(Protocol):
    """How good drawings are: of one scan, and of all.

    Attributes:
        primary: the measure that chooses between models.
        bigger_is_better: for it.
    """

    primary: str
    bigger_is_better: bool

    def record(
        self, truth: Drawing, answer: Drawing, spacing: np.ndarray, asked: Asked, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What one answer is worth, as JSON: numbers go into the table of measures, lists are only pooled. `options` are the target column's."""

    def score(
        self, records: Sequence[Mapping[str, Any]], groups: np.ndarray, asked: Asked, rng: np.random.Generator, n_boot: int
    ) -> dict[str, dict[str, Any]]:
        """Every measure over all scans: name → value, low, high, n, by a bootstrap of units."""

    def curves(self, records: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any]:
        """Curves over all scans for the report, as JSON; {} where there are none."""


class Drawn(Task):
    """A task whose target column names what is drawn on the scans beside it.

    Class attributes: `modality` (of the target column), `judge` ("module:Class" of its `Judge`), `usual` (the model where none is named),
    `plain` (the drawer that stands beside it as baseline, "" for none).
    """

    modality: ClassVar[str]
    judge: ClassVar[str]

    @abstractmethod
    def usual(self, column: Column) -> str:
        """The model to fit where none is named."""

    @abstractmethod
    def plain(self, column: Column) -> str:
        """The simple drawer that a model must beat, "" for none."""

    def judged_by(self, column: Column) -> str:
        """"module:Class" of the judge for this column."""
        return self.judge

    def measures(self, column: Column) -> tuple[str, ...]:
        """Those of `metrics` that this column is judged by."""
        return self.metrics

    @abstractmethod
    def marked(self, cohort: Cohort) -> list[np.ndarray | None]:
        """Per row the codes (from 1) of what is drawn, one per class of a mask or per thing; None where that cannot be read."""

    @staticmethod
    def scans(cohort: Cohort) -> tuple[Column, ...]:
        """The input columns of scans, the first of which the answer is drawn on.

        Raises:
            TargetError: there is none, or pictures stand beside volumes.
        """
        found = tuple(c for c in cohort.role("input") if c.modality in SCANS)
        if not found:
            raise TargetError("there must be a column of scans to draw on, there is none: declare one with --column NAME=image or NAME=volume", "column-kind")
        if len({c.modality for c in found}) > 1:
            raise TargetError("scans to draw on must all be pictures or all volumes, they are both: leave some out with --ignore", "column-kind")
        return found

    def modality_of(self, column: Column) -> Any:
        """The modality of the target column.

        Raises:
            TargetError: it is another one than this task's.
        """
        if column.modality != self.modality:
            raise TargetError(
                f"target '{column.name}' must be a column of {self.modality} for {self.kind}, it is {column.modality}: "
                f"declare it with --column {column.name}={self.modality}",
                "column-kind",
            )
        return registry.load(registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index"), "modalities", column.modality)()

    def settled(self, cohort: Cohort) -> Cohort:
        """Only scans as inputs, and the classes written into the target column's options, so that they mean the same everywhere."""
        self.scans(cohort)
        target = reading.one_target(cohort)
        known = self.modality_of(target).settled(cohort.values(target.name), target, cohort.root)
        columns = []
        for column in cohort.columns:
            if column.name == target.name:
                column = known
            elif column.role == "input" and column.modality not in SCANS:
                column = column.with_(role="ignore", reason="nothing is drawn on it")
            columns.append(column)
        return replace(cohort, columns=tuple(columns))

    def asked(self, columns: Sequence[Column], channels: Sequence[str] = ()) -> Asked:
        """What is to be drawn, from settled columns with their roles."""
        target = next(c for c in columns if c.role == "target")
        dims = next(SCANS[c.modality] for c in columns if c.role == "input" and c.modality in SCANS)
        modality = self.modality_of(target)
        return Asked(self.kind, modality.classes(target), dims, tuple(channels), modality.is_apart(target))

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reason → (n,) rows without a scan, without a drawing, or with one that does not belong to the scan."""
        target, scans = reading.one_target(cohort), self.scans(cohort)
        found = {f"'{c.name}' is missing": cohort.values(c.name).is_null().to_numpy() for c in (*scans, target)}
        wrong = self.modality_of(target).unfit(cohort.values(target.name), cohort.values(scans[0].name), cohort.root)
        for reason in dict.fromkeys(w for w in wrong if w):
            found[f"'{target.name}' and '{scans[0].name}': {reason}"] = np.array([w == reason for w in wrong], dtype=bool)
        return found

    def check(self, cohort: Cohort) -> None:
        """Refuse a target that cannot be learnt from.

        Raises:
            TargetError: no row has a scan with a drawing that fits, nothing is drawn anywhere, or only one unit has drawings.
        """
        column = reading.one_target(cohort)
        usable = np.ones(len(cohort), dtype=bool)
        reading.need_units(cohort, column.name, usable)
        if not any(m is not None and len(m) for m in self.marked(cohort)):
            raise TargetError(f"target '{column.name}' must mark something in some row, it marks nothing: name another column", "target-constant")

    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """`y` is a number to stratify by: which classes are drawn, or where that is the same in every row, how much (in five bins)."""
        column = reading.one_target(cohort)
        marked = [np.empty(0, dtype=np.int64) if m is None else m for m in self.marked(cohort)]
        kinds = [tuple(np.unique(m).tolist()) for m in marked]
        codes = {kind: i for i, kind in enumerate(sorted(set(kinds)))}
        y = np.array([codes[k] for k in kinds], dtype=np.int64)
        if len(codes) == 1 and len(y):
            counts = np.array([len(m) for m in marked], dtype=np.float64)
            y = np.searchsorted(np.quantile(counts, [0.2, 0.4, 0.6, 0.8]), counts).astype(np.int64)
        return Target(self.kind, (column.name,), y, classes=self.modality_of(column).classes(column))

    def baseline(self, target: Target) -> dict[str, Any]:
        """Nothing is learnt here: the baseline of a drawn task is a drawer (`plain`)."""
        return {"kind": self.kind}

    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """No columns: drawings are no predictions of numbers."""
        return Prediction(np.empty((n, 0)))

    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) zeros: drawings are judged by `judge`."""
        return np.zeros(len(target))
