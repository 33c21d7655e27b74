"""What solvers, likelihoods, designs and node arrays must obey: optimality, weights as repeats, units, brute force."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.blocks import dense
from osler.errors import OptionError
from osler.models import choice, solvers, splines
from osler.models.base import Encoded, Params, options_from
from osler.models.breslow import breslow, survival
from osler.models.clinical.base import logistic_map
from osler.models.clinical.inputs import Input, factor_of, match, plain, read
from osler.models.design import Design
from osler.models.labels import case_weights, inner_folds, probabilities, sigmoid, softmax
from osler.models.nodes import Nodes, OneTree, in_order, join
from osler.models.partial_likelihood import derivatives, log_likelihood, risk_sets, row_derivatives
from osler.tasks.base import Target
from osler.tasks.kaplan_meier import nelson_aalen
from tests.models.tables import table

NAN = float("nan")


def problem(seed: int, n: int = 60, p: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = (X[:, 0] - X[:, 1] + rng.normal(size=n) > 0).astype(float)
    return X, y, rng.integers(0, 4, n).astype(float)


# -- solvers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("shape", [(60, 4), (120, 70), (40, 60)])
def test_the_logistic_slope_is_zero_at_the_answer(penalty: float, shape: tuple[int, int]) -> None:
    X, y, w = problem(1, *shape)
    beta = next(solvers.logistic_path(X, y, w, np.array([penalty]), 1e-14))
    residual = w * (sigmoid(X @ beta[:-1] + beta[-1]) - y)
    np.testing.assert_allclose(residual @ X + penalty * beta[:-1], 0.0, atol=1e-4)
    assert residual.sum() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_is_a_repeated_row(seed: int) -> None:
    X, y, w = problem(seed)
    often = np.repeat(np.arange(len(y)), w.astype(int))
    ones = np.ones(len(often))
    penalties = np.array([10.0, 1.0])
    for one, other in zip(
        solvers.logistic_path(X, y, w, penalties), solvers.logistic_path(X[often], y[often], ones, penalties)
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    Y = np.eye(3)[np.digitize(X[:, 0], [-0.5, 0.5])]
    penalty = np.full(4, 2.0)
    np.testing.assert_allclose(
        solvers.multinomial(X, Y, w, penalty), solvers.multinomial(X[often], Y[often], ones, penalty), atol=1e-5
    )
    np.testing.assert_allclose(
        solvers.ridge(X, X[:, 0] + y, w, penalties), solvers.ridge(X[often], (X[:, 0] + y)[often], ones, penalties)
    )


@pytest.mark.parametrize("shape", [(60, 4), (10, 4), (8, 20)])
def test_ridge_beside_its_normal_equations(shape: tuple[int, int]) -> None:
    X, _, w = problem(2, *shape)
    y, w = X[:, 0] * 2 + np.arange(len(X)) / 10, w + 0.5
    for penalty, beta in zip((0.5, 20.0), solvers.ridge(X, y, w, np.array([0.5, 20.0]))):
        A = np.column_stack([X, np.ones(len(X))])
        by_hand = np.linalg.solve((A * w[:, None]).T @ A + np.diag([penalty] * X.shape[1] + [0.0]), A.T @ (w * y))
        np.testing.assert_allclose(beta, by_hand, rtol=1e-7, atol=1e-9)
    exact = solvers.ridge(X, y, w, np.array([0.0]))[0]
    theirs = np.linalg.lstsq(A * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    np.testing.assert_allclose(A @ exact, A @ theirs, atol=1e-7)


def test_two_classes_as_multinomial_are_logistic() -> None:
    X, y, w = problem(3)
    two = solvers.multinomial(X, np.eye(2)[y.astype(int)], w, np.full(4, 2.0))
    one = next(solvers.logistic_path(X, y, w, np.array([1.0])))
    np.testing.assert_allclose(two[1] - two[0], one, atol=1e-4)
    np.testing.assert_allclose(two[:, :-1].sum(axis=0), 0.0, atol=1e-5)


@given(st.integers(0, 500), st.floats(0.01, 3.0), st.floats(0.0, 2.0))
def test_elastic_quadratics_meet_their_conditions(seed: int, lasso: float, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2, 6, 3))
    gram, slope = root.transpose(0, 2, 1) @ root, rng.normal(size=(2, 3)) * 3
    l1, l2 = np.full((2, 3), lasso), np.full((2, 3), ridge)
    x = solvers.elastic_quadratic(gram, slope, l1, l2, np.zeros((2, 3)), 1e-10)
    gradient = (gram @ x[:, :, None])[:, :, 0] - slope + l2 * x
    assert (np.abs(gradient) <= lasso + 1e-3).all()
    np.testing.assert_allclose(gradient[x != 0], -lasso * np.sign(x[x != 0]), atol=1e-3)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_f_statistics_beside_scikit_learn(classes: int) -> None:
    from sklearn.feature_selection import f_classif, f_regression

    X, _, _ = problem(4, 90)
    y = np.digitize(X[:, 0], [0.0, 1.0][: classes - 1]) if classes else X[:, 0] + X[:, 2]
    theirs = (f_classif if classes else f_regression)(X, y)[0]
    np.testing.assert_allclose(solvers.f_statistic(X, y, np.ones(90), classes), theirs, rtol=1e-6)


def test_more_columns_than_rows_give_the_answer_of_all_columns() -> None:
    X, y, w = problem(5, 20, 30)
    wide = choice.Problem(X, y.astype(int), w, np.ones(30), 2)
    beta = next(choice.ridge_path(wide, np.array([2.0])))
    np.testing.assert_allclose(beta[0], next(solvers.logistic_path(X, y, w, np.array([2.0]))), atol=1e-5)
    chosen = choice.Problem(X, y.astype(int), w, np.ones(30), 2, select=3)
    few = next(choice.ridge_path(chosen, np.array([2.0])))[0]
    assert np.flatnonzero(few[:-1]).tolist() == chosen.kept().tolist()
    assert len(chosen.kept()) == 3


# -- Cox -----------------------------------------------------------------------------------------------------


def efron_by_hand(time, event, weight, eta) -> float:
    total = 0.0
    for t in np.unique(time[event]):
        dead, at_risk = event & (time == t), time >= t
        total += (weight[dead] * eta[dead]).sum()
        all_, tied, d = (weight * np.exp(eta))[at_risk].sum(), (weight * np.exp(eta))[dead].sum(), dead.sum()
        total -= weight[dead].mean() * sum(np.log(all_ - k / d * tied) for k in range(d))
    return total


@given(st.integers(0, 500), st.integers(3, 20))
def test_the_partial_likelihood_and_its_slopes(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    time, event, weight = rng.integers(1, 6, n).astype(float), rng.random(n) < 0.6, rng.uniform(0.5, 2, n)
    x = rng.normal(size=(n, 2))
    sets, beta = risk_sets(time, event, weight), np.array([0.3, -0.5])
    eta = x @ beta
    assert log_likelihood(sets, eta) == pytest.approx(efron_by_hand(time, event, weight, eta), abs=1e-8)
    assert log_likelihood(sets, eta + 5) == pytest.approx(log_likelihood(sets, eta), abs=1e-8)
    if not event.any():
        return
    gradient, curvature = row_derivatives(sets, eta)
    step = 1e-5
    by_step = [
        (log_likelihood(sets, eta + step * e) - log_likelihood(sets, eta - step * e)) / (2 * step) for e in np.eye(n)
    ]
    np.testing.assert_allclose(gradient, by_step, atol=1e-5)
    assert gradient.sum() == pytest.approx(0.0, abs=1e-8)
    assert (curvature >= 0).all()
    value, slope, hessian = derivatives(sets, x[sets.order], beta)
    assert value == pytest.approx(log_likelihood(sets, eta), abs=1e-8)
    np.testing.assert_allclose(slope, x.T @ gradient, atol=1e-8)
    assert np.linalg.eigvalsh(hessian).min() > -1e-8


def test_a_baseline_hazard_without_predictors_is_nelson_aalen() -> None:
    rng = np.random.default_rng(0)
    target = Target("survival", ("t", "e"), rng.exponential(5, 50), rng.random(50) < 0.7, horizon=6.0)
    times, cumulative = breslow(target, np.zeros(50))
    np.testing.assert_allclose(cumulative, nelson_aalen(target.y, target.event).at(times))
    moved = breslow(target, np.full(50, 1.5))[1]
    answer = survival(times, moved, np.full(3, 1.5))
    np.testing.assert_allclose(answer.value, np.tile(np.exp(-cumulative), (3, 1)), rtol=1e-9)


# -- designs, splines, nodes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("factor", [1e-6, 1000.0])
def test_units_of_the_data_change_no_design(kind: str, factor: float) -> None:
    data = table(kind)
    X = Design.fit(data.blocks).matrix(data.blocks)
    scaled = {k: dense(b.values * factor + 3, b.names) if k != "site" else b for k, b in data.blocks.items()}
    np.testing.assert_allclose(Design.fit(scaled).matrix(scaled), X, atol=1e-7)
    numbers = X[:, :5]
    np.testing.assert_allclose(numbers.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(numbers.std(axis=0), 1.0)
    assert np.isfinite(X).all()


def test_a_design_goes_back_to_the_data_and_through_json() -> None:
    data = table("binary", missing=0.0)
    design = Design.fit(data.blocks)
    X = design.matrix(data.blocks)
    natural, _, _ = design.natural(X)
    np.testing.assert_allclose(natural[:, 0], data.blocks["x0"].values[:, 0])
    meta, arrays = design.to_params()
    again = Design.from_params(Params({"design": json.loads(json.dumps(meta))}, arrays))
    np.testing.assert_array_equal(again.matrix(data.blocks), X)
    part = {k: b.take(np.array([3, 1])) for k, b in data.blocks.items()}
    np.testing.assert_array_equal(again.matrix(part), X[[3, 1]])


def test_an_absent_block_is_missing_everywhere() -> None:
    data = table("binary")
    design = Design.fit(data.blocks)
    without = {k: b for k, b in data.blocks.items() if k != "x1"}
    gone = {**data.blocks, "x1": dense(np.full((len(data), 1), NAN), ["x1"])}
    np.testing.assert_array_equal(design.matrix(without), design.matrix(gone))


@pytest.mark.parametrize("knots", [2, 3, 5, 7, 99])
def test_bends_are_straight_beyond_the_outer_knots(knots: int) -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    state = splines.fit(x, 1, knots)
    wide = splines.expand(x, state)
    assert wide.shape[1] == 2 + np.clip(knots, 3, 7) - 2
    np.testing.assert_allclose(wide[:, 2:].std(axis=0), 1.0)
    np.testing.assert_allclose((wide[:, 2:] * (x[:, [0]] - x[:, 0].mean())).mean(axis=0), 0.0, atol=1e-9)
    far = np.column_stack([[10.0, 11, 12, -10, -11, -12], np.zeros(6)])
    bends = splines.expand(far, state)[:, 2:]
    np.testing.assert_allclose(bends[0] + bends[2], 2 * bends[1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bends[3] + bends[5], 2 * bends[4], rtol=1e-6, atol=1e-6)


def test_a_column_of_few_values_does_not_bend() -> None:
    x = np.tile([[0.0], [1.0]], (50, 1))
    assert splines.expand(x, splines.fit(x, 1, 4)).shape == (100, 1)


STUMP = OneTree(
    np.array([1, 0, 0]),
    np.array([0.5, 0, 0]),
    np.array([1, -1, -1]),
    np.array([2, -1, -1]),
    np.array([False, True, True]),
    np.array([[9.0], [1], [2]]),
)
LEAF = OneTree(np.array([0]), np.array([0.0]), np.array([-1]), np.array([-1]), np.array([True]), np.array([[10.0]]))


def test_trees_are_walked_and_added() -> None:
    nodes = join([STUMP, LEAF, STUMP])
    X = np.array([[0.0, 0.4], [0.0, 0.5], [0.0, 0.6], [0.0, NAN]])
    assert nodes.depth == 1
    assert nodes.total(X)[:, 0].tolist() == [12.0, 12.0, 14.0, 14.0]
    assert nodes.leaves(X).tolist() == [[1, 1, 2, 2], [3, 3, 3, 3], [5, 5, 6, 6]]
    meta, arrays = nodes.to_params()
    again = Nodes.from_params(Params({"nodes": json.loads(json.dumps(meta))}, arrays))
    np.testing.assert_array_equal(again.total(X), nodes.total(X))
    left = join([OneTree(**{**STUMP.__dict__, "missing_left": np.array([True, True, True])})])
    assert left.total(X)[:, 0].tolist() == [1.0, 1.0, 2.0, 1.0]


@given(st.integers(1, 40), st.integers(1, 6))
def test_one_row_gets_the_same_bits_as_many(trees: int, n: int) -> None:
    values = np.random.default_rng(trees).normal(size=(trees, n)) * 10.0 ** np.arange(n)
    together = in_order(values)
    for i in range(n):
        assert in_order(values[:, [i]])[0] == together[i]


# -- params, options, weights --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Some:
    depth: int = 3
    rate: float = 0.1
    limit: float | None = None
    name: str = "a"
    fast: bool = False
    sizes: tuple[int, ...] = (1, 2)
    words: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("depth", "7", 7), ("rate", "1e-3", 0.001), ("limit", "2", 2.0), ("name", "7", "7"), ("fast", "Yes", True), ("fast", "0", False),
     ("sizes", "3+4", (3, 4)), ("words", "x+y", ("x", "y")), ("depth", 5, 5), ("limit", None, None)],
)  # fmt: skip
def test_options_from_texts(name: str, text: object, value: object) -> None:
    assert getattr(options_from(Some, {name: text}, "model x"), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("depth", "many"), ("depth", "1.5"), ("rate", "fast"), ("fast", "maybe"), ("sizes", "1+b"), ("dept", "3")],
)
def test_options_that_do_not_read(name: str, text: str) -> None:
    with pytest.raises(OptionError, match="model x") as error:
        options_from(Some, {name: text}, "model x")
    assert error.value.code == "option"


def test_params_inside_params() -> None:
    inner = Params.nest({"b": Params({"k": 1}, {"x": np.ones(2)})}, {"m": 2})
    outer = Params.nest({"a": inner, "ab": Params({}, {"x": np.zeros(1)})})
    assert list(outer.arrays) == ["a/b/x", "ab/x"]
    assert outer.part("a").part("b").arrays["x"].tolist() == [1.0, 1.0]
    assert outer.part("a").meta["m"] == 2
    assert list(outer.part("ab").arrays) == ["x"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_slices_walk_every_row_once(size: int) -> None:
    data = table("regression", 40)
    for rng in (None, np.random.default_rng(0)):
        walked = np.concatenate([part.target.y for part in data.slices(size, rng)])
        assert sorted(walked) == sorted(data.target.y)
        assert (rng is None) == (walked.tolist() == data.target.y.tolist())


def test_balanced_weights_make_classes_equal() -> None:
    target = Target("binary", ("y",), np.array([0] * 9 + [1]), classes=("no", "yes"), weight=np.arange(1.0, 11.0))
    w = case_weights(target, "balanced")
    assert w[:9].sum() == pytest.approx(w[9]) == pytest.approx(5.0)
    assert case_weights(target, "none").sum() == pytest.approx(10.0)
    with pytest.raises(OptionError):
        case_weights(target, "balance")


@pytest.mark.parametrize(("k", "most"), [(5, None), (3, 40), (50, None), (2, 10)])
def test_inner_folds_keep_groups_whole(k: int, most: int | None) -> None:
    data = table("binary", 120)
    folds = inner_folds(data, k, np.random.default_rng(0), most)
    for group in np.unique(data.groups):
        assert len(np.unique(folds[data.groups == group])) == 1
    assert (folds >= 0).all() == (most is None)
    alone = Encoded(data.blocks, data.target, np.zeros(len(data), dtype=np.int64))
    assert (inner_folds(alone, k, np.random.default_rng(0)) == -1).all()


def test_probabilities_without_overflow() -> None:
    far = np.array([-1e6, -30.0, 0.0, 30.0, 1e6])
    assert sigmoid(far).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0], abs=1e-12)
    np.testing.assert_allclose(softmax(np.column_stack([far, -far])).sum(axis=1), 1.0)
    np.testing.assert_allclose(probabilities(sigmoid(far)).value.sum(axis=1), 1.0)


# -- inputs of scores ----------------------------------------------------------------------------------------

CHOLESTEROL = Input("cholesterol", "number", ("chol", "tc"), {"mmol/L": 1.0, "mg/dL": 1 / 38.67}, 2, 12)


@pytest.mark.parametrize(
    ("name", "key"),
    [("Total Cholesterol (mg/dL)", "totalcholesterol"), ("sys_BP", "sysbp"), ("Age [years]", "age"), ("", "")],
)
def test_plain_names(name: str, key: str) -> None:
    assert plain(name) == key


@pytest.mark.parametrize(
    ("unit", "x", "found"),
    [
        ("mg/dL", [5.0], ("mg/dL", 1 / 38.67)),
        ("MG / DL", [5.0], ("mg/dL", 1 / 38.67)),
        ("", [5.0, NAN], ("mmol/L", 1.0)),
        ("", [200.0], ("mg/dL", 1 / 38.67)),
        ("", [NAN], ("mmol/L", 1.0)),
    ],
)
def test_units_of_an_input(unit: str, x: list[float], found: tuple[str, float]) -> None:
    assert factor_of(CHOLESTEROL, unit, np.array(x)) == found


def test_inputs_that_cannot_be() -> None:
    with pytest.raises(OptionError, match="mmol/L, mg/dL"):
        factor_of(CHOLESTEROL, "g/L", np.ones(1))
    with pytest.raises(OptionError, match="did you mean 'cholesterol'"):
        match([CHOLESTEROL], ["chol"], {"cholestrol": "chol"})
    assert match([CHOLESTEROL], ["TC (mg/dL)", "age"], {}) == {"cholesterol": "TC (mg/dL)"}


@pytest.mark.parametrize(
    ("kind", "levels", "marked", "found"),
    [
        ("sex", ("F", "male", "other"), "", [0, 1, NAN]),
        ("sex", ("1", "2", "x"), "2", [0, 1, 0]),
        ("race", ("Black", "white", "AA"), "", [1, 0, 1]),
        ("yes", ("Yes", "no", "maybe"), "", [1, 0, NAN]),
        ("number", ("1.5", "x", "3"), "", [1.5, NAN, 3]),
    ],
)
def test_levels_of_an_input(kind: str, levels: tuple[str, ...], marked: str, found: list) -> None:
    block = dense(np.array([[0.0], [1.0], [2.0], [NAN]]), ["x"], kinds=["categorical"], levels=[levels])
    np.testing.assert_array_equal(read(Input("x", kind), block, marked, "x"), [*found, NAN])


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_the_map_from_points_does_not_depend_on_their_unit(factor: float) -> None:
    rng = np.random.default_rng(0)
    points = rng.integers(0, 9, 200).astype(float)
    y = (rng.random(200) < sigmoid(points - 4)).astype(float)
    intercept, slope = logistic_map(points, y)
    other = logistic_map(factor * points, y)
    assert other == pytest.approx([intercept, slope / factor], rel=1e-6)
    assert logistic_map(np.append(points, NAN), np.append(y, 1.0)) == pytest.approx([intercept, slope])
    assert np.isfinite(logistic_map(np.arange(10.0), (np.arange(10) > 4).astype(float))).all()
