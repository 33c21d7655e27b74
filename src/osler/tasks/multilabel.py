"""Several yes-or-no questions at once, any of which may be unanswered in a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target, Task
from osler.tasks.classification import Binary, positive_class


class Multilabel(Task):
    """One probability per label; a label that was not assessed in a row is left out of fit and score
    there.
    """

    kind = "multilabel"
    metrics = (
        "auroc",
        "auprc",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "f1",
        "brier",
        "log_loss",
        "ece",
    )
    primary = "log_loss"
    bigger_is_better = False

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reasons why rows cannot be used: no label was assessed, or the weight is missing."""
        found = {"no label was assessed": np.isnan(self._values(cohort)).all(axis=1)}
        weight = reading.weights(cohort)
        if weight is not None:
            found["weight is missing or negative"] = np.isnan(weight)
        return found

    def check(self, cohort: Cohort) -> None:
        """Refuse labels that cannot be learnt from.

        Raises:
            TargetError: fewer than two target columns, or a label that is not yes-or-no, constant, or too
            rare.
        """
        columns = reading.target_columns(cohort)
        if len(columns) < 2:
            raise TargetError(
                "a multilabel question needs at least two target columns, one was declared "
                f"('{columns[0].name}'): name more, or ask for --task binary",
                "target-absent",
            )
        for column in columns:
            Binary().check(_only(cohort, column))

    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """(n, k) of 0, 1 and NaN; `like` fixes the labels and their order.

        Raises:
            TargetError: a row has no assessed label, or a label of `like` is not a target column.
        """
        names = like.names if like is not None else tuple(c.name for c in reading.target_columns(cohort))
        values = self._values(cohort, names)
        reading.need_complete(cohort, names[0], np.isnan(values).all(axis=1))
        return Target(self.kind, names, values, classes=names, weight=reading.weights(cohort))

    def baseline(self, target: Target) -> dict[str, Any]:
        """The share of yes among the assessed rows of every label."""
        weight = np.ones(len(target)) if target.weight is None else target.weight
        seen = ~np.isnan(target.y) * weight[:, None]
        total = seen.sum(axis=0)
        shares = np.where(
            total > 0, (np.nan_to_num(target.y) * seen).sum(axis=0) / np.maximum(total, 1e-300), 0.5
        )
        return {"kind": self.kind, "labels": list(target.classes), "shares": shares.tolist()}

    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """The shares for every row, (n, k)."""
        return Prediction(np.tile(np.asarray(baseline["shares"], dtype=np.float64), (n, 1)))

    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) log loss, the mean over the labels assessed in the row."""
        p = np.clip(prediction.value, 1e-15, 1 - 1e-15)
        each = -np.where(target.y == 1, np.log(p), np.log1p(-p))
        seen = ~np.isnan(target.y)
        return np.where(seen, each, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)

    def _values(self, cohort: Cohort, names: tuple[str, ...] | None = None) -> np.ndarray:
        columns = reading.target_columns(cohort) if names is None else tuple(cohort.column(n) for n in names)
        return np.column_stack([_label_values(cohort, c) for c in columns])


def _only(cohort: Cohort, column: Column) -> Cohort:
    return cohort.declare(target=column.name)


def _label_values(cohort: Cohort, column: Column) -> np.ndarray:
    """(n,) 0, 1 or NaN of one label column. One that never varies is all 0 or all 1 by the words for no and
    yes.
    """
    missing = reading.is_missing(cohort, column)
    labels = reading.labels(cohort, column)
    names = {v for v in labels if v is not None}
    asked = str(column.options.get("positive", ""))
    if asked and reading.Comparison.parse(asked) is None:
        positive = column.coding.get(asked, reading.label(asked))
        return np.where(missing, np.nan, (labels == positive).astype(np.float64))
    if not names:
        return np.full(len(cohort), np.nan)
    if len(names) == 1 and not asked:
        yes = next(iter(names)).lower() in reading.YES
        return np.where(missing, np.nan, float(yes))
    one = _only(cohort, column)
    codes = Binary()._codes(one, one.column(column.name), positive_class(one)[0])
    return np.where(codes < 0, np.nan, codes.astype(np.float64))
