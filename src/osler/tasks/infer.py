"""Which kind of question a cohort's declared roles ask, when the user does not say."""

from __future__ import annotations

from osler.cohort.cohort import Cohort
from osler.errors import TargetError
from osler.tasks import reading

#: A category target with more levels than this must be asked for by name.
MOST_LEVELS = 20

#: Modalities of targets that are drawn on scans, and the kind of task.
OF_DRAWINGS = {"mask": "segmentation", "boxes": "detection"}


def infer_kind(cohort: Cohort) -> str:
    """The kind of task (a key of `osler.tasks.INDEX`).

    Raises:
        TargetError: no target, or one whose kind cannot be told.
    """
    return infer_kind_and_reason(cohort)[0]


def infer_kind_and_reason(cohort: Cohort) -> tuple[str, str]:
    """The kind of task and the words that say why.

    Duration and event columns ask for survival; several targets for multilabel; a boolean, two values or a
    declared positive class for binary; a category of 3 to 20 levels for multiclass; any other number for
    regression; masks for segmentation and boxes for detection.

    Raises:
        TargetError: no target, or one whose kind cannot be told.
    """
    if cohort.role("duration") and cohort.role("event"):
        return "survival", "a duration and an event column are declared"
    columns = reading.target_columns(cohort)
    if len(columns) > 1:
        return "multilabel", f"{len(columns)} target columns are declared"
    column = columns[0]
    if column.modality in OF_DRAWINGS:
        return OF_DRAWINGS[column.modality], f"target '{column.name}' names what is drawn on scans"
    if "positive" in column.options:
        return "binary", f"target '{column.name}' has a declared positive class"
    n = len({v for v in reading.labels(cohort, column) if v is not None})
    if column.modality == "boolean" or n <= 2:
        return (
            "binary",
            f"target '{column.name}' has {'two values' if n == 2 else f'{n} value' + 's' * (n != 1)}",
        )
    if column.modality == "number":
        return "regression", f"target '{column.name}' is a number with {n} values"
    if column.modality == "category" and n <= MOST_LEVELS:
        return "multiclass", f"target '{column.name}' is a category with {n} levels"
    raise TargetError(
        f"target '{column.name}' must be a boolean, a number or a category of at most {MOST_LEVELS} levels, "
        f"is {column.modality} with {n} "
        "different values: name another target, or say --task",
        "target-class" if column.modality == "category" else "column-kind",
    )
