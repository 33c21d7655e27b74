"""Every metric against scikit-learn, statsmodels, scipy, or a value worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as peer

from osler.evaluation import classes, metrics


@pytest.fixture
def binary(rng):
    """400 rows with many tied probabilities."""
    p = np.round(rng.random(400), 2).clip(0.01, 0.99)
    y = (rng.random(400) < p).astype(int)
    return y, p


def test_auroc_by_hand():
    # pairs: (0.8 over 0.3, 0.5), (0.5 ties 0.5, over 0.3) -> (1 + 1 + 0.5 + 1) / 4
    assert metrics.auroc(np.array([1, 1, 0, 0]), np.array([0.8, 0.5, 0.5, 0.3])) == pytest.approx(0.875)


def test_auprc_by_hand():
    # ranked: 1 0 1 0 -> precision 1 at the first, 2/3 at the second positive
    value = metrics.auprc(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
    assert value == pytest.approx((1 + 2 / 3) / 2)


def test_discrimination_agrees_with_scikit_learn(binary):
    y, p = binary
    assert metrics.auroc(y, p) == pytest.approx(peer.roc_auc_score(y, p), abs=1e-12)
    assert metrics.auprc(y, p) == pytest.approx(peer.average_precision_score(y, p), abs=1e-12)


def test_discrimination_with_weights_agrees_with_scikit_learn(binary, rng):
    y, p = binary
    w = rng.random(len(y)) + 0.1
    assert metrics.auroc(y, p, w) == pytest.approx(peer.roc_auc_score(y, p, sample_weight=w), abs=1e-12)
    expected = peer.average_precision_score(y, p, sample_weight=w)
    assert metrics.auprc(y, p, w) == pytest.approx(expected, abs=1e-12)


def test_threshold_metrics_agree_with_scikit_learn(binary):
    y, p = binary
    called = p >= 0.4
    expected = {
        "accuracy": peer.accuracy_score(y, called),
        "precision": peer.precision_score(y, called),
        "recall": peer.recall_score(y, called),
        "specificity": peer.recall_score(1 - y, ~called),
        "npv": peer.precision_score(1 - y, ~called),
        "f1": peer.f1_score(y, called),
        "balanced_accuracy": peer.balanced_accuracy_score(y, called),
        "mcc": peer.matthews_corrcoef(y, called),
    }
    for name, value in expected.items():
        assert getattr(metrics, name)(y, called) == pytest.approx(value, abs=1e-12), name


def test_probability_scores_agree_with_scikit_learn(binary):
    y, p = binary
    assert metrics.brier(y, p) == pytest.approx(peer.brier_score_loss(y, p), abs=1e-12)
    assert metrics.log_loss(y, p) == pytest.approx(peer.log_loss(y, p), abs=1e-12)


def test_log_loss_of_a_certain_mistake_is_finite():
    assert metrics.log_loss(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(-np.log(1e-15) / 2)


def test_ece_by_hand():
    # two bins of four: predicted 0.25 with one of four events, predicted 0.75 with four of four
    y = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    p = np.array([0.25] * 4 + [0.75] * 4)
    assert metrics.ece(y, p, bins=2) == pytest.approx((0.0 * 4 + 0.25 * 4) / 8)


def test_equal_predictions_stay_in_one_bin():
    assert metrics.mass_bins(np.full(50, 0.3), 10).shape == (50, 1)
    member = metrics.mass_bins(np.arange(100) / 100, 10)
    assert member.sum(axis=0).tolist() == [10.0] * 10
    assert (member.sum(axis=1) == 1).all()


def test_calibration_line_agrees_with_statsmodels(binary):
    import statsmodels.api as sm

    y, p = binary
    logit = np.log(p / (1 - p))
    a, b = sm.Logit(y, sm.add_constant(logit)).fit(disp=0).params
    assert metrics.recalibration_line(y, p) == pytest.approx((a, b), abs=1e-7)
    large = sm.GLM(y, np.ones(len(y)), offset=logit, family=sm.families.Binomial()).fit().params[0]
    assert metrics.calibration_intercept(y, p) == pytest.approx(large, abs=1e-7)
    assert metrics.calibration_slope(y, p) == pytest.approx(b, abs=1e-7)


def test_observed_over_expected_by_hand():
    assert metrics.observed_expected(np.array([1, 1, 0, 0]), np.full(4, 0.25)) == pytest.approx(2.0)


def test_what_is_not_defined_is_nan():
    y, p = np.zeros(4, dtype=int), np.array([0.1, 0.2, 0.3, 0.4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("auroc", "auprc", "calibration_slope", "calibration_intercept"):
            assert np.isnan(getattr(metrics, name)(y, p)), name
        assert np.isnan(metrics.precision(y, p > 1))
        assert np.isnan(metrics.recall(y, p > 0))
        assert np.isnan(metrics.mcc(y, p > 0.2))


def test_a_separated_slope_is_nan_not_a_large_number():
    y = np.array([0, 0, 0, 1, 1, 1])
    assert np.isnan(metrics.calibration_slope(y, np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])))
    assert np.isnan(metrics.calibration_slope(np.array([0, 1, 0, 1]), np.full(4, 0.5)))


def test_regression_metrics_agree_with_peers(rng):
    y = np.round(rng.normal(size=200), 1)
    p = np.round(y + rng.normal(size=200), 1)
    assert metrics.mae(y, p) == pytest.approx(peer.mean_absolute_error(y, p), abs=1e-12)
    assert metrics.rmse(y, p) == pytest.approx(peer.root_mean_squared_error(y, p), abs=1e-12)
    assert metrics.r2(y, p) == pytest.approx(peer.r2_score(y, p), abs=1e-12)
    assert metrics.pearson(y, p) == pytest.approx(stats.pearsonr(y, p).statistic, abs=1e-12)
    assert metrics.spearman(y, p) == pytest.approx(stats.spearmanr(y, p).statistic, abs=1e-12)
    assert metrics.line_slope(y, p) == pytest.approx(stats.linregress(p, y).slope, abs=1e-12)
    assert metrics.mean_error(y, p) == pytest.approx(np.mean(y - p), abs=1e-12)


def test_constant_predictions_have_no_correlation():
    y = np.array([1.0, 2.0, 3.0])
    assert np.isnan(metrics.pearson(y, np.ones(3)))
    assert np.isnan(metrics.spearman(y, np.ones(3)))
    assert metrics.r2(y, np.full(3, 2.0)) == pytest.approx(0.0)


def test_mid_ranks_by_hand():
    assert metrics.mid_ranks(np.array([5.0, 1.0, 5.0, 7.0])).tolist() == [2.0, 0.5, 2.0, 3.5]


BINARY_SCORES = (
    metrics.auroc, metrics.auprc, metrics.brier, metrics.log_loss, metrics.ece, metrics.calibration_slope,
    metrics.calibration_intercept, metrics.observed_expected,
)  # fmt: skip
NUMBER_SCORES = (
    metrics.mae, metrics.rmse, metrics.r2, metrics.pearson, metrics.spearman, metrics.line_slope,
    metrics.mean_error,
)  # fmt: skip


@pytest.mark.parametrize("metric", BINARY_SCORES, ids=lambda m: m.__name__)
def test_many_weights_at_once_are_the_weights_one_by_one(metric, binary, rng):
    y, p = binary
    w = rng.integers(0, 3, size=(5, len(y))).astype(float)
    together = metric(y, p, w)
    assert together.shape == (5,)
    assert together == pytest.approx([float(metric(y, p, row)) for row in w], rel=1e-9)


@pytest.mark.parametrize("metric", NUMBER_SCORES, ids=lambda m: m.__name__)
def test_many_weights_at_once_for_numbers(metric, rng):
    y, p = np.round(rng.normal(size=(2, 150)), 1)
    w = rng.integers(0, 3, size=(4, 150)).astype(float)
    assert metric(y, p, w) == pytest.approx([float(metric(y, p, row)) for row in w], rel=1e-9)


# -- several classes
# -------------------------------------------------------------------------------------------------


@pytest.fixture
def three(rng):
    """300 rows of three classes."""
    p = rng.dirichlet([1, 1, 1], 300)
    y = np.array([rng.choice(3, p=row) for row in p])
    return y, p


def test_macro_means_agree_with_scikit_learn(three):
    y, p = three
    hot, called = classes.one_hot(y, 3), classes.one_hot(p.argmax(axis=1), 3)
    assert classes.macro(metrics.auroc, hot, p) == pytest.approx(peer.roc_auc_score(y, p, multi_class="ovr"))
    for name in ("precision", "recall", "f1"):
        expected = getattr(peer, f"{name}_score")(y, p.argmax(axis=1), average="macro")
        assert classes.macro(getattr(metrics, name), hot, called) == pytest.approx(expected), name


def test_multiclass_probability_scores_agree_with_scikit_learn(three):
    y, p = three
    hot = classes.one_hot(y, 3)
    assert classes.log_loss(hot, p) == pytest.approx(peer.log_loss(y, p))
    assert classes.brier(hot, p) == pytest.approx(np.mean(np.sum((p - hot) ** 2, axis=1)))


def test_top_label_ece_of_a_perfect_model_is_zero():
    y = np.array([0, 1, 2, 1])
    assert classes.ece(classes.one_hot(y, 3), classes.one_hot(y, 3)) == 0.0


def test_unassessed_labels_are_left_out():
    y = np.array([[1, np.nan], [0, 1], [1, 0], [0, np.nan]])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.3], [0.1, 0.9]])
    assert classes.macro(metrics.auroc, y, p) == 1.0
    assert classes.macro(metrics.brier, y, p) == pytest.approx(
        (np.mean([0.01, 0.04, 0.04, 0.01]) + np.mean([0.04, 0.09])) / 2
    )


def test_a_class_without_rows_is_left_out_and_none_at_all_is_nan():
    y = np.array([[1, 0, np.nan], [0, 0, np.nan]])
    p = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5]])
    assert classes.macro(metrics.auroc, y, p) == 1.0
    assert np.isnan(classes.macro(metrics.auroc, np.full((2, 2), np.nan), p[:, :2]))
    assert classes.macro(metrics.auroc, y, p, np.ones((3, 2))).shape == (3,)
