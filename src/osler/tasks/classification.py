"""Which of two, or of several, classes a row belongs to."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target, Task

#: More classes than this in one target is taken for an identifier or free text.
MOST_CLASSES = 200

_SAME = {("false", "true"): ("0", "1"), ("0", "1"): ("false", "true")}


def class_order(names: set[str], column: Column) -> tuple[str, ...]:
    """Class names in order: as the coding lists them, else as numbers, else as text."""
    coded = [v for v in column.coding.values() if v in names]
    if len(coded) == len(names):
        return tuple(dict.fromkeys(coded))
    numeric = {n: _number(n) for n in names}
    if all(v is not None for v in numeric.values()):
        return tuple(sorted(names, key=lambda n: numeric[n]))
    return tuple(sorted(names))


def positive_class(cohort: Cohort) -> tuple[tuple[str, str], str]:
    """Class names (negative, positive) of a two-valued target, and the sentence that says why.

    The first rule that decides: the column's option `positive` (a label, a stored value, or a comparison such
    as `>0`); a boolean's true; the one label that is a word for yes; the label beside a word for no; the
    larger stored number; the rarer label; the later label in sort order.

    Raises:
        TargetError: the target is absent, or does not have two values.
    """
    column = reading.one_target(cohort)
    asked = str(column.options.get("positive", "")).strip()
    rule = reading.Comparison.parse(asked) if asked else None
    if rule is not None and rule.names[1] not in set(column.coding.values()):
        return rule.names, f"declared as {rule.names[1]}"
    values = [v for v in reading.labels(cohort, column) if v is not None]
    names = set(values)
    if asked:
        positive = column.coding.get(asked, reading.label(asked))
        others = sorted(names - {positive})
        if positive not in names:
            raise TargetError(
                f"positive class '{asked}' must be a value of target '{column.name}', is in no row: check "
                "its spelling",
                "target-class",
            )
        return (others[0] if len(others) == 1 else f"not {positive}", positive), "declared"
    if len(names) != 2:
        raise _not_two(column, len(names))
    return _positive_of_two(class_order(names, column), column, values)


def settled(cohort: Cohort) -> Cohort:
    """With the positive class of every two-valued target column written into its options.

    A predictor keeps these columns, so that the same class is positive at the next site, where another may be
    the rarer.
    """
    changes = {}
    for column in cohort.role("target"):
        names = {v for v in reading.labels(cohort, column) if v is not None}
        if "positive" not in column.options and len(names) == 2:
            positive = positive_class(cohort.declare(target=column.name))[0][1]
            changes[column.name] = {"options": {**column.options, "positive": positive}}
    columns = tuple(c.with_(**changes[c.name]) if c.name in changes else c for c in cohort.columns)
    return replace(cohort, columns=columns)


def _not_two(column: Column, n: int) -> TargetError:
    if n == 0:
        return TargetError(
            f"target '{column.name}' must have values, all rows are missing: name another target",
            "target-constant",
        )
    if n == 1:
        return TargetError(
            f"target '{column.name}' must have two classes, has one value in all rows: name another target",
            "target-constant",
        )
    return TargetError(
        f"target '{column.name}' must have two values for a binary question, has {n}: declare its option "
        "'positive' (a class, or a "
        "comparison such as '>0'), or ask for --task multiclass or --task regression",
        "target-class",
    )


def _positive_of_two(
    names: tuple[str, ...], column: Column, values: list[str]
) -> tuple[tuple[str, str], str]:
    first, second = names
    stored = {v: k for k, v in column.coding.items()}
    for words, is_yes in ((reading.YES, True), (reading.NO, False)):
        hits = [n for n in names if n.lower() in words]
        if len(hits) == 1:
            positive = hits[0] if is_yes else (second if hits[0] == first else first)
            why = f"'{positive}' means yes" if is_yes else f"'{hits[0]}' means no"
            return ((second if positive == first else first), positive), why
    numeric = [_number(stored.get(n, n)) for n in names]
    if None not in numeric:
        return ((first, second) if numeric[1] > numeric[0] else (second, first)), "the larger of two numbers"
    counts = [values.count(n) for n in names]
    if counts[0] != counts[1]:
        return ((second, first) if counts[0] < counts[1] else (first, second)), "the rarer of the two"
    return (first, second), "the later in sort order, both are equally frequent"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _Classes(Task):
    """What two classes and several have in common."""

    def baseline(self, target: Target) -> dict[str, Any]:
        """Class shares of the training rows (weighted), in class order."""
        shares = np.bincount(target.y, weights=target.weight, minlength=len(target.classes)).astype(
            np.float64
        )
        return {
            "kind": self.kind,
            "classes": list(target.classes),
            "shares": (shares / shares.sum()).tolist(),
        }

    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """The class shares for every row, (n, k)."""
        return Prediction(np.tile(np.asarray(baseline["shares"], dtype=np.float64), (n, 1)))

    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) log loss, -log of the probability given to what happened (limited to 1e-15)."""
        given = prediction.value[np.arange(len(target)), target.y]
        return -np.log(np.clip(given, 1e-15, 1.0))

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reasons why rows cannot be used: the target is missing, is a class the model does not know, or has
        no weight.
        """
        column = reading.one_target(cohort)
        codes = self._codes(cohort, column, like.classes) if like is not None else None
        missing = reading.is_missing(cohort, column)
        found = {"target is missing": missing}
        if codes is not None:
            found["target is a class that the model does not know"] = (codes < 0) & ~missing
        weight = reading.weights(cohort)
        if weight is not None:
            found["weight is missing or negative"] = np.isnan(weight)
        return found

    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """Class codes of every row; `like` fixes the class names.

        Raises:
            TargetError: a row's target is missing or is a class that is not in `like`.
        """
        column = reading.one_target(cohort)
        reading.need_complete(cohort, column.name, reading.is_missing(cohort, column))
        classes = like.classes if like is not None else self._classes(cohort, column)
        codes = self._codes(cohort, column, classes)
        if (codes < 0).any():
            raise TargetError(
                f"target '{column.name}' must be one of the {len(classes)} known classes, is another in "
                f"{reading.row_list(cohort, codes < 0)}: "
                "keep only rows where Task.usable(cohort, like) is true",
                "target-class",
            )
        return Target(self.kind, (column.name,), codes, classes=classes, weight=reading.weights(cohort))

    def check(self, cohort: Cohort) -> None:
        """Refuse a target that cannot be learnt from.

        Raises:
            TargetError: absent, constant, too many classes, or a class with fewer than two independent units.
        """
        column = reading.one_target(cohort)
        usable = self.usable(cohort)
        if not usable.any():
            raise _not_two(column, 0)
        part = cohort.where(usable, "usable target")
        classes = self._classes(part, column)
        if len(classes) > MOST_CLASSES:
            raise TargetError(
                f"target '{column.name}' must have at most {MOST_CLASSES} classes, has {len(classes)}: is "
                "it an identifier or a number (--task regression)?",
                "target-class",
            )
        codes = self._codes(part, column, classes)
        if len(np.unique(codes)) < 2:
            raise _not_two(column, 1)
        reading.need_units(cohort, column.name, usable)
        units = reading.units(part)
        for code, name in enumerate(classes):
            n = len(np.unique(units[codes == code]))
            if n < 2:
                raise TargetError(
                    f"class '{name}' of target '{column.name}' must have at least 2 independent units, has "
                    f"{n}: merge it with another class or leave it out",
                    "target-class",
                )

    @abstractmethod
    def _classes(self, cohort: Cohort, column: Column) -> tuple[str, ...]:
        """Class names in code order."""

    def _codes(self, cohort: Cohort, column: Column, classes: tuple[str, ...]) -> np.ndarray:
        names = reading.labels(cohort, column)
        known = {name: code for code, name in enumerate(classes)}
        for code, name in enumerate(_SAME.get(classes, ())):
            known.setdefault(name, code)
        lower = {name.lower(): code for name, code in known.items()}
        if len(lower) < len(known):
            lower = {}
        rest = known.get(f"not {classes[-1]}", -1)
        find = {n: -1 if n is None else known.get(n, lower.get(n.lower(), rest)) for n in set(names)}
        return np.array([find[n] for n in names], dtype=np.int64)


class Binary(_Classes):
    """Is it so or not: two classes, one of them the positive one."""

    kind = "binary"
    metrics = (
        "auroc", "auprc", "accuracy", "precision", "recall", "specificity", "npv", "f1",
        "balanced_accuracy", "mcc", "brier", "log_loss", "ece", "calibration_slope",
        "calibration_intercept", "observed_expected",
    )  # fmt: skip
    primary = "log_loss"
    bigger_is_better = False

    def describe(self, cohort: Cohort) -> str:
        """One sentence: which class is positive, why, and how many rows have it."""
        (negative, positive), why = positive_class(cohort)
        column = reading.one_target(cohort)
        codes = self._codes(cohort, column, (negative, positive))
        return (
            f"'{column.name}' asks for '{positive}' against '{negative}' ({why}): "
            f"{int((codes == 1).sum())} of {int((codes >= 0).sum())} rows"
        )

    def _classes(self, cohort: Cohort, column: Column) -> tuple[str, ...]:
        return positive_class(cohort)[0]

    def _codes(self, cohort: Cohort, column: Column, classes: tuple[str, ...]) -> np.ndarray:
        rule = reading.Comparison.parse(classes[1])
        if rule is None or rule.names != classes:
            return super()._codes(cohort, column, classes)
        values = reading.numbers(cohort, column)
        return np.where(np.isnan(values), -1, rule(values).astype(np.int64))


class Multiclass(_Classes):
    """Which of several classes."""

    kind = "multiclass"
    metrics = (
        "auroc",
        "auprc",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "f1",
        "balanced_accuracy",
        "brier",
        "log_loss",
        "ece",
    )
    primary = "log_loss"
    bigger_is_better = False

    def _classes(self, cohort: Cohort, column: Column) -> tuple[str, ...]:
        names = {v for v in reading.labels(cohort, column) if v is not None}
        return class_order(names, column)
