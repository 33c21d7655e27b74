"""How much: a number for every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.errors import TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target, Task


class Regression(Task):
    """The expected value of a number."""

    kind = "regression"
    metrics = ("mae", "rmse", "r2", "pearson", "spearman", "calibration_slope", "calibration_intercept")
    primary = "rmse"
    bigger_is_better = False

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reasons why rows cannot be used: the target is missing or not a finite number, or the weight is."""
        column = reading.one_target(cohort)
        found = {"target is missing or not a finite number": np.isnan(reading.numbers(cohort, column))}
        weight = reading.weights(cohort)
        if weight is not None:
            found["weight is missing or negative"] = np.isnan(weight)
        return found

    def check(self, cohort: Cohort) -> None:
        """Refuse a target that cannot be learnt from.

        Raises:
            TargetError: absent, without numbers, constant, or known for fewer than two units.
        """
        column = reading.one_target(cohort)
        usable = self.usable(cohort)
        if not usable.any():
            raise TargetError(
                f"target '{column.name}' must hold numbers for a regression, no row has one: ask for --task "
                "binary or multiclass, or name another target",
                "target-constant",
            )
        values = reading.numbers(cohort, column)[usable]
        reading.need_units(cohort, column.name, usable)
        if np.ptp(values) == 0:
            raise TargetError(
                f"target '{column.name}' must vary, has one value in all rows: name another target",
                "target-constant",
            )

    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """The numbers of every row.

        Raises:
            TargetError: a row has none.
        """
        column = reading.one_target(cohort)
        values = reading.numbers(cohort, column)
        reading.need_complete(cohort, column.name, np.isnan(values))
        return Target(self.kind, (column.name,), values, weight=reading.weights(cohort))

    def baseline(self, target: Target) -> dict[str, Any]:
        """The (weighted) mean of the training rows."""
        return {"kind": self.kind, "mean": float(np.average(target.y, weights=target.weight))}

    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """The mean for every row, (n, 1)."""
        return Prediction(np.full((n, 1), baseline["mean"], dtype=np.float64))

    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) squared error."""
        return (target.y - prediction.value[:, 0]) ** 2
