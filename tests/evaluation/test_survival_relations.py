"""Survival measures on small tables: without censoring they are the plain ones, and what must not matter does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import metrics, survival
from osler.evaluation.compare import compare, delong, delong_interval, delong_test, paired_bootstrap
from osler.tasks.base import Prediction, Target
from osler.tasks.survival import default_horizon, split_event, time_grid

TIMES = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def made(seed: int, n: int = 80, censored: float = 0.3) -> tuple[Target, Prediction]:
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(0, 0.7, n))
    time = np.round(rng.exponential(3 / rate) + 0.05, 2)
    event = rng.random(n) >= censored
    return Target("survival", ("t", "e"), time, event, horizon=4.0), Prediction(
        np.exp(-np.outer(rate, TIMES) / 3), TIMES
    )


# -- without censoring ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_without_censoring_the_measures_are_the_plain_ones(seed: int) -> None:
    target, prediction = made(seed, censored=0.0)
    had = (target.y <= 4.0).astype(float)
    p = prediction.event_probability(4.0)
    assert survival.auroc_at(target, p, 4.0) == pytest.approx(float(metrics.auroc(had, p)))
    assert survival.brier(target, prediction, np.array([4.0]))[0] == pytest.approx(float(metrics.brier(had, p)))
    assert survival.uno_c(target, prediction.risk).value == pytest.approx(
        survival.harrell_c(target, prediction.risk).value
    )
    found = survival.calibration_at(target, prediction, 4.0)
    assert found["observed_expected"] == pytest.approx(had.mean() / p.mean())
    assert sum(b["n"] for b in found["bins"]) == 80
    assert sum(b["events"] for b in found["bins"]) == had.sum()


# -- what must not matter ------------------------------------------------------------------------------------


def all_of(target: Target, prediction: Prediction) -> dict[str, float | None]:
    return {
        k: s["value"] for k, s in survival.score_survival(target, prediction, None, np.random.default_rng(0), 0).items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_order_of_people_does_not_matter(seed: int) -> None:
    target, prediction = made(seed)
    order = np.random.default_rng(seed).permutation(len(target))
    assert all_of(target.take(order), prediction.take(order)) == pytest.approx(all_of(target, prediction), rel=1e-8)


@pytest.mark.parametrize("factor", [0.25, 12.0, 365.25])
def test_the_unit_of_time_does_not_matter(factor: float) -> None:
    target, prediction = made(1)
    months = Target("survival", ("t", "e"), factor * target.y, target.event, horizon=factor * 4.0)
    assert all_of(months, Prediction(prediction.value, factor * TIMES)) == pytest.approx(
        all_of(target, prediction), rel=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_of_two_is_a_person_twice(seed: int) -> None:
    target, prediction = made(seed)
    w = np.random.default_rng(seed).integers(1, 3, 80)
    often = np.repeat(np.arange(80), w)
    weighed = Target("survival", target.names, target.y, target.event, horizon=4.0, weight=w.astype(float))
    one, other = all_of(weighed, prediction), all_of(target.take(often), prediction.take(often))
    for name in ("ibs", "auroc", "brier", "observed_expected", "calibration_intercept"):
        assert one[name] == pytest.approx(other[name], rel=1e-6), name


def test_everybody_the_same_risk_orders_nobody() -> None:
    target, _ = made(2)
    flat = Prediction(np.tile(np.exp(-TIMES / 3), (80, 1)), TIMES)
    found = all_of(target, flat)
    assert found["c_harrell"] == found["c_uno"] == found["auroc"] == 0.5
    assert found["calibration_slope"] is None


def test_intervals_hold_their_values_and_lengths_must_agree() -> None:
    target, prediction = made(3)
    scored = survival.score_survival(target, prediction, np.arange(80) // 2, np.random.default_rng(0), 100)
    for name, s in scored.items():
        assert s["low"] <= s["value"] <= s["high"], name
        assert s["n"] == 80
    with pytest.raises(ValueError, match="80 rows"):
        survival.score_survival(target, prediction.take(np.arange(5)), None, np.random.default_rng(0), 0)


@given(st.lists(st.floats(0.1, 8.0), min_size=1, max_size=6))
def test_a_curve_is_a_step_function(at: list[float]) -> None:
    _, prediction = made(0, 5)
    found = survival.curve_at(prediction, np.array(at))
    for column, t in enumerate(at):
        np.testing.assert_allclose(1 - found[:, column], prediction.event_probability(t))


# -- the question --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("status", ["status"], ("status", None)),
        ("status==2", ["status"], ("status", "2")),
        ("status = dead", ["status"], ("status", "dead")),
        ("a=b", ["a=b"], ("a=b", None)),
        ("a=b=1", ["a=b"], ("a=b", "1")),
        ("other=1", ["status"], ("other=1", None)),
    ],
)
def test_the_event_as_typed(text: str, names: list[str], found: tuple) -> None:
    assert split_event(text, names) == found


@pytest.mark.parametrize("factor", [0.01, 1.0, 1000.0])
def test_the_default_horizon_scales_with_time(factor: float) -> None:
    duration, event = np.arange(1.0, 101.0), np.arange(100) % 2 == 0
    assert default_horizon(factor * duration, event) == pytest.approx(81.0 * factor)
    grid = time_grid(81.0 * factor)
    assert (len(grid), grid[-1]) == (60, pytest.approx(81.0 * factor))
    late = np.arange(100) == 99
    assert default_horizon(factor * duration, late) == pytest.approx(100 * factor)


# -- two models on the same rows -----------------------------------------------------------------------------


def two_models(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return y, 0.4 * y + rng.random(n), 0.2 * y + rng.random(n)


@pytest.mark.parametrize("seed", range(4))
def test_delong_beside_its_definition(seed: int) -> None:
    y, a, b = two_models(seed, 40)
    area, covariance = delong(y, np.column_stack([a, b]))
    wins = [
        ((p[y == 1][:, None] > p[y == 0][None, :]) + 0.5 * (p[y == 1][:, None] == p[y == 0][None, :])) for p in (a, b)
    ]
    v1, v0 = np.stack([w.mean(axis=1) for w in wins]), np.stack([w.mean(axis=0) for w in wins])
    np.testing.assert_allclose(area, [w.mean() for w in wins])
    np.testing.assert_allclose(covariance, np.cov(v1) / v1.shape[1] + np.cov(v0) / v0.shape[1])


@pytest.mark.parametrize("seed", range(3))
def test_the_other_way_round_is_minus(seed: int) -> None:
    y, a, b = two_models(seed)
    one, other = delong_test(y, a, b), delong_test(y, b, a)
    assert (one["value"], one["low"], one["p_value"]) == pytest.approx(
        (-other["value"], -other["high"], other["p_value"])
    )
    same = delong_test(y, a, a)
    assert (same["value"], same["p_value"], same["z"]) == (0.0, 1.0, 0.0)
    low, high = delong_interval(y, a)[1:]
    turned = delong_interval(y, -a)
    assert turned[1:] == pytest.approx((1 - high, 1 - low))


def test_rows_twice_in_groups_are_no_more_evidence() -> None:
    y, a, b = two_models(5)
    alone = delong(y, np.column_stack([a, b]))[1]
    doubled = delong(np.tile(y, 2), np.tile(np.column_stack([a, b]), (2, 1)), np.tile(np.arange(120), 2))[1]
    np.testing.assert_allclose(doubled, alone, rtol=0.05)


def test_comparing_models_on_the_same_resamples() -> None:
    y, a, b = two_models(6)
    target = Target("binary", ("y",), y, classes=("no", "yes"))
    p = {
        k: Prediction(np.column_stack([1 - v, v]))
        for k, v in (("a", np.clip(a / 2, 0, 1)), ("b", np.clip(b / 2, 0, 1)))
    }
    found = compare(target, p, None, np.random.default_rng(0), n_boot=100)
    again = compare(target, p, None, np.random.default_rng(0), reference="b", n_boot=100)
    assert list(found) == ["b"]
    assert list(again) == ["a"]
    for name in found["b"]:
        if found["b"][name]["value"] is not None:
            assert found["b"][name]["value"] == pytest.approx(-again["a"][name]["value"])
            assert found["b"][name]["low"] == pytest.approx(-again["a"][name]["high"])
    with pytest.raises(KeyError):
        compare(target, p, None, np.random.default_rng(0), reference="c", n_boot=10)
    brier = paired_bootstrap(
        lambda w: metrics.brier(y, a, w), lambda w: metrics.brier(y, a, w), 120, None, np.random.default_rng(0), 50
    )
    assert (brier["value"], brier["low"], brier["high"], brier["p_value"]) == (0.0, 0.0, 0.0, 1.0)


def test_survival_models_are_compared_by_their_concordance() -> None:
    target, prediction = made(4)
    worse = Prediction(prediction.value[np.random.default_rng(0).permutation(80)], TIMES)
    found = compare(target, {"worse": worse, "good": prediction}, None, np.random.default_rng(0))["good"]
    assert set(found) == {"c_harrell", "c_uno"}
    assert found["c_harrell"]["low"] < found["c_harrell"]["value"] < found["c_harrell"]["high"]
    mine = survival.harrell_c(target, prediction.risk).value - survival.harrell_c(target, worse.risk).value
    assert found["c_harrell"]["value"] == pytest.approx(mine)
    same = compare(target, {"x": prediction, "y": prediction}, None, np.random.default_rng(0))["y"]["c_harrell"]
    assert (same["value"], same["p_value"]) == (0.0, 1.0)
