"""Ways to learn: one file per family, found through INDEX; torch only under `neural/`."""

from osler import registry
from osler.models.base import Batches, Encoded, Estimator, Params, options_from

INDEX = {
    "linear": "osler.models.linear:Linear",
    "logistic": "osler.models.linear:Logistic",
    "elastic": "osler.models.linear:Elastic",
    "spline": "osler.models.linear:Spline",
    "svm": "osler.models.svm:SVM",
    "tree": "osler.models.trees:Tree",
    "forest": "osler.models.trees:Forest",
    "boosting": "osler.models.boosting:Boosting",
    "ebm": "osler.models.ebm:ExplainableBoosting",
    "cox": "osler.models.cox:Cox",
    "survival_forest": "osler.models.survival_trees:SurvivalForest",
    "survival_boosting": "osler.models.survival_trees:SurvivalBoosting",
    "ensemble": "osler.models.ensemble:Ensemble",
    "mlp": "osler.models.neural.tabular:MLP",
    "network": "osler.models.neural.network:Network",
}


def get(spec: str) -> Estimator:
    """The estimator of "NAME" or "NAME:option=value,option=value"."""
    name, _, text = spec.partition(":")
    cls = registry.load(INDEX, "models", name)
    given = dict(part.partition("=")[::2] for part in text.split(",") if part)
    return cls(options_from(cls.Options, given, f"model '{name}'"))


__all__ = ["INDEX", "Batches", "Encoded", "Estimator", "Params", "get", "options_from"]
