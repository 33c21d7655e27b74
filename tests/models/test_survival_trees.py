"""Survival forest and boosting: leaves by hand, curves that are curves, and what they learn that a line cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.blocks import dense
from osler.evaluation.concordance import concordance
from osler.models.base import Encoded, Params
from osler.models.cox import Cox, CoxOptions
from osler.models.survival_trees import (
    SurvivalBoosting,
    SurvivalBoostingOptions,
    SurvivalForest,
    SurvivalForestOptions,
    leaf_hazards,
)  # fmt: skip
from osler.tasks.base import Target
from osler.tasks.kaplan_meier import kaplan_meier, nelson_aalen
from osler.tasks.survival import Survival
from tests import survival_data

FOREST, BOOSTING = SurvivalForest(SurvivalForestOptions(trees=60)), SurvivalBoosting()
BOTH = pytest.mark.parametrize("estimator", [FOREST, BOOSTING], ids=["forest", "boosting"])


def made(rng, n=500, effect=lambda x: x[:, 0], **changes) -> Encoded:
    x = rng.normal(size=(n, 3))
    time, lost = rng.exponential(10 * np.exp(-effect(x))), rng.uniform(0, 25, n)
    target = Target("survival", ("t", "e"), np.minimum(time, lost) + 1e-3, time <= lost, horizon=12.0, **changes)
    return Encoded({"x": dense(x, ["a", "b", "c"])}, target, np.arange(n))


def split(data: Encoded) -> tuple[Encoded, Encoded]:
    test = np.arange(len(data)) % 3 == 0
    return data.take(~test), data.take(test)


def c_of(data: Encoded, risk: np.ndarray) -> float:
    return concordance(data.target.y, data.target.event, risk).value


def test_leaf_hazards_by_hand():
    # Leaf 0: times 1x, 2x, 2o, 4x, the first drawn twice: 2/5, then 1/3, then 1/1. Leaf 1: 3o, 5x: 1/1 at 5.
    target = Target("survival", ("t", "e"), np.array([2.0, 4, 1, 2, 5, 3]), np.array([1, 1, 1, 0, 1, 0], bool))
    weight, leaf = np.array([1.0, 1, 2, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    found = leaf_hazards(target, weight, leaf, 2, np.array([0.5, 1.0, 2.0, 3.0, 4.5]))
    assert found == pytest.approx(np.array([[0, 0.4, 0.4 + 1 / 3, 0.4 + 1 / 3, 0.4 + 1 / 3 + 1], [0, 0, 0, 0, 0]]))


def test_leaf_hazards_are_nelson_aalen_of_the_leaf(rng):
    time, event = rng.integers(1, 12, 90).astype(float), rng.random(90) < 0.5
    weight, leaf, times = rng.integers(0, 3, 90).astype(float), rng.integers(0, 4, 90), np.arange(1.0, 11.0)
    found = leaf_hazards(Target("survival", ("t", "e"), time, event), weight, leaf, 5, times)
    for i in range(4):
        inside = (leaf == i) & (weight > 0)
        assert found[i] == pytest.approx(nelson_aalen(time[inside], event[inside], weight[inside]).at(times))
    assert (found[4] == 0).all()


@BOTH
def test_curves_are_curves_on_the_grid(estimator, rng):
    train, test = split(survival_data.encoded("lung"))
    answer = estimator.predict(estimator.fit(train, rng), test.blocks)
    assert answer.value.shape == (len(test), 60)
    assert answer.times[-1] == train.target.horizon
    assert ((answer.value >= 0) & (answer.value <= 1)).all()
    assert (np.diff(answer.value, axis=1) <= 1e-12).all()


@BOTH
def test_real_tables_are_ranked_and_beat_kaplan_meier(estimator, rng):
    task = Survival()
    train, test = split(survival_data.encoded("gbsg2"))
    answer = estimator.predict(estimator.fit(train, rng), test.blocks)
    assert c_of(test, answer.risk) > 0.64
    nobody = task.predict_baseline(task.baseline(train.target), len(test))
    assert task.loss(test.target, answer).mean() < task.loss(test.target, nobody).mean()


@BOTH
def test_what_no_line_can_learn(estimator, rng):
    # The effect of a turns round with the sign of b.
    train, test = split(made(rng, 1200, lambda x: 1.5 * x[:, 0] * np.sign(x[:, 1])))
    line = Cox(CoxOptions(spline="no"))
    straight = c_of(test, line.predict(line.fit(train, rng), test.blocks).risk)
    trees = c_of(test, estimator.predict(estimator.fit(train, rng), test.blocks).risk)
    assert straight < 0.58
    assert trees > 0.64


@BOTH
def test_mean_probability_is_what_happens(estimator, rng):
    train, test = split(made(rng, 1500))
    answer = estimator.predict(estimator.fit(train, rng), test.blocks)
    observed = 1 - float(kaplan_meier(test.target.y, test.target.event).at(12.0))
    assert answer.event_probability(12.0).mean() == pytest.approx(observed, abs=0.06)


@BOTH
def test_noise_gives_everybody_about_the_same(estimator, rng):
    train, test = split(made(rng, 600, lambda x: 0 * x[:, 0]))
    answer = estimator.predict(estimator.fit(train, rng), test.blocks)
    assert 0.42 < c_of(test, answer.risk) < 0.58
    assert answer.event_probability(12.0).std() < 0.12


@BOTH
def test_params_are_arrays_and_json_only_and_repeat(estimator, rng):
    data = made(rng, 150)
    first, second = (estimator.fit(data, np.random.default_rng(5)) for _ in range(2))
    again = Params(json.loads(json.dumps(first.meta)), {k: v.copy() for k, v in first.arrays.items()})
    assert all(v.dtype != object for v in first.arrays.values())
    assert first.meta == second.meta
    values = [estimator.predict(p, data.blocks).value for p in (first, second, again)]
    assert (values[0] == values[1]).all()
    assert (values[0] == values[2]).all()


@BOTH
def test_rows_are_answered_one_by_one_as_all_together(estimator, rng):
    data = survival_data.encoded("lung")
    params = estimator.fit(data, rng)
    order = rng.permutation(len(data))
    whole = estimator.predict(params, data.blocks).value
    assert estimator.predict(params, data.take(order).blocks).value == pytest.approx(whole[order], abs=1e-12)
    assert estimator.predict(params, data.take(np.array([3])).blocks).value[0] == pytest.approx(whole[3], abs=1e-12)


@BOTH
def test_weights_move_the_answer_towards_the_heavy_rows(estimator, rng):
    data = made(rng, 400, lambda x: 0 * x[:, 0])
    heavy = np.where(data.target.event, 3.0, 1.0)
    target = Target("survival", data.target.names, data.target.y, data.target.event, horizon=12.0, weight=heavy)
    light = estimator.predict(estimator.fit(data, np.random.default_rng(1)), data.blocks)
    loaded = estimator.predict(
        estimator.fit(Encoded(data.blocks, target, data.groups), np.random.default_rng(1)), data.blocks
    )
    assert loaded.event_probability(12.0).mean() > light.event_probability(12.0).mean() + 0.05


@BOTH
def test_a_table_of_a_few_rows_is_survived(estimator, rng):
    x = np.arange(6.0)[:, None]
    target = Target(
        "survival", ("t", "e"), np.array([3.0, 1, 4, 1, 5, 9]), np.array([1, 0, 1, 1, 0, 1], bool), horizon=5.0
    )
    data = Encoded({"x": dense(x, ["a"])}, target, np.arange(6))
    answer = estimator.predict(estimator.fit(data, rng), data.blocks)
    assert np.isfinite(answer.value).all()


def test_boosters_fit_the_text_and_the_nodes_alike(rng):
    import lightgbm

    data = survival_data.encoded("lung")
    params = BOOSTING.fit(data, rng)
    from osler.models.design import TreeDesign

    x = TreeDesign.from_params(params).matrix(data.blocks)
    texts = params.meta["texts"]
    assert len(texts) == 5
    mean = np.mean([lightgbm.Booster(model_str=t).predict(x, raw_score=True) for t in texts], axis=0)
    assert BOOSTING.log_hazard(params, data.blocks) == pytest.approx(params.meta["slope"] * mean, abs=1e-9)


def test_rounds_may_be_fixed(rng):
    estimator = SurvivalBoosting(SurvivalBoostingOptions(rounds=7, folds=3))
    params = estimator.fit(made(rng, 150), rng)
    assert params.meta["rounds"] == 7
    assert len(params.meta["texts"]) == 3
    assert len(params.arrays["nodes/roots"]) == 21
