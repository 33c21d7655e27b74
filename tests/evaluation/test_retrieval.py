"""Places of right answers in ranked lists, hit rates and reliability, by hand and by counting."""

from __future__ import annotations

import numpy as np
import pytest

from osler.evaluation.intervals import wilson
from osler.evaluation.retrieval import first_right, reliability, reliability_at, retrieval


def test_place_of_the_best_right_answer(rng: np.random.Generator):
    score = np.array([0.1, 0.9, 0.5, 0.7])
    assert first_right(score, np.array([False, False, True, False]), rng) == 3
    assert first_right(score, np.array([True, False, False, True]), rng) == 2
    assert first_right(score, np.zeros(4, dtype=bool), rng) == 0


def test_what_cannot_be_ranked_is_missed(rng: np.random.Generator):
    score = np.array([0.1, -np.inf, 0.5])
    assert first_right(score, np.array([False, True, False]), rng) == 0
    assert first_right(score, np.array([True, True, False]), rng) == 2


def test_equal_scores_are_in_random_order(rng: np.random.Generator):
    places = [first_right(np.ones(4), np.array([False, False, True, False]), rng) for _ in range(4000)]
    assert np.bincount(places, minlength=5)[1:] / 4000 == pytest.approx([0.25] * 4, abs=0.03)
    two = [first_right(np.ones(4), np.array([True, False, True, False]), rng) for _ in range(4000)]
    assert np.mean(np.array(two) == 1) == pytest.approx(
        0.5, abs=0.03
    )  # one of two right answers among four comes first


def test_hit_rates_by_hand(rng: np.random.Generator):
    found = retrieval(np.array([1, 3, 0, 7]), np.arange(4), rng)
    assert found["hit_1"]["value"] == 0.25
    assert found["hit_5"]["value"] == 0.5
    assert found["hit_10"]["value"] == 0.75
    assert found["mrr"]["value"] == pytest.approx((1 + 1 / 3 + 1 / 7) / 4)
    assert all(m["low"] <= m["value"] <= m["high"] and m["n"] == 4 for m in found.values())


def test_intervals_count_units_not_rows(rng: np.random.Generator):
    places = np.tile([1, 0], 100)
    apart = retrieval(places, np.arange(200), rng)["hit_1"]
    together = retrieval(places, np.arange(200) % 4, rng)["hit_1"]  # four units, all hits in two of them
    assert together["high"] - together["low"] > 2 * (apart["high"] - apart["low"])


def test_all_hits_have_an_interval(rng: np.random.Generator):
    found = retrieval(np.ones(20, dtype=int), np.arange(20), rng)["hit_1"]
    assert found["value"] == 1.0
    assert found["low"] == pytest.approx(wilson(1.0, 20)[0])


def test_reliability_by_hand():
    measure = np.array([0.1, 0.2, 0.6, 0.9, 1.0])
    bins = reliability(measure, np.array([False, True, True, True, False]), (0.0, 0.5, 0.8, 1.0))
    assert [(b["n"], b["right"]) for b in bins] == [(2, 0.5), (1, 1.0), (2, 0.5)]
    assert bins[0]["low"] == pytest.approx(wilson(0.5, 2)[0])
    assert reliability_at(bins, 0.5)["from"] == 0.5
    assert reliability_at(bins, 1.0)["n"] == 2
    assert reliability_at([], 0.3) is None


def test_empty_bins_are_left_out():
    bins = reliability(np.array([0.9]), np.array([True]), (0.0, 0.5, 1.0))
    assert [b["from"] for b in bins] == [0.5]
    assert reliability_at(bins, 0.2) is None
