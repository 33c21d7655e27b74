"""Compiled trees give LightGBM's own bits, for one tree and many, deep and shallow, whole rows and rows with gaps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from osler.adapters import quickscorer
from osler.models import boosting
from osler.models.nodes import Nodes, OneTree, join


def arrays(trees: Nodes) -> dict[str, np.ndarray]:
    """Nodes as the walk takes them."""
    names = ("feature", "threshold", "children", "missing_left")
    return {name: getattr(trees, name) for name in names} | {"value": trees.value[:, 0]}


def tree(feature, threshold, left, right, value, missing_left=True) -> OneTree:
    """One tree of a few nodes."""
    m = len(feature)
    return OneTree(
        np.array(feature), np.array(threshold, dtype=float), np.array(left), np.array(right),
        np.full(m, missing_left), np.array(value, dtype=float)[:, None],
    )  # fmt: skip


def test_two_trees_by_hand():
    stump = tree([1, 0, 0], [0.5, 0, 0], [1, -1, -1], [2, -1, -1], [0, 10.0, 20.0])
    deep = tree([0, 1, 0, 0, 0], [2.0, -1.0, 0, 0, 0], [1, 3, -1, -1, -1], [2, 4, -1, -1, -1], [0, 0, 3, 1, 2], False)
    trees = join([stump, deep])
    X = np.array([[1.0, 0.0], [1.0, -2.0], [3.0, 9.0], [np.nan, np.nan]])
    found = quickscorer.total(X, arrays(trees), trees.roots)
    assert found.tolist() == [12.0, 11.0, 23.0, 13.0]
    assert quickscorer.total(X, arrays(trees), trees.roots[1:]).tolist() == [2.0, 1.0, 3.0, 3.0]


def test_a_tree_that_is_one_leaf():
    trees = join([tree([0], [0.0], [-1], [-1], [4.5])])
    assert quickscorer.total(np.zeros((3, 2)), arrays(trees), trees.roots).tolist() == [4.5] * 3


@pytest.mark.parametrize(("n", "leaves"), [(1, 2), (31, 7), (700, 64)])
@pytest.mark.parametrize("gaps", [False, True])
def test_sums_have_the_bits_of_lightgbm_and_of_the_node_arrays(n, leaves, gaps):
    import lightgbm

    rng = np.random.default_rng(leaves)
    X = rng.normal(size=(1500, 12))
    X[:, :6] = rng.poisson(0.5, (1500, 6))
    if gaps:
        X[rng.random(X.shape) < 0.2] = np.nan
    y = np.nansum(X[:, :3], axis=1) + rng.normal(size=1500)
    settings = {"objective": "regression", "num_leaves": leaves, "verbosity": -1, "num_threads": 1, "seed": 1}
    model = lightgbm.train(settings, lightgbm.Dataset(X, y), 60)
    trees = boosting.nodes_of_text(model.model_to_string())
    rows = X[rng.permutation(1500)[:n]]
    found = quickscorer.total(rows, arrays(trees), trees.roots)
    np.testing.assert_array_equal(found, model.predict(rows, raw_score=True, num_threads=1))
    np.testing.assert_array_equal(found, trees.total(rows)[:, 0])


def test_many_rows_are_answered_as_few_are_for_numbers_and_classes():
    from osler import models
    from osler.blocks import dense
    from osler.models.base import Encoded
    from osler.tasks.base import Target

    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, (1200, 8)).astype(float)
    blocks = {"x": dense(X, [str(i) for i in range(8)])}
    codes = (X[:, 0] + X[:, 1] > 2).astype(np.int64) + (X[:, 2] > 2)
    targets = (
        Target("regression", ("y",), X[:, 0] - X[:, 3]),
        Target("binary", ("y",), (codes > 0).astype(np.int64), classes=("no", "yes")),
        Target("multiclass", ("y",), codes, classes=("a", "b", "c")),
    )
    for target in targets:
        estimator = models.get("boosting:rounds=15")
        params = estimator.fit(Encoded(blocks, target, np.arange(1200)), np.random.default_rng(1))
        many = estimator.predict(params, blocks).value
        some = [estimator.predict(params, {"x": blocks["x"].take(np.arange(i, i + 100))}).value for i in range(0, 1200, 100)]
        assert 100 < boosting.MANY_ROWS <= 1200
        np.testing.assert_array_equal(many, np.concatenate(some))


def test_trees_of_more_leaves_than_bits_are_not_taken():
    def comb(leaves: int) -> OneTree:
        inner = leaves - 1
        left = np.concatenate([inner + np.arange(inner), np.full(leaves, -1)])
        right = np.concatenate([np.arange(1, inner), [2 * inner], np.full(leaves, -1)])
        threshold = np.concatenate([np.arange(inner), np.zeros(leaves)])
        values = np.concatenate([np.zeros(inner), np.arange(leaves)])
        return tree([0] * (inner + leaves), threshold, left, right, values)

    full, over = join([comb(3), comb(64)]), join([comb(65), comb(3)])
    assert quickscorer.takes(full.children, full.roots)
    assert not quickscorer.takes(over.children, over.roots)
    X = np.array([[-1.0], [1.5], [62.0], [99.0]])
    assert quickscorer.total(X, arrays(full), full.roots).tolist() == [0.0, 4.0, 64.0, 65.0]
