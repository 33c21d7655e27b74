"""Relations that every metric must keep: rows and weights, order, monotone maps, scales; and scikit-learn and scipy
beside them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import classes, metrics
from osler.evaluation.concordance import concordance

SCORES = {"auroc": metrics.auroc, "auprc": metrics.auprc}
PROBABILITIES = {
    "brier": metrics.brier, "log_loss": metrics.log_loss, "observed_expected": metrics.observed_expected,
    "calibration_slope": metrics.calibration_slope, "calibration_intercept": metrics.calibration_intercept,
}  # fmt: skip
CALLS = {
    name: getattr(metrics, name)
    for name in ("accuracy", "precision", "recall", "specificity", "npv", "f1", "balanced_accuracy", "mcc")
}
NUMBERS = {
    name: getattr(metrics, name) for name in ("mae", "rmse", "r2", "pearson", "spearman", "line_slope", "mean_error")
}


def rows(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    y[:2] = 0, 1
    p = np.round(np.clip(0.3 * y + rng.random(n) * 0.7, 0.01, 0.99), 2)
    return y, p, rng.integers(0, 4, n).astype(float)


def numbers(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.round(rng.normal(50, 10, n), 1)
    return y, np.round(0.7 * y + rng.normal(10, 5, n), 1), rng.integers(0, 4, n).astype(float)


def of_calls(name: str):
    return lambda y, p, w=None: CALLS[name](y, p >= 0.5, w)


BINARY = {**SCORES, **PROBABILITIES, **{name: of_calls(name) for name in CALLS}}
ALL = [(name, metric, rows) for name, metric in BINARY.items()] + [(n, m, numbers) for n, m in NUMBERS.items()]
IDS = [name for name, *_ in ALL]


@pytest.mark.parametrize(("name", "metric", "make"), ALL, ids=IDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_weight_is_how_often_a_row_is_there(name: str, metric, make, seed: int) -> None:
    y, p, w = make(seed)
    often = np.repeat(np.arange(len(y)), w.astype(int))
    assert metric(y, p, w) == pytest.approx(metric(y[often], p[often]), rel=1e-7)


@pytest.mark.parametrize(("name", "metric", "make"), ALL, ids=IDS)
def test_order_of_rows_changes_nothing(name: str, metric, make) -> None:
    y, p, w = make(4)
    order = np.random.default_rng(0).permutation(len(y))
    assert metric(y[order], p[order], w[order]) == pytest.approx(metric(y, p, w), rel=1e-9)


@pytest.mark.parametrize(("name", "metric", "make"), ALL, ids=IDS)
def test_scale_of_weights_changes_nothing(name: str, metric, make) -> None:
    y, p, w = make(5)
    assert metric(y, p, 7.5 * w) == pytest.approx(metric(y, p, w), rel=1e-7)


@pytest.mark.parametrize(("name", "metric", "make"), ALL, ids=IDS)
def test_many_weights_at_once_are_each_alone(name: str, metric, make) -> None:
    y, p, _ = make(6)
    w = np.random.default_rng(1).integers(0, 3, (5, len(y))).astype(float)
    np.testing.assert_allclose(metric(y, p, w), [metric(y, p, one) for one in w], rtol=1e-6)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("bend", [np.sqrt, np.exp, lambda p: p**3, lambda p: 100 * p - 7, np.log])
def test_ranks_are_all_that_counts(name: str, bend) -> None:
    y, p, w = rows(7)
    assert SCORES[name](y, bend(p), w) == pytest.approx(SCORES[name](y, p, w), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_turning_the_score_round_turns_the_auroc_round(seed: int) -> None:
    y, p, w = rows(seed)
    assert metrics.auroc(y, -p, w) == pytest.approx(1 - metrics.auroc(y, p, w))
    assert metrics.auroc(1 - y, p, w) == pytest.approx(1 - metrics.auroc(y, p, w))


@pytest.mark.parametrize("seed", range(3))
def test_calling_the_other_class_positive(seed: int) -> None:
    y, p, w = rows(seed)
    called = p >= 0.5
    assert metrics.recall(y, called, w) == metrics.specificity(1 - y, ~called, w)
    assert metrics.precision(y, called, w) == metrics.npv(1 - y, ~called, w)
    assert metrics.mcc(y, called, w) == pytest.approx(metrics.mcc(1 - y, ~called, w))
    assert metrics.mcc(y, called, w) == pytest.approx(-metrics.mcc(y, ~called, w))
    assert metrics.brier(y, p, w) == pytest.approx(metrics.brier(1 - y, 1 - p, w))
    assert metrics.log_loss(y, p, w) == pytest.approx(metrics.log_loss(1 - y, 1 - p, w))
    assert metrics.calibration_intercept(y, p, w) == pytest.approx(-metrics.calibration_intercept(1 - y, 1 - p, w))
    assert metrics.calibration_slope(y, p, w) == pytest.approx(metrics.calibration_slope(1 - y, 1 - p, w))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [0.5, 2.0, 1000.0])
def test_units_of_a_number(seed: int, factor: float) -> None:
    y, p, w = numbers(seed)
    for name in ("mae", "rmse", "mean_error"):
        assert NUMBERS[name](factor * y, factor * p, w) == pytest.approx(factor * NUMBERS[name](y, p, w))
    for name in ("r2", "pearson", "spearman", "line_slope"):
        assert NUMBERS[name](factor * y + 3, factor * p + 3, w) == pytest.approx(NUMBERS[name](y, p, w))


@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_beside_scikit_learn(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    y, p, w = rows(seed)
    w = w + 0.5
    called = p >= 0.5
    pairs = {
        "auroc": (metrics.auroc(y, p, w), sk.roc_auc_score(y, p, sample_weight=w)),
        "auprc": (metrics.auprc(y, p, w), sk.average_precision_score(y, p, sample_weight=w)),
        "brier": (metrics.brier(y, p, w), sk.brier_score_loss(y, p, sample_weight=w)),
        "log_loss": (metrics.log_loss(y, p, w), sk.log_loss(y, p, sample_weight=w)),
        "f1": (metrics.f1(y, called, w), sk.f1_score(y, called, sample_weight=w)),
        "mcc": (metrics.mcc(y, called, w), sk.matthews_corrcoef(y, called, sample_weight=w)),
        "precision": (metrics.precision(y, called, w), sk.precision_score(y, called, sample_weight=w)),
        "recall": (metrics.recall(y, called, w), sk.recall_score(y, called, sample_weight=w)),
        "accuracy": (metrics.accuracy(y, called, w), sk.accuracy_score(y, called, sample_weight=w)),
        "balanced": (metrics.balanced_accuracy(y, called, w), sk.balanced_accuracy_score(y, called, sample_weight=w)),
    }
    for name, (ours, theirs) in pairs.items():
        assert ours == pytest.approx(theirs, rel=1e-9), name


@pytest.mark.parametrize("seed", range(4))
def test_number_metrics_beside_scipy_and_scikit_learn(seed: int) -> None:
    from scipy import stats
    from sklearn import metrics as sk

    y, p, w = numbers(seed)
    w = w + 0.5
    assert metrics.r2(y, p, w) == pytest.approx(sk.r2_score(y, p, sample_weight=w))
    assert metrics.mae(y, p, w) == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w))
    assert metrics.rmse(y, p, w) == pytest.approx(np.sqrt(sk.mean_squared_error(y, p, sample_weight=w)))
    assert metrics.spearman(y, p) == pytest.approx(stats.spearmanr(y, p).statistic)
    assert metrics.pearson(y, p) == pytest.approx(stats.pearsonr(y, p).statistic)
    assert metrics.line_slope(y, p) == pytest.approx(stats.linregress(p, y).slope)
    np.testing.assert_allclose(metrics.mid_ranks(y) + 0.5, stats.rankdata(y))


@pytest.mark.parametrize("seed", range(3))
def test_the_recalibration_line_beside_a_general_minimiser(seed: int) -> None:
    from scipy.optimize import minimize

    y, p, w = rows(seed, 200)
    x = metrics.logit(p)

    def loss(line: np.ndarray, slope: float | None = None) -> float:
        eta = line[0] + (line[1] if slope is None else slope) * x
        return float(w @ (np.logaddexp(0, eta) - y * eta))

    free = minimize(loss, [0.0, 1.0], method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(metrics.recalibration_line(y, p, w), free, rtol=1e-4)
    held = minimize(loss, [0.0], args=(1.0,), method="BFGS", options={"gtol": 1e-9}).x
    assert metrics.calibration_intercept(y, p, w) == pytest.approx(held[0], rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_no_replicate_loses_its_slope_because_of_where_the_search_began(seed: int) -> None:
    """Nearly separated rows: resamples start from the line of all rows, which can be too far from their own."""
    rng = np.random.default_rng(seed)
    y = (rng.random(60) < 0.4).astype(float)
    p = np.round(np.clip(0.5 * y + rng.random(60) * 0.6, 0.01, 0.99), 2)
    w = rng.integers(0, 3, (40, 60)).astype(float)
    together = metrics.calibration_slope(y, p, w)
    np.testing.assert_allclose(together, [metrics.calibration_slope(y, p, one) for one in w], rtol=1e-5)


# -- what is not defined -------------------------------------------------------------------------------------

ONES, ZEROS = np.ones(4), np.zeros(4)
P = np.array([0.1, 0.4, 0.6, 0.9])


@pytest.mark.parametrize(
    ("metric", "y", "p", "value"),
    [
        (metrics.auroc, ONES, P, np.nan),
        (metrics.auroc, ZEROS, P, np.nan),
        (metrics.auprc, ZEROS, P, np.nan),
        (metrics.auprc, ONES, P, 1.0),
        (metrics.precision, ONES, P > 2, np.nan),
        (metrics.recall, ZEROS, P > 0.5, np.nan),
        (metrics.specificity, ONES, P > 0.5, np.nan),
        (metrics.f1, ZEROS, P > 2, np.nan),
        (metrics.mcc, ONES, P > 0.5, np.nan),
        (metrics.calibration_intercept, ONES, P, np.nan),
        (metrics.calibration_slope, np.array([0.0, 0, 1, 1]), P, np.nan),
        (metrics.calibration_slope, np.array([0.0, 1, 0, 1]), np.full(4, 0.5), np.nan),
        (metrics.r2, ONES, P, np.nan),
        (metrics.pearson, P, ONES, np.nan),
        (metrics.spearman, ONES, P, np.nan),
        (metrics.log_loss, np.array([1.0]), np.array([0.0]), -np.log(1e-15)),
        (metrics.observed_expected, ONES, ZEROS, np.nan),
        (metrics.auroc, np.array([0.0, 1, 0, 1]), np.full(4, 0.5), 0.5),
        (metrics.ece, np.array([0.0, 1]), np.array([0.5, 0.5]), 0.0),
    ],
)
def test_edges(metric, y: np.ndarray, p: np.ndarray, value: float) -> None:
    np.testing.assert_allclose(metric(y, p), value, rtol=1e-9)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.2, 0.7, 0.9]), min_size=2, max_size=40), st.integers(1, 12))
def test_bins_of_equal_mass_hold_each_row_once(p: list[float], bins: int) -> None:
    values = np.array(p)
    member = metrics.mass_bins(values, bins)
    assert (member.sum(axis=1) == 1).all()
    assert (member.sum(axis=0) > 0).all()
    assert member.shape[1] <= bins
    for value in set(p):
        assert len({tuple(m) for m in member[values == value]}) == 1


# -- several classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_several_classes_beside_scikit_learn(seed: int) -> None:
    from sklearn import metrics as sk

    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 90)
    p = rng.dirichlet(np.ones(3), 90) * 0.6 + 0.4 * np.eye(3)[y] * rng.random((90, 1))
    p /= p.sum(axis=1, keepdims=True)
    hot, called = classes.one_hot(y, 3), p.argmax(axis=1)
    assert classes.macro(metrics.auroc, hot, p) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert classes.macro(metrics.f1, hot, classes.one_hot(called, 3)) == pytest.approx(
        sk.f1_score(y, called, average="macro")
    )
    assert classes.log_loss(hot, p) == pytest.approx(sk.log_loss(y, p))
    assert classes.brier(hot, p) == pytest.approx(((p - hot) ** 2).sum(axis=1).mean())
    order = np.array([2, 0, 1])
    assert classes.macro(metrics.auprc, hot[:, order], p[:, order]) == pytest.approx(
        classes.macro(metrics.auprc, hot, p)
    )
    assert classes.ece(hot[:, order], p[:, order]) == pytest.approx(classes.ece(hot, p))


def test_labels_not_assessed_do_not_count() -> None:
    y = np.array([[1, np.nan], [0, 1], [1, 0], [0, np.nan]])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.3], [0.1, 0.9]])
    assert classes.macro(metrics.brier, y, p) == pytest.approx(np.mean([0.025, (0.04 + 0.09) / 2]))
    assert classes.macro(metrics.auroc, y, p) == 1.0
    assert np.isnan(classes.macro(metrics.auroc, np.full((3, 2), np.nan), p[:3]))
    assert classes.macro(metrics.auroc, np.full((3, 2), np.nan), p[:3], np.ones((5, 3))).shape == (5,)
    np.testing.assert_allclose(classes.macro(metrics.auroc, y, p, np.ones((2, 4))), [1.0, 1.0])


def test_a_class_never_called_has_no_precision_but_counts_as_zero() -> None:
    y, called = classes.one_hot(np.array([0, 1, 1]), 2), classes.one_hot(np.array([1, 1, 1]), 2)
    assert classes.macro(metrics.precision, y, called) == pytest.approx((0 + 2 / 3) / 2)
    assert classes.macro(metrics.recall, y, called) == pytest.approx(0.5)


# -- concordance ---------------------------------------------------------------------------------------------


def by_pairs(time, event, risk, weight, event_weight=None) -> tuple[float, float]:
    right = total = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            later = time[j] > time[i] or (time[j] == time[i] and not event[j])
            if i != j and event[i] and later:
                w = weight[i] * weight[j] * (1 if event_weight is None else event_weight[i])
                total += w
                right += w * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return (right / total if total else np.nan), total


@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 8))
def test_concordance_counts_pairs(seed: int, n: int, grid: int) -> None:
    rng = np.random.default_rng(seed)
    time, event, risk = rng.integers(1, grid + 2, n).astype(float), rng.random(n) < 0.6, rng.integers(0, grid, n) / 4
    weight, extra = rng.integers(1, 4, n).astype(float), rng.random(n)
    for event_weight in (None, extra):
        value, pairs = by_pairs(time, event, risk, weight, event_weight)
        found = concordance(time, event, risk, weight, event_weight)
        np.testing.assert_allclose([found.value, found.n_pairs], [value, pairs], rtol=1e-9)
        assert found.influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_concordance_edges() -> None:
    nobody = concordance(np.array([1.0, 2.0]), np.array([False, False]), np.array([1.0, 2.0]))
    assert np.isnan(nobody.value)
    assert nobody.interval() == pytest.approx((np.nan, np.nan), nan_ok=True)
    perfect = concordance(np.array([1.0, 2.0, 3.0]), np.array([True, True, True]), np.array([3.0, 2.0, 1.0]))
    assert perfect.value == 1.0
    assert all(np.isnan(perfect.interval()))


def test_concordance_interval_widens_with_clusters() -> None:
    rng = np.random.default_rng(3)
    time, risk = rng.exponential(1, 80), rng.normal(size=80)
    found = concordance(time, np.ones(80, dtype=bool), risk - np.log(time))
    low, high = found.interval()
    assert low < found.value < high
    doubled = concordance(np.tile(time, 2), np.ones(160, dtype=bool), np.tile(risk - np.log(time), 2))
    grouped = doubled.interval(np.tile(np.arange(80), 2))
    alone = doubled.interval()
    assert grouped[1] - grouped[0] > 1.3 * (alone[1] - alone[0])
