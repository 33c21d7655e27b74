"""Gaussian processes: answers and spreads against the textbook's formulas and scikit-learn, evidence against its gradient,
held-out margins against fits without the rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler import models, tasks
from osler.blocks import dense
from osler.models import gaussian_process, kernels
from osler.models.base import Encoded
from osler.models.gaussian_process import GaussianProcess, _loss, _Process
from osler.models.kernels import KernelDesign
from osler.tasks.base import Target
from tests.models.tables import table


def process(data: Encoded, n: int | None = None) -> tuple[_Process, KernelDesign, list[np.ndarray]]:
    """A process learnt on a regression table, its design, and its kernels."""
    design = KernelDesign.fit(data.blocks)
    rows = design.rows(data.blocks)
    bases = kernels.between(design.names, rows, rows)
    some = np.arange(n or len(data))
    learnt = _Process.learn(design.names, bases, data.target.y[:, None].astype(float), np.ones(len(data)), some, 30)
    return learnt, design, bases


def kernel(learnt: _Process, bases: list[np.ndarray]) -> np.ndarray:
    """The learnt kernel written out."""
    named = dict(zip(learnt.names, bases))
    weight = dict(zip(learnt.names, learnt.theta))
    steps = np.sqrt(3 * named["bend"] / learnt.width)
    return weight["line"] * named["line"] + weight["bend"] * (1 + steps) * np.exp(-steps)


def test_answers_and_spreads_are_the_textbook_s(rng):
    """Equations 2.25 and 2.26 of Rasmussen and Williams 2006, with the noise of a new measurement added."""
    data, fresh = table("regression", n=120), table("regression", n=30, seed=5)
    params = GaussianProcess().fit(data, np.random.default_rng(0))
    answer = GaussianProcess().predict(params, fresh.blocks)
    design, learnt = KernelDesign.from_params(params), _Process.from_params(params)
    a, b = design.rows(data.blocks), design.rows(fresh.blocks)
    K = kernel(learnt, kernels.between(design.names, a, a)) + learnt.noise * np.eye(len(data))
    k = kernel(learnt, kernels.between(design.names, b, a))
    own = np.diag(kernel(learnt, kernels.between(design.names, b, b)))
    y = data.target.y
    mean = k @ np.linalg.solve(K, y - y.mean()) + y.mean()
    variance = own - np.einsum("ij,ji->i", k, np.linalg.solve(K, k.T)) + learnt.noise
    assert answer.value[:, 0] == pytest.approx(mean, abs=1e-8)
    assert answer.spread == pytest.approx(np.sqrt(variance) * y.std(), rel=1e-6)


def test_answers_equal_scikit_learn(rng):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    data, fresh = table("regression", n=100), table("regression", n=20, seed=7)
    params = GaussianProcess().fit(data, np.random.default_rng(0))
    design, learnt = KernelDesign.from_params(params), _Process.from_params(params)
    p = len(design.design.names)
    peer_kernel = (
        ConstantKernel(learnt.theta[0] / p) * DotProduct(sigma_0=1e-9)
        + ConstantKernel(max(learnt.theta[1], 1e-12)) * Matern(np.sqrt(learnt.width * p), nu=1.5)
        + WhiteKernel(learnt.noise)
    )
    y = (data.target.y - learnt.centre[0]) / learnt.scale[0]
    peer = GaussianProcessRegressor(peer_kernel, alpha=0.0, optimizer=None).fit(design.numbers(data.blocks), y)
    mean, spread = peer.predict(design.numbers(fresh.blocks), return_std=True)
    ours = GaussianProcess().predict(params, fresh.blocks)
    assert ours.value[:, 0] == pytest.approx(mean * learnt.scale[0] + learnt.centre[0], abs=1e-5)
    assert ours.spread == pytest.approx(spread * learnt.scale[0], rel=1e-4)


def test_the_gradient_of_the_evidence_is_that_of_differences():
    data = table("regression", n=60)
    design = KernelDesign.fit(data.blocks)
    rows = design.rows(data.blocks)
    bases = kernels.between(design.names, rows, rows)
    z = ((data.target.y - data.target.y.mean()) / data.target.y.std())[:, None]
    start, noise_of = np.zeros(len(design.names) + 2), np.linspace(0.5, 2.0, 60)
    at = np.array([0.3, -0.4, 0.2, -1.0])
    _, gradient = _loss(at, start, design.names, bases, z, noise_of)
    for i, step in enumerate(np.eye(len(at)) * 1e-5):
        up, down = (_loss(at + s * step, start, design.names, bases, z, noise_of)[0] for s in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


def test_the_evidence_is_the_normal_density():
    """Against scipy's multivariate normal, without the constant; the prior is 0 where the search begins."""
    from scipy.stats import multivariate_normal

    data = table("regression", n=40)
    design = KernelDesign.fit(data.blocks)
    rows = design.rows(data.blocks)
    bases = kernels.between(design.names, rows, rows)
    z = ((data.target.y - data.target.y.mean()) / data.target.y.std())[:, None]
    at = np.log([0.7, 0.4, 1.3, 0.5])
    value, _ = _loss(at, at, design.names, bases, z, np.ones(40))
    steps = np.sqrt(3 * bases[1] / 1.3)
    K = 0.7 * bases[0] + 0.4 * (1 + steps) * np.exp(-steps) + (0.5 + 1e-4) * np.eye(40)
    peer = -multivariate_normal(np.zeros(40), K).logpdf(z[:, 0]) - 20 * np.log(2 * np.pi)
    assert value == pytest.approx(peer, rel=1e-9)


def test_held_out_margins_are_those_of_fits_without_the_rows():
    data = table("regression", n=80)
    learnt, _, bases = process(data)
    folds = np.arange(80) % 4
    found = learnt.held_out(folds)[:, 0]
    K, y = kernel(learnt, bases), learnt.y[:, 0]
    for fold in range(4):
        held, rest = folds == fold, folds != fold
        inner = K[np.ix_(rest, rest)] + learnt.noise * np.eye(rest.sum())
        mean = K[np.ix_(held, rest)] @ np.linalg.solve(inner, y[rest])
        assert found[held] == pytest.approx(mean * learnt.scale[0] + learnt.centre[0], abs=1e-8)
    assert learnt.held_out(np.full(80, -1)) is None


def test_a_spread_of_pivots_is_never_below_that_of_all_rows(monkeypatch):
    data, fresh = table("regression", n=150), table("regression", n=40, seed=3)
    model = GaussianProcess()
    whole = model.predict(model.fit(data, np.random.default_rng(0)), fresh.blocks)
    monkeypatch.setattr(gaussian_process, "PIVOTS", 40)
    params = model.fit(data, np.random.default_rng(0))
    part = model.predict(params, fresh.blocks)
    assert len(params.arrays["process/pivots"]) == 40
    assert np.array_equal(part.value, whole.value)
    assert (part.spread >= whole.spread - 1e-9).all()
    assert part.spread.mean() < 1.5 * whole.spread.mean()


def test_spreads_are_those_of_the_noise():
    """y = x + N(0, 0.5²): of new rows 90 to 100 % lie within 1.96 spreads."""
    rng = np.random.default_rng(4)

    def drawn(n: int) -> Encoded:
        x = rng.normal(size=(n, 2))
        y = x[:, 0] + np.sin(2 * x[:, 1]) + rng.normal(0, 0.5, n)
        return Encoded({"x": dense(x, ["a", "b"])}, Target("regression", ("y",), y), np.arange(n))

    data, fresh = drawn(300), drawn(400)
    model = GaussianProcess()
    answer = model.predict(model.fit(data, rng), fresh.blocks)
    inside = np.abs(answer.value[:, 0] - fresh.target.y) < 1.96 * answer.spread
    assert 0.90 <= inside.mean() <= 1.0
    assert answer.spread.mean() == pytest.approx(0.5, abs=0.12)


def test_counts_are_compared_by_what_they_share(rng):
    """The target is how much a row shares with one of them, which trees must put together bin by bin."""
    x = rng.poisson(0.8, (300, 60)).astype(np.uint8)
    y = 10 * kernels.minmax(x, x[:1])[:, 0]
    block = dense(x.astype(float), [f"ecfp {i}" for i in range(60)], kinds=["count"] * 60)
    data = Encoded({"m": block}, Target("regression", ("y",), y), np.arange(300))
    train, test = data.take(np.arange(250)), data.take(np.arange(250, 300))
    error = {}
    for name in ("gaussian_process", "boosting"):
        answer = models.get(name).predict(models.get(name).fit(train, rng), test.blocks).value[:, 0]
        error[name] = np.mean((answer - test.target.y) ** 2) / test.target.y.var()
    assert error["gaussian_process"] < 0.15
    assert error["gaussian_process"] < 0.5 * error["boosting"]


def test_out_of_bag_answers_come_from_other_groups(rng):
    """A group's outcomes, moved far away, move its own answers no more than the means that all rows share."""
    data = table("regression", n=120)
    model = models.get("gaussian_process")
    _, before = model.fit_out_of_bag(data, np.random.default_rng(0))
    y, held = data.target.y.copy(), data.groups == 7
    y[held] = -y[held]
    _, after = model.fit_out_of_bag(replace(data, target=replace(data.target, y=y)), np.random.default_rng(0))
    assert before.value[held] == pytest.approx(after.value[held], abs=0.15)
    error = np.mean((before.value[:, 0] - data.target.y) ** 2)
    assert error < 0.8 * data.target.y.var()
    seen = model.predict(model.fit(data, np.random.default_rng(0)), data.blocks).value[:, 0]
    assert error > 1.1 * np.mean((seen - data.target.y) ** 2)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_out_of_bag_chances_are_neither_sure_nor_blind(kind, rng):
    data = table(kind, n=240)
    model, task = models.get("gaussian_process"), tasks.get(kind)
    params, answer = model.fit_out_of_bag(data, rng)
    assert answer.value.sum(axis=1) == pytest.approx(1.0)
    loss = task.loss(data.target, answer).mean()
    same = np.bincount(data.target.y) / len(data)
    assert loss < 0.95 * task.loss(data.target, replace(answer, value=np.tile(same, (240, 1)))).mean()
    assert loss > 0.9 * task.loss(data.target, model.predict(params, data.blocks)).mean()


def test_rows_beyond_the_most_are_answered_out_of_bag_too(rng):
    data = table("regression", n=200)
    params, answer = models.get("gaussian_process:max_rows=80").fit_out_of_bag(data, rng)
    assert params.meta["rows_used"] <= 100
    assert len(answer.value) == 200
    assert np.isfinite(answer.value).all()


def test_the_kept_kernel_of_few_rows_is_learnt_on_both_halves():
    """So it is the one of a plain fit, which learns it on all rows; where a half has rows enough it is that of the half."""
    data = table("regression", n=120)

    def kernels_of(spec: str) -> tuple[np.ndarray, np.ndarray]:
        model = models.get(spec)
        plain = model.fit(data, np.random.default_rng(0))
        kept, _ = model.fit_out_of_bag(data, np.random.default_rng(1))
        return plain.arrays["process/theta"], kept.arrays["process/theta"]

    plain, kept = kernels_of("gaussian_process")
    assert kept == pytest.approx(plain, rel=1e-2)
    plain, kept = kernels_of("gaussian_process:learn_rows=30")
    assert kept != pytest.approx(plain, rel=1e-2)


def test_what_it_leaves_to_folds_outside(rng):
    assert models.get("gaussian_process").fit_out_of_bag(table("multilabel", n=90), rng) is None
    data = table("regression", n=60)
    one = replace(data, groups=np.zeros(60, dtype=np.int64))
    assert models.get("gaussian_process").fit_out_of_bag(one, rng) is None


def test_it_says_that_it_stores_rows_and_how_many_it_used(rng):
    params = models.get("gaussian_process:max_rows=80").fit(table("binary", n=200), rng)
    assert params.meta["stores_rows"] is True
    assert 60 <= params.meta["rows_used"] <= 100
    assert len(params.arrays["numbers"]) == params.meta["rows_used"]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_it_learns(kind, rng):
    """Better than the same for everyone by a fifth of the loss."""
    data, fresh = table(kind, n=300), table(kind, n=300, seed=8)
    model, task = models.get("gaussian_process"), tasks.get(kind)
    answer = model.predict(model.fit(data, rng), fresh.blocks)
    y = fresh.target.y
    same = np.nanmean(y, axis=0) if kind != "multiclass" else np.bincount(y) / len(y)
    flat = np.tile([1 - same, same] if kind == "binary" else np.atleast_1d(same), (300, 1))
    loss = np.nanmean(task.loss(fresh.target, answer))
    assert loss < 0.9 * np.nanmean(task.loss(fresh.target, replace(answer, value=flat, spread=None)))


def test_probabilities_are_not_overconfident_on_noise(rng):
    data, fresh = table("binary", n=200), table("binary", n=100, seed=9)
    data.target.y[:] = rng.permutation(data.target.y)
    model = models.get("gaussian_process")
    p = model.predict(model.fit(data, rng), fresh.blocks).value[:, 1]
    assert np.abs(p - data.target.y.mean()).max() < 0.35


def test_one_value_is_answered_with_that_value(rng):
    data = table("regression", n=60)
    flat = replace(data, target=replace(data.target, y=np.full(60, 3.5)))
    model = models.get("gaussian_process")
    answer = model.predict(model.fit(flat, rng), data.blocks)
    assert answer.value[:, 0] == pytest.approx(3.5)
    assert np.isfinite(answer.spread).all()
