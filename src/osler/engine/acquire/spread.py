"""How unsure a model is of every row: the spread of its own parts, or of copies fitted on resampled training rows.

Trees of a forest: B. Lakshminarayanan et al. call such disagreement of members a predictive uncertainty (NeurIPS 2017); F. Hutter et al.,
Artif Intell 206:79 (2014), use it for forests. Copies on bootstrapped rows: B. Efron, Ann Stat 7:1 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler import models
from osler.blocks import Block
from osler.engine.predictor import Predictor
from osler.errors import OptionError
from osler.models.base import Encoded, Params
from osler.models.design import TreeDesign
from osler.models.nodes import CHUNK, Nodes
from osler.models.trees import single
from osler.tasks.base import Prediction

#: Tasks with one number per row to be unsure of.
TASKS = ("regression", "binary")


@dataclass(frozen=True)
class Belief:
    """What a model holds of n rows.

    Attributes:
        mean: (n,) the predicted number, or the probability of the positive class.
        spread: (n,) standard deviation of it, over trees, members or copies.
        source: which, in words.
    """

    mean: np.ndarray
    spread: np.ndarray
    source: str

    def take(self, rows: np.ndarray) -> Belief:
        """The belief of some rows."""
        return Belief(self.mean[rows], self.spread[rows], self.source)


def own(spec: str, params: Params, blocks: dict[str, Block]) -> Belief | None:
    """The spread that a model brings itself: trees of a forest, what a Gaussian process or a network says of each row,
    weighted members of an ensemble (each with its own); None for any other model.
    """
    name = spec.partition(":")[0]
    if name == "forest" and "labels" not in params.meta:
        mean, variance = _trees(params, blocks)
        return Belief(mean, np.sqrt(variance), f"{len(Nodes.from_params(params).roots)} trees of the forest")
    if name != "ensemble":
        said = models.get(spec).predict(params, blocks)
        return None if said.spread is None else Belief(number_of(said), said.spread, f"what {name} says of each row")
    found = [
        (weight, *_member(member, params.part(str(i)), blocks))
        for i, (member, weight) in enumerate(zip(params.meta["members"], params.meta["weights"], strict=True)) if weight > 0
    ]  # fmt: skip
    if len(found) < 2:
        return own(*_only(params), blocks)
    weights = np.array([w for w, _, _ in found])[:, None] / sum(w for w, _, _ in found)
    means, variances = np.array([m for _, m, _ in found]), np.array([v for _, _, v in found])
    mean = (weights * means).sum(axis=0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(axis=0)
    said = number_of(models.get(spec).predict(params, blocks))
    return Belief(said, np.sqrt(variance), f"{len(found)} members of the ensemble")


def _only(params: Params) -> tuple[str, Params]:
    """An ensemble's one member of weight above 0."""
    at = int(np.argmax(params.meta["weights"]))
    return params.meta["members"][at], params.part(str(at))


def _member(spec: str, params: Params, blocks: dict[str, Block]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of one member; a member without a spread of its own has none."""
    found = own(spec, params, blocks)
    if found is not None:
        return found.mean, found.spread**2
    mean = number_of(models.get(spec).predict(params, blocks))
    return mean, np.zeros(len(mean))


def bagged(predictor: Predictor, rows: Encoded, blocks: dict[str, Block], copies: int, rng: np.random.Generator) -> Belief:
    """Copies of the answering model, each fitted on as many training units drawn with replacement; the mean is the model's own.

    Args:
        rows: the training rows, encoded by the predictor's states. blocks: the rows to be sure or unsure of.

    Raises:
        OptionError: fewer than two copies.
    """
    if copies < 2:
        raise OptionError(f"copies must be at least 2, were {copies}")
    spec, params = predictor.models[predictor.chosen]
    units = np.unique(rows.groups, return_inverse=True)[1]
    members = [np.flatnonzero(units == u) for u in range(units.max() + 1)]
    answers = []
    for _ in range(copies):
        drawn = np.concatenate([members[u] for u in rng.integers(0, len(members), len(members))])
        learnt = models.get(spec).fit(rows.take(drawn), rng)
        answers.append(number_of(models.get(spec).predict(learnt, blocks)))
    mean = number_of(models.get(spec).predict(params, blocks))
    return Belief(mean, np.std(answers, axis=0, ddof=1), f"{copies} copies of {spec} on resampled training rows")


def number_of(prediction: Prediction) -> np.ndarray:
    """(n,) the mean, or the probability of the positive class."""
    return prediction.value[:, -1]


def _trees(params: Params, blocks: dict[str, Block]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over the trees of a forest."""
    forest, X = Nodes.from_params(params), single(TreeDesign.from_params(params).matrix(blocks))
    mean, variance = np.empty(len(X)), np.empty(len(X))
    step = max(1, CHUNK // len(forest.roots))
    for at in range(0, len(X), step):
        said = forest.value[:, -1][forest.leaves(X[at : at + step])]
        mean[at : at + step], variance[at : at + step] = said.mean(axis=0), said.var(axis=0, ddof=1)
    return mean, variance
