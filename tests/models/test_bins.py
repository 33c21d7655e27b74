"""Bins that are worked out once for all labels: the same boosters as one by one, and only a label's own rows are
learnt from.
"""

from __future__ import annotations

import lightgbm
import numpy as np

from osler import models
from osler.blocks import dense
from osler.models.base import Encoded
from osler.models.bins import SharedBins, Table
from osler.models.labels import fit_per_label
from osler.tasks.base import Target

SETTINGS = {
    "objective": "binary",
    "max_bin": 15,
    "feature_pre_filter": False,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "seed": 3,
    "min_data_in_leaf": 5,
}


def _labels(n: int = 240, missing: bool = False) -> Encoded:
    rng = np.random.default_rng(11)
    X = np.round(rng.normal(size=(n, 6)), 2)
    y = np.column_stack([X[:, k] + rng.normal(scale=0.3, size=n) > 0 for k in range(3)]).astype(float)
    if missing:
        y[rng.random((n, 3)) < 0.4] = np.nan
        y[0] = (0.0, 1.0, 0.0)
    names = ("a", "b", "c")
    return Encoded(
        {"x": dense(X, [f"f{i}" for i in range(6)])}, Target("multilabel", names, y, classes=names), np.arange(n)
    )


def _trees(table: Table, rows: np.ndarray, y: np.ndarray) -> str:
    model = lightgbm.Booster(SETTINGS, table.part(rows, y, np.ones(len(y)), SETTINGS))
    for _ in range(10):
        model.update()
    return model.model_to_string().partition("feature_infos")[2].partition("\nparameters")[0]


def test_shared_bins_give_the_trees_of_own_bins():
    data = _labels()
    X, y = data.blocks["x"].values, data.target.y[:, 0]
    rows = np.arange(len(X))
    shared = SharedBins(X, SETTINGS).of(rows)
    assert _trees(shared, rows, y) == _trees(Table(X), rows, y)


def test_all_labels_assessed_is_the_same_as_one_by_one():
    data, estimator = _labels(), models.get("boosting:rounds=40")
    together = estimator.predict(estimator.fit(data, np.random.default_rng(2)), data.blocks).value
    parts = fit_per_label(data, np.random.default_rng(2), estimator.fit)
    assert np.array_equal(together, estimator.predict(parts, data.blocks).value)


def test_rows_of_a_label_are_those_where_it_was_assessed():
    data = _labels(missing=True)
    X, y = data.blocks["x"].values, data.target.y[:, 1]
    own = np.flatnonzero(~np.isnan(y))
    some = own[::2]
    found = SharedBins(X, SETTINGS).of(own).part(np.arange(0, len(own), 2), y[own], np.full(len(own), 2.0), SETTINGS)
    assert found.num_data() == len(some)
    assert np.array_equal(found.get_label(), y[some])
    assert set(found.get_weight().tolist()) == {2.0}


def test_missing_labels_do_not_disturb_the_others():
    data, estimator = _labels(n=400, missing=True), models.get("boosting:rounds=60")
    value = estimator.predict(estimator.fit(data, np.random.default_rng(2)), data.blocks).value
    for k in range(3):
        seen = ~np.isnan(data.target.y[:, k])
        right = (value[seen, k] >= 0.5) == (data.target.y[seen, k] == 1)
        assert right.mean() > 0.85


def test_answers_of_a_table_are_those_of_the_rows_asked_for():
    X = np.arange(20.0).reshape(10, 2)
    table = Table(X)
    part = table.part(np.array([1, 4, 7]), np.arange(10.0), np.ones(10), SETTINGS).construct()
    assert table.shape == (10, 2)
    assert part.get_label().tolist() == [1.0, 4.0, 7.0]
