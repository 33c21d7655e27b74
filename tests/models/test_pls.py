"""Partial least squares over voxels: against scikit-learn's, on planted spots, with missing scans and mirror images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from osler import models
from osler.blocks import Block, dense
from osler.errors import ColumnError, OptionError
from osler.evaluation import metrics
from osler.models.base import Encoded
from osler.models.pls import directions, weight_map
from osler.tasks.base import Target


def scans(kind: str, n: int = 120, seed: int = 0, shape: tuple[int, ...] = (8, 9, 10)) -> Encoded:
    """Noise with one spot that is brighter the more there is of the signal; every tenth scan is missing."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    values = rng.normal(size=(n, 1, *shape)).astype(np.float32)
    values[(slice(None), 0, *(slice(2, 5) for _ in shape))] += 0.8 * signal.reshape(-1, *(1,) * len(shape)).astype(np.float32)
    present = np.arange(n) % 10 != 9
    values[~present] = 0.0
    y = {"binary": (signal > 0).astype(np.int64), "multiclass": np.digitize(signal, [-0.5, 0.5]), "regression": 3 * signal + 5}
    y["multilabel"] = np.column_stack([signal > 0, signal < 0.5]).astype(float)
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "multilabel": ("l", "m")}.get(kind, ())
    names = classes if kind == "multilabel" else ("y",)
    block = Block("grid", {"values": values}, present, ("grey",))
    return Encoded({"scan": block}, Target(kind, names, y[kind], classes=classes), np.arange(n))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_directions_are_those_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    X, y, new = rng.normal(size=(30, 50)), rng.normal(size=30), rng.normal(size=(5, 50))
    duals, constants = directions(X @ X.T, y, np.ones(30), 3)
    peer = PLSRegression(k, scale=False).fit(X, y)
    assert (new @ X.T) @ duals[:, k - 1] + constants[k - 1] == pytest.approx(peer.predict(new).ravel(), rel=1e-8)


def test_a_weight_of_two_is_a_row_that_stands_twice():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(12, 20)), rng.normal(size=12)
    twice = np.append(np.arange(12), 4)
    w = np.ones(12)
    w[4] = 2.0
    new = rng.normal(size=(3, 20))
    weighted, constant = directions(X @ X.T, y, w, 2)
    repeated, other = directions(X[twice] @ X[twice].T, y[twice], np.ones(13), 2)
    assert new @ X.T @ weighted + constant == pytest.approx(new @ X[twice].T @ repeated + other)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "multilabel"])
def test_it_finds_a_planted_spot(kind):
    data, fresh = scans(kind), scans(kind, seed=1)
    model = models.get("pls")
    value = model.predict(model.fit(data, np.random.default_rng(0)), fresh.blocks).value
    seen = fresh.blocks["scan"].present
    if kind == "regression":
        assert np.corrcoef(value[seen, 0], fresh.target.y[seen])[0, 1] > 0.8
    elif kind == "multiclass":
        assert value.sum(axis=1) == pytest.approx(1.0)
        assert (value[seen].argmax(axis=1) == fresh.target.y[seen]).mean() > 0.6
    else:
        y = fresh.target.y if kind == "binary" else fresh.target.y[:, 0]
        score = value[:, 1] if kind == "binary" else value[:, 0]
        assert float(metrics.auroc(y[seen], score[seen])) > 0.9


def test_the_map_is_bright_where_the_spot_is_and_zero_weight_far_away():
    params = models.get("pls").fit(scans("binary", n=300), np.random.default_rng(0))
    found = weight_map(params, "scan")[0, 0]
    assert np.unravel_index(found.argmax(), found.shape) in {(z, y, x) for z in (2, 3, 4) for y in (2, 3, 4) for x in (2, 3, 4)}
    assert abs(found[6:, 6:, 7:]).max() < 0.4 * found.max()


def test_a_missing_scan_is_answered_by_the_share_of_the_class():
    data = scans("binary")
    model = models.get("pls")
    params = model.fit(data, np.random.default_rng(0))
    value = model.predict(params, data.blocks).value
    gone = ~data.blocks["scan"].present
    assert np.ptp(value[gone, 1]) == 0
    assert value[gone, 1][0] == pytest.approx(data.target.y.mean(), abs=0.1)
    nothing = {"other": dense(np.zeros((2, 1)), ["other"])}
    assert model.predict(params, nothing).value[:, 1] == pytest.approx(value[gone, 1][0])


def test_mirror_answers_a_scan_and_its_mirror_image_alike():
    data = scans("binary", n=60)
    model = models.get("pls:mirror=x,smooth=0.7")
    params = model.fit(data, np.random.default_rng(0))
    turned = {"scan": Block("grid", {"values": data.blocks["scan"].values[..., ::-1]}, data.blocks["scan"].present, ("grey",))}
    assert model.predict(params, turned).value == pytest.approx(model.predict(params, data.blocks).value, abs=1e-5)
    with pytest.raises(OptionError, match="two axes"):
        models.get("pls:mirror=z").fit(scans("binary", shape=(8, 9)), np.random.default_rng(0))


def test_rows_are_answered_by_themselves_and_the_same_seed_gives_the_same_bytes():
    data, model = scans("binary"), models.get("pls:mirror=y")
    params = model.fit(data, np.random.default_rng(5))
    again = model.fit(data, np.random.default_rng(5))
    assert all(np.array_equal(params.arrays[k], again.arrays[k]) for k in params.arrays)
    every = model.predict(params, data.blocks).value
    assert model.predict(params, data.take(np.array([17])).blocks).value == pytest.approx(every[[17]], abs=1e-12)


def test_answers_of_folds_come_from_fits_that_did_not_see_them():
    data = scans("binary", n=200).take(np.flatnonzero(np.arange(200) % 10 != 9))
    noise = Encoded(data.blocks, Target("binary", ("y",), np.random.default_rng(4).integers(0, 2, len(data)), classes=("0", "1")), data.groups)
    folds = np.arange(len(data)) % 5
    plan = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]
    rows = np.concatenate([test for _, test in plan])
    for part, low, high in ((data, 0.85, 1.0), (noise, 0.3, 0.7)):
        _, answer = models.get("pls").fit_out_of_fold(part, plan, np.random.default_rng(0))
        assert low < float(metrics.auroc(part.target.y[rows], answer.value[:, 1])) <= high


def test_at_most_max_rows_are_learnt_from_and_a_table_alone_is_refused():
    data = scans("binary", n=120)
    few = models.get("pls:max_rows=40").fit(data, np.random.default_rng(0))
    assert np.isfinite(models.get("pls").predict(few, data.blocks).value).all()
    plain = Encoded({"x": dense(np.zeros((120, 1)), ["x"])}, data.target, data.groups)
    with pytest.raises(ColumnError, match="needs a column of pictures"):
        models.get("pls").fit(plain, np.random.default_rng(0))
    other = {"scan": Block("grid", {"values": np.zeros((1, 1, 4, 4, 4), np.float32)}, np.ones(1, bool), ("grey",))}
    with pytest.raises(ColumnError, match="must have shape"):
        models.get("pls").predict(few, other)


@pytest.mark.parametrize("wrong", ["directions=0", "smooth=-1", "folds=1", "mirror=up"])
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(OptionError):
        models.get(f"pls:{wrong}")
