"""What must hold for every metric whatever the data (hypothesis)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from osler.evaluation import calibration, compare, conformal, intervals, metrics
from osler.evaluation.scores import score
from osler.tasks.base import Prediction, Target


@st.composite
def binary_rows(draw, least: int = 6, most: int = 60):
    """y with both classes and tied probabilities away from 0 and 1."""
    n = draw(st.integers(least, most))
    p = draw(hnp.arrays(np.int64, n, elements=st.integers(1, 99))) / 100
    y = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    assume(0 < y.sum() < n)
    return y, p


@given(binary_rows())
def test_auroc_does_not_change_under_increasing_maps(rows):
    y, p = rows
    value = metrics.auroc(y, p)
    assert metrics.auroc(y, np.exp(3 * p)) == pytest.approx(value, abs=1e-12)
    assert metrics.auroc(y, 1000 * p - 7) == pytest.approx(value, abs=1e-12)


@given(binary_rows())
def test_auroc_is_mirrored_by_flips(rows):
    y, p = rows
    value = metrics.auroc(y, p)
    assert metrics.auroc(1 - y, p) == pytest.approx(1 - value, abs=1e-12)
    assert metrics.auroc(y, 1 - p) == pytest.approx(1 - value, abs=1e-12)
    assert 0 <= value <= 1


@given(binary_rows(), st.integers(0, 2**31))
def test_the_order_of_rows_does_not_matter(rows, seed):
    y, p = rows
    order = np.random.default_rng(seed).permutation(len(y))
    for metric in (metrics.auroc, metrics.auprc, metrics.brier, metrics.log_loss, metrics.ece):
        assert metric(y[order], p[order]) == pytest.approx(metric(y, p), abs=1e-12), metric.__name__


@given(binary_rows(), st.integers(0, 2**31))
def test_a_weight_of_two_is_the_row_twice(rows, seed):
    y, p = rows
    w = np.random.default_rng(seed).integers(1, 4, len(y))
    y2, p2 = np.repeat(y, w), np.repeat(p, w)
    for metric in (metrics.auroc, metrics.auprc, metrics.brier, metrics.log_loss, metrics.observed_expected):
        expected = float(metric(y2, p2))
        assert metric(y, p, w.astype(float)) == pytest.approx(expected, abs=1e-9), metric.__name__
    called, called2 = p >= 0.5, p2 >= 0.5
    for metric in (metrics.accuracy, metrics.recall, metrics.specificity, metrics.f1, metrics.mcc):
        expected = float(metric(y2, called2))
        assert metric(y, called, w.astype(float)) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(binary_rows(), st.integers(0, 2**31))
def test_numbers_too_a_weight_of_two_is_the_row_twice(rows, seed):
    _, p = rows
    rng = np.random.default_rng(seed)
    y, w = np.round(rng.normal(size=len(p)), 1), rng.integers(1, 4, len(p))
    y2, p2 = np.repeat(y, w), np.repeat(p, w)
    assume(np.ptp(p) > 0 and np.ptp(y) > 0)
    for metric in (
        metrics.mae,
        metrics.rmse,
        metrics.r2,
        metrics.pearson,
        metrics.spearman,
        metrics.line_slope,
    ):
        assert metric(y, p, w.astype(float)) == pytest.approx(float(metric(y2, p2)), abs=1e-8), (
            metric.__name__
        )


@given(binary_rows(least=10), st.integers(0, 2**31), st.integers(1, 4))
def test_every_interval_holds_its_value(rows, seed, per_unit):
    y, p = rows
    target = Target("binary", ("t",), y, classes=("n", "p"))
    groups = np.arange(len(y)) // per_unit
    rng = np.random.default_rng(seed)
    scored = score(target, Prediction(np.column_stack([1 - p, p])), groups, rng, 60)
    for name, s in scored.items():
        if s["value"] is not None and s["low"] is not None:
            assert s["low"] <= s["value"] + 1e-12, name
            assert s["value"] <= s["high"] + 1e-12, name


@given(binary_rows(least=20))
def test_recalibrated_predictions_have_slope_one_and_intercept_zero(rows):
    y, p = rows
    assume(np.isfinite(metrics.calibration_slope(y, p)))
    assume(0.05 < metrics.calibration_slope(y, p) < 20)
    better = calibration.recalibrate(y, p, "platt")(p)
    assume((better > 1e-5).all() and (better < 1 - 1e-5).all())
    assert metrics.calibration_slope(y, better) == pytest.approx(1, abs=1e-4)
    assert metrics.calibration_intercept(y, better) == pytest.approx(0, abs=1e-5)
    assert metrics.observed_expected(y, better) == pytest.approx(1, abs=1e-6)


@given(binary_rows())
def test_an_intercept_alone_repairs_observed_over_expected_and_keeps_the_order(rows):
    y, p = rows
    better = calibration.recalibrate(y, p, "intercept")(p)
    assert metrics.observed_expected(y, better) == pytest.approx(1, abs=1e-4)
    assert metrics.auroc(y, better) == pytest.approx(metrics.auroc(y, p), abs=1e-12)


@given(binary_rows())
def test_isotonic_is_increasing_and_no_worse_in_brier(rows):
    y, p = rows
    better = calibration.recalibrate(y, p, "isotonic")(p)
    order = np.argsort(p)
    assert (np.diff(better[order]) >= -1e-12).all()
    assert metrics.brier(y, better) <= metrics.brier(y, p) + 1e-9


@given(binary_rows())
def test_delong_gives_the_same_auroc(rows):
    y, p = rows
    assert compare.delong(y, p)[0][0] == pytest.approx(metrics.auroc(y, p), abs=1e-12)


@given(st.floats(0, 1), st.floats(1, 5000))
def test_wilson_stays_inside_and_narrows(share, n):
    low, high = intervals.wilson(share, n)
    assert 0 <= low <= share <= high <= 1
    narrow = intervals.wilson(share, 4 * n)
    assert narrow[1] - narrow[0] <= high - low + 1e-12


@given(hnp.arrays(np.float64, st.integers(1, 80), elements=st.floats(0, 1)), st.floats(0.05, 0.95))
def test_the_conformal_quantile_covers_the_calibration_rows(scores, level):
    limit = conformal.quantile(scores, level)
    assert (scores <= limit).sum() >= min(len(scores), np.ceil((len(scores) + 1) * level - 1e-9))
