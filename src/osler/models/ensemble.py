"""Several models and a weighted mean of them, the weights learnt from out-of-fold predictions of the training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.cohort.split import stratified_group_folds
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.tasks.base import Prediction, Target

#: Members by task kind where none are named: a straight line, a bent line, bagged trees and boosted trees.
DEFAULT_MEMBERS = {
    "binary": ("logistic", "spline", "forest", "boosting"),
    "multiclass": ("logistic", "forest", "boosting"),
    "multilabel": ("logistic", "forest", "boosting"),
    "regression": ("linear", "spline", "forest", "boosting"),
    "survival": ("cox", "survival_forest", "survival_boosting"),
}


@dataclass(frozen=True)
class EnsembleOptions:
    """Options of the ensemble.

    Attributes:
        members: model specifications, several options of one joined by `;`; empty takes `DEFAULT_MEMBERS` of the task.
        folds: inner folds behind the weights.
        repeats: how often the inner folds are drawn anew; 0 chooses by the number of rows.
        prior: pseudo-rows of evidence for equal weights, against over-fitting the weights on small data.
        recalibrate: binary: also learn slope and intercept of the mixture on the out-of-fold predictions.
    """

    members: tuple[str, ...] = ()
    folds: int = 5
    repeats: int = 0
    prior: float = 20.0
    recalibrate: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(member.replace(";", ",") for member in self.members))


class Ensemble(Estimator):
    """A stacked ensemble: a convex combination chosen by out-of-fold loss.

    Stacking as in Wolpert 1992 and van der Laan, Polley & Hubbard 2007 ("Super Learner"), with weights on the simplex
    found by exponentiated gradient; every inner fold keeps whole groups together.
    """

    name = "ensemble"
    accepts = frozenset({"dense"})
    answers = frozenset({"binary", "multiclass", "multilabel", "regression", "survival"})
    copes_with_missing = True
    Options = EnsembleOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Fit every member on inner folds for the weights, then on all rows."""
        data = batches.all()
        members = self.options.members or DEFAULT_MEMBERS[data.target.kind]
        seeds = dict(zip(members, rng.integers(0, 2**63, len(members))))
        plan = self._plan(data, rng)
        rows = np.concatenate([test for _, test in plan])
        answers, parts = {}, {}
        for i, member in enumerate(members):
            parts[str(i)], answers[member] = self._unseen(member, data, plan, seeds[member])
        weights = mixture_weights(data.target, rows, answers, self.options.prior)
        recalibration = [0.0, 1.0]
        if self.options.recalibrate and data.target.kind == "binary":
            mixed = mix(list(answers.values()), weights)
            recalibration = logistic_recalibration(data.target.y[rows], mixed.value[:, 1], len(rows) / len(data))
        meta = {"members": list(members), "weights": weights.tolist(), "recalibration": recalibration}
        return Params.nest(parts, {**meta, "kind": data.target.kind})

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """The weighted mean of the members, recalibrated."""
        return self.combine(params, self.predict_members(params, blocks, used_only=True))

    def layouts(self, kind: str) -> tuple[str, ...]:
        """What any of its members wants."""
        members = self.options.members or DEFAULT_MEMBERS[kind]
        return tuple(dict.fromkeys(layout for member in members for layout in _make(member).layouts(kind)))

    def predict_members(
        self, params: Params, blocks: dict[str, Block], used_only: bool = False
    ) -> dict[str, Prediction]:
        """Every member's own answer, by its specification; `used_only` leaves out those of weight zero."""
        answers = {}
        for i, (member, weight) in enumerate(zip(params.meta["members"], params.meta["weights"])):
            if weight > 0 or not used_only:
                answers[member] = _make(member).predict(params.part(str(i)), blocks)
        return answers

    @staticmethod
    def combine(params: Params, answers: dict[str, Prediction]) -> Prediction:
        """Members' answers put together by the learnt weights."""
        weights = dict(zip(params.meta["members"], params.meta["weights"]))
        used = {m: a for m, a in answers.items() if weights[m] > 0}
        mixed = mix(list(used.values()), np.array([weights[m] for m in used]))
        intercept, slope = params.meta["recalibration"]
        if params.meta["kind"] != "binary" or (intercept, slope) == (0.0, 1.0):
            return mixed
        p = _expit(intercept + slope * _logit(mixed.value[:, 1]))
        return replace(mixed, value=np.column_stack([1 - p, p]))

    def _plan(self, data: Encoded, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Inner training and test positions, all repeats one after the other."""
        repeats = self.options.repeats or (2 if len(data) < 300 else 1)
        plan = []
        for _ in range(repeats):
            codes = stratified_group_folds(data.groups, data.target.strata, self.options.folds, rng)
            plan += [(np.flatnonzero(codes != k), np.flatnonzero(codes == k)) for k in range(self.options.folds)]
        return plan

    @staticmethod
    def _unseen(
        member: str, data: Encoded, plan: list[tuple[np.ndarray, np.ndarray]], seed: int
    ) -> tuple[Params, Prediction]:
        """A member fitted on all rows, and its answers for the plan's test rows by fits that did not see them."""
        estimator, rng = _make(member), np.random.default_rng(seed)
        data = estimator.confined(data)
        grid = _time_grid(data.target)
        bagged = estimator.fit_out_of_bag(data, rng)
        if bagged is not None:
            return bagged[0], on_grid(bagged[1], grid).take(np.concatenate([test for _, test in plan]))
        folded = estimator.fit_out_of_fold(data, plan, rng)
        if folded is not None:
            return folded
        parts = []
        for train, test in plan:
            learnt = estimator.fit(data.take(train), np.random.default_rng(rng.integers(0, 2**63)))
            parts.append(on_grid(estimator.predict(learnt, data.take(test).blocks), grid))
        return estimator.fit(data, rng), Prediction.concat(parts)


def mixture_weights(
    target: Target, rows: np.ndarray, answers: dict[str, Prediction], prior: float, steps: int = 400
) -> np.ndarray:
    """Weights (m,) on the simplex with the least out-of-fold loss; weights under 0.02 become 0.

    Args:
        target: n training values.
        rows: (r,) positions in the target that were answered; every row as often as there are repeats.
        answers: member → its r answers.
        prior: pseudo-rows of evidence for equal weights.
        steps: most evaluations of the search.
    """
    from osler import tasks

    if len(answers) == 1:
        return np.ones(1)
    task = tasks.get(target.kind)
    predictions = list(answers.values())
    seen = target.take(rows)
    repeats = len(rows) / len(target)
    m = len(predictions)
    weights = np.full(m, 1.0 / m)
    scale = max(float(np.mean(task.loss(seen, mix(predictions, weights)))), 1e-9)
    case = np.ones(len(seen)) if seen.weight is None else seen.weight

    def objective(w: np.ndarray) -> float:
        loss = float(np.sum(case * task.loss(seen, mix(predictions, w)))) / scale / repeats
        return loss - prior / m * float(np.sum(np.log(np.clip(w, 1e-12, None)))) / m

    best = _simplex_search(objective, weights, steps)
    best[best < 0.02] = 0.0
    return best / best.sum()


def _simplex_search(objective: Any, start: np.ndarray, steps: int) -> np.ndarray:
    """Minimise a smooth function on the simplex through a softmax, by L-BFGS with numeric gradients."""
    from scipy.optimize import minimize

    def soft(z: np.ndarray) -> np.ndarray:
        z = np.concatenate([z, [0.0]])
        e = np.exp(z - z.max())
        return e / e.sum()

    result = minimize(
        lambda z: objective(soft(z)),
        np.zeros(len(start) - 1),
        method="L-BFGS-B",
        options={"maxfun": steps},
        bounds=[(-8, 8)] * (len(start) - 1),
    )
    return soft(result.x)


def mix(predictions: list[Prediction], weights: np.ndarray) -> Prediction:
    """The weighted mean of predictions on one grid; survival curves of different grids are put on their union first.
    Where all have a spread, the mixture has one: of what they expect and of how far they stand apart.
    """
    if predictions[0].times is not None and any(not np.array_equal(p.times, predictions[0].times) for p in predictions):
        grid = np.unique(np.concatenate([p.times for p in predictions]))
        predictions = [on_grid(p, grid) for p in predictions]
    weights = np.asarray(weights, dtype=float) / np.sum(weights)
    value = sum(w * p.value for w, p in zip(weights, predictions))
    if any(p.spread is None for p in predictions):
        return replace(predictions[0], value=value, spread=None)
    apart = [p.spread**2 + (p.value - value)[:, 0] ** 2 for p in predictions]
    return replace(predictions[0], value=value, spread=np.sqrt(sum(w * a for w, a in zip(weights, apart))))


def on_grid(prediction: Prediction, grid: np.ndarray | None) -> Prediction:
    """A survival prediction read off at other times (steps); anything else unchanged."""
    if grid is None or prediction.times is None:
        return prediction
    at = np.searchsorted(prediction.times, grid, side="right") - 1
    value = np.where(at >= 0, prediction.value[:, np.clip(at, 0, None)], 1.0)
    return Prediction(value, grid)


def _time_grid(target: Target, most: int = 100) -> np.ndarray | None:
    """Up to 100 event times of the training rows, by quantile; None where the task is not survival."""
    if target.kind != "survival":
        return None
    times = np.unique(target.y[target.event])
    return times if len(times) <= most else np.unique(np.quantile(times, np.linspace(0, 1, most), method="nearest"))


def logistic_recalibration(y: np.ndarray, p: np.ndarray, repeats: float = 1.0, prior: float = 0.5) -> list[float]:
    """Intercept and slope of y on logit p (Cox 1958), pulled towards (0, 1) by a small ridge.

    Args:
        y: (r,) 0 or 1.
        p: (r,) probabilities.
        repeats: how often every row occurs among the r, so that repeats are not counted as evidence.
        prior: strength of the ridge.
    """
    z = _logit(p)
    X = np.column_stack([np.ones_like(z), z])
    beta, centre = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    ridge = prior * repeats * np.eye(2)
    for _ in range(50):
        mu = _expit(X @ beta)
        gradient = X.T @ (y - mu) - ridge @ (beta - centre)
        hessian = (X * (mu * (1 - mu))[:, None]).T @ X + ridge
        step = np.linalg.solve(hessian, gradient)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return [float(beta[0]), float(max(beta[1], 0.1))]


def _expit(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -700, 700)))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))


def _make(spec: str) -> Estimator:
    from osler import models

    return models.get(spec)
