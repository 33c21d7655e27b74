"""Support vector machines: the kept vectors answer as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.models.design import Design
from tests.models.tables import table


def test_margins_equal_scikit_learn(rng):
    from sklearn.svm import SVC

    data = table("binary")
    params = models.get("svm").fit(data, rng)
    part = params.part("1")
    X = Design.from_params(params).matrix(data.blocks)
    peer = SVC(C=part.meta["cost"], gamma=part.meta["width"]).fit(X, data.target.y).decision_function(X)
    slope, constant = part.meta["platt"]
    ours = models.get("svm").predict(params, data.blocks).value[:, 1]
    assert ours == pytest.approx(1 / (1 + np.exp(-(slope * peer + constant))), abs=1e-9)
    assert slope > 0


def test_regression_equals_scikit_learn(rng):
    from sklearn.svm import SVR

    data = table("regression")
    params = models.get("svm").fit(data, rng)
    part = params.part("0")
    X = Design.from_params(params).matrix(data.blocks)
    y = (data.target.y - part.meta["centre"]) / part.meta["spread"]
    peer = SVR(C=part.meta["cost"], gamma=part.meta["width"]).fit(X, y).predict(X)
    ours = models.get("svm").predict(params, data.blocks).value[:, 0]
    assert ours == pytest.approx(peer * part.meta["spread"] + part.meta["centre"], abs=1e-9)


def test_it_says_that_it_stores_rows_and_how_many_it_used(rng):
    params = models.get("svm:max_rows=80").fit(table("binary", n=200), rng)
    assert params.meta["stores_rows"] is True
    assert 60 <= params.meta["rows_used"] <= 100
    assert len(params.part("1").arrays["vectors"]) <= params.meta["rows_used"]


def test_probabilities_are_not_overconfident_on_noise(rng):
    data = table("binary", n=200)
    shuffled = data.take(np.arange(200))
    y = rng.permutation(shuffled.target.y)
    shuffled.target.y[:] = y
    model = models.get("svm")
    fresh = table("binary", n=100, seed=9)
    p = model.predict(model.fit(shuffled, rng), fresh.blocks).value[:, 1]
    assert np.abs(p - y.mean()).max() < 0.35
