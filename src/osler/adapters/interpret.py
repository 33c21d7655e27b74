"""The one door to interpret-core: explainable boosting in, plain additive tables out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from osler import registry


@dataclass(frozen=True)
class AdditiveTables:
    """An additive model as tables.

    Attributes:
        intercept: (k,) constants.
        terms: the columns of every term, one or two.
        cuts: per term and column, increasing thresholds; a value is in bin 1 + (number of cuts <= value), missing in 0.
        scores: per term, the score of every bin (or pair of bins), last axis k.
    """

    intercept: np.ndarray
    terms: tuple[tuple[int, ...], ...]
    cuts: tuple[tuple[np.ndarray, ...], ...]
    scores: tuple[np.ndarray, ...]


def fit_additive(
    X: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    bags: np.ndarray,
    *,
    is_class: bool,
    seed: int,
    settings: dict[str, Any],
) -> AdditiveTables:
    """Fit an explainable boosting machine and take out its tables.

    Args:
        X: (n, p) with NaN where missing. y: (n,) class codes or numbers. w: (n,) case weights.
        bags: (n, b) int8, 1 where a row trains and -1 where it decides when to stop, for each of b bags.
        settings: further settings of `ExplainableBoostingClassifier` or `...Regressor`.

    Raises:
        MissingExtraError: interpret-core is not installed.
    """
    glassbox = registry.optional("interpret.glassbox", "explain")
    cls = glassbox.ExplainableBoostingClassifier if is_class else glassbox.ExplainableBoostingRegressor
    model = cls(
        outer_bags=bags.shape[1], n_jobs=1, random_state=seed, feature_types=["continuous"] * X.shape[1], **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, sample_weight=w, bags=bags)
    terms = tuple(tuple(int(i) for i in term) for term in model.term_features_)
    cuts, scores = [], []
    for term, score in zip(terms, model.term_scores_, strict=True):
        levels = [model.bins_[i][min(len(model.bins_[i]), len(term)) - 1] for i in term]
        cuts.append(tuple(np.asarray(level, dtype=np.float64) for level in levels))
        score = np.asarray(score, dtype=np.float64)
        scores.append(score[..., None] if score.ndim == len(term) else score)
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    return AdditiveTables(intercept, terms, tuple(cuts), tuple(scores))
