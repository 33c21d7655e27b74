"""What is asked of a cohort: one file per kind of question."""

from osler import registry
from osler.tasks.base import DRAWN, KINDS, VALUED, Prediction, Target, Task
from osler.tasks.infer import infer_kind

INDEX = {
    "binary": "osler.tasks.classification:Binary",
    "multiclass": "osler.tasks.classification:Multiclass",
    "multilabel": "osler.tasks.multilabel:Multilabel",
    "regression": "osler.tasks.regression:Regression",
    "survival": "osler.tasks.survival:Survival",
    "segmentation": "osler.tasks.segmentation:Segmentation",
    "detection": "osler.tasks.detection:Detection",
}


def get(name: str) -> Task:
    """The task of this name."""
    return registry.load(INDEX, "tasks", name)()


__all__ = ["DRAWN", "INDEX", "KINDS", "VALUED", "Prediction", "Target", "Task", "get", "infer_kind"]
