"""What a published score is: named inputs with units, a formula, and no learning.

A score of kind `risk` gives a probability by its own equation, whatever the data. A score of kind `points`
gives points, which order patients; to stand beside models that give probabilities, `fit` learns an
intercept and one slope from points to the outcome in the training rows, and nothing else. In both, a
missing input takes the training rows' median, so that the score answers for the same rows as the models;
`values` itself never fills anything in. Beside an outcome with follow-up times a score orders people, and one slope and
the baseline hazard are learnt (a proportional hazards model of the score alone).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.cohort import Cohort
from osler.errors import ColumnError, OptionError
from osler.models.base import Batches, Estimator, Params
from osler.models.breslow import breslow, survival
from osler.models.clinical.inputs import Input, factor_of, match, read
from osler.models.cox import ridge_path
from osler.models.partial_likelihood import risk_sets
from osler.tasks.base import Prediction, Target


@dataclass(frozen=True)
class ScoreOptions:
    """Options of every clinical score.

    Attributes:
        columns: "INPUT=COLUMN" pairs for inputs whose column has a name that is not recognised.
        units: "INPUT=UNIT" pairs for columns whose unit is not written in the cohort.
        male: the value of the sex column that means male, where it is a code.
        black: the value of the race column that means African American, where it is a code.
        region: SCORE2 only: low, moderate, high or very high risk region.
        recalibrate: a risk, too, gets an intercept and a slope learnt from the training rows; its order stays as
            published.
    """

    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    male: str = ""
    black: str = ""
    region: str = "moderate"
    recalibrate: bool = False


class ClinicalScore(Estimator):
    """A published score.

    Class attributes: `inputs`; `kind` ("risk" or "points"); `outcome` (what it was made to predict, in
        words);
    `horizon_years` (of a risk); `reference`; `applies_to` (whom it is meant for, in words).
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"dense"})
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "survival"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = ScoreOptions
    inputs: ClassVar[tuple[Input, ...]]
    kind: ClassVar[str]
    outcome: ClassVar[str]
    horizon_years: ClassVar[float | None] = None
    reference: ClassVar[str]
    applies_to: ClassVar[str]

    @abstractmethod
    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) risk (0 to 1) or points from input arrays (n,) in the units of `inputs`; NaN where a needed
        one is missing."""

    @final
    def applicable(self, cohort: Cohort) -> list[str]:
        """Inputs that no column of the cohort gives; empty if the score can be computed."""
        found = match(self.inputs, cohort.columns, _pairs(self.options.columns, "columns"))
        lost = [i.name for i in self.inputs if i.name not in found and i.default is None]
        unread = [
            i.name
            for i in self.inputs
            if i.name in found and i.kind in ("sex", "race") and not self._reads(cohort, i, found)
        ]
        return lost + unread

    @final
    def bind(self, cohort: Cohort) -> ClinicalScore:
        """This score with columns and units fixed to those of a cohort.

        Raises:
            ColumnError: an input has no column; all are named.
        """
        lost = self.applicable(cohort)
        if lost:
            raise ColumnError(
                f"score '{self.name}' needs the columns {', '.join(lost)}, which were not "
                f"found: name them with columns=INPUT=COLUMN"
            )
        found = match(self.inputs, cohort.columns, _pairs(self.options.columns, "columns"))
        units = _pairs(self.options.units, "units")
        for i in self.inputs:
            if i.name in found and i.units:
                column = cohort.column(found[i.name])
                x = cohort.values(column.name).cast(pl.Float64, strict=False).to_numpy()
                units[i.name] = factor_of(i, units.get(i.name, column.unit), x)[0]
        bound = ScoreOptions(
            **{
                **self.options.__dict__,
                "columns": tuple(f"{k}={v}" for k, v in found.items()),
                "units": tuple(f"{k}={v}" for k, v in units.items()),
            }
        )
        return type(self)(bound)

    @final
    def compute(self, cohort: Cohort) -> np.ndarray:
        """(n,) the score of every row of a cohort, NaN where an input is missing.

        Raises:
            ColumnError: an input has no column.
        """
        bound = self.bind(cohort)
        blocks = {c: _block(cohort, c) for c in _pairs(bound.options.columns, "columns").values()}
        return self.values(bound._read(blocks))

    @final
    def outside(self, cohort: Cohort) -> dict[str, int]:
        """How many rows lie outside the range that each input was made for (they are computed all the
        same)."""
        bound = self.bind(cohort)
        x = bound._read({c: _block(cohort, c) for c in _pairs(bound.options.columns, "columns").values()})
        counts = {
            i.name: int(((x[i.name] < i.low) | (x[i.name] > i.high)).sum())
            for i in self.inputs
            if i.kind == "number"
        }
        return {name: n for name, n in counts.items() if n}

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn no coefficient: training medians for missing inputs, and for points the map to a
        probability."""
        data = batches.all()
        x = self._read(data.blocks)
        fill = {k: float(np.nanmedian(v)) for k, v in x.items() if not np.isnan(v).all()}
        meta: dict[str, Any] = {"score": self.name, "columns": self._columns(data.blocks), "fill": fill}
        value = self.values(_filled(x, fill))
        meta["middle"] = float(np.nanmedian(value)) if not np.isnan(value).all() else float(data.target.strata.mean())
        value = self._scale(np.where(np.isnan(value), meta["middle"], value))
        if data.target.kind == "survival":
            slope, times, baseline = hazard_map(value, data.target)
            return Params({**meta, "map": [0.0, slope]}, {"times": times, "baseline": baseline})
        if self._is_mapped:
            meta["map"] = logistic_map(value, data.target.y.astype(np.float64), data.target.weight)
        return Params(meta)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Probability of the outcome, (n, 2), or survival curves (n, t)."""
        value = self.values(_filled(self._read(blocks), params.meta["fill"]))
        value = np.where(np.isnan(value), params.meta["middle"], value)
        if "map" not in params.meta:
            return Prediction(np.stack([1 - value, value], axis=1))
        intercept, slope = params.meta["map"]
        line = intercept + slope * self._scale(value)
        if "baseline" in params.arrays:
            return survival(params.arrays["times"], params.arrays["baseline"], line)
        p = 1 / (1 + np.exp(-line))
        return Prediction(np.stack([1 - p, p], axis=1))

    @property
    def _is_mapped(self) -> bool:
        return self.kind == "points" or self.options.recalibrate

    def _scale(self, value: np.ndarray) -> np.ndarray:
        """(n,) what a slope is learnt on: points as they are, the log odds of a risk."""
        if self.kind == "points":
            return value
        p = np.clip(value, 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    def _columns(self, blocks: Mapping[str, Block]) -> dict[str, str]:
        named = _pairs(self.options.columns, "columns")
        found = match(self.inputs, list(blocks), named)
        lost = [i.name for i in self.inputs if i.name not in found and i.default is None]
        if lost:
            raise ColumnError(
                f"score '{self.name}' needs the columns {', '.join(lost)}, which were not "
                f"found: name them with columns=INPUT=COLUMN"
            )
        return found

    def _read(self, blocks: Mapping[str, Block]) -> dict[str, np.ndarray]:
        found, units = self._columns(blocks), _pairs(self.options.units, "units")
        n = len(next(iter(blocks.values())))
        out = {}
        for i in self.inputs:
            if i.name not in found:
                out[i.name] = np.full(n, i.default)
                continue
            block = blocks[found[i.name]]
            male_or_black = {"sex": self.options.male, "race": self.options.black}.get(i.kind, "")
            x = read(i, block, male_or_black, found[i.name])
            out[i.name] = x * factor_of(i, units.get(i.name, ""), x)[1] if i.units else x
        return out

    def _reads(self, cohort: Cohort, i: Input, found: Mapping[str, str]) -> bool:
        """Whether the values of a sex or race column are understood."""
        marked = {"sex": self.options.male, "race": self.options.black}[i.kind]
        return not np.isnan(read(i, _block(cohort, found[i.name]), marked, found[i.name])).all()


def logistic_map(
    points: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None, steps: int = 50
) -> list[float]:
    """Intercept and slope of a logistic regression of y on points, (n,) each, by Newton's method with a
    ridge of 0.01 on the slope per standard deviation (so that separable data stay finite). Rows without
    points take no part; rows count by their case weights (mean 1)."""
    known = ~np.isnan(points)
    w = np.ones(int(known.sum())) if weight is None else weight[known] / weight[known].mean()
    points, y = points[known], y[known]
    spread = float(points.std()) or 1.0
    design = np.stack([np.ones(len(points)), (points - points.mean()) / spread], axis=1)
    beta = np.zeros(2)
    ridge = np.diag([1e-6, 0.01])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-design @ beta))
        hessian = design.T @ (design * (w * p * (1 - p))[:, None]) + ridge
        step = np.linalg.solve(hessian, design.T @ (w * (y - p)) - ridge @ beta)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    slope = beta[1] / spread
    return [float(beta[0] - slope * points.mean()), float(slope)]


def hazard_map(value: np.ndarray, target: Target) -> tuple[float, np.ndarray, np.ndarray]:
    """Slope of a proportional hazards model of a score alone, and the times (t,) and cumulative baseline hazard
    (t,).
    """
    spread = float(value.std())
    sets = risk_sets(target.y, target.event, target.weight)
    slope = float(ridge_path(sets, value[:, None] / spread, [0.01])[0][0]) / spread if spread > 0 else 0.0
    return slope, *breslow(target, slope * value)


def _filled(x: Mapping[str, np.ndarray], fill: Mapping[str, float]) -> dict[str, np.ndarray]:
    return {k: np.where(np.isnan(v), fill.get(k, np.nan), v) for k, v in x.items()}


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [t.partition("=") for t in texts]
    wrong = [t for t, sign, _ in pairs if not sign]
    if wrong:
        raise OptionError(f"option '{option}' must be INPUT={option.rstrip('s').upper()}, was '{wrong[0]}'")
    return {name: value for name, _, value in pairs}


def _block(cohort: Cohort, name: str) -> Block:
    """A column as a block without fitting anything: numbers as they are, all else as levels."""
    values = cohort.values(name)
    if values.dtype == pl.Boolean:
        values = values.cast(pl.Int8)
    if values.dtype.is_numeric():
        return dense(values.cast(pl.Float64).to_numpy()[:, None], [name])
    text = values.cast(pl.String).str.strip_chars()
    levels = text.drop_nulls().unique().sort().to_list()
    codes = text.replace_strict(
        {v: float(k) for k, v in enumerate(levels)}, default=None, return_dtype=pl.Float64
    )
    return dense(codes.to_numpy()[:, None], [name], kinds=["categorical"], levels=[levels])
