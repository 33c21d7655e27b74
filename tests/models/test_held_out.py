"""Inner folds that choose a step and answer for their rows: what is chosen, by whom, and that the answers are out of fold."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.models import held_out
from osler.models.base import Encoded
from osler.models.bins import Table
from osler.models.boosting import _walk
from osler.tasks.base import Target


def _plan(n: int, k: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    code = np.arange(n) % k
    return [(np.flatnonzero(code != j), np.flatnonzero(code == j)) for j in range(k)]


def _data(kind: str = "binary", n: int = 160, gap: float = 1.0) -> Encoded:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(n, 3))
    blocks = {f"x{j}": dense(values[:, [j]], (f"x{j}",)) for j in range(3)}
    risk = gap * values[:, 0] - values[:, 1] ** 2 / 2
    if kind == "regression":
        target = Target("regression", ("y",), risk + rng.normal(size=n))
    else:
        y = (risk + rng.logistic(size=n) * (gap < 50) > 0).astype(np.int64)
        target = Target("binary", ("y",), y, classes=("no", "yes"))
    return Encoded(blocks, target, np.arange(n))


def test_the_step_of_a_fold_is_chosen_by_folds_of_other_rows() -> None:
    tests = [np.array([0, 1]), np.array([2, 3]), np.array([1, 2])]  # the third shares a row with both others
    losses = np.array([[1.0, 3.0], [4.0, 1.0], [0.0, 9.0]])
    best, own = held_out.best_steps(losses, np.ones(3), tests)
    assert best == 0  # 5 < 13
    assert own == [1, 0, 0]  # fold 0 by fold 1, fold 1 by fold 0, the third by nobody


def test_steps_may_be_picked_by_another_rule_than_the_least() -> None:
    losses = np.array([[1.0, 1.0, 5.0], [2.0, 2.0, 2.0]])
    last = held_out.best_steps(losses, np.ones(2), [np.array([0]), np.array([1])], lambda c: np.flatnonzero(c <= c.min())[-1])
    assert last == (1, [2, 1])


def test_steps_that_were_not_walked_are_never_chosen() -> None:
    losses = np.array([[0.5, np.inf, 0.4], [0.5, np.inf, 0.7]])
    assert held_out.best_steps(losses, np.ones(2), [np.array([0]), np.array([1])]) == (0, [0, 2])


@pytest.mark.parametrize("spec", ["logistic", "spline", "boosting"])
def test_answers_come_from_models_that_never_saw_the_fold(spec: str) -> None:
    data, plan = _data(), _plan(160)
    params, answer = models.get(spec).fit_out_of_fold(data, plan, np.random.default_rng(0))
    rows = np.concatenate([test for _, test in plan])
    y = data.target.y[rows]
    assert answer.value.shape == (160, 2)
    assert np.allclose(answer.value.sum(axis=1), 1)
    seen = models.get(spec).predict(params, data.blocks).value[rows, 1]
    p = answer.value[:, 1]
    assert np.mean((p - y) ** 2) < y.var()  # learns
    assert np.mean((p - y) ** 2) > np.mean((seen - y) ** 2)  # and is less sure than the model that saw the rows
    assert params.meta["inner_folds"] == 4


def test_a_logistic_fold_answers_as_a_model_of_its_training_rows_does() -> None:
    data, plan = _data(), _plan(160)
    _, answer = models.get("logistic").fit_out_of_fold(data, plan, np.random.default_rng(0))
    train, test = plan[0]
    penalties = [float(p) for p in np.logspace(3.5, -2, 12)]
    alone = [models.get(f"logistic:penalty={p}") for p in penalties]
    each = [
        m.predict(m.fit(data.take(train), np.random.default_rng(0)), data.take(test).blocks).value[:, 1] for m in alone
    ]
    assert min(np.abs(e - answer.value[: len(test), 1]).max() for e in each) < 1e-3


def test_numbers_have_folds_of_their_own_too() -> None:
    data, plan = _data("regression"), _plan(160)
    for spec in ("spline", "boosting"):
        _, answer = models.get(spec).fit_out_of_fold(data, plan, np.random.default_rng(0))
        y = data.target.y[np.concatenate([test for _, test in plan])]
        assert answer.value.shape == (160, 1)
        assert np.mean((answer.value[:, 0] - y) ** 2) < y.var()


def test_a_fold_without_both_classes_is_left_to_the_ensemble() -> None:
    data = _data()
    plan = [(np.flatnonzero(data.target.y == 1), np.flatnonzero(data.target.y == 0))]
    for spec in ("logistic", "spline", "boosting"):
        assert models.get(spec).fit_out_of_fold(data, plan, np.random.default_rng(0)) is None


def test_given_options_need_no_choice() -> None:
    data, plan = _data(), _plan(160)
    assert models.get("logistic:penalty=1.0").fit_out_of_fold(data, plan, np.random.default_rng(0)) is None
    assert models.get("boosting:rounds=5").fit_out_of_fold(data, plan, np.random.default_rng(0)) is None


def test_boosting_rests_once_rounds_gain_next_to_nothing() -> None:
    data = _data(gap=100.0)
    X = np.column_stack([b.values for b in data.blocks.values()])
    rows = np.arange(160)[::2], np.arange(160)[1::2]
    boosting = models.get("boosting:learning_rate=0.5")
    settings = boosting._settings(X.shape, 2, 1)
    _, curve = _walk(Table(X), rows, data.target.y, np.ones(160), settings, (2000, 0))
    assert len(curve) < 500
    assert curve[-1] < curve[0]
