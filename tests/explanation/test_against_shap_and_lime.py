"""Two ways to the same number: our exact values beside the libraries shap and lime."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osler import models
from osler.adapters.shap_kernel import kernel_values
from osler.explanation.background import Background
from osler.explanation.lime import kernel, lime, ridge
from osler.explanation.scales import Scale
from osler.explanation.shapley import attribute, enumerate_sets
from osler.models.base import Encoded
from osler.tasks.base import Target
from tests.explanation.games import answer_of, numbers
from tests.explanation.test_shapley import made

shap = pytest.importorskip("shap")


def fitted(spec: str, kind: str) -> tuple:
    """A model on four numbers, its own matrices of 5 rows and of 40 background rows, and Osler's attributions."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(240, 4))
    signal = X[:, 0] * X[:, 1] + np.maximum(X[:, 2], 0) + 0.3 * rng.normal(size=240)
    classes = ("no", "yes") if kind == "binary" else ()
    y = (signal > 0.3).astype(np.int64) if classes else signal
    estimator = models.get(spec)
    params = estimator.fit(Encoded(numbers(X), Target(kind, ("y",), y, classes=classes), np.arange(240)), rng)
    scale = Scale("log-odds", 1) if kind == "binary" else Scale("mean")
    answer = lambda blocks: scale.of(estimator.predict(params, blocks))  # noqa: E731
    background = Background(numbers(X[:40]), np.full(40, 1 / 40))
    found = attribute(spec.partition(":")[0], params, answer, numbers(X[100:105]), background, scale, rng)
    return params, X[100:105], X[:40], found


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_boosting_equals_tree_explainer(kind: str):
    from osler.models.boosting import booster

    params, x, B, found = fitted("boosting:rounds=30,leaves=6", kind)
    model = booster(params.meta["text"])
    explainer = shap.TreeExplainer(model, data=B, feature_perturbation="interventional", model_output="raw")
    assert found.way == "trees"
    assert_allclose(found.values, explainer.shap_values(x, check_additivity=False), atol=1e-6)
    assert_allclose(found.base[0], explainer.expected_value, atol=1e-6)


def test_forest_equals_tree_explainer():
    from sklearn.ensemble import RandomForestRegressor

    from osler.explanation.tree_shapley import leaves_of, tree_values
    from osler.models import nodes
    from osler.models.trees import one_tree, single

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    forest = RandomForestRegressor(8, min_samples_leaf=8, random_state=0).fit(X, X[:, 0] * X[:, 1] + X[:, 2])
    trees = nodes.join([one_tree(t, None, 0) for t in forest.estimators_])
    B = single(X[:25])
    ours = tree_values(leaves_of(trees, trees.value[:, 0] / 8, np.arange(4)), single(X[50:54]), B, np.full(25, 0.04), 4)
    explainer = shap.TreeExplainer(forest, data=B, feature_perturbation="interventional")
    assert_allclose(ours, explainer.shap_values(X[50:54], check_additivity=False), atol=1e-6)


def test_linear_equals_linear_explainer():
    params, x, B, found = fitted("linear:penalty=1", "regression")
    design = params.arrays
    slope = params.arrays["coef"][0, :-1] * design["design/inverse_scale"]
    theirs = shap.LinearExplainer((slope, 0.0), shap.maskers.Independent(B, max_samples=1000)).shap_values(x)
    assert_allclose(found.values, theirs, atol=1e-8)


def test_kernel_shap_of_the_library_is_exact_where_it_walks_all_sets(rng: np.random.Generator):
    _, _, _, game = made(rng)
    values, empty = kernel_values(game.worth_of_sets, 4, 16, seed=1)
    assert_allclose(values, enumerate_sets(game, 4), atol=1e-8)
    assert empty == pytest.approx(game.worth_of_sets(np.zeros((1, 4), dtype=bool))[0])


def test_kernel_shap_leaves_the_global_generator_alone(rng: np.random.Generator):
    _, _, _, game = made(rng)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    kernel_values(game.worth_of_sets, 4, 16, seed=1)
    assert (np.random.get_state()[1] == before).all()


def test_surrogate_equals_the_lime_library():
    base = pytest.importorskip("lime.lime_base")
    rng = np.random.default_rng(2)
    masks = rng.random((400, 5)) < 0.5
    masks[0] = True
    answers = masks @ np.array([1.0, -2.0, 0.5, 0.0, 0.3]) + masks[:, 0] * masks[:, 1] + 0.1 * rng.normal(size=400)
    ours = ridge(masks, answers, kernel(masks))
    width = 0.75 * np.sqrt(5)
    library = base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / width**2)), random_state=0)
    distance = np.sqrt((~masks).sum(axis=1).astype(float))
    intercept, slopes, fit, _ = library.explain_instance_with_data(
        masks.astype(float), answers[:, None], distance, 0, 5, feature_selection="none"
    )
    assert_allclose(ours.slope, [v for _, v in sorted(slopes)], atol=1e-9)
    assert ours.intercept == pytest.approx(intercept, abs=1e-9)
    assert ours.fit == pytest.approx(fit, abs=1e-9)


def test_lime_finds_a_straight_line_and_says_how_well_it_fits(rng: np.random.Generator):
    """With one background row a sum of columns is a sum of kept columns: the slopes are x - b and the fit is 1."""
    x, b = rng.normal(size=(1, 5)), rng.normal(size=(1, 5))
    slopes = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    background = Background(numbers(b), np.ones(1))
    found = lime(answer_of(lambda X: X @ slopes), numbers(x), background, rng)
    assert_allclose(found.values[0], slopes * (x - b)[0], atol=0.05)
    assert found.fit[0] > 0.999
    bent = lime(answer_of(lambda X: np.prod(X[:, :4], axis=1) * 10), numbers(x), background, rng)
    assert bent.fit[0] < 0.9
