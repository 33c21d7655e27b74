"""Boosted trees: node arrays equal LightGBM, few rows equal many, rounds come from inner folds."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.models.boosting import booster, margins, nodes_of_text
from osler.models.design import TreeDesign
from tests.models.tables import table


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_node_arrays_equal_the_library(rng, kind):
    params = models.get("boosting:rounds=40").fit(table(kind, n=300), rng)
    X = TreeDesign.from_params(params).matrix(table(kind, n=200, seed=4, missing=0.5).blocks)
    X[:20] = np.nan  # also where training had nothing missing
    trees = nodes_of_text(params.meta["text"])
    width = 3 if kind == "multiclass" else 1
    value = trees.value[:, 0][trees.leaves(X)]
    ours = np.column_stack([value[k::width].sum(axis=0) for k in range(width)])
    peer = booster(params.meta["text"]).predict(X, raw_score=True).reshape(len(X), width)
    assert np.abs(ours - peer).max() <= 1e-9


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_one_row_gives_the_same_bits_as_many(rng, kind):
    data = table(kind)
    model = models.get("boosting:rounds=30")
    params = model.fit(data, rng)
    many = model.predict(params, data.blocks).value
    for i in range(0, len(data), 37):
        assert np.array_equal(model.predict(params, data.take(np.array([i])).blocks).value[0], many[i])


def test_missing_where_training_had_none_is_the_median(rng):
    data = table("binary", missing=0.0)
    model = models.get("boosting:rounds=30")
    params = model.fit(data, rng)
    blocks = {k: b.take(np.array([0])) for k, b in data.blocks.items()}
    gone, middle = dict(blocks), dict(blocks)
    del gone["x1"]
    middle["x1"].arrays["values"][:] = np.median(data.blocks["x1"].values)
    assert np.array_equal(model.predict(params, gone).value, model.predict(params, middle).value)


def test_noise_stops_early_and_signal_goes_on(rng):
    data = table("binary", n=400)
    signal = models.get("boosting").fit(data, rng).meta["rounds"]
    data.target.y[:] = rng.permutation(data.target.y)
    noise = models.get("boosting").fit(data, rng).meta["rounds"]
    assert noise < 30 < signal


def test_margins_of_binary_are_log_odds(rng):
    data = table("binary")
    model = models.get("boosting:rounds=20")
    params = model.fit(data, rng)
    p = model.predict(params, data.blocks).value[:, 1]
    eta = margins(params, TreeDesign.from_params(params).matrix(data.blocks))[:, 0]
    assert np.log(p / (1 - p)) == pytest.approx(eta, abs=1e-9)


def test_categorical_splits_are_refused():
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.integers(0, 8, (300, 1)).astype(float)
    y = np.isin(X[:, 0], [1, 4, 6]).astype(float)
    data = lightgbm.Dataset(X, y, categorical_feature=[0])
    text = lightgbm.train({"verbosity": -1, "num_threads": 1}, data, 3).model_to_string()
    with pytest.raises(ValueError, match="numerical splits"):
        nodes_of_text(text)


def test_a_wide_table_is_learnt_by_deeper_trees_on_fewer_columns_and_a_named_option_stays():
    from osler.models.boosting import WIDE

    narrow, wide = models.get("boosting")._settings((3000, WIDE - 1), 0, 1), models.get("boosting")._settings((3000, WIDE), 0, 1)
    assert wide["num_leaves"] > narrow["num_leaves"] and wide["feature_fraction"] < narrow["feature_fraction"]
    assert wide["max_bin"] < narrow["max_bin"]
    named = models.get("boosting:leaves=5,features=0.5,min_leaf=7")._settings((3000, WIDE), 0, 1)
    assert (named["num_leaves"], named["feature_fraction"], named["min_data_in_leaf"]) == (5, 0.5, 7)
