"""Ways to learn: one file per family, found through INDEX; torch only under `neural/`."""

from typing import Any

from osler import registry
from osler.models.base import Batches, Encoded, Estimator, Params, options_from
from osler.models.drawing import Drawer

INDEX = {
    "linear": "osler.models.linear:Linear",
    "logistic": "osler.models.linear:Logistic",
    "elastic": "osler.models.linear:Elastic",
    "spline": "osler.models.linear:Spline",
    "svm": "osler.models.svm:SVM",
    "gaussian_process": "osler.models.gaussian_process:GaussianProcess",
    "tree": "osler.models.trees:Tree",
    "forest": "osler.models.trees:Forest",
    "boosting": "osler.models.boosting:Boosting",
    "affinity": "osler.models.affinity:Affinity",
    "affinity_network": "osler.models.neural.affinity:AffinityNetwork",
    "ebm": "osler.models.ebm:ExplainableBoosting",
    "cox": "osler.models.cox:Cox",
    "survival_forest": "osler.models.survival_trees:SurvivalForest",
    "survival_boosting": "osler.models.survival_trees:SurvivalBoosting",
    "ensemble": "osler.models.ensemble:Ensemble",
    "fusion": "osler.models.fusion:Fusion",
    "pls": "osler.models.pls:Pls",
    "mlp": "osler.models.neural.tabular:MLP",
    "network": "osler.models.neural.network:Network",
    "cnn": "osler.models.neural.cnn:Cnn",
    "dmpnn": "osler.models.neural.dmpnn:Dmpnn",
    "smiles_rnn": "osler.models.neural.smiles_rnn:SmilesRnn",
    "pretrained": "osler.models.neural.pretrained:Pretrained",
}

#: Scores that clinicians already use: fixed published coefficients; `applicable(cohort)` says whether its columns are there.
SCORES = {
    "framingham": "osler.models.clinical.framingham:Framingham",
    "pce": "osler.models.clinical.pooled_cohort:PooledCohort",
    "score2": "osler.models.clinical.score2:Score2",
    "cha2ds2vasc": "osler.models.clinical.points:Cha2ds2Vasc",
    "meld": "osler.models.clinical.meld:Meld",
    "meld_na": "osler.models.clinical.meld:MeldNa",
    "meld3": "osler.models.clinical.meld:Meld3",
    "curb65": "osler.models.clinical.points:Curb65",
    "news2": "osler.models.clinical.points:News2",
    "charlson": "osler.models.clinical.points:Charlson",
}

#: Models that draw masks or boxes on scans (`osler.models.drawing`).
DRAWERS: dict[str, str] = {
    "atlas": "osler.models.atlas:Atlas",
    "threshold": "osler.models.threshold:Threshold",
    "rcnn": "osler.models.neural.detection.rcnn:Rcnn",
    "retina": "osler.models.neural.detection.retina:Retina",
    "unet": "osler.models.neural.segmentation.drawers:UNet",
    "deepmedic": "osler.models.neural.segmentation.drawers:DeepMedic",
}


def get(spec: str) -> Estimator:
    """The estimator of "NAME" or "NAME:option=value,option=value".

    Every one of them can be confined to some columns: `inputs=AGE+BMI`, or `inputs=table` for all plain columns together.
    """
    return _made({**INDEX, **SCORES}, spec)


def drawer(spec: str) -> Drawer:
    """The model that draws of "NAME" or "NAME:option=value,option=value"."""
    return _made(DRAWERS, spec)


def _made(index: dict[str, str], spec: str) -> Any:
    name, _, text = spec.partition(":")
    cls = registry.load(index, "models", name)
    given = dict(part.partition("=")[::2] for part in text.split(",") if part)
    inputs = given.pop("inputs", "")
    made = cls(options_from(cls.Options, given, f"model '{name}'"))
    if inputs:
        made.confined_to = tuple(inputs.split("+"))
    return made


__all__ = ["DRAWERS", "INDEX", "SCORES", "Batches", "Drawer", "Encoded", "Estimator", "Params", "drawer", "get", "options_from"]
