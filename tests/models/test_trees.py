"""Node arrays answer exactly as scikit-learn's trees do, missing values included."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.errors import OptionError
from osler.models import nodes
from osler.models.nodes import OneTree
from osler.models.trees import one_tree, single
from tests.models.tables import table


def grown(kind, n=300, missing=0.15):
    rng = np.random.default_rng(3)
    X = single(rng.normal(size=(n, 6)) * [1, 1e6, 1e-6, 1, 1, 1])
    signal = X[:, 0] + X[:, 1] / 1e6 + rng.normal(size=n)
    X[rng.random(X.shape) < missing] = np.nan
    X[:, 5] = np.nan_to_num(X[:, 5])
    y = {"number": signal, "two": (signal > 0).astype(int), "three": np.digitize(signal, [-1, 1])}[kind]
    return X, y


@pytest.mark.parametrize("kind", ["two", "three", "number"])
@pytest.mark.parametrize("name", ["RandomForest", "ExtraTrees", "DecisionTree"])
def test_traversal_equals_scikit_learn(kind, name):
    from sklearn import ensemble, tree

    X, y = grown(kind)
    module = tree if name == "DecisionTree" else ensemble
    cls = getattr(module, name + ("Regressor" if kind == "number" else "Classifier"))
    fitted = (cls(random_state=0) if name == "DecisionTree" else cls(20, random_state=0)).fit(X, y)
    classes = {"two": 2, "three": 3, "number": 0}[kind]
    seen = None if kind == "number" else fitted.classes_
    trees = [one_tree(t, seen, classes) for t in getattr(fitted, "estimators_", [fitted])]
    joined = nodes.join(trees)
    new, _ = grown(kind, n=500, missing=0.4)
    ours = joined.total(new) / len(trees)
    peer = fitted.predict(new)[:, None] if kind == "number" else fitted.predict_proba(new)
    peer = peer[:, -1:] if kind == "two" else peer
    assert np.abs(ours - peer).max() <= 1e-12


def test_values_at_a_threshold_go_left_and_missing_as_told():
    leaf, none = np.array([0.5, 0, 0]), np.array([1, -1, -1])
    for missing_left in (True, False):
        right, went = np.array([2, -1, -1]), np.array([missing_left, True, True])
        tree = OneTree(np.array([0, 0, 0]), leaf, none, right, went, np.array([[0.0], [10], [20]]))
        out = nodes.join([tree, tree]).total(np.array([[0.5], [0.5000001], [np.nan]]))
        assert out[:, 0].tolist() == [20, 40, 20 if missing_left else 40]


def test_a_single_leaf_is_a_tree():
    none = np.array([-1])
    stump = OneTree(np.array([0]), np.array([0.0]), none, none, np.array([False]), np.array([[7.0]]))
    joined = nodes.join([stump])
    assert joined.depth == 0
    assert joined.total(np.zeros((3, 2)))[:, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("spec", ["forest:n_trees=20", "forest:n_trees=20,splitter=random", "tree"])
def test_a_class_that_training_lacks_has_probability_zero(rng, spec):
    data = table("multiclass")
    part = data.take(np.flatnonzero(data.target.y != 1))
    model = models.get(spec)
    p = model.predict(model.fit(part, rng), data.blocks).value
    assert p.shape == (len(data), 3)
    assert np.all(p[:, 1] == 0)
    assert np.allclose(p.sum(axis=1), 1)


def test_the_tree_is_pruned_to_nothing_on_noise(rng):
    data = table("regression", n=200)
    data.target.y[:] = rng.normal(size=200)
    params = models.get("tree").fit(data, rng)
    assert len(params.arrays["nodes/feature"]) <= 5


def test_the_tree_keeps_its_questions_on_signal(rng):
    params = models.get("tree").fit(table("binary", n=300), rng)
    assert 3 <= len(params.arrays["nodes/feature"]) <= 61
    assert params.meta["nodes"]["depth"] <= 6


def test_forest_beats_chance_and_orders_rows(rng):
    model = models.get("forest:n_trees=50")
    fresh = table("binary", seed=1)
    p = model.predict(model.fit(table("binary", n=300), rng), fresh.blocks).value[:, 1]
    y = fresh.target.y
    assert (p[y == 1][:, None] > p[y == 0]).mean() > 0.8


@pytest.mark.parametrize("option", ["splitter=worst", "n_trees=0", "min_leaf=0", "weights=all"])
def test_wrong_options_are_refused(rng, option):
    with pytest.raises(OptionError, match=option.split("=")[0]):
        models.get(f"forest:{option}").fit(table("binary"), rng)
