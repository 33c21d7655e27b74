"""Linear models against scikit-learn, closed forms and what must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.errors import OptionError
from osler.models import choice, solvers, splines
from osler.models.base import Encoded
from osler.models.choice import Problem
from osler.models.design import Design
from osler.tasks.base import Target
from tests.models.tables import table


def noise(rng, n, p):
    X = rng.normal(size=(n, p))
    return X, (X[:, 0] - 0.5 * X[:, 1] + rng.normal(size=n) > 0).astype(np.int64)


@pytest.mark.parametrize(("n", "p"), [(120, 6), (200, 90), (40, 120)])
def test_logistic_equals_scikit_learn(rng, n, p):
    from sklearn.linear_model import LogisticRegression

    X, y = noise(rng, n, p)
    w = rng.uniform(0.5, 2, n)
    problem = Problem(X, y, w, np.ones(p), 2)
    ours = next(choice.ridge_path(problem, np.array([2.0])))[0]
    peer = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(X, y, sample_weight=w)
    assert ours[:-1] == pytest.approx(peer.coef_[0], abs=2e-5)
    assert ours[-1] == pytest.approx(peer.intercept_[0], abs=2e-5)


def test_the_path_reaches_the_same_place_as_a_single_fit(rng):
    X, y = noise(rng, 150, 80)
    problem = Problem(X, y, np.ones(150), np.ones(80), 2)
    penalties = np.logspace(2, -1, 6)
    walked = list(choice.ridge_path(problem, penalties))
    for penalty, coef in zip(penalties, walked, strict=True):
        assert coef == pytest.approx(next(choice.ridge_path(problem, np.array([penalty]))), abs=1e-4)


def test_the_gradient_is_zero_at_the_answer(rng):
    X, y = noise(rng, 100, 5)
    beta = next(solvers.logistic_path(X, y.astype(float), np.ones(100), np.array([0.7])))
    mu = 1 / (1 + np.exp(-(X @ beta[:-1] + beta[-1])))
    assert np.abs((mu - y) @ X + 0.7 * beta[:-1]).max() < 1e-3
    assert abs((mu - y).sum()) < 1e-3


def test_lbfgs_and_newton_agree(rng):
    X, y = noise(rng, 150, 10)
    newton = next(solvers.logistic_path(X, y.astype(float), np.ones(150), np.array([1.0])))
    other = solvers._lbfgs(X, y[:, None].astype(float), np.ones(150), np.ones(10), None)[0]
    assert newton == pytest.approx(other, abs=1e-4)


def test_multinomial_equals_scikit_learn(rng):
    from sklearn.linear_model import LogisticRegression

    X = rng.normal(size=(200, 4))
    y = np.digitize(X[:, 0] + rng.normal(size=200), [-0.5, 0.7])
    problem = Problem(X, y, np.ones(200), np.ones(4), 3)
    ours = choice.answer(next(choice.ridge_path(problem, np.array([3.0]))), X, 3)
    peer = LogisticRegression(C=1 / 3, tol=1e-12, max_iter=10_000).fit(X, y).predict_proba(X)
    assert ours == pytest.approx(peer, abs=1e-5)


@pytest.mark.parametrize(("n", "p"), [(100, 5), (20, 30)])
def test_ridge_equals_its_closed_form(rng, n, p):
    X, y, w = rng.normal(size=(n, p)), rng.normal(size=n), rng.uniform(0.5, 2, n)
    ours = solvers.ridge(X, y, w, np.array([4.0]))[0]
    A = np.column_stack([X, np.ones(n)])
    closed = np.linalg.solve(A.T @ (A * w[:, None]) + np.diag([4.0] * p + [0.0]), A.T @ (w * y))
    assert ours == pytest.approx(closed, abs=1e-8)


def test_elastic_net_equals_scikit_learn_on_numbers(rng):
    from sklearn.linear_model import ElasticNet

    X = rng.normal(size=(80, 12))
    X -= X.mean(axis=0)
    y = X[:, 0] - 2 * X[:, 3] + rng.normal(size=80)
    problem = Problem(X, y, np.ones(80), np.ones(12), 0)
    *_, ours = choice.elastic_path(problem, np.array([1.0, 0.3, 0.1]), 0.5)
    strongest = np.abs((y - y.mean()) @ X).max() / 0.5
    peer = ElasticNet(alpha=0.1 * strongest / 80, l1_ratio=0.5, tol=1e-12, max_iter=100_000).fit(X, y)
    assert ours[0, :-1] == pytest.approx(peer.coef_, abs=1e-4)
    assert np.array_equal(ours[0, :-1] == 0, np.abs(peer.coef_) < 1e-6)


def test_elastic_net_logistic_meets_its_optimality_conditions(rng):
    X, y = noise(rng, 150, 15)
    problem = Problem(X, y, np.ones(150), np.ones(15), 2)
    strongest = np.abs((y - y.mean()) @ X).max() / 0.9
    *_, coef = choice.elastic_path(problem, np.array([1.0, 0.5, 0.2]), 0.9)
    beta, penalty = coef[0], 0.2 * strongest
    slope = (choice.answer(coef, X, 2) - y) @ X + penalty * 0.1 * beta[:-1]
    kept = beta[:-1] != 0
    assert 0 < kept.sum() < 15
    assert slope[kept] == pytest.approx(-penalty * 0.9 * np.sign(beta[:-1][kept]), abs=1e-2)
    assert np.abs(slope[~kept]).max() <= penalty * 0.9 + 1e-2


def test_the_first_step_of_the_elastic_path_keeps_no_column(rng):
    X, y = noise(rng, 100, 6)
    first = next(choice.elastic_path(Problem(X, y, np.ones(100), np.ones(6), 2), np.array([1.0]), 0.5))
    assert np.abs(first[:, :-1]).max() < 1e-6


def test_natural_splines_are_straight_beyond_the_outer_knots(rng):
    x = rng.normal(size=(200, 1))
    state = splines.fit(x, 1, 4)
    low, high = state["knots"][0, 0], state["knots"][0, -1]
    for start in (low - 3, high + 1):
        grid = (start + np.array([0.0, 0.5, 1.0]))[:, None]
        bend = splines.expand(grid, state)[:, 1:]
        assert np.abs(bend[2] - 2 * bend[1] + bend[0]).max() < 1e-9
    inside = splines.expand(x, state)[:, 1:]
    assert np.abs(inside.T @ (x - x.mean())).max() < 1e-8
    assert inside.std(axis=0) == pytest.approx(np.ones(2))


def test_a_curve_is_found_by_the_spline_and_not_by_the_line(rng):
    x = rng.uniform(-3, 3, 300)
    y = (rng.random(300) < 1 / (1 + np.exp(3 - x**2))).astype(np.int64)
    data = Encoded({"x": dense(x[:, None], ["x"])}, Target("binary", ("y",), y, classes=("0", "1")), np.arange(300))
    held = {"x": dense(np.array([[-3.0], [0.0], [3.0]]), ["x"])}
    bent = models.get("spline").predict(models.get("spline").fit(data, rng), held).value[:, 1]
    straight = models.get("logistic").predict(models.get("logistic").fit(data, rng), held).value[:, 1]
    assert bent[0] > 0.8
    assert bent[1] < 0.2
    assert bent[2] > 0.8
    assert np.ptp(straight) < 0.3


def test_every_linear_model_answers_by_one_rule(rng):
    """Number × coefficient, plus the bends where there are any, by hand; labels are answered one by one."""
    data = table("regression")
    for name in ("linear", "elastic", "spline"):
        model = models.get(name)
        params = model.fit(data, rng)
        X, coef = Design.from_params(params).matrix(data.blocks), params.arrays["coef"][0]
        bends = {k.split("/")[1]: v for k, v in params.arrays.items() if k.startswith("spline/")}
        assert bool(bends) == (name == "spline")
        X = splines.expand(X, bends) if bends else X
        assert model.predict(params, data.blocks).value[:, 0] == pytest.approx(X @ coef[:-1] + coef[-1])
    many = table("multilabel")
    for name in ("logistic", "spline"):
        model = models.get(name)
        params = model.fit(many, rng)
        found = model.predict(params, many.blocks).value
        for k in range(found.shape[1]):
            assert found[:, k] == pytest.approx(model.predict(params.part(str(k)), many.blocks).value[:, 1])


def test_selection_keeps_the_asked_number_and_finds_the_signal(rng):
    X, y = noise(rng, 150, 60)
    target = Target("binary", ("y",), y, classes=("0", "1"))
    data = Encoded({"x": dense(X, [f"x{i}" for i in range(60)])}, target, np.arange(150))
    coef = models.get("logistic:select=4").fit(data, rng).arrays["coef"][0, :-1]
    assert (coef != 0).sum() == 4
    assert coef[0] > 0 > coef[1]


def test_f_statistic_equals_scikit_learn(rng):
    from sklearn.feature_selection import f_classif, f_regression

    X, y = noise(rng, 80, 7)
    assert solvers.f_statistic(X, y, np.ones(80), 2) == pytest.approx(f_classif(X, y)[0])
    number = X[:, 2] + rng.normal(size=80)
    assert solvers.f_statistic(X, number, np.ones(80), 0) == pytest.approx(f_regression(X, number)[0])


def test_a_selected_model_of_noise_is_no_better_than_chance_out_of_fold():
    # One table of 100 rows has an AUROC of 0.5 ± 0.12; the mean of twelve is known to ± 0.035.
    model, areas = models.get("logistic:select=20"), []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(100, 800)), rng.permutation(np.repeat([0, 1], 50))
        target = Target("binary", ("y",), y, classes=("0", "1"))
        data = Encoded({"x": dense(X, [f"x{i}" for i in range(800)])}, target, np.arange(100))
        for fold in range(5):
            held = np.arange(100) % 5 == fold
            p = model.predict(model.fit(data.take(~held), rng), data.take(held).blocks).value[:, 1]
            areas.append((p[y[held] == 1][:, None] > p[y[held] == 0]).mean())
    assert 0.4 < np.mean(areas) < 0.6


def test_balanced_weights_move_the_mean_prediction_to_one_half(rng):
    data = table("binary")
    y = data.target.y.copy()
    y[np.flatnonzero(y == 1)[20:]] = 0
    data = replace(data, target=replace(data.target, y=y))
    shares = {}
    for weights in ("none", "balanced"):
        model = models.get(f"logistic:weights={weights},penalty=1000000")
        shares[weights] = model.predict(model.fit(data, rng), data.blocks).value[:, 1].mean()
    assert shares["none"] == pytest.approx(y.mean(), abs=0.01)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.01)


def test_a_case_weight_of_two_is_the_row_twice(rng):
    data = table("binary", n=60, missing=0.0)
    twice = data.take(np.concatenate([np.arange(60), np.arange(30)]))
    design, weight = Design.fit(data.blocks), np.where(np.arange(60) < 30, 2.0, 1.0)
    X, XX = design.matrix(data.blocks), design.matrix(twice.blocks)
    one = next(choice.ridge_path(Problem(X, data.target.y, weight, np.ones(X.shape[1]), 2), np.array([1.0])))
    two = next(choice.ridge_path(Problem(XX, twice.target.y, np.ones(90), np.ones(X.shape[1]), 2), np.array([1.0])))
    assert one == pytest.approx(two, abs=1e-5)


@pytest.mark.parametrize("option", ["weights=equal", "penalti=3", "folds=many"])
def test_wrong_options_are_refused(rng, option):
    with pytest.raises(OptionError, match=r"weights|penalty|folds"):
        models.get(f"logistic:{option}").fit(table("binary"), rng)


def test_cleveland_reaches_the_known_discrimination(mirror, rng):
    import polars as pl

    frame = pl.read_csv(mirror / "clinical" / "heart_cleveland.csv.gz")
    y = (frame["num"] > 0).to_numpy().astype(np.int64)
    blocks = {}
    for name in frame.drop("num").columns:
        values = frame[name].cast(pl.Float64).to_numpy()[:, None]
        if name in ("cp", "restecg", "slope", "thal"):
            blocks[name] = dense(values, [name], kinds=["categorical"], levels=[tuple("01234567")])
        else:
            blocks[name] = dense(values, [name])
    data = Encoded(blocks, Target("binary", ("num",), y, classes=("0", "1")), np.arange(len(y)))
    model, areas = models.get("logistic"), []
    fold = rng.permutation(np.arange(len(y)) % 10)
    for k in range(10):
        held = fold == k
        p = model.predict(model.fit(data.take(~held), rng), data.take(held).blocks).value[:, 1]
        areas.append((p[y[held] == 1][:, None] > p[y[held] == 0]).mean())
    assert np.mean(areas) > 0.89
