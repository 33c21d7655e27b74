"""What is being asked: a target read from a cohort, and the shape of a good answer to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.finding import Finding

#: Kinds whose answer is one or a few numbers per row.
VALUED = ("binary", "multiclass", "multilabel", "regression", "survival")

#: Kinds whose answer is drawn on scans (`osler.tasks.drawn`).
DRAWN = ("segmentation", "detection")

KINDS = (*VALUED, *DRAWN)


@dataclass(frozen=True)
class Target:
    """The asked-for values of some rows.

    Attributes:
        kind: one of `KINDS`.
        names: the target column, or the label columns of multilabel, or (duration, event) of survival.
        y: binary, multiclass: (n,) int64 class codes; regression: (n,) float64; multilabel: (n, k) float64 of 0, 1 and
            NaN for a label that was not assessed; survival: (n,) float64 durations; what is drawn: (n,) int64, a number to
            stratify by.
        event: (n,) bool, true where the event was seen; survival only, otherwise None.
        classes: class names in code order; binary: (negative, positive). Multilabel: the label names. Segmentation: the
            background first.
        horizon: survival: the time at which a probability is quoted (unit of the duration column); otherwise None.
        weight: (n,) float64 case weights, or None.
    """

    kind: str
    names: tuple[str, ...]
    y: np.ndarray
    event: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    horizon: float | None = None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Target:
        """The target of some rows (positions or mask)."""
        pick = lambda a: None if a is None else a[rows]  # noqa: E731
        return replace(self, y=self.y[rows], event=pick(self.event), weight=pick(self.weight))

    @property
    def n_outputs(self) -> int:
        """Columns of `Prediction.value` for every kind but survival (whose columns are times)."""
        return len(self.classes) if self.kind in ("binary", "multiclass", "multilabel") else 1

    @property
    def strata(self) -> np.ndarray:
        """(n,) int codes to stratify a split by: class, event indicator, or five bins of a number."""
        if self.kind in ("binary", "multiclass", *DRAWN):
            return self.y
        if self.kind == "survival":
            return self.event.astype(np.int64)
        if self.kind == "multilabel":
            return np.zeros(len(self), dtype=np.int64)
        edges = np.quantile(self.y, [0.2, 0.4, 0.6, 0.8]) if len(self) else np.zeros(4)
        return np.searchsorted(edges, self.y).astype(np.int64)


@dataclass(frozen=True)
class Prediction:
    """An estimator's answer for n rows.

    Attributes:
        value: binary (n, 2) and multiclass (n, k): class probabilities; multilabel (n, k): label probabilities;
            regression (n, 1): the mean; survival (n, t): probability of no event until each of `times`.
        times: (t,) increasing, survival only.
        spread: (n,) above 0, regression by a model that says how sure it is of each row: the standard deviation that it
            expects, in units of the target; otherwise None.
    """

    value: np.ndarray
    times: np.ndarray | None = None
    spread: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: np.ndarray) -> Prediction:
        """The prediction of some rows."""
        return replace(self, value=self.value[rows], spread=None if self.spread is None else self.spread[rows])

    @staticmethod
    def concat(parts: Sequence[Prediction]) -> Prediction:
        """Rows of several predictions with the same columns; spreads only where all parts have them."""
        known = all(p.spread is not None for p in parts)
        spread = np.concatenate([p.spread for p in parts]) if known else None
        return replace(parts[0], value=np.concatenate([p.value for p in parts]), spread=spread)

    @property
    def risk(self) -> np.ndarray:
        """(n,) one number that orders rows: probability of the positive class, the mean, or the summed cumulative
        hazard.
        """
        if self.times is not None:
            return -np.log(np.clip(self.value, 1e-12, 1.0)).sum(axis=1)
        return self.value[:, -1]

    def event_probability(self, horizon: float) -> np.ndarray:
        """(n,) survival: probability of an event until `horizon`, a step function between times."""
        if self.times is None:
            raise ValueError("event_probability is for survival predictions")
        at = np.searchsorted(self.times, horizon, side="right") - 1
        return np.zeros(len(self)) if at < 0 else 1.0 - self.value[:, at]


class Task(ABC):
    """A kind of question.

    Class attributes: `kind` (one of `KINDS`), `needs` (roles that must be declared), `metrics` (names in `scores.json`
    order), `primary` (the metric that chooses between models) and `bigger_is_better` for it.
    """

    kind: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("target",)
    metrics: ClassVar[tuple[str, ...]]
    primary: ClassVar[str]
    bigger_is_better: ClassVar[bool]

    @abstractmethod
    def check(self, cohort: Cohort) -> None:
        """Refuse a target that cannot be learnt from.

        Raises:
            TargetError: absent, constant, too few, competing events, ...; one sentence with column and rows.
        """

    @abstractmethod
    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """Read the target; `like` fixes class names and horizon (an external cohort is read in the terms of the
        first).
        """

    @abstractmethod
    def baseline(self, target: Target) -> dict[str, Any]:
        """What a model must beat, as JSON: class shares, the mean, or the Kaplan-Meier curve of the training rows."""

    @abstractmethod
    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """The baseline's answer for n rows: the same for everyone."""

    @abstractmethod
    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) a proper per-row loss: log loss, squared error, or (survival) the censored negative log likelihood on
        the grid.
        """

    def noticed(self, cohort: Cohort) -> tuple[Finding, ...]:
        """What this kind of target alone lets one notice about a settled cohort."""
        return ()

    def settled(self, cohort: Cohort) -> Cohort:
        """The cohort of usable rows with what the target means written into its columns; here: as it is."""
        return cohort

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reason → (n,) bool of the rows that cannot be used for it; here: a column that the task needs has no
        value.
        """
        columns = [c.name for role in self.needs for c in cohort.role(role)]
        missing = [cohort.values(name).is_null().to_numpy() for name in columns]
        return {f"'{name}' is missing": mask for name, mask in zip(columns, missing)}

    def usable(self, cohort: Cohort, like: Target | None = None) -> np.ndarray:
        """(n,) bool: rows whose target can be used; `like` also refuses classes that it does not know."""
        usable = np.ones(len(cohort), dtype=bool)
        for mask in self.problems(cohort, like).values():
            usable &= ~mask
        return usable
