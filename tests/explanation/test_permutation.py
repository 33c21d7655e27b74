"""Shuffled columns: only moved cells are asked about again, and all columns share their resamples."""

from __future__ import annotations

import numpy as np

from osler.blocks import Block, dense
from osler.explanation.permutation import MOVED, importance_intervals, permutation_importance
from osler.tasks.base import Prediction, Target


def _table(n: int) -> tuple[dict[str, Block], Target]:
    rng = np.random.default_rng(2)
    x, rare = rng.normal(size=n), (np.arange(n) < 3).astype(float)
    blocks = {
        "x": dense(x[:, None], ("x",)),
        "rare": dense(rare[:, None], ("rare",)),
        "same": dense(np.ones((n, 1)), ("same",)),
    }
    return blocks, Target("regression", ("y",), 2 * x + rng.normal(size=n))


def test_rows_whose_cell_stays_are_not_asked_about_and_increase_by_nothing() -> None:
    blocks, target = _table(300)
    asked: list[int] = []

    def predict(b: dict[str, Block]) -> Prediction:
        asked.append(len(b["x"].values))
        return Prediction(2 * b["x"].values + b["rare"].values + b["same"].values)

    found = permutation_importance(predict, blocks, target, np.random.default_rng(0))
    assert asked[0] == 300
    assert min(asked[1:6]) >= 290
    assert (
        max(asked[6:]) <= 6
    )
    assert (
        len(asked) <= 11
    )
    assert not found["same"].any()
    assert found["x"].mean() > 4


def test_the_increase_is_that_of_asking_about_every_row() -> None:
    blocks, target = _table(120)
    weigh = {"x": 2.0, "rare": -1.0, "same": 0.5}
    predict = lambda b: Prediction(sum(w * b[k].values for k, w in weigh.items()))  # noqa: E731
    found = permutation_importance(predict, blocks, target, np.random.default_rng(7))
    rng, before = np.random.default_rng(7), (target.y - predict(blocks).value[:, 0]) ** 2
    for name, block in blocks.items():
        total = np.zeros(120)
        for _ in range(5):
            p = predict({**blocks, name: block.take(rng.permutation(120))}).value[:, 0]
            total += (target.y - p) ** 2 - before
        np.testing.assert_allclose(found[name], total / 5, atol=1e-12)


def test_many_rows_are_shuffled_less_often() -> None:
    blocks, target = _table(MOVED)
    calls: list[int] = []
    permutation_importance(
        lambda b: (calls.append(1), Prediction(b["x"].values))[1], {"x": blocks["x"]}, target, np.random.default_rng(0)
    )
    assert len(calls) == 1 + 2


def test_intervals_of_columns_share_resamples() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(1.0, 1.0, 400)
    found = importance_intervals(np.column_stack([one, one, 2 * one]), np.arange(400), np.random.default_rng(1))
    assert found[0] == found[1]
    assert np.isclose(found[2]["low"], 2 * found[0]["low"])
    # the normal interval of a mean: 1.96 sd / sqrt(n)
    assert abs((found[0]["high"] - found[0]["low"]) - 2 * 1.96 * one.std() / 20) < 0.03
