"""Effects: accumulated local effects are right where partial dependence is wrong, and nothing shows a few people."""

from __future__ import annotations

import numpy as np
import pytest

from osler.blocks import dense
from osler.explanation.effects import (
    LEAST_ROWS,
    accumulated_effect,
    edges_of,
    level_effect,
    partial_dependence,
)  # fmt: skip
from tests.explanation.games import answer_of, numbers


def centred(values: np.ndarray, grid: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A curve on a grid less its mean over the rows (n,)."""
    return values - np.interp(x, grid, values).mean()


def correlated(n: int = 3000, seed: int = 0) -> np.ndarray:
    """Two numbers on [0, 1] that are nearly equal (Apley and Zhu 2020, example 1)."""
    rng = np.random.default_rng(seed)
    z = rng.random(n)
    return np.column_stack([z + 0.03 * rng.normal(size=n), z + 0.03 * rng.normal(size=n)])


def test_ale_is_right_where_partial_dependence_extrapolates():
    """The answer is x0 + x1^2 where rows lie, and wild where none lies: PDP sees the wild part, ALE does not."""
    X = correlated()

    def wild(X: np.ndarray) -> np.ndarray:
        return X[:, 0] + X[:, 1] ** 2 + 50.0 * np.maximum(np.abs(X[:, 0] - X[:, 1]) - 0.3, 0) * X[:, 0]

    blocks, answer = numbers(X), answer_of(wild)
    ale = accumulated_effect(answer, blocks, "x1", np.arange(len(X)), np.random.default_rng(0))
    grid = np.array(ale["grid"])
    truth = centred(grid**2, grid, X[:, 1])
    pdp = centred(partial_dependence(answer, blocks, "x1", grid), grid, X[:, 1])
    assert np.abs(np.array(ale["value"]) - truth).max() < 0.03
    assert np.abs(pdp - truth).max() > 0.5


def test_ale_of_a_sum_is_its_own_term():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 3))
    X[:, 1] += X[:, 0]
    answer = answer_of(lambda X: 2.0 * X[:, 0] - X[:, 1] + np.sin(X[:, 2]))
    ale = accumulated_effect(answer, numbers(X), "x0", np.arange(2000), rng)
    grid = np.array(ale["grid"])
    assert np.diff(ale["value"]) == pytest.approx(2.0 * np.diff(grid), abs=1e-9)
    # A straight term moves all rows of a bin alike: what varies between bootstraps is only the centring.
    assert np.ptp(np.array(ale["high"]) - np.array(ale["low"])) < 1e-9


def test_ale_by_hand():
    """Twenty rows, two bins of ten: moves are those of each bin's own rows, added up and centred."""
    x0 = np.arange(20.0)
    X = np.column_stack([x0, np.where(x0 < 10, 1.0, 3.0)])
    answer, rng = answer_of(lambda X: X[:, 0] * X[:, 1]), np.random.default_rng(0)
    ale = accumulated_effect(answer, numbers(X), "x0", np.arange(20), rng)
    first, middle, last = ale["grid"]
    raw = np.array([0.0, 1.0 * (middle - first), 1.0 * (middle - first) + 3.0 * (last - middle)])
    assert ale["value"] == pytest.approx(raw - (0.5 * raw[1] * 10 + 0.5 * (raw[1] + raw[2]) * 10) / 20)
    assert ale["n"] == [10, 20, 10]


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """The move over the range, of answers that scatter between units of five rows: 95 % intervals in 87 to 100 of 100
    draws.
    """
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(60), 5)
        X = np.column_stack([rng.random(300), rng.normal(size=60)[unit]])
        ale = accumulated_effect(answer_of(lambda X: X[:, 0] * X[:, 1]), numbers(X), "x0", unit, rng)
        grid = np.array(ale["grid"])
        held += ale["low"][-1] <= 0.0 <= ale["high"][-1]  # E x1 = 0: no effect
        assert (np.array(ale["low"]) <= ale["value"]).all()
        assert (np.array(ale["high"]) >= ale["value"]).all()
        assert len(grid) == len(ale["n"])
    assert 87 <= held <= 100


@pytest.mark.parametrize("values", [
    np.arange(35.0), np.round(np.random.default_rng(0).normal(size=500), 1),
    np.random.default_rng(1).integers(0, 4, 200).astype(float), np.r_[np.zeros(400), np.arange(40.0)],
])  # fmt: skip
def test_every_bin_holds_ten_rows_and_no_extreme_is_shown(values: np.ndarray):
    edges = edges_of(values)
    inside = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    assert np.bincount(inside, minlength=len(edges) - 1).min() >= LEAST_ROWS
    assert (values <= edges[0]).sum() >= 5
    assert (values >= edges[-1]).sum() >= 5
    assert (np.diff(edges) > 0).all()


def test_constant_or_nearly_absent_columns_have_no_effect_to_show():
    rng = np.random.default_rng(0)
    answer = answer_of(lambda X: X[:, 0])
    for column in (np.full(50, 2.0), np.r_[np.full(45, np.nan), np.arange(5.0)]):
        assert accumulated_effect(answer, numbers(column[:, None]), "x0", np.arange(50), rng) is None


def test_level_effects_are_differences_of_means_and_hide_small_levels():
    rng = np.random.default_rng(0)
    code = np.repeat([0.0, 1.0, 2.0, 3.0], [50, 30, 15, 5])
    blocks = {
        "ward": dense(code[:, None], ["ward"], kinds=["categorical"], levels=[("a", "b", "c", "d")]),
        "x": dense(rng.normal(size=(100, 1)), ["x"]),
    }
    effect = np.array([0.0, 1.0, 4.0, 9.0])
    answer = lambda b: effect[b["ward"].values[:, 0].astype(int)] + b["x"].values[:, 0]  # noqa: E731
    levels = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}
    found = level_effect(answer, blocks, "ward", levels, np.arange(100), rng)
    assert found["levels"] == ["a", "b", "c"]
    assert found["n"] == [50, 30, 15]
    mean = (1.0 * 30 + 4.0 * 15) / 95
    assert found["value"] == pytest.approx([0.0 - mean, 1.0 - mean, 4.0 - mean])
    assert level_effect(answer, blocks, "ward", {"d": 3.0, "a": 0.0}, np.arange(100), rng) is None


def test_level_effect_interval_widens_when_the_effect_differs_between_units():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(40), 5)
    code = rng.integers(0, 2, 200).astype(float)
    strength = rng.normal(1.0, 2.0, 40)[unit]
    blocks = {"flag": dense(code[:, None], ["flag"]), "u": dense(strength[:, None], ["u"])}
    answer = lambda b: b["flag"].values[:, 0] * b["u"].values[:, 0]  # noqa: E731
    wide = level_effect(answer, blocks, "flag", {"no": 0.0, "yes": 1.0}, unit, rng)
    narrow = level_effect(answer, blocks, "flag", {"no": 0.0, "yes": 1.0}, np.arange(200), rng)
    width = lambda f: f["high"][1] - f["low"][1]  # noqa: E731
    assert width(wide) > 1.5 * width(narrow)
