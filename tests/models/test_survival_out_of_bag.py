"""Answers for training rows by parts of a survival model that did not see them: what an ensemble learns its weights
from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.evaluation.concordance import concordance
from osler.models.base import Encoded
from osler.models.cox import Cox
from osler.models.survival_trees import SurvivalBoosting, SurvivalForest, SurvivalForestOptions
from osler.tasks.base import Target
from osler.tasks.survival import Survival
from tests import survival_data

MEMBERS = (Cox(), SurvivalForest(SurvivalForestOptions(trees=60)), SurvivalBoosting())
EACH = pytest.mark.parametrize("estimator", MEMBERS, ids=["cox", "forest", "boosting"])


def noise(rng: np.random.Generator, n: int, copies: int = 1) -> Encoded:
    """Predictors that say nothing about the time; every row `copies` times, all copies one unit."""
    x, time = rng.normal(size=(n, 6)), rng.exponential(size=n) + 1e-3
    x, time, unit = (np.repeat(a, copies, axis=0) for a in (x, time, np.arange(n)))
    target = Target("survival", ("t", "e"), time, np.ones(n * copies, bool), horizon=1.5)
    return Encoded({"x": dense(x, list("abcdef"))}, target, unit)


def c_of(data: Encoded, risk: np.ndarray) -> float:
    return concordance(data.target.y, data.target.event, risk).value


@EACH
def test_params_are_those_of_fit(estimator):
    data = survival_data.encoded("lung")
    alone = estimator.fit(data, np.random.default_rng(4))
    beside, answer = estimator.fit_out_of_bag(data, np.random.default_rng(4))
    assert all(np.array_equal(alone.arrays[k], beside.arrays[k], equal_nan=True) for k in alone.arrays)
    assert answer.value.shape == (len(data), len(answer.times))
    assert ((answer.value >= 0) & (answer.value <= 1)).all()
    assert (np.diff(answer.value, axis=1) <= 1e-12).all()


@EACH
def test_noise_is_not_recognised_even_if_rows_repeat(estimator, rng):
    data = noise(rng, 120, copies=3)
    params, answer = estimator.fit_out_of_bag(data, rng)
    assert c_of(data, answer.risk) < 0.60
    seen = estimator.predict(params, data.blocks)
    task = Survival()
    assert task.loss(data.target, answer).mean() > task.loss(data.target, seen).mean() - 1e-9


@EACH
def test_it_foretells_how_new_rows_go(estimator, rng):
    data = survival_data.encoded("gbsg2")
    test = np.arange(len(data)) % 3 == 0
    train, unseen = data.take(~test), data.take(test)
    params, answer = estimator.fit_out_of_bag(train, rng)
    task = Survival()
    inside = task.loss(train.target, answer)
    outside = task.loss(unseen.target, estimator.predict(params, unseen.blocks))
    error = np.sqrt(inside.var() / len(inside) + outside.var() / len(outside))
    assert abs(inside.mean() - outside.mean()) < 3 * error
    assert c_of(train, answer.risk) > 0.63


@EACH
def test_none_where_nothing_can_be_left_out(estimator, rng):
    data = noise(rng, 30)
    one = replace(data.target, event=np.arange(30) == 0)
    assert estimator.fit_out_of_bag(Encoded(data.blocks, one, data.groups), rng) is None or isinstance(
        estimator, SurvivalForest
    )
    assert SurvivalForest(SurvivalForestOptions(trees=3)).fit_out_of_bag(data, rng) is None


def test_an_ensemble_of_them_is_fitted_without_inner_folds(rng, monkeypatch):
    fits = []
    fit = Cox.fit
    monkeypatch.setattr(Cox, "fit", lambda self, *given: fits.append(1) or fit(self, *given))
    data = survival_data.encoded("lung")
    estimator = models.get("ensemble:members=cox+survival_boosting")
    params = estimator.fit(data, rng)
    assert len(fits) == 1
    assert sum(params.meta["weights"]) == pytest.approx(1.0)
    assert c_of(data, estimator.predict(params, data.blocks).risk) > 0.62
