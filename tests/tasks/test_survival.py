"""The survival task: two plain columns, Kaplan-Meier by hand, what is refused, and a loss that is proper."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.errors import TargetError
from osler.tasks import infer, kaplan_meier
from osler.tasks.base import Prediction, Target
from osler.tasks.survival import Survival, default_horizon, split_event, time_grid
from tests import survival_data

TASK = Survival()


def cohort(duration, event, modality="number", **options) -> Cohort:
    """A table of two columns with their roles; the options are the event column's."""
    columns = (
        Column("days", "number", role="duration"),
        Column("status", modality, role="event", options=options),
    )
    return Cohort(pl.DataFrame({"days": duration, "status": event}, strict=False), columns)


# -- Kaplan-Meier and Nelson-Aalen ------------------------------------------------------------------------------------


def test_kaplan_meier_by_hand():
    # Six people: event 1, censored 2, two events at 3, censored 3, event 5. S: 5/6, 5/6, 5/6 * 2/4, ... * 0.
    time = np.array([1.0, 2, 3, 3, 3, 5])
    event = np.array([True, False, True, True, False, True])
    curve = kaplan_meier.kaplan_meier(time, event)
    assert curve.times.tolist() == [1, 2, 3, 5]
    assert curve.value == pytest.approx([5 / 6, 5 / 6, 5 / 12, 0])
    assert curve.at_risk.tolist() == [6, 5, 4, 1]
    assert curve.at(np.array([0.5, 1.0, 2.9, 3.0])) == pytest.approx([1, 5 / 6, 5 / 6, 5 / 12])
    assert curve.at(3.0, left=True) == pytest.approx(5 / 6)
    hazard = kaplan_meier.nelson_aalen(time, event)
    assert hazard.value == pytest.approx([1 / 6, 1 / 6, 1 / 6 + 1 / 2, 1 / 6 + 1 / 2 + 1])


def test_censoring_curve_lets_events_go_first():
    # At 3 two events and one censoring: four at risk, two after the events, so G falls by half there; 1/5 at 2.
    time = np.array([1.0, 2, 3, 3, 3, 5])
    event = np.array([True, False, True, True, False, True])
    assert kaplan_meier.censoring(time, event).value == pytest.approx([1, 4 / 5, 4 / 5 * 1 / 2, 4 / 5 * 1 / 2])


@pytest.mark.parametrize(
    ("name", "t", "value"),
    [
        ("lung", 80.4 + 4 * (300.2 - 80.4) / 14, 0.8108229699773966),
        ("lung", 300.2, 0.5306081177605618),
        ("gbsg2", 325.5 + 4 * (1280.0 - 325.5) / 14, 0.7845980736180713),
        ("gbsg2", 1280.0, 0.5935806795263205),
    ],
)
def test_kaplan_meier_agrees_with_scikit_survival(name, t, value):
    # scikit-survival 0.28.0, kaplan_meier_estimator.
    assert kaplan_meier.kaplan_meier(*survival_data.times(name)).at(t) == pytest.approx(value, abs=1e-12)


def test_weights_are_copies(rng):
    time, event, weight = rng.integers(1, 9, 50).astype(float), rng.random(50) < 0.5, rng.integers(1, 4, 50)
    for function in (kaplan_meier.kaplan_meier, kaplan_meier.nelson_aalen, kaplan_meier.censoring):
        copied = function(np.repeat(time, weight), np.repeat(event, weight))
        assert function(time, event, weight).value == pytest.approx(copied.value)


def test_greenwood_agrees_with_lifelines():
    from lifelines import KaplanMeierFitter

    time, event = survival_data.times("lung")
    fitter = KaplanMeierFitter().fit(time, event)
    found = kaplan_meier.greenwood(kaplan_meier.kaplan_meier(time, event), 300.0)
    limits = fitter.confidence_interval_survival_function_
    assert found == pytest.approx(limits[limits.index <= 300.0].iloc[-1].tolist(), abs=1e-9)


# -- reading the columns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "modality"),
    [
        ([1, 0, 1, 0], "number"),
        ([True, False, True, False], "boolean"),
        (["1", "0", "1", "0"], "category"),
        (["yes", "no", "yes", "no"], "boolean"),
        (["Dead", "alive", "Dead", "alive"], "category"),
        (["1:DECEASED", "0:LIVING", "1:DECEASED", "0:LIVING"], "category"),
        (["relapse", "lost", "relapse", "lost"], "category"),
    ],
)
def test_event_codes_that_say_it_themselves(event, modality):
    target = TASK.target_of(cohort([5.0, 6, 7, 8], event, modality))
    assert target.event.tolist() == [True, False, True, False]
    assert target.names == ("days", "status")
    assert target.y.tolist() == [5, 6, 7, 8]


def test_one_and_two_are_refused_until_the_event_is_named():
    with pytest.raises(TargetError, match=r"has 2 codes \(1, 2\): name the code that is the event") as caught:
        TASK.check(cohort([5.0, 6, 7, 8] * 3, [1, 2, 1, 2] * 3))
    assert caught.value.code == "target-class"
    target = TASK.target_of(cohort([5.0, 6, 7, 8], [1, 2, 1, 2], event_value=2))
    assert target.event.tolist() == [False, True, False, True]


def test_a_coding_names_the_codes():
    frame = cohort([5.0, 6, 7, 8], [1, 2, 1, 2])
    coded = frame.declare(columns={"status": {"coding": {"1": "alive", "2": "dead"}}})
    assert TASK.target_of(coded).event.tolist() == [False, True, False, True]
    asked = frame.declare(
        columns={"status": {"coding": {"1": "left", "2": "moved"}, "options": {"event_value": "moved"}}}
    )
    assert TASK.target_of(asked).event.tolist() == [False, True, False, True]


def test_competing_events_are_refused_with_what_to_do():
    frame = cohort([5.0, 6, 7, 8, 9, 3] * 4, [0, 1, 2, 0, 1, 2] * 4)
    with pytest.raises(TargetError, match=r"reads as competing events.*--event 'status==2'") as caught:
        TASK.check(frame)
    assert caught.value.code == "target-competing"
    assert caught.value.exit_code == 2
    named = frame.declare(columns={"status": {"options": {"event_value": 2}}})
    TASK.check(named)
    assert TASK.target_of(named).event.tolist() == [False, False, True, False, False, True] * 4
    both = frame.declare(columns={"status": {"options": {"event_value": [1, 2]}}})
    assert TASK.target_of(both).event.sum() == 16


def test_pbc_has_competing_events(mirror):
    frame = pl.read_csv(gzip.decompress((mirror / "clinical" / "pbc.csv.gz").read_bytes()), null_values=["NA"])
    columns = (Column("time", "number", role="duration"), Column("status", "number", role="event"))
    pbc = Cohort(frame.select("time", "status"), columns)
    with pytest.raises(TargetError) as caught:
        TASK.check(pbc)
    assert caught.value.code == "target-competing"
    dead = pbc.declare(columns={"status": {"options": {"event_value": 2}}})
    assert TASK.target_of(dead).event.sum() == int((frame["status"] == 2).sum()) == 161


def test_an_event_value_that_does_not_occur_is_refused():
    with pytest.raises(TargetError, match="must be a code that occurs") as caught:
        TASK.check(cohort([5.0, 6], [0, 1], event_value=7))
    assert caught.value.code == "target-class"


def test_messages_show_codes_but_never_patients_values():
    secret = [f"token-{i}" for i in range(9)]
    for event in (secret, secret[:3], secret[:2] * 2):
        with pytest.raises(TargetError) as caught:
            TASK.check(cohort(list(range(1, len(event) + 1)), event, "category"))
        assert "token" not in caught.value.message
    with pytest.raises(TargetError, match="holds 40 different values") as caught:
        TASK.check(cohort(list(range(1, 41)), [f"token-{i}" for i in range(40)], "text"))
    assert "token" not in caught.value.message


def test_durations_that_cannot_be_used_are_named_by_row_and_left_out():
    frame = cohort([5.0, 0.0, -3.0, None, float("inf"), 9.0], [1, 1, 0, 1, 0, None])
    problems = {reason: np.flatnonzero(mask).tolist() for reason, mask in TASK.problems(frame).items()}
    assert problems == {
        "duration 'days' is missing or not a finite number": [3, 4],
        "duration 'days' is zero": [1],
        "duration 'days' is negative": [2],
        "event 'status' is missing": [5],
    }
    assert TASK.usable(frame).tolist() == [True, False, False, False, False, False]
    with pytest.raises(TargetError, match="'days' is missing or not a finite number in rows 4, 5:"):
        TASK.target_of(frame)
    with pytest.raises(TargetError, match="'days' is zero in row 2:"):
        TASK.target_of(frame.take(np.array([0, 1])))


@pytest.mark.parametrize(
    ("duration", "event", "code"),
    [
        ([1.0, 2, 3], [0, 0, 0], "target-constant"),
        ([1.0, 2, 3], [1, 0, 0], "target-rows"),
        ([0.0, -1, -2], [1, 1, 0], "target-rows"),
        ([1.0, 2, 3], [None, None, None], "target-rows"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(duration, event, code):
    with pytest.raises(TargetError) as caught:
        TASK.check(cohort(duration, event))
    assert caught.value.code == code


def test_both_columns_must_be_declared():
    frame = cohort([1.0, 2], [0, 1])
    assert infer.infer_kind(frame) == "survival"
    with pytest.raises(TargetError, match="event column must be declared"):
        TASK.check(frame.declare(columns={"status": {"role": "input"}}))


def test_the_event_as_typed_on_the_command_line():
    names = ["status", "a=b"]
    assert split_event("status==2", names) == ("status", "2")
    assert split_event("status = dead", names) == ("status", "dead")
    assert split_event("status", names) == ("status", None)
    assert split_event("a=b", names) == ("a=b", None)
    assert split_event("a=b=1", names) == ("a=b", "1")


# -- horizon, baseline ------------------------------------------------------------------------------------------------


def test_default_horizon_leaves_a_fifth_at_risk():
    time = np.arange(1.0, 101.0)
    assert default_horizon(time, np.ones(100, bool)) == 81.0
    assert default_horizon(time * 12.37, np.ones(100, bool)) == 1000.0
    for name in ("lung", "rossi", "gbsg2"):
        t, e = survival_data.times(name)
        horizon = default_horizon(t, e)
        assert np.mean(t >= horizon) >= 0.2
        assert np.mean(t >= horizon * 1.3) < 0.2
    # Nobody has an event until the time at which a fifth is left: the last event time.
    assert default_horizon(np.array([1.0] * 6 + [50, 60]), np.array([0] * 7 + [1], bool)) == 60.0


def test_the_horizon_is_declared_or_inherited():
    frame = cohort([5.0, 6, 7, 8], [1, 0, 1, 1]).declare(columns={"days": {"options": {"horizon": 6.5}}})
    target = TASK.target_of(frame)
    assert target.horizon == 6.5
    plain = cohort([50.0, 60, 70, 80], [1, 0, 1, 1])
    assert TASK.target_of(plain, like=target).horizon == 6.5
    with pytest.raises(TargetError, match="option horizon"):
        TASK.target_of(frame.declare(columns={"days": {"options": {"horizon": -1}}}))


def test_the_baseline_is_kaplan_meier_for_everybody():
    target = survival_data.target("lung", 300.0)
    answer = TASK.predict_baseline(TASK.baseline(target), 3)
    assert answer.value.shape == (3, 60)
    assert answer.times[-1] == 300.0
    assert answer.value[0] == pytest.approx(kaplan_meier.kaplan_meier(target.y, target.event).at(time_grid(300.0)))
    assert answer.event_probability(300.0) == pytest.approx(1 - 0.5306081177605618, abs=0.003)


# -- loss -------------------------------------------------------------------------------------------------------------


def target_of(time, event, horizon) -> Target:
    return Target("survival", ("t", "e"), np.array(time, float), np.array(event, bool), horizon=horizon)


def test_loss_by_hand():
    # Constant hazard 0.1 per unit until 12: one step is one unit. Event at 2.5: 0.25 - log 0.1; censored at 2.5: 0.25;
    # an event after the horizon counts as followed until the horizon: 1.2.
    times = time_grid(12.0)
    prediction = Prediction(np.exp(-0.1 * np.tile(times, (3, 1))), times)
    loss = TASK.loss(target_of([2.5, 2.5, 20.0], [1, 0, 1], 12.0), prediction)
    assert loss == pytest.approx([0.25 - np.log(0.1), 0.25, 1.2])


def test_loss_does_not_depend_on_the_unit_of_time(rng):
    days, event = rng.exponential(300, 40), rng.random(40) < 0.6
    value = np.cumprod(rng.uniform(0.95, 1, (40, 60)), axis=1)
    in_days = TASK.loss(target_of(days, event, 365.0), Prediction(value, time_grid(365.0)))
    in_years = TASK.loss(target_of(days / 365.0, event, 1.0), Prediction(value, time_grid(1.0)))
    assert in_days == pytest.approx(in_years)


def test_loss_is_least_for_the_truth_under_censoring(rng):
    n = 20_000
    time, lost = rng.exponential(10, n), rng.uniform(0, 25, n)
    target = target_of(np.minimum(time, lost), time <= lost, 15.0)
    times = time_grid(15.0)

    def mean_loss(rate: float) -> float:
        return float(TASK.loss(target, Prediction(np.tile(np.exp(-rate * times), (n, 1)), times)).mean())

    truth = mean_loss(0.1)
    assert truth < mean_loss(0.09)
    assert truth < mean_loss(0.11)


def test_loss_of_an_impossible_event_is_large_but_finite():
    times = time_grid(10.0)
    loss = TASK.loss(target_of([5.0, 5.0], [1, 0], 10.0), Prediction(np.ones((2, 60)), times))
    assert np.isfinite(loss).all()
    assert loss[0] > 10
    assert loss[1] < 1e-3
