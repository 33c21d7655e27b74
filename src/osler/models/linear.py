"""Linear models whose penalty is chosen inside `fit`: logistic, linear (ridge), elastic net, and additive splines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.models import choice
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.choice import Problem
from osler.models.design import Design
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities
from osler.tasks.base import Prediction

#: Prior precisions that are tried, strongest first (standardised columns; 1 means coefficients of about 1 are expected).
PENALTIES = np.logspace(3.5, -2, 12)

#: Rows that take part in choosing a penalty; the model itself is fitted on all.
CHOICE_ROWS = 6000


def problem_of(data: Encoded, design: Design, weights: str, select: int) -> Problem:
    """The plain numbers of encoded rows."""
    target = data.target
    classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
    X = design.matrix(data.blocks)
    return Problem(X, target.y, case_weights(target, weights), np.ones(X.shape[1]), classes, select)


def choose_ridge(problem: Problem, folds: np.ndarray, fixed: float | None) -> tuple[np.ndarray, dict[str, Any]]:
    """(k, p + 1) coefficients at the penalty with the least held-out loss, and JSON facts about the choice."""
    penalties = PENALTIES if problem.classes else PENALTIES * max(float(np.var(problem.y)), 1e-12)
    facts: dict[str, Any] = {}
    if fixed is not None or folds.max(initial=-1) < 1:
        chosen = float(penalties[len(penalties) // 2]) if fixed is None else float(fixed)
    else:
        mean = choice.cross_validate(problem, folds, lambda part: choice.ridge_path(part, penalties, 1e-5))
        best = int(np.argmin(mean))
        chosen = float(penalties[best])
        facts = {"inner_loss": float(mean[best]), "inner_folds": int(folds.max()) + 1}
    coef = next(choice.ridge_path(problem, np.array([chosen])))
    return coef, {"penalty": chosen, **facts}


def pack(design: Design, coef: np.ndarray, facts: dict[str, Any], classes: int) -> Params:
    """Params of any linear model: the design, the coefficients (k, p + 1) and facts about the choice."""
    meta, arrays = design.to_params()
    return Params({"design": meta, "classes": classes, **facts}, {**arrays, "coef": np.ascontiguousarray(coef)})


def unpack(params: Params, blocks: dict[str, Block]) -> Prediction:
    """The prediction of any linear model."""
    X = Design.from_params(params).matrix(blocks)
    classes = params.meta["classes"]
    out = choice.answer(params.arrays["coef"], X, classes)
    if classes == 2:
        return probabilities(out)
    return Prediction(out if classes else out[:, None])


@dataclass(frozen=True)
class LogisticOptions:
    """Options of `logistic`.

    Attributes:
        penalty: prior precision of the standardised coefficients; chosen by inner cross-validation if not given.
        folds: inner folds for that choice.
        weights: "none", or "balanced" for classes of equal total weight.
        select: keep that many columns by F statistic, chosen inside every fit (0: all).
    """

    penalty: float | None = None
    folds: int = 5
    weights: str = "none"
    select: int = 0


class Logistic(Estimator):
    """Ridge logistic regression (multinomial for more than two classes, one model per label for multilabel)."""

    name: ClassVar[str] = "logistic"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = LogisticOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, penalty and coefficients from training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        design = Design.fit(data.blocks)
        problem = problem_of(data, design, self.options.weights, self.options.select)
        folds = inner_folds(data, self.options.folds, rng, CHOICE_ROWS)
        coef, facts = choose_ridge(problem, folds, self.options.penalty)
        return pack(design, coef, facts, problem.classes)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        return unpack(params, blocks)
