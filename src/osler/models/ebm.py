"""Explainable boosting: an additive model of small tables, one per column and some per pair of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.design import TreeDesign
from osler.models.labels import (
    case_weights,
    fit_per_label,
    inner_folds,
    predict_per_label,
    probabilities,
    sigmoid,
    softmax,
)  # fmt: skip
from osler.tasks.base import Prediction


@dataclass(frozen=True)
class EBMOptions:
    """Options of `ebm`.

    Attributes:
        interactions: number of pairs of columns that get a table of their own; -1 is one per 500 rows, at most 10;
            always 0 for more than two classes.
        bags: models that are averaged; each holds out another inner fold to know when to stop.
        max_bins: most bins of a column.
        learning_rate: how much of each step is kept.
        max_rounds: most passes over the columns.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    interactions: int = -1
    bags: int = 8
    max_bins: int = 32
    learning_rate: float = 0.04
    max_rounds: int = 5000
    weights: str = "none"


class ExplainableBoosting(Estimator):
    """Explainable boosting machine (Lou et al. 2013; Nori et al. 2019) through interpret-core, kept as its tables."""

    name: ClassVar[str] = "ebm"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    extra: ClassVar[str | None] = "explain"
    Options: ClassVar[type] = EBMOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn the tables from training rows.

        Raises:
            MissingExtraError: interpret-core is not installed.
        """
        from osler.adapters import interpret

        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        target, options = data.target, self.options
        classes = len(target.classes) if target.kind != "regression" else 0
        design = TreeDesign.fit(data.blocks)
        bags = _bags(data, options.bags, rng)
        tables = interpret.fit_additive(
            design.matrix(data.blocks), target.y, case_weights(target, options.weights), bags,
            is_class=bool(classes), seed=int(rng.integers(2**31 - 1)), settings=self._settings(len(data), classes),
        )  # fmt: skip
        meta, arrays = design.to_params()
        meta = {"design": meta, "classes": classes, "terms": [list(t) for t in tables.terms]}
        for i, (cuts, scores) in enumerate(zip(tables.cuts, tables.scores, strict=True)):
            arrays[f"scores/{i}"] = scores
            arrays.update({f"cuts/{i}/{j}": cut for j, cut in enumerate(cuts)})
        return Params(meta, {**arrays, "intercept": tables.intercept})

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        margin = terms(params, blocks).sum(axis=1) + params.arrays["intercept"]
        if params.meta["classes"] == 2:
            return probabilities(sigmoid(margin[:, 0]))
        return Prediction(softmax(margin) if params.meta["classes"] else margin)

    def _settings(self, n: int, classes: int) -> dict[str, Any]:
        options = self.options
        pairs = min(n // 500, 10) if options.interactions < 0 else options.interactions
        return {
            "interactions": pairs if classes <= 2 else 0,
            "max_bins": options.max_bins,
            "max_interaction_bins": 16,
            "learning_rate": options.learning_rate,
            "max_rounds": options.max_rounds,
            "smoothing_rounds": 25,
            "interaction_smoothing_rounds": 10,
            "early_stopping_rounds": 50,
        }


def _bags(data: Encoded, bags: int, rng: np.random.Generator) -> np.ndarray:
    """(n, bags) int8: 1 trains, -1 (one grouped fold of 7, another for every bag) decides when to stop."""
    out = np.ones((len(data), bags), dtype=np.int8)
    folds, k = None, 0
    for bag in range(bags):
        if folds is None or bag % k == 0:
            folds = inner_folds(data, 7, rng)
            k = max(int(folds.max()) + 1, 1)
        out[folds == bag % k, bag] = -1
    return out


def terms(params: Params, blocks: dict[str, Block]) -> np.ndarray:
    """(n, t, k) what every table says about every row, in the order of `params.meta["terms"]`."""
    X = TreeDesign.from_params(params).matrix(blocks)
    missing = np.isnan(X)
    parts = []
    for i, columns in enumerate(params.meta["terms"]):
        at = []
        for j, column in enumerate(columns):
            bin_ = np.searchsorted(params.arrays[f"cuts/{i}/{j}"], X[:, column], side="right") + 1
            bin_[missing[:, column]] = 0
            at.append(bin_)
        parts.append(params.arrays[f"scores/{i}"][tuple(at)])
    if not parts:
        return np.zeros((len(X), 0, len(params.arrays["intercept"])))
    return np.stack(parts, axis=1)
