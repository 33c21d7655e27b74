"""Calibration: the smoother, its distances, bins, and recalibration that survives JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.errors import OptionError
from osler.evaluation import calibration as cal
from osler.evaluation import metrics


def sample(n: int, seed: int = 0, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of true log odds x, and predictions with log odds (x - shift) / slope."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    return y, 1 / (1 + np.exp(-(x - shift) / slope))


def test_a_straight_line_is_smoothed_to_itself():
    p = np.linspace(0.05, 0.95, 200)
    smoother = cal.Smoother.of(p)
    assert smoother.rows(smoother.curve(0.2 + 0.5 * p)) == pytest.approx(0.2 + 0.5 * p, abs=1e-9)


def test_the_smoother_agrees_with_lowess_of_statsmodels():
    from statsmodels.nonparametric.smoothers_lowess import lowess

    y, p = sample(400)
    smoother = cal.Smoother.of(p, span=0.75, points=200)
    ours = smoother.rows(smoother.curve(y.astype(float)))
    theirs = lowess(y, p, frac=0.75, it=0, return_sorted=False)
    assert np.max(np.abs(ours - theirs)) < 0.01


def test_weights_of_two_are_rows_twice_in_the_curve():
    y, p = sample(80)
    smoother = cal.Smoother.of(p)
    w = np.where(np.arange(80) % 3 == 0, 2.0, 1.0)
    many = smoother.curve(y.astype(float), np.stack([w, np.ones(80)]))
    assert many.shape == (2, len(smoother.at))
    assert many[1] == pytest.approx(smoother.curve(y.astype(float)))
    k = np.repeat(np.arange(80), w.astype(int))
    doubled = cal.Smoother(
        smoother.at, smoother.left[k], smoother.part[k], smoother.kernel[k], smoother.shift[k]
    )
    assert many[0] == pytest.approx(doubled.curve(y[k].astype(float)))


def test_constant_predictions_have_a_flat_curve():
    y = np.array([0, 1] * 10)
    found = cal.distances(y, np.full(20, 0.3))
    assert found["ici"] == pytest.approx(0.2)
    assert found["emax"] == pytest.approx(0.2)


def test_good_predictions_are_near_and_extreme_ones_far():
    near = cal.distances(*sample(3000))
    far = cal.distances(*sample(3000, slope=0.4))
    assert near["ici"] < 0.02
    assert far["ici"] > 0.08
    for found in (near, far):
        assert found["e50"] <= found["e90"] <= found["emax"]


def test_the_whole_account_has_intervals_and_is_json(rng):
    y, p = sample(300, slope=0.5)
    found = cal.calibration(y, p, np.arange(300) // 2, rng, 100)
    json.dumps(found, allow_nan=False)
    for name in ("slope", "intercept", "observed_expected", "brier", "ece", "ici", "e50", "e90", "emax"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"], name
        assert found[name]["n"] == 300
    assert found["slope"]["value"] == pytest.approx(metrics.calibration_slope(y, p))
    assert found["slope"]["high"] < 1
    curve = found["curve"]
    assert (np.diff(curve["predicted"]) > 0).all()
    assert all(lo <= hi for lo, hi in zip(curve["low"], curve["high"]))


def test_beyond_the_limit_a_random_part_is_used(rng, monkeypatch):
    monkeypatch.setattr(cal, "MOST_ROWS", 200)
    y, p = sample(500)
    assert cal.calibration(y, p, None, rng, 20)["brier"]["n"] == 200


def test_bins_hold_every_row_once():
    y, p = sample(237)
    bins = cal.binned(y, p, None, 10)
    assert sum(b["n"] for b in bins) == 237
    assert sum(b["n"] * b["observed"] for b in bins) == pytest.approx(y.sum())
    assert sum(b["n"] * b["predicted"] for b in bins) == pytest.approx(p.sum())
    for b in bins:
        assert b["low"] <= b["observed"] <= b["high"]


@pytest.mark.parametrize("kind", ["intercept", "platt", "isotonic"])
def test_recalibration_survives_json_and_helps_elsewhere(kind):
    y, p = sample(2000, seed=1, slope=0.5, shift=0.8)
    found = cal.recalibrate(y, p, kind)
    again = cal.Recalibration.from_json(json.loads(json.dumps(found.to_json())))
    other_y, other_p = sample(2000, seed=2, slope=0.5, shift=0.8)
    np.testing.assert_array_equal(found(other_p), again(other_p))
    assert metrics.log_loss(other_y, np.clip(found(other_p), 1e-3, 1 - 1e-3)) < metrics.log_loss(
        other_y, other_p
    )
    assert 0.9 < metrics.observed_expected(other_y, found(other_p)) < 1.1


def test_platt_finds_the_planted_line():
    y, p = sample(20_000, seed=3, slope=0.5, shift=0.6)
    # log odds of p = (x - 0.6) / 0.5, so x = 0.6 + 0.5 logit p
    assert cal.recalibrate(y, p, "platt").numbers == pytest.approx((0.6, 0.5), abs=0.05)


def test_none_changes_nothing():
    p = np.array([0.0, 0.5, 1.0])
    assert cal.recalibrate(np.array([0, 1, 1]), p, "none")(p) is p


def test_recalibration_refuses_what_it_cannot_do():
    with pytest.raises(OptionError, match="did you mean 'platt'"):
        cal.recalibrate(np.array([0, 1]), np.array([0.2, 0.8]), "plat")
    with pytest.raises(OptionError, match="both classes"):
        cal.recalibrate(np.array([0, 0, 0]), np.array([0.2, 0.8, 0.5]), "intercept")
    with pytest.raises(OptionError, match="overlap"):
        cal.recalibrate(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), "platt")
