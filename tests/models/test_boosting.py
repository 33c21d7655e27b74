"""Boosted trees: node arrays equal LightGBM, few rows equal many, rounds come from inner folds."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.models.base import Encoded
from osler.models.boosting import STEADY, WIDE, _last_tied, _steady, booster, margins, nodes_of_text
from osler.models.design import TreeDesign
from osler.tasks.base import Target
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


def _wide(rng: np.random.Generator) -> Encoded:
    """120 rows of 300 counts, of which a third matter a little."""
    X = rng.poisson(0.5, size=(120, 300)).astype(float)
    y = X[:, :100].sum(axis=1) + rng.normal(0, 0.5, 120)
    return Encoded({"x": dense(X, [f"x{i}" for i in range(300)])}, Target("regression", ("y",), y), np.arange(120))


def test_a_number_in_a_wide_table_is_boosted_while_its_loss_is_flat(rng):
    """As far as `STEADY` where there is signal, hardly at all where there is noise, in both ways of choosing."""
    data, model, fold = _wide(rng), models.get("boosting:folds=3"), np.arange(120) % 3
    plan = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    assert model.fit(data, rng).meta["rounds"] >= STEADY
    assert model.fit_out_of_fold(data, plan, rng)[0].meta["rounds"] >= STEADY
    data.target.y[:] = rng.permutation(data.target.y)
    assert model.fit(data, rng).meta["rounds"] < 200
    assert model.fit_out_of_fold(data, plan, rng)[0].meta["rounds"] < 200


def test_only_numbers_in_wide_tables_are_boosted_on():
    regression, binary = {"objective": "regression"}, {"objective": "binary"}
    assert [_steady(WIDE, regression), _steady(WIDE - 1, regression), _steady(WIDE, binary)] == [STEADY, 0, 0]


def test_the_last_of_tied_rounds_is_taken():
    curve = np.array([2.0, 1.0, 1.01, 1.03, 1.019, 1.5, 1.01])
    assert _last_tied(curve, 0) == 1
    assert _last_tied(curve, 5) == 4
    assert _last_tied(curve, 4) == 2
    assert _last_tied(np.array([2.0, 1.5, 1.0]), 2) == 2  # the least lies beyond the steady ones


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
