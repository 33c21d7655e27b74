"""Survival metrics: by hand on a few people, against scikit-survival 0.28.0 on real tables, and invariants.

The reference numbers were computed with scikit-survival (GPL, not a dependency) in an environment of its own, on the
tables that ship with lifelines 0.30 and the risks of `survival_data.score_of`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import survival as metrics
from osler.evaluation.concordance import concordance
from osler.tasks.base import Prediction, Target
from osler.tasks.survival import Survival
from tests import survival_data

#: scikit-survival 0.28.0: concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc, brier_score.
REFERENCE = {
    "lung": {
        "h": 300.2, "first": 80.4, "harrell": 0.6322574198061357, "pairs": 11905 + 6611 + 1498,
        "uno_tau": 0.6437424086292419, "auc": [0.683355990645682, 0.6663671385553817],
        "brier": [0.10719480591797118, 0.22246348876194058, 0.25655469044773976], "ibs": 0.2101555656824584,
        "split_uno": 0.6466296354997585, "split_ibs": 0.19841705934543302,
    },
    "gbsg2": {
        "h": 1280.0, "first": 325.5, "harrell": 0.6762279066971264, "pairs": 87444 + 40542 + 5086,
        "uno_tau": 0.6733734644586722, "auc": [0.7377985759358882, 0.7091701889854279],
        "brier": [0.10579749434282883, 0.2166818935534134, 0.2539585384657238], "ibs": 0.2050776510948834,
        "split_uno": 0.6803275236533671, "split_ibs": 0.19134069120157968,
    },
}  # fmt: skip


def curves(risk: np.ndarray, times: np.ndarray, h: float) -> Prediction:
    """The same curves that scikit-survival was given."""
    return Prediction(np.exp(-np.outer(np.exp(risk - risk.mean()), times / h)), times)


def simple(time, event, horizon=None, weight=None) -> Target:
    weight = None if weight is None else np.asarray(weight, dtype=float)
    return Target(
        "survival", ("t", "e"), np.asarray(time, float), np.asarray(event, bool), horizon=horizon, weight=weight
    )


# -- concordance ------------------------------------------------------------------------------------------------------


def test_concordance_by_hand_with_every_kind_of_tie():
    # Times 1+, 2x, 2x, 2o, 3x, 4o (x event, o censored). Pairs that count: for row 1 (2x): the censored one at 2, 3x
    # and 4o; the same for row 2; the two events at 2 do not count; for row 4 (3x): 4o; row 0 is censored and leads no
    # pair.
    time, event = [1, 2, 2, 2, 3, 4], [0, 1, 1, 0, 1, 0]
    risk = [9.0, 5.0, 1.0, 1.0, 3.0, 3.0]
    # Row 1 (risk 5): beats 1, 3, 3 = 3. Row 2 (risk 1): ties with 1, loses to 3 and 3 = 0.5. Row 4 (3): ties with 3 =
    # 0.5.
    found = concordance(np.array(time, float), np.array(event, bool), np.array(risk))
    assert found.n_pairs == 7
    assert found.value == pytest.approx(4.0 / 7.0)


@pytest.mark.parametrize("name", ["lung", "rossi", "gbsg2"])
def test_harrell_agrees_with_scikit_survival(name):
    time, event = survival_data.times(name)
    found = concordance(time, event, survival_data.score_of(name))
    value, pairs = {
        "rossi": (0.6288337795312573, 25627 + 14655 + 2300),
        **{k: (v["harrell"], v["pairs"]) for k, v in REFERENCE.items()},
    }[name]
    assert found.n_pairs == pairs
    assert found.value == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", list(REFERENCE))
def test_uno_agrees_with_scikit_survival(name):
    target, risk, want = survival_data.target(name), survival_data.score_of(name), REFERENCE[name]
    assert metrics.uno_c(target, risk, want["h"]).value == pytest.approx(want["uno_tau"], abs=1e-10)
    even = np.arange(len(target)) % 2 == 0
    found = metrics.uno_c(target.take(~even), risk[~even], want["h"], censored_by=target.take(even))
    assert found.value == pytest.approx(want["split_uno"], abs=1e-10)


def test_uno_of_all_pairs_agrees_with_scikit_survival():
    found = metrics.uno_c(survival_data.target("lung"), survival_data.score_of("lung"))
    assert found.value == pytest.approx(0.622466446454307, abs=1e-10)


def brute(time, event, risk, weight):
    right = total = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                total += weight[i] * weight[j]
                right += weight[i] * weight[j] * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return right, total


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=25
    )
)
def test_fast_concordance_is_the_double_loop(rows):
    time, event, risk, weight = (np.array(c, dtype=float) for c in zip(*rows))
    right, total = brute(time, event > 0, risk, weight)
    found = concordance(time, event > 0, risk, weight)
    assert found.n_pairs == pytest.approx(total)
    if total:
        assert found.value == pytest.approx(right / total)
        assert found.influence.sum() == pytest.approx(0.0, abs=1e-9)
        reverse = concordance(time, event > 0, -risk, weight)
        assert reverse.value == pytest.approx(1.0 - found.value)
    else:
        assert np.isnan(found.value)


def test_influence_is_what_a_row_changes(rng):
    time, event, risk = rng.integers(1, 30, 60).astype(float), rng.random(60) < 0.6, rng.normal(size=60).round(1)
    weight = np.ones(60)
    influence = concordance(time, event, risk, weight).influence
    for i in (0, 7, 33):
        more, less = weight.copy(), weight.copy()
        more[i] += 1e-5
        less[i] -= 1e-5
        slope = (concordance(time, event, risk, more).value - concordance(time, event, risk, less).value) / 2e-5
        assert influence[i] == pytest.approx(slope, abs=1e-7)


def test_concordance_interval_covers_the_truth_about_95_times_in_100():
    # Two exponentials with hazard exp(x): P(right order) of an uncensored pair is E[1 / (1 + exp(-|dx|))].
    rng = np.random.default_rng(7)
    x = rng.normal(size=400_000)
    dx = np.abs(x[::2] - x[1::2])
    truth = float(np.mean(1.0 / (1.0 + np.exp(-dx))))
    covered = 0
    for _ in range(200):
        z = rng.normal(size=150)
        low, high = concordance(rng.exponential(np.exp(-z)), np.ones(150, bool), z).interval()
        covered += low <= truth <= high
    assert 180 <= covered <= 199


def test_concordance_interval_is_wider_when_rows_are_copies_of_units(rng):
    time, risk = rng.exponential(size=80), rng.normal(size=80)
    event = rng.random(80) < 0.7
    alone = concordance(time, event, risk)
    tripled = concordance(np.repeat(time, 3), np.repeat(event, 3), np.repeat(risk, 3))
    units = np.repeat(np.arange(80), 3)
    low, high = alone.interval()
    low3, high3 = tripled.interval(units)
    naive_low, naive_high = tripled.interval()
    # A copy of an event never pairs with its own copies, so that the value is the same and so must the interval be.
    assert tripled.value == pytest.approx(alone.value)
    assert (low3, high3) == pytest.approx((low, high), abs=1e-9)
    assert naive_high - naive_low < 0.7 * (high - low)


# -- AUROC, Brier -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(REFERENCE))
def test_auroc_and_brier_agree_with_scikit_survival(name):
    target, risk, want = survival_data.target(name), survival_data.score_of(name), REFERENCE[name]
    times = np.linspace(want["first"], want["h"], 15)
    found = [metrics.auroc_at(target, risk, t) for t in times[[4, 14]]]
    assert found == pytest.approx(want["auc"], abs=1e-10)
    prediction = curves(risk, times, want["h"])
    assert metrics.brier(target, prediction, times)[[0, 7, 14]] == pytest.approx(want["brier"], abs=1e-10)
    assert metrics.integrated_brier(target, prediction, times) == pytest.approx(want["ibs"], abs=1e-10)
    even = np.arange(len(target)) % 2 == 0
    found = metrics.integrated_brier(target.take(~even), prediction.take(~even), times, censored_by=target.take(even))
    assert found == pytest.approx(want["split_ibs"], abs=1e-10)


def test_without_censoring_brier_is_the_mean_squared_error_and_auroc_the_plain_one():
    target = simple([1, 2, 3, 4], [1, 1, 1, 1])
    prediction = Prediction(np.array([[0.2], [0.6], [0.7], [0.9]]), np.array([2.5]))
    errors = [0.2**2, 0.6**2, 0.3**2, 0.1**2]
    assert metrics.brier(target, prediction, np.array([2.5]))[0] == pytest.approx(np.mean(errors))
    assert metrics.auroc_at(target, np.array([0.8, 0.3, 0.4, 0.1]), 2.5) == pytest.approx(0.75)


def test_brier_with_censoring_by_hand():
    # One of four censored at 2, G = 1 until then and 2/3 after (three at risk). At time 3: the event at 1 weighs 1,
    # the censored row 0, the event at 3 1 / (2/3), the one followed until 4 1 / (2/3).
    target = simple([1, 2, 3, 4], [1, 0, 1, 1])
    prediction = Prediction(np.array([[0.5], [0.5], [0.2], [0.6]]), np.array([3.0]))
    want = (0.25 * 1 + 0 + 0.04 * 1.5 + 0.16 * 1.5) / 4
    assert metrics.brier(target, prediction, np.array([3.0]))[0] == pytest.approx(want)


def test_events_on_the_day_on_which_follow_up_ends_keep_their_weight():
    # Everybody left is censored at 52: G(52) = 0, and just before it 1. The event at 52 must count as 1, not vanish.
    target = simple([10, 52, 52, 52], [1, 1, 0, 0])
    rows = metrics.brier_rows(target, Prediction(np.full((4, 1), 0.5), np.array([52.0])), np.array([52.0]))
    assert rows[:, 0] == pytest.approx([0.25, 0.25, 0.0, 0.0])


# -- calibration ------------------------------------------------------------------------------------------------------


def drawn(rng, n=4000, slope=1.0, factor=1.0):
    """People with hazard exp(x) / 10, censored evenly in 0 ... 20, curves with log hazard slope * x + log factor."""
    x = rng.normal(size=n) * 0.8
    time, lost = rng.exponential(10 * np.exp(-x)), rng.uniform(0, 20, n)
    target = simple(np.minimum(time, lost), time <= lost, horizon=10.0)
    times = np.linspace(0, 10, 101)[1:]
    return target, Prediction(np.exp(-np.outer(factor * np.exp(slope * x) / 10, times)), times)


def test_a_right_model_is_calibrated(rng):
    scores = metrics.score_survival(*drawn(rng), None, rng, 200)
    assert scores["observed_expected"]["value"] == pytest.approx(1.0, abs=0.05)
    assert scores["calibration_slope"]["value"] == pytest.approx(1.0, abs=0.08)
    assert scores["calibration_intercept"]["value"] == pytest.approx(0.0, abs=0.08)
    for name, true in {"observed_expected": 1.0, "calibration_slope": 1.0, "calibration_intercept": 0.0}.items():
        assert scores[name]["low"] < true < scores[name]["high"]


def test_a_model_that_is_too_extreme_or_too_high_is_told(rng):
    target, extreme = drawn(rng, slope=2.0)
    assert metrics.score_survival(target, extreme, None, rng, 50)["calibration_slope"]["value"] == pytest.approx(
        0.5, abs=0.05
    )
    target, high = drawn(rng, factor=2.0)
    scored = metrics.score_survival(target, high, None, rng, 50)
    assert scored["calibration_intercept"]["value"] == pytest.approx(-np.log(2), abs=0.08)
    assert scored["observed_expected"]["value"] < 0.8


def test_calibration_bins_add_up_and_hold_the_truth(rng):
    target, prediction = drawn(rng)
    facts = metrics.calibration_at(target, prediction, 10.0)
    assert sum(b["n"] for b in facts["bins"]) == len(target)
    predicted = [b["predicted"] for b in facts["bins"]]
    assert predicted == sorted(predicted)
    inside = sum(b["low"] <= b["predicted"] <= b["high"] for b in facts["bins"])
    assert inside >= 8
    assert facts["slope"] == metrics.score_survival(target, prediction, None, rng, 0)["calibration_slope"]["value"]


# -- the whole table -----------------------------------------------------------------------------------------


def test_every_metric_of_the_task_is_scored_with_an_interval(rng):
    target, risk = survival_data.target("lung", 300.0), survival_data.score_of("lung")
    scores = metrics.score_survival(target, curves(risk, np.linspace(5, 300, 60), 300.0), None, rng, 200)
    assert tuple(scores) == Survival.metrics
    for name, entry in scores.items():
        assert entry["low"] < entry["value"] < entry["high"], name
        assert entry["n"] == 228
    assert scores["c_harrell"]["value"] == pytest.approx(REFERENCE["lung"]["harrell"])


def test_case_weights_are_copies(rng):
    time, event = rng.integers(1, 20, 40).astype(float), rng.random(40) < 0.6
    weight = rng.integers(1, 4, 40).astype(float)
    value = np.clip(np.cumprod(rng.uniform(0.85, 1.0, (40, 12)), axis=1), 0.05, 1)
    times = np.arange(1.0, 13.0)
    again = np.repeat(np.arange(40), weight.astype(int))
    weighted = metrics.score_survival(simple(time, event, 12.0, weight), Prediction(value, times), None, rng, 0)
    copied = metrics.score_survival(
        simple(time[again], event[again], 12.0), Prediction(value[again], times), None, rng, 0
    )
    for name in ("c_harrell", "c_uno", "ibs", "auroc", "brier", "calibration_intercept", "observed_expected"):
        assert weighted[name]["value"] == pytest.approx(copied[name]["value"]), name


def test_nothing_is_claimed_where_nothing_happened(rng):
    target = simple([1.0, 2.0, 3.0], [0, 0, 0], horizon=2.0)
    scores = metrics.score_survival(target, Prediction(np.full((3, 2), 0.9), np.array([1.0, 2.0])), None, rng, 20)
    for name in ("c_harrell", "c_uno", "auroc", "calibration_slope", "calibration_intercept"):
        assert scores[name]["value"] is None
        assert scores[name]["low"] is None


def test_lengths_must_agree(rng):
    with pytest.raises(ValueError, match="must have 3 rows"):
        metrics.score_survival(simple([1, 2, 3], [1, 0, 1]), Prediction(np.ones((2, 1)), np.ones(1)), None, rng)
