"""Attributions: by definition, by closed forms, against the shap library, and always adding up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.errors import OptionError
from osler.explanation.background import Background
from osler.explanation.scales import Scale, scale_of
from osler.explanation.shapley import (
    Game,
    attribute,
    enumerate_sets,
    exact_values,
    permutation_plan,
    sample_values,
)  # fmt: skip
from osler.models.base import Params
from tests.explanation.games import answer_of, background_of, by_all_orders, numbers
from tests.models.tables import table


def bent(X: np.ndarray) -> np.ndarray:
    """Not additive: a product, a sine of a sum, a step and a triple product."""
    return X[:, 0] * X[:, 1] + np.sin(X[:, 1] + X[:, 2]) + (X[:, 3] > 0.2) * X[:, 0] + X[:, 0] * X[:, 2] * X[:, 3]


def made(rng: np.random.Generator, p: int = 4, m: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray, Game]:
    x, B = rng.normal(size=p), rng.normal(size=(m, p))
    w = rng.dirichlet(np.ones(m))
    game = Game(answer_of(bent), numbers(x[None, :]), Background(numbers(B), w))
    return x, B, w, game


def test_values_by_hand():
    """Glove game: one left and two right gloves; the pair is worth 1. Values 2/3, 1/6, 1/6 (Shapley 1953)."""
    worth = np.array([float(bool(s & 1) and bool(s & 6)) for s in range(8)])
    np.testing.assert_allclose(exact_values(worth, 3), [2 / 3, 1 / 6, 1 / 6], atol=1e-15)


def test_enumeration_is_the_definition(rng: np.random.Generator):
    for _ in range(3):
        x, B, w, game = made(rng)
        np.testing.assert_allclose(enumerate_sets(game, 4), by_all_orders(bent, x, B, w), atol=1e-12)


def test_sampling_adds_up_and_comes_near(rng: np.random.Generator):
    x, B, w, game = made(rng)
    plan = permutation_plan(4, 6, 200, rng)
    values, error = sample_values(game, plan, float(bent(x[None])[0]), bent(B))
    assert values.sum() == pytest.approx(bent(x[None])[0] - w @ bent(B), abs=1e-12)
    assert 0 < error < 0.05
    np.testing.assert_allclose(values, by_all_orders(bent, x, B, w), atol=5 * error)


def test_opposite_orders_are_exact_for_pairs_of_columns(rng: np.random.Generator):
    """A permutation and its reverse give each half of every product to each of its two columns."""
    pairs = lambda X: X[:, 0] * X[:, 1] + 2 * X[:, 2] * X[:, 3] - X[:, 0] * X[:, 3] + X[:, 1]  # noqa: E731
    x, B, w, _ = made(rng)
    game = Game(answer_of(pairs), numbers(x[None, :]), Background(numbers(B), w))
    values, error = sample_values(game, permutation_plan(4, 6, 2, rng), float(pairs(x[None])[0]), pairs(B))
    np.testing.assert_allclose(values, by_all_orders(pairs, x, B, w), atol=1e-12)
    assert error < 1e-12


def test_reported_error_is_the_true_one(rng: np.random.Generator):
    """Over 60 repeats the spread of the values is what the reported standard error says, within a third."""
    x, B, _w, game = made(rng)
    exact = enumerate_sets(game, 4)
    told, off = [], []
    for _ in range(60):
        values, error = sample_values(game, permutation_plan(4, 6, 8, rng), float(bent(x[None])[0]), bent(B))
        told.append(error)
        off.append(values - exact)
    true = np.sqrt(np.mean(np.square(off), axis=0)).max()
    assert 0.67 < np.mean(told) / true < 1.5


CASES = [
    ("binary", "logistic", "additive"), ("binary", "spline", "additive"), ("binary", "elastic", "additive"),
    ("binary", "boosting:rounds=40", "trees"), ("binary", "forest:n_trees=20", "trees"), ("binary", "tree", "trees"),
    ("binary", "ensemble:members=logistic+tree,folds=2,repeats=1", "enumeration"),
    ("regression", "linear", "additive"), ("regression", "boosting:rounds=40", "trees"),
    ("regression", "forest:n_trees=20", "trees"), ("survival", "cox:folds=2", "additive"),
    ("survival", "survival_boosting:rounds=20,folds=2", "trees"), ("survival", "survival_forest:trees=10", "enumeration"),
    ("multiclass", "logistic:penalty=1", "enumeration"), ("multiclass", "forest:n_trees=10", "trees"),
    ("multilabel", "logistic:penalty=1", "additive"), ("multilabel", "boosting:rounds=20", "trees"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "way"), CASES)
def test_every_model_adds_up_and_closed_forms_equal_enumeration(kind: str, spec: str, way: str):
    data = table(kind, 120)
    estimator, family = models.get(spec), spec.partition(":")[0]
    params = estimator.fit(data, np.random.default_rng(0))
    background = background_of(data.blocks, data.groups)
    scale = scale_of(kind, "auto", 0 if kind in ("regression", "survival") else 1, data.target.horizon, family)
    answer = lambda blocks: scale.of(estimator.predict(params, blocks))  # noqa: E731
    rows = {name: b.take(np.arange(3)) for name, b in data.blocks.items()}
    found = attribute(family, params, answer, rows, background, scale, np.random.default_rng(0))
    assert found.way == way
    assert found.adds_up(scale).all()
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), answer(rows), atol=1e-9)
    games = [Game(answer, {name: b.take(np.array([i])) for name, b in rows.items()}, background) for i in range(3)]
    np.testing.assert_allclose(found.values, [enumerate_sets(g, len(rows)) for g in games], atol=1e-10)


def test_explainable_boosting_is_additive_without_pairs():
    pytest.importorskip("interpret")
    data = table("binary", 120)
    estimator = models.get("ebm:bags=2,interactions=0,max_rounds=50")
    params = estimator.fit(data, np.random.default_rng(0))
    scale = Scale("log-odds", 1)
    answer = lambda blocks: scale.of(estimator.predict(params, blocks))  # noqa: E731
    background = background_of(data.blocks, data.groups)
    found = attribute("ebm", params, answer, data.blocks, background, scale, np.random.default_rng(0))
    assert found.way == "additive"
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.prediction, atol=1e-9)


def test_a_row_alone_has_the_same_values_as_in_company(rng: np.random.Generator):
    X, B = rng.normal(size=(5, 12)), rng.normal(size=(8, 12))
    answer = answer_of(lambda X: bent(X) + X[:, 5] * X[:, 6] * X[:, 7])
    background = Background(numbers(B), np.full(8, 1 / 8))
    ways = [
        attribute("svm", Params(), answer, numbers(part), background, Scale("mean"), np.random.default_rng(3))
        for part in (X, X[2:3])
    ]
    assert ways[0].way == "sampling"
    np.testing.assert_allclose(ways[0].values[2], ways[1].values[0], atol=1e-12)
    np.testing.assert_allclose(ways[0].values[:, 9:], 0.0, atol=1e-12)  # columns that the answer never reads


def test_a_wrong_sum_is_seen(rng: np.random.Generator):
    X = rng.normal(size=(3, 3))
    answer = answer_of(lambda X: X.sum(axis=1))
    found = attribute(
        "svm", Params(), answer, numbers(X), Background(numbers(X), np.full(3, 1 / 3)), Scale("mean"), rng
    )
    assert found.adds_up(Scale("mean")).all()
    broken = replace(found, values=found.values + np.array([[0, 0, 0], [2e-6, 0, 0], [0, 0, 0]]))
    assert broken.adds_up(Scale("mean")).tolist() == [True, False, True]


def test_too_many_columns_for_sampling_are_refused(rng: np.random.Generator):
    X = rng.normal(size=(1, 201))
    with pytest.raises(OptionError, match="at most 200 columns"):
        attribute("svm", Params(), answer_of(bent), numbers(X), Background(numbers(X), np.ones(1)), Scale("mean"), rng)


def test_a_category_is_one_column():
    """Three levels are three design columns for the model but one player: its value is what changing the cell does."""
    rng = np.random.default_rng(1)
    code = rng.integers(0, 3, 150).astype(float)
    blocks = {
        "x": dense(rng.normal(size=(150, 1)), ["x"]),
        "ward": dense(code[:, None], ["ward"], kinds=["categorical"], levels=[("a", "b", "c", "(other)")]),
    }
    data = table("regression", 150)
    y = 2.0 * blocks["x"].values[:, 0] + np.array([0.0, 1.0, 5.0])[code.astype(int)]
    data = replace(data, blocks=blocks, target=replace(data.target, y=y))
    estimator = models.get("linear:penalty=1e-6")
    params = estimator.fit(data, rng)
    scale = Scale("mean")
    answer = lambda b: scale.of(estimator.predict(params, b))  # noqa: E731
    background = background_of(blocks, data.groups)
    found = attribute("linear", params, answer, blocks, background, scale, rng)
    assert found.columns == ("x", "ward")
    a, c = np.flatnonzero(code == 0)[0], np.flatnonzero(code == 2)[0]
    assert found.values[c, 1] - found.values[a, 1] == pytest.approx(5.0, abs=1e-3)
