"""Sample sizes against the worked examples that their authors published."""

from __future__ import annotations

import numpy as np
import pytest

from osler.errors import OptionError
from osler.evaluation import sample_size as size


def test_the_chagas_example_of_riley_2019_part_two():
    found = size.binary(24, 0.174, 0.288)
    assert found["criteria"] == {"shrinkage": 623, "optimism": 662, "overall_risk": 221}
    assert found["n"] == 662
    assert found["events_per_parameter"] == pytest.approx(4.8, abs=0.01)


def test_the_preeclampsia_example_of_riley_2020():
    # BMJ 2020;368:m441: 5 % events, 30 parameters, max R2 0.33, R2 15 % of it = 0.05: 5249 women
    assert size.max_r2(0.05) == pytest.approx(0.33, abs=0.005)
    assert size.binary(30, 0.05, 0.05)["n"] == 5249


def test_the_thrombosis_example_of_riley_2019_part_two():
    found = size.survival(25, 0.065, 2.07, 2, 0.051)
    assert found["criteria"]["shrinkage"] == 4286
    assert found["n"] == 4286
    assert found["events_per_parameter"] == pytest.approx(23.07, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "r2", "expected"),
    [
        (25, 0.2, {"shrinkage": 918, "optimism": 401, "residual_spread": 259}),
        (25, 0.3, {"shrinkage": 574, "optimism": 351, "residual_spread": 259}),
        (50, 0.2, {"shrinkage": 1924, "optimism": 801, "residual_spread": 284}),
        (100, 0.5, {"shrinkage": 1264, "optimism": 1001, "residual_spread": 334}),
    ],
)
def test_numbers_agree_with_pmsampsize(parameters, r2, expected):
    # the R package pmsampsize 1.1.3 gives these for the FEV1 example of Riley 2019 part I and three variants
    assert size.number(parameters, r2)["criteria"] == expected


@pytest.mark.parametrize(
    ("parameters", "prevalence", "r2", "shrinkage", "risk"),
    [(36, 0.174, 0.288, 934, 221), (24, 0.25, 0.288, 623, 289), (24, 0.174, 0.55, 255, 221)],
)
def test_binary_agrees_with_pmsampsize(parameters, prevalence, r2, shrinkage, risk):
    found = size.binary(parameters, prevalence, r2)["criteria"]
    assert found["shrinkage"] == shrinkage
    assert found["overall_risk"] == risk


@pytest.mark.parametrize(
    ("r2", "parameters", "rate", "follow_up", "horizon", "n"),
    [(0.065, 25, 0.065, 2.07, 2, 3335), (0.06, 40, 0.08, 5, 3, 5798), (0.03, 10, 0.09, 3, 3, 2950)],
)
def test_survival_agrees_with_pmsampsize(r2, parameters, rate, follow_up, horizon, n):
    assert size.survival(parameters, rate, follow_up, horizon, r2)["n"] == n


def test_the_mean_criterion_by_hand():
    # half width of the mean within 10 %: n = (1.96 * 20 * sqrt(0.5) / 2.9) ** 2 = 91.4
    assert size.number(10, 0.5, mean=29, sd=20)["criteria"]["mean"] == 92


def test_expected_shrinkage_inverts_the_criterion():
    for n in (200, 1000, 5249):
        s = size.expected_shrinkage(n, 30, 0.05)
        assert size.for_shrinkage(30, 0.05, s) == pytest.approx(n, rel=1e-4)
    assert size.expected_shrinkage(5249, 30, 0.05) == pytest.approx(0.9, abs=1e-4)
    assert size.expected_shrinkage(10, 100, 0.05) == pytest.approx(0.05, abs=1e-3)


def test_more_parameters_need_more_people():
    ns = [size.binary(k, 0.3, 0.2)["n"] for k in (5, 10, 20, 40)]
    assert ns == sorted(ns)
    assert ns[0] < ns[-1]


def test_r2_from_auroc_agrees_with_a_simulation():
    from osler.evaluation.metrics import log_loss, recalibration_line

    rng = np.random.default_rng(0)
    n, prevalence, auroc = 400_000, 0.174, 0.89
    y = (np.arange(n) < prevalence * n).astype(int)
    from scipy.special import ndtri

    x = rng.normal(size=n) + np.sqrt(2) * ndtri(auroc) * y
    p = 1 / (1 + np.exp(-x))
    a, b = recalibration_line(y, p)
    fitted = 1 / (1 + np.exp(-(a + b * x)))
    gain = log_loss(y, np.full(n, prevalence)) - log_loss(y, fitted)
    assert size.r2_from_auroc(auroc, prevalence) == pytest.approx(1 - np.exp(-2 * gain), abs=0.004)


def test_a_useless_model_explains_nothing():
    assert size.r2_from_auroc(0.5, 0.3) == pytest.approx(0, abs=1e-9)


def test_the_verdict_says_enough_or_too_few():
    needed = size.binary(24, 0.174, 0.288)
    assert "too few" in size.judge(300, needed)
    assert "662" in size.judge(300, needed)
    assert "are enough" in size.judge(700, needed)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: size.binary(0, 0.1, 0.1), "at least 1"),
        (lambda: size.binary(5, 1.0, 0.1), "between 0 and 1"),
        (lambda: size.binary(5, 0.5, 0.95), "expected R2"),
        (lambda: size.number(5, 1.2), "expected R2"),
        (lambda: size.survival(5, 0.0, 1, 1, 0.1), "above 0"),
        (lambda: size.r2_from_auroc(0.4, 0.5), "at least 0.5"),
    ],
)
def test_impossible_plans_are_refused(call, words):
    with pytest.raises(OptionError, match=words):
        call()
