"""What the report says about why: held-out permutation importance, and effects of the strongest predictors."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler import models
from osler.blocks import Block
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared
from osler.engine.train import FoldResult
from osler.explanation.permutation import importance_interval


def interpret(
    prepared: Prepared, folds: list[FoldResult], predictor: Predictor, rng: np.random.Generator
) -> dict[str, Any]:
    """Importance of every column, from the cross-validation's test rows (first repeat), the strongest first."""
    of_first = [f for f in folds if f.split.part == "cv" and f.split.repeat == 0 and f.increases]
    if not of_first:
        return {"importance": {}, "reason": "not computed: more columns than can be shuffled one by one, or explanation was turned off"}
    rows = np.concatenate([f.split.test for f in of_first])
    groups = prepared.groups[rows]
    importance = {}
    for name in of_first[0].increases:
        increases = np.concatenate([f.increases[name] for f in of_first])
        seen = ~np.isnan(increases)
        importance[name] = importance_interval(increases[seen], groups[seen], rng)
    ordered = dict(sorted(importance.items(), key=lambda item: -item[1]["value"]))
    return {"importance": ordered, "model": predictor.chosen, "loss": prepared.task.loss.__qualname__.split(".")[0]}


def predict_with(predictor: Predictor) -> Any:
    """The chosen model as a function from blocks to predictions."""
    spec, params = predictor.models[predictor.chosen]
    estimator = models.get(spec)

    def answer(blocks: dict[str, Block]) -> Any:
        return estimator.predict(params, blocks)

    return answer
