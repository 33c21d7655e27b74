"""First-order features: IBSI's phantom by its published values, others by hand or by an invariant."""

from __future__ import annotations

import numpy as np
import pytest

from osler.errors import InputError
from osler.instruments.measure.features import INTENSITY
from osler.instruments.measure.intensity import bin_shares, intensity_features, joint_features
from tests.instruments.solids import PHANTOM

INSIDE = PHANTOM[PHANTOM > 0]


def test_the_ibsi_phantom_gives_the_published_values():
    """Consensus values of the digital phantom (reference manual, intensity-based statistics and intensity histogram)."""
    found = intensity_features(INSIDE, 1.0)
    published = {
        "mean": 2.15, "variance": 3.05, "skewness": 1.08, "excess_kurtosis": -0.355, "median": 1, "minimum": 1, "percentile_10": 1,
        "percentile_90": 4, "maximum": 6, "interquartile_range": 3, "range": 5, "mean_absolute_deviation": 1.55,
        "robust_mean_absolute_deviation": 1.11, "median_absolute_deviation": 1.15, "coefficient_of_variation": 0.812,
        "quartile_coefficient_of_dispersion": 0.6, "energy": 567, "root_mean_square": 2.77, "entropy": 1.27, "uniformity": 0.512,
    }  # fmt: skip
    for name, value in published.items():
        assert found[name] == pytest.approx(value, rel=5e-3), name


def test_the_ibsi_phantom_has_the_published_shift_and_sum():
    places = np.argwhere(PHANTOM > 0)[:, ::-1] * 2.0
    found = joint_features(INSIDE, places, 556 + 1 / 3)
    assert found["centre_of_mass_shift_mm"] == pytest.approx(0.672, abs=5e-4)
    assert found["integrated_intensity"] == pytest.approx(1.2e3, abs=10)


def test_the_names_are_those_of_the_reference():
    found = {**intensity_features(INSIDE, 1.0), **joint_features(INSIDE, np.zeros((74, 3)), 1.0)}
    assert list(found) == list(INTENSITY)


def test_a_constant_region_has_no_spread():
    found = intensity_features(np.full(10, 7.3), 25.0)
    assert found["skewness"] == found["excess_kurtosis"] == found["entropy"] == 0
    assert found["uniformity"] == 1
    assert found["variance"] == pytest.approx(0)
    assert found["mean"] == pytest.approx(7.3)


def test_four_values_by_hand():
    found = intensity_features(np.array([0.0, 10.0, 20.0, 50.0]), 25.0)
    assert found["mean"] == 20
    assert found["variance"] == (400 + 100 + 0 + 900) / 4
    assert found["median"] == 15
    assert found["percentile_25"] == 7.5
    assert found["percentile_75"] == 27.5
    assert found["energy"] == 3000
    assert found["root_mean_square"] == pytest.approx(np.sqrt(750))
    assert found["uniformity"] == pytest.approx((3 / 4) ** 2 + (1 / 4) ** 2)
    assert found["entropy"] == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))


def test_adding_a_constant_moves_what_is_a_place_and_keeps_what_is_a_spread():
    x = np.random.default_rng(0).normal(100, 30, 500)
    here, there = intensity_features(x, 25.0), intensity_features(x + 250, 25.0)
    for name in ("mean", "median", "minimum", "maximum", "percentile_10"):
        assert there[name] == pytest.approx(here[name] + 250)
    for name in ("variance", "skewness", "excess_kurtosis", "range", "mean_absolute_deviation", "entropy", "uniformity"):
        assert there[name] == pytest.approx(here[name], rel=1e-6), name


def test_a_gaussian_has_no_excess_kurtosis():
    found = intensity_features(np.random.default_rng(1).normal(size=200_000), 0.1)
    assert found["excess_kurtosis"] == pytest.approx(0, abs=0.05)
    assert found["entropy"] == pytest.approx(0.5 * np.log2(2 * np.pi * np.e) - np.log2(0.1), abs=0.02)


def test_bins_begin_at_multiples_of_their_width_below_zero_too():
    assert bin_shares(np.array([-1.0, 0.0, 24.9, 25.0]), 25.0).tolist() == [0.25, 0.5, 0.25]


def test_values_that_are_not_finite_are_left_out():
    found = intensity_features(np.array([1.0, np.nan, 3.0, np.inf]), 1.0)
    assert found["mean"] == 2
    assert joint_features(np.array([1.0, np.nan]), np.array([[0.0, 0, 0], [2, 0, 0]]), 3.0)["integrated_intensity"] == 3
    with pytest.raises(InputError, match="finite"):
        intensity_features(np.array([np.nan]), 1.0)


def test_ratios_below_nothing_are_missing():
    found = intensity_features(np.array([-1.0, 1.0]), 1.0)
    assert np.isnan(found["coefficient_of_variation"])
    assert np.isnan(joint_features(np.array([-1.0, 1.0]), np.zeros((2, 3)), 1.0)["centre_of_mass_shift_mm"])
