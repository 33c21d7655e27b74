"""Decision curves: net benefit by hand, its limits, and where a model is useful."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.evaluation import decision_curve as dec

Y = np.array([1, 1, 0, 0, 0])
P = np.array([0.9, 0.3, 0.6, 0.2, 0.1])


def test_net_benefit_by_hand():
    # at 0.5: one true, one false positive of five: 1/5 - 1/5 * 1; at 0.2: two true, two false: 2/5 - 2/5 / 4
    found = dec.net_benefit(Y, P, np.array([0.5, 0.2]))
    assert found == pytest.approx([0.0, 0.3])


def test_treating_all_is_prevalence_less_the_cost_of_the_rest():
    thresholds = np.array([0.1, 0.4, 0.8])
    found = dec.net_benefit(Y, np.full(5, np.inf), thresholds)
    assert found == pytest.approx(0.4 - 0.6 * thresholds / (1 - thresholds))


def test_a_perfect_model_gains_the_prevalence_everywhere():
    assert dec.net_benefit(Y, Y * 1.0, dec.THRESHOLDS) == pytest.approx(np.full(99, 0.4))


def test_weights_are_repeated_rows():
    w = np.array([2, 1, 3, 1, 1])
    together = dec.net_benefit(Y, P, dec.THRESHOLDS, np.stack([w, np.ones(5)]).astype(float))
    assert together[0] == pytest.approx(dec.net_benefit(np.repeat(Y, w), np.repeat(P, w), dec.THRESHOLDS))
    assert together[1] == pytest.approx(dec.net_benefit(Y, P, dec.THRESHOLDS))


def test_a_good_model_is_useful_and_a_useless_one_is_not(rng):
    x = rng.normal(size=1500)
    p = 1 / (1 + np.exp(-2 * x))
    y = (rng.random(1500) < p).astype(int)
    found = dec.decision_curve(y, {"good": p, "noise": rng.random(1500)}, None, rng, 200)
    json.dumps(found, allow_nan=False)
    low, high = found["models"]["good"]["useful"][0][0], found["models"]["good"]["useful"][-1][-1]
    assert low < 0.2
    assert high > 0.8
    gains = np.array(found["models"]["noise"]["gain_low"])
    assert (gains <= 0).all()
    assert found["models"]["noise"]["useful"] == []
    for model in found["models"].values():
        assert (np.array(model["low"]) <= np.array(model["net_benefit"]) + 1e-12).all()
        assert (np.array(model["high"]) >= np.array(model["net_benefit"]) - 1e-12).all()


def test_avoided_treatments_by_hand(rng):
    found = dec.decision_curve(Y, {"m": P}, None, rng, 20, np.array([0.2]))
    # treating all gains 0.4 - 0.6 / 4 = 0.25, the model 0.3: (0.05 / 0.25) per person = 20 per 100
    assert found["all"] == pytest.approx([0.25])
    assert found["models"]["m"]["avoided"] == pytest.approx([20.0])


def test_ranges_of_a_mask():
    t = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert dec.ranges(t, np.array([True, True, False, False, True])) == [[0.1, 0.2], [0.5, 0.5]]
    assert dec.ranges(t, np.zeros(5, dtype=bool)) == []


def test_clusters_widen_the_band(rng):
    p = rng.random(100)
    y = (rng.random(100) < p).astype(int)
    y10, p10 = np.repeat(y, 10), np.repeat(p, 10)
    t = np.array([0.3])
    grouped = dec.decision_curve(y10, {"m": p10}, np.repeat(np.arange(100), 10), rng, 300, t)["models"]["m"]
    alone = dec.decision_curve(y10, {"m": p10}, None, rng, 300, t)["models"]["m"]
    assert grouped["high"][0] - grouped["low"][0] > 2 * (alone["high"][0] - alone["low"][0])
