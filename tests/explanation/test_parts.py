"""What parts of a cell add: games with known values, shares by hand, and trees beside LightGBM's own sums."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from osler import models
from osler.blocks import Block, dense
from osler.explanation.parts import PartValues, cut_graphs, masking_values, shared_values, tree_contributions
from osler.models.base import Encoded
from osler.tasks.base import Target


def test_parts_of_a_sum_get_their_own_terms(rng: np.random.Generator):
    terms = np.array([1.0, -2.0, 0.0, 0.5])
    found = masking_values(lambda left_out: 3.0 + (~left_out) @ terms, 4, rng)
    np.testing.assert_allclose(found.values, terms)
    assert (found.base, found.prediction, found.rest, found.error) == (3.0, 3.0 + terms.sum(), 0.0, pytest.approx(0.0))
    assert found.adds_up and found.way == "masking"


def test_two_parts_that_work_only_together_share_exactly(rng: np.random.Generator):
    # v(S) = 6 if parts 0 and 1 are both there; Shapley values 3, 3, 0
    found = masking_values(lambda left_out: 6.0 * ~left_out[:, :2].any(axis=1), 3, rng, rounds=1)
    np.testing.assert_allclose(found.values, [3.0, 3.0, 0.0])


def test_values_add_up_for_any_game_and_the_error_shrinks_with_rounds():
    weights = np.random.default_rng(0).normal(size=8)

    def worth(left_out: np.ndarray) -> np.ndarray:
        return np.sin((~left_out) @ weights) ** 3

    few = masking_values(worth, 8, np.random.default_rng(1), rounds=4)
    many = masking_values(worth, 8, np.random.default_rng(1), rounds=400)
    assert few.gap == pytest.approx(0.0, abs=1e-12) and many.gap == pytest.approx(0.0, abs=1e-12)
    assert many.error < few.error / 3
    assert np.abs(few.values - many.values).max() < 5 * few.error


def test_masks_are_asked_for_once():
    asked = []

    def worth(left_out: np.ndarray) -> np.ndarray:
        asked.append(len(left_out))
        return np.zeros(len(left_out))

    masking_values(worth, 2, np.random.default_rng(0), rounds=10)
    assert asked == [4]  # all subsets of two parts


def test_a_graph_without_a_node_has_none_of_its_edges():
    # 0 - 1 - 2, bonds 01 and 12; masks: nothing, node 1, node 2, bond 01, everything
    graph = {
        "nodes": np.arange(1.0, 7.0).reshape(3, 2), "edges": np.array([[0, 1, 1, 2], [1, 0, 2, 1]]),
        "edge_values": np.array([[7.0], [7.0], [8.0], [8.0]]), "node_offsets": np.array([0, 3]),
        "edge_offsets": np.array([0, 4]),
    }  # fmt: skip
    masks = np.zeros((5, 5), dtype=bool)
    masks[1, 1] = masks[2, 2] = masks[3, 3] = masks[4] = True
    made = Block("graph", cut_graphs(graph, masks), np.ones(5, dtype=bool))
    parts = [made.take(np.array([i])).arrays for i in range(5)]
    for key, value in graph.items():
        np.testing.assert_array_equal(parts[0][key], value)
    assert [p["edges"].shape[1] for p in parts] == [4, 0, 2, 2, 0]
    assert parts[1]["nodes"].tolist() == [[1, 2], [0, 0], [5, 6]]
    assert parts[2]["edges"].tolist() == [[0, 1], [1, 0]] and parts[2]["edge_values"].tolist() == [[7.0], [7.0]]
    assert parts[3]["edges"].tolist() == [[1, 2], [2, 1]] and parts[3]["edge_values"].tolist() == [[8.0], [8.0]]
    np.testing.assert_array_equal(parts[3]["nodes"], graph["nodes"])
    assert (parts[4]["nodes"] == 0).all() and parts[4]["nodes"].shape == (3, 2)


def test_a_feature_is_shared_among_the_parts_that_it_comes_from():
    whole = np.array([2.0, 1.0, 0.0, 5.0])
    without = np.array([[0.0, 1.0, 0.0, 6.0], [1.0, 0.0, 1.0, 4.0]])
    values, rest = shared_values(np.array([3.0, 1.0, 7.0, 2.0]), whole, without, ["count", "count", "count", "continuous"])
    # count 0 falls by 2 and by 1: 2 and 1 of its 3. count 1 falls for part 1 only. count 2 is absent and rises, which a
    # count does not get from a part: 7 stays. The quantity changes by 1 either way: 1 each of its 2.
    np.testing.assert_allclose(values, [3.0, 3.0])
    assert rest == 7.0


def test_gradients_may_miss_a_hundredth_and_others_nothing():
    near = PartValues(np.array([0.995]), 0.0, 0.0, 1.0, 0.0, "gradients")
    assert near.adds_up and near.gap == pytest.approx(0.005)
    assert not PartValues(np.array([0.98]), 0.0, 0.0, 1.0, 0.0, "gradients").adds_up
    assert PartValues(np.array([1.98, -1.0]), 0.0, 0.0, 1.0, 0.0, "gradients").adds_up  # of 2.98 in size
    assert not PartValues(np.array([0.995]), 0.0, 0.0, 1.0, 0.0, "shapley").adds_up


def boosted(rng: np.random.Generator, kind: str) -> tuple[object, dict, int]:
    """Params of boosting on two columns of 4 and 2 features, and the blocks of one row."""
    X = rng.normal(size=(120, 6))
    y = X[:, 0] - X[:, 4] ** 2
    blocks = {"a": dense(X[:, :4], list("pqrs")), "b": dense(X[:, 4:], list("tu"))}
    if kind == "regression":
        target = Target("regression", ("y",), y)
    elif kind == "binary":
        target = Target("binary", ("y",), (y > 0).astype(np.int64), classes=("no", "yes"))
    else:
        target = Target("multilabel", ("y", "z"), np.column_stack([y > 0, X[:, 1] > 0]).astype(float), classes=("y", "z"))
    params = models.get("boosting:rounds=15").fit(Encoded(blocks, target, np.arange(120)), rng)
    return params, {k: b.take(np.array([3])) for k, b in blocks.items()}, 1


@pytest.mark.parametrize("kind", ["regression", "binary", "multilabel"])
def test_contributions_of_trees_add_up_to_the_margin(kind: str, rng: np.random.Generator):
    params, row, output = boosted(rng, kind)
    one = params.part("1") if kind == "multilabel" else params
    own = lightgbm.Booster(model_str=one.meta["text"])
    x = np.hstack([row["a"].values, row["b"].values])
    of_a, others, base = tree_contributions(params, row, "a", output)
    assert of_a.shape == (4,)
    assert of_a.sum() + others + base == pytest.approx(own.predict(x, raw_score=True)[0], abs=1e-9)
    of_b, rest, _ = tree_contributions(params, row, "b", output)
    assert of_b.sum() == pytest.approx(others) and rest == pytest.approx(of_a.sum())


def test_several_classes_and_other_layouts_have_no_contributions(rng: np.random.Generator):
    X = rng.normal(size=(90, 2))
    target = Target("multiclass", ("y",), np.arange(90) % 3, classes=("a", "b", "c"))
    blocks = {"x": dense(X, ["p", "q"])}
    params = models.get("boosting:rounds=3").fit(Encoded(blocks, target, np.arange(90)), rng)
    assert tree_contributions(params, {"x": blocks["x"].take(np.array([0]))}, "x", 0) is None
