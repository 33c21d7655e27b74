"""Cox's proportional hazards with Efron's ties, a ridge penalty and optional bent (spline) effects.

The penalty, and whether effects may bend, are chosen inside `fit` by the cross-validated partial likelihood of Verweij
& van Houwelingen (1993, Stat Med 12:2305) on inner folds that keep whole units together. Spline terms are restricted
cubic
splines (Harrell, Regression Modeling Strategies, section 2.4.5): straight beyond the outer knots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.cohort.split import stratified_group_folds
from osler.errors import OptionError
from osler.models.base import Batches, Estimator, Params
from osler.models.breslow import breslow, survival
from osler.models.design import Design
from osler.models.labels import inner_folds
from osler.models.partial_likelihood import RiskSets, derivatives, log_likelihood, risk_sets
from osler.tasks.base import Prediction, Target

#: Penalties that are tried, per event, on standardised predictors.
PENALTIES = np.logspace(-3.5, 0.5, 9)

#: Where knots are put, as shares of the training rows, and how many distinct values a feature needs to get them.
KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
DISTINCT_VALUES = 10


@dataclass(frozen=True)
class CoxOptions:
    """Options of the Cox model.

    Attributes:
        penalty: ridge penalty (prior precision of a coefficient of a standardised predictor); None chooses it by
            cross-validated partial likelihood.
        spline: "no", "yes" (restricted cubic splines with five knots), or "auto" (whichever predicts inner folds
            better).
        folds: inner folds behind the choice.
    """

    penalty: float | None = None
    spline: str = "auto"
    folds: int = 5


class Cox(Estimator):
    """Proportional hazards regression."""

    name = "cox"
    answers = frozenset({"survival"})
    copes_with_missing = True
    Options = CoxOptions

    def __init__(self, options: CoxOptions | None = None) -> None:
        super().__init__(options)
        if self.options.spline not in ("auto", "yes", "no"):
            raise OptionError(f"option 'spline' of model 'cox' must be auto, yes or no, was '{self.options.spline}'")
        if self.options.penalty is not None and self.options.penalty < 0:
            raise OptionError(f"option 'penalty' of model 'cox' must be 0 or above, was {self.options.penalty:g}")

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Choose penalty and shape on inner folds, then fit all rows.

        Params: `coefficient` (p,), design and spline arrays, `times` and `baseline` (t,); meta has the names of the
            terms, the penalty, whether splines were used, the null and final log likelihood and the rank of the
            predictors.
        """
        data = batches.all()
        design = Design.fit(data.blocks)
        plain = design.matrix(data.blocks)
        knots, which = spline_knots(plain[:, : len(design.arrays["number"])])
        wanted = {"no": [False], "yes": [True], "auto": [False, True]}[self.options.spline]
        wanted = [w for w in wanted if not w or len(which)] or [False]
        scales = spline_scales(plain, knots, which)
        shapes = {w: np.hstack([plain, spline_terms(plain, knots, which) / scales]) if w else plain for w in wanted}
        bent, penalty = self._choose(shapes, data.target, data.groups, rng)
        x = shapes[bent]
        sets = risk_sets(data.target.y, data.target.event, data.target.weight)
        coefficient = ridge_path(sets, x, [penalty])[0]
        times, baseline = breslow(data.target, x @ coefficient)
        meta, arrays = design.to_params()
        terms = list(design.names)
        if bent:
            terms += [f"{design.names[i]} (bend {j + 1})" for i in which for j in range(len(KNOTS) - 2)]
            arrays |= {"knots": knots, "bent": which, "spline_scale": scales}
        arrays |= {"coefficient": coefficient, "times": times, "baseline": baseline}
        facts = {
            "penalty": penalty, "spline": bent, "terms": terms, "rank": int(np.linalg.matrix_rank(x)) if x.size else 0,
            "log_likelihood_null": log_likelihood(sets, np.zeros(len(x))),
            "log_likelihood": log_likelihood(sets, x @ coefficient),
        }  # fmt: skip
        return Params({"design": meta, **facts}, arrays)

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """The model, and each row's curve by coefficients and a baseline fitted without the inner fold of its unit.

        Medians, scales, knots, penalty and shape are those of all rows: only the last two have looked at the outcome.
        """
        data = batches.all()
        params, fold = self.fit(data, rng), inner_folds(data, self.options.folds, rng)
        if fold.max() < 1 or not all(data.target.event[fold != k].any() for k in range(fold.max() + 1)):
            return None
        x, times = self._terms(params, data.blocks), params.arrays["times"]
        curves = np.empty((len(x), len(times)))
        for k in range(fold.max() + 1):
            part = replace(data.target.take(fold != k), horizon=float(times[-1]))
            sets = risk_sets(part.y, part.event, part.weight)
            log_hazard = x @ ridge_path(sets, x[fold != k], [params.meta["penalty"]])[0]
            _, baseline = breslow(part, log_hazard[fold != k])
            curves[fold == k] = survival(times, baseline, log_hazard[fold == k]).value
        return params, Prediction(curves, times)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Survival curves (n, t) on the time grid."""
        return survival(params.arrays["times"], params.arrays["baseline"], self.log_hazard(params, blocks))

    def log_hazard(self, params: Params, blocks: dict[str, Block]) -> np.ndarray:
        """(n,) the linear predictor: log hazard relative to the average training row."""
        return self._terms(params, blocks) @ params.arrays["coefficient"]

    @staticmethod
    def _terms(params: Params, blocks: dict[str, Block]) -> np.ndarray:
        """(n, p) standardised predictors, with their bends if there are any."""
        a = params.arrays
        x = Design.from_params(params).matrix(blocks)
        if "knots" in a:
            x = np.hstack([x, spline_terms(x, a["knots"], a["bent"]) / a["spline_scale"]])
        return x

    def _choose(
        self, shapes: dict[bool, np.ndarray], target: Target, groups: np.ndarray, rng: np.random.Generator
    ) -> tuple[bool, float]:
        """Bent or straight, and the penalty, with the best cross-validated partial likelihood."""
        fixed = self.options.penalty
        penalties = PENALTIES[::-1] * max(int(target.event.sum()), 1) if fixed is None else np.array([fixed])
        n_groups = len(np.unique(groups))
        if (len(shapes) == 1 and len(penalties) == 1) or n_groups < 4:
            return next(iter(shapes)), float(fixed if fixed is not None else penalties[len(penalties) // 2])
        fold = stratified_group_folds(groups, target.strata, min(self.options.folds, n_groups // 2), rng)
        best = max(
            ((gain, -bent, float(penalty)) for bent, x in shapes.items() for gain, penalty in
             zip(cross_validated(x, target, fold, penalties), penalties)),
        )  # fmt: skip
        return bool(-best[1]), best[2]


def cross_validated(x: np.ndarray, target: Target, fold: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """(m,) cross-validated log partial likelihood of each penalty: sum over folds of l(all rows) - l(rows without the
    fold).

    Args:
        x: (n, p) predictors. fold: (n,) codes. penalties: (m,) from strong to weak.
    """
    total = np.zeros(len(penalties))
    everyone = risk_sets(target.y, target.event, target.weight)
    for k in range(fold.max() + 1):
        part = target.take(fold != k)
        if not part.event.any():
            continue
        inside = risk_sets(part.y, part.event, part.weight)
        for i, beta in enumerate(ridge_path(inside, x[fold != k], penalties)):
            eta = x @ beta
            total[i] += log_likelihood(everyone, eta) - log_likelihood(inside, eta[fold != k])
    return total


def ridge_path(sets: RiskSets, x: np.ndarray, penalties: np.ndarray | list[float]) -> np.ndarray:
    """(m, p) coefficients that maximise log partial likelihood - penalty / 2 * sum of squares, each starting at the
    last.

    With more predictors than rows the problem is solved in the rows' own space, which holds the same answer.

    Args:
        x: (n, p), rows in the caller's order. penalties: (m,), best from strong to weak.
    """
    n, p = x.shape
    if p == 0 or not len(sets.dead):
        return np.zeros((len(penalties), p))
    x = (x - x.mean(axis=0))[sets.order]
    back = None
    if p > n:
        u, s, back = np.linalg.svd(x, full_matrices=False)
        x = u * s
    beta, path = np.zeros(x.shape[1]), []
    for penalty in penalties:
        beta = _newton(sets, x, float(penalty), beta)
        path.append(beta)
    return np.array(path) if back is None else np.array(path) @ back


def _newton(sets: RiskSets, x: np.ndarray, penalty: float, beta: np.ndarray, steps: int = 60) -> np.ndarray:
    """Newton's method with halved steps; directions that the data do not fix are left where they are."""
    value, slope, hessian = derivatives(sets, x, beta)
    value -= 0.5 * penalty * beta @ beta
    for _ in range(steps):
        slope = slope - penalty * beta
        step = np.linalg.lstsq(hessian + penalty * np.eye(len(beta)), slope, rcond=1e-12)[0]
        # A separated direction runs away for ever: no coefficient of a standardised predictor moves by more than 2 at
        # once.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        decrement, size = float(slope @ step), 1.0
        while True:
            new = beta + size * step
            new_value, new_slope, new_hessian = derivatives(sets, x, new)
            new_value -= 0.5 * penalty * new @ new
            if new_value >= value - 1e-12 * abs(value) or size < 1e-4:
                break
            size *= 0.5
        beta, value, slope, hessian = new, new_value, new_slope, new_hessian
        if decrement < 1e-10 * max(abs(value), 1.0):
            break
    return beta


# -- bent effects --------------------------------------------------------------------------------------------


def spline_knots(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots (q, 5) of the q columns of x (n, p) with enough distinct values for five distinct knots, and which they
    are.
    """
    knots, which = [], []
    for i in range(x.shape[1]):
        at = np.quantile(x[:, i], KNOTS)
        if len(np.unique(x[:, i])) < DISTINCT_VALUES:
            continue
        if (np.diff(at) <= 1e-9).any():
            at = np.quantile(np.unique(x[:, i]), KNOTS)
        knots.append(at)
        which.append(i)
    return np.array(knots).reshape(-1, len(KNOTS)), np.array(which, dtype=np.int64)


def spline_terms(x: np.ndarray, knots: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(n, 3 q) restricted cubic spline terms beyond the straight line, for columns `which` of x, with knots (q, 5)."""
    out = []
    for i, t in zip(which, knots):
        cubes = np.maximum(x[:, [i]] - t, 0.0) ** 3
        last, before = cubes[:, -1:], cubes[:, -2:-1]
        width = t[-1] - t[-2]
        bends = cubes[:, :-2] - before * (t[-1] - t[:-2]) / width + last * (t[-2] - t[:-2]) / width
        out.append(bends / (t[-1] - t[0]) ** 2)
    return np.hstack(out) if out else np.zeros((len(x), 0))


def spline_scales(x: np.ndarray, knots: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(3 q,) standard deviations of the spline terms in training, 1 where a term does not vary."""
    deviation = spline_terms(x, knots, which).std(axis=0)
    return np.where(deviation > 1e-12, deviation, 1.0)


def fitted_facts(params: Params) -> dict[str, Any]:
    """What a report says about a fitted model: hazard ratio per standard deviation of every term, by size."""
    ratio = np.exp(params.arrays["coefficient"])
    order = np.argsort(-np.abs(params.arrays["coefficient"]), kind="stable")
    return {"hazard_ratios": [(params.meta["terms"][i], float(ratio[i])) for i in order]}
