"""Would more data help: the power law finds what was planted, whole units are drawn, and the sentence is
careful.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.errors import TargetError
from osler.evaluation import learning_curve as lc


def test_the_power_law_finds_the_planted_curve():
    n = np.array([50.0, 100, 200, 400, 800])
    law = lc.power_law(n, 0.85 - 2.0 * n**-0.6)
    assert law["limit"] == pytest.approx(0.85, abs=1e-3)
    assert law["rate"] == pytest.approx(0.6, abs=0.01)
    assert law["at_double"] == pytest.approx(0.85 - 2.0 * 1600**-0.6, abs=1e-3)
    assert law["now"] < law["at_double"] < law["at_fourfold"] < law["limit"]


def test_a_falling_loss_is_learning_too():
    n = np.array([50.0, 100, 200, 400])
    law = lc.power_law(n, 0.3 + n**-0.5, bigger_is_better=False)
    assert law["limit"] == pytest.approx(0.3, abs=1e-3)
    assert lc.power_law(n, 0.3 + n**-0.5)["limit"] is None


def test_sentences():
    n = np.array([50.0, 100, 200, 400, 800])
    rising = lc.power_law(n, 0.85 - 2.0 * n**-0.6)
    assert lc.sentence(rising, 800, rising["now"], 0.001).startswith("More data would help:")
    assert lc.sentence(rising, 800, rising["now"], 0.05).startswith("More data would help little")
    flat = lc.power_law(n, np.array([0.8, 0.79, 0.79, 0.78, 0.78]))
    assert lc.sentence(flat, 800, 0.78, 0.001).startswith("More data would probably not help")


def test_units_are_drawn_whole_and_tests_are_kept_aside(rng):
    groups = np.arange(300) // 3
    seen = []

    def fit_and_score(train, test, generator):
        assert not set(groups[train]) & set(groups[test])
        assert np.isin(groups, groups[train]).sum() == len(train)
        seen.append(len(np.unique(groups[train])))
        return 0.8 - 1 / len(train)

    found = lc.learning_curve(fit_and_score, groups, rng, repeats=2)
    assert found["units"] == [10, 17, 28, 48, 80]
    assert seen == [10, 17, 28, 48, 80] * 2
    assert found["mean"] == sorted(found["mean"])
    json.dumps(found, allow_nan=False)


def test_every_training_set_keeps_its_share_of_a_rare_class(rng):
    strata = (np.arange(400) < 40).astype(int)
    shares = []

    def fit_and_score(train, test, generator):
        shares.append(strata[train].mean())
        return 0.7

    lc.learning_curve(fit_and_score, np.arange(400), rng, strata=strata, repeats=3)
    assert min(shares) > 0.03
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)


def test_a_real_learner_improves_with_data(rng):
    x = rng.normal(size=(600, 10))
    y = x @ rng.normal(size=10) + rng.normal(size=600)

    def fit_and_score(train, test, generator):
        beta, *_ = np.linalg.lstsq(x[train], y[train], rcond=None)
        return float(np.sqrt(np.mean((y[test] - x[test] @ beta) ** 2)))

    found = lc.learning_curve(fit_and_score, np.arange(600), rng, bigger_is_better=False)
    assert found["mean"][0] > found["mean"][-1]
    assert found["fit"]["limit"] == pytest.approx(1.0, abs=0.2)


def test_the_same_seed_gives_the_same_curve():
    def fit_and_score(train, test, generator):
        return float(generator.normal() + len(train) / 1000)

    first, second = (
        lc.learning_curve(fit_and_score, np.arange(100), np.random.default_rng(3)) for _ in range(2)
    )
    assert first == second


def test_twenty_units_are_the_least(rng):
    with pytest.raises(TargetError, match="at least 20 units, there are 10") as caught:
        lc.learning_curve(lambda a, b, c: 0.5, np.arange(30) // 3, rng)
    assert caught.value.code == "target-rows"
