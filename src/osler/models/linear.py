"""Linear models whose penalty is chosen inside `fit`: logistic, linear (ridge), elastic net, and additive splines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.models import choice, held_out, rank, splines
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.choice import Problem
from osler.models.design import Design
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities
from osler.tasks.base import Prediction

#: Prior precisions that are tried, strongest first (1: standardised coefficients of about 1 are expected).
PENALTIES = np.logspace(3.5, -2, 12)

#: Rows that take part in choosing a penalty; the model itself is fitted on all.
CHOICE_ROWS = 6000


def problem_of(data: Encoded, design: Design, weights: str, select: int) -> Problem:
    """The plain numbers of encoded rows."""
    target = data.target
    classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
    X = design.matrix(data.blocks)
    return Problem(X, target.y, case_weights(target, weights), np.ones(X.shape[1]), classes, select)


def penalties_of(problem: Problem) -> np.ndarray:
    """`PENALTIES`, for a number in units of its variance."""
    return PENALTIES if problem.classes else PENALTIES * max(float(np.var(problem.y)), 1e-12)


def choose_ridge(problem: Problem, folds: np.ndarray, fixed: float | None) -> tuple[np.ndarray, dict[str, Any]]:
    """(k, p + 1) coefficients at the penalty with the least held-out loss, and JSON facts about the choice."""
    penalties = penalties_of(problem)
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


def ridge_out_of_fold(
    data: Encoded, plan: held_out.Plan, parts: held_out.Parts, bends: tuple[float, ...] = (1.0,)
) -> held_out.Chosen | None:
    """Penalty and bend as the plan's folds choose them (`held_out.choose_penalty`); None where they cannot, or where
    walking all rows would cost more than the `CHOICE_ROWS` of `fit`.
    """
    if data.target.kind == "multilabel" or len(data) > CHOICE_ROWS:
        return None
    return held_out.choose_penalty(data, plan, parts, penalties_of, bends)


def pack(design: Design, coef: np.ndarray, facts: dict[str, Any], classes: int) -> Params:
    """Params of any linear model: the design, the coefficients (k, p + 1) and facts about the choice."""
    meta, arrays = design.to_params()
    return Params({"design": meta, "classes": classes, **facts}, {**arrays, "coef": np.ascontiguousarray(coef)})


def unpack(params: Params, blocks: dict[str, Block]) -> Prediction:
    """The prediction of any linear model; its columns bend first where the params hold splines."""
    X = Design.from_params(params).matrix(blocks)
    bends = {k.removeprefix("spline/"): v for k, v in params.arrays.items() if k.startswith("spline/")}
    classes = params.meta["classes"]
    out = choice.answer(params.arrays["coef"], splines.expand(X, bends) if bends else X, classes)
    if classes == 2:
        return probabilities(out)
    return Prediction(out if classes else out[:, None])


class LinearModel(Estimator):
    """What the linear models share: a design that fills missing values, and one way from coefficients to an answer."""

    copes_with_missing: ClassVar[bool] = True

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean (n, 1)."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        return unpack(params, blocks)


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


class Logistic(LinearModel):
    """Ridge logistic regression (multinomial for more than two classes, one model per label for multilabel)."""

    name: ClassVar[str] = "logistic"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel"})
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

    def fit_out_of_fold(
        self, batches: Batches, plan: held_out.Plan, rng: np.random.Generator
    ) -> tuple[Params, Prediction] | None:
        """The folds choose the penalty and answer, each with a design of its own training rows."""
        data, options = batches.all(), self.options

        def parts(train: Encoded, test: Encoded) -> tuple[Problem, Problem, int]:
            design = Design.fit(train.blocks)
            return *(problem_of(d, design, options.weights, options.select) for d in (train, test)), 0

        found = None if options.penalty is not None else ridge_out_of_fold(data, plan, parts)
        if found is None:
            return None
        design = Design.fit(data.blocks)
        problem = problem_of(data, design, options.weights, options.select)
        penalty = penalties_of(problem)[found.step]
        coef = next(choice.ridge_path(problem, np.array([penalty])))
        return pack(design, coef, {"penalty": float(penalty), **found.facts}, problem.classes), found.answers


@dataclass(frozen=True)
class LinearOptions:
    """Options of `linear`.

    Attributes:
        penalty: prior precision of the standardised coefficients (in units of the noise); chosen inside if not given,
            0 for least squares.
        folds: inner folds for that choice.
        select: keep that many columns by F statistic, chosen inside every fit (0: all).
    """

    penalty: float | None = None
    folds: int = 10
    select: int = 0


class Linear(LinearModel):
    """Ridge regression; columns that cannot be told apart are named, and the width of the answer is kept."""

    name: ClassVar[str] = "linear"
    answers: ClassVar[frozenset[str]] = frozenset({"regression"})
    Options: ClassVar[type] = LinearOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, penalty and coefficients from training rows; `meta["rank"]` is the rank report."""
        data = batches.all()
        design = Design.fit(data.blocks)
        problem = problem_of(data, design, "none", self.options.select)
        folds = inner_folds(data, self.options.folds, rng, CHOICE_ROWS)
        coef, facts = choose_ridge(problem, folds, self.options.penalty)
        params = pack(design, coef, facts, 0)
        return _with_rank(params, design, problem)


def _with_rank(params: Params, design: Design, problem: Problem) -> Params:
    """Params with the rank report and, where columns cannot be told apart, every scaling's least-squares answer."""
    X, scale, centre = design.natural(problem.X)
    kept = design.reference()
    report = rank.rank_report(X[:, kept], [design.names[i] for i in kept])
    meta = {**params.meta, "rank": report.to_json()}
    if report.is_full or X.shape[1] > 2000:
        return Params(meta, params.arrays)
    answers = np.zeros((len(rank.SCALINGS), X.shape[1] + 1))
    answers[:, [*kept, -1]] = rank.scaled_answers(X[:, kept], problem.y, problem.w)
    answers[:, -1] += answers[:, :-1] @ centre
    answers[:, :-1] *= scale
    return Params(meta, {**params.arrays, "least_squares": answers})


def linear_width(params: Params, blocks: dict[str, Block]) -> np.ndarray:
    """(n, 2) the lowest and highest least-squares answer over the scalings of `rank.SCALINGS`.

    Both are the model's own prediction where all columns can be told apart.
    """
    if "least_squares" not in params.arrays:
        return np.repeat(unpack(params, blocks).value, 2, axis=1)
    answers = params.arrays["least_squares"]
    every = Design.from_params(params).matrix(blocks) @ answers[:, :-1].T + answers[:, -1]
    return np.column_stack([every.min(axis=1), every.max(axis=1)])


@dataclass(frozen=True)
class ElasticOptions:
    """Options of `elastic`.

    Attributes:
        mixes: shares of the lasso in the penalty that are tried (1 is the lasso, 0 is ridge).
        steps: penalties tried per mix, from the least that leaves no column down to a thousandth of it.
        folds: inner folds for that choice.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    mixes: tuple[float, ...] = (0.5, 0.95)
    steps: int = 25
    folds: int = 5
    weights: str = "none"


class Elastic(LinearModel):
    """Elastic net (Zou and Hastie 2005): a linear or logistic model that leaves out columns."""

    name: ClassVar[str] = "elastic"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    Options: ClassVar[type] = ElasticOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "mixes": ("choice", "0.5+0.95", "0.1", "0.5", "1.0"),
        "steps": ("int", 15, 60),
    }

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, mix, penalty and coefficients from training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        design = Design.fit(data.blocks)
        problem = problem_of(data, design, self.options.weights, 0)
        folds = inner_folds(data, self.options.folds, rng, CHOICE_ROWS)
        best: tuple[float, float, int] | None = None
        shares = np.logspace(0, -3, self.options.steps)
        for mix in self.options.mixes:
            if folds.max(initial=-1) < 1:
                best = (np.inf, mix, len(shares) // 2)
                break
            path = partial(choice.elastic_path, shares=shares, mix=mix, tolerance=3e-5)
            mean = choice.cross_validate(problem, folds, path, patience=4)
            step = int(np.argmin(mean))
            if best is None or mean[step] < best[0]:
                best = (float(mean[step]), mix, step)
        *_, coef = choice.elastic_path(problem, shares[: best[2] + 1], best[1])
        facts = {"mix": best[1], "share": float(shares[best[2]]), "n_kept": int((coef[:, :-1] != 0).any(axis=0).sum())}
        return pack(design, coef, facts, problem.classes)


@dataclass(frozen=True)
class SplineOptions:
    """Options of `spline`.

    Attributes:
        knots: knots of the natural cubic spline of every continuous column with enough distinct values (3 to 7).
        bends: how much more the bends are penalised than the straight parts; each is tried.
        folds: inner folds for the choice of penalty and bend.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    knots: int = 4
    bends: tuple[float, ...] = (3.0, 30.0, 1000.0)
    folds: int = 5
    weights: str = "none"


class Spline(LinearModel):
    """Additive natural cubic splines with a ridge penalty: a logistic or linear model whose effects may bend."""

    name: ClassVar[str] = "spline"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    Options: ClassVar[type] = SplineOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, knots, penalties and coefficients from training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        problem, pieces, extra = self._bent(data)
        folds = inner_folds(data, self.options.folds, rng, CHOICE_ROWS)
        best = None
        for bend in self.options.bends if extra else (1.0,):
            coef, facts = choose_ridge(held_out.bent(problem, extra, bend), folds, None)
            if best is None or facts.get("inner_loss", np.inf) < best[1].get("inner_loss", np.inf):
                best = (coef, {**facts, "bend": float(bend)})
        return _pack_spline(pieces, *best, problem.classes)

    def fit_out_of_fold(
        self, batches: Batches, plan: held_out.Plan, rng: np.random.Generator
    ) -> tuple[Params, Prediction] | None:
        """The folds choose penalty and bend and answer, each with knots of its own training rows."""
        data = batches.all()

        def parts(train: Encoded, test: Encoded) -> tuple[Problem, Problem, int]:
            problem, pieces, extra = self._bent(train)
            return problem, self._expand(test, pieces), extra

        found = ridge_out_of_fold(data, plan, parts, self.options.bends)
        if found is None:
            return None
        problem, pieces, extra = self._bent(data)
        penalty, bend = penalties_of(problem)[found.step], self.options.bends[found.bend]
        coef = next(choice.ridge_path(held_out.bent(problem, extra, bend), np.array([penalty])))
        facts = {"penalty": float(penalty), **found.facts, "bend": float(bend)}
        return _pack_spline(pieces, coef, facts, problem.classes), found.answers

    def _bent(self, data: Encoded) -> tuple[Problem, tuple[Design, dict[str, np.ndarray]], int]:
        """The problem with its bends, the design and knots behind it, and how many of its columns are bends."""
        design = Design.fit(data.blocks)
        plain = design.matrix(data.blocks)
        pieces = design, splines.fit(plain, len(design.arrays["number"]), self.options.knots)
        problem = self._expand(data, pieces)
        return problem, pieces, problem.X.shape[1] - plain.shape[1]

    def _expand(self, data: Encoded, pieces: tuple[Design, dict[str, np.ndarray]]) -> Problem:
        plain = problem_of(data, pieces[0], self.options.weights, 0)
        X = splines.expand(plain.X, pieces[1])
        return replace(plain, X=X, factor=np.ones(X.shape[1]))



def _pack_spline(
    pieces: tuple[Design, dict[str, np.ndarray]], coef: np.ndarray, facts: dict[str, Any], classes: int
) -> Params:
    params = pack(pieces[0], coef, facts, classes)
    return Params(params.meta, {**params.arrays, **{f"spline/{k}": v for k, v in pieces[1].items()}})
