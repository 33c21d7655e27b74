"""Explainable boosting: the kept tables answer as interpret-core does, and say why."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.models.design import TreeDesign
from osler.models.ebm import _bags, terms
from osler.models.labels import case_weights
from tests.models.tables import table

pytest.importorskip("interpret.glassbox")
QUICK = "bags=2,max_rounds=60"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_tables_equal_the_library(kind):
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    data = table(kind)
    model = models.get(f"ebm:{QUICK},interactions=2")
    params = model.fit(data, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    bags = _bags(data, 2, rng)
    cls = ExplainableBoostingRegressor if kind == "regression" else ExplainableBoostingClassifier
    X = TreeDesign.fit(data.blocks).matrix(data.blocks)
    settings = model._settings(len(data), 0 if kind == "regression" else len(data.target.classes))
    seed = int(rng.integers(2**31 - 1))
    peer = cls(outer_bags=2, n_jobs=1, random_state=seed, feature_types=["continuous"] * X.shape[1], **settings)
    peer.fit(X, data.target.y, sample_weight=case_weights(data.target, "none"), bags=bags)
    new = table(kind, seed=8, missing=0.4)
    ours = model.predict(params, new.blocks).value
    Z = TreeDesign.from_params(params).matrix(new.blocks)
    theirs = peer.predict(Z)[:, None] if kind == "regression" else peer.predict_proba(Z)
    assert np.abs(ours - theirs).max() <= 1e-9


def test_terms_add_up_to_the_prediction(rng):
    data = table("regression")
    model = models.get(f"ebm:{QUICK}")
    params = model.fit(data, rng)
    said = terms(params, data.blocks)
    assert said.shape[1] == len(params.meta["terms"])
    total = said.sum(axis=(1, 2)) + params.arrays["intercept"][0]
    assert total == pytest.approx(model.predict(params, data.blocks).value[:, 0], abs=1e-9)


def test_bags_hold_out_whole_groups(rng):
    data = table("binary")
    bags = _bags(data, 9, rng)
    assert set(np.unique(bags)) == {-1, 1}
    for group in range(10):
        assert (np.ptp(bags[data.groups == group], axis=0) == 0).all()


def test_few_rows_get_no_pairs(rng):
    params = models.get(f"ebm:{QUICK}").fit(table("binary"), rng)
    assert all(len(t) == 1 for t in params.meta["terms"])
