"""Losses and answers against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.errors import OptionError
from osler.models.neural.heads import Head, at_risk, head_of
from osler.tasks.base import Target


def target(kind: str, y: np.ndarray, **more: object) -> Target:
    """A target of one kind with as many classes as it shows."""
    n = {"binary": 2, "multiclass": 3, "multilabel": y.shape[-1]}.get(kind, 0)
    return Target(kind, ("t",), y, classes=tuple(f"c{i}" for i in range(n)), **more)


def loss(head: Head, logits: list, t: Target) -> np.ndarray:
    """Per-row loss as numpy."""
    return head.loss(torch.tensor(logits, dtype=torch.float32), head.target_tensors(t)).numpy()


def test_intervals_outlived_and_died_in_by_hand():
    """Intervals end at 2, 4, 8: middles 1, 3, 6."""
    durations = np.array([1.0, 2.0, 4.5, 9.0, 0.5, 3.0, 5.9, 8.0, 0.0])
    event = np.array([True, True, True, True, False, False, False, False, True])
    alive, died = at_risk(durations, event, np.array([2.0, 4.0, 8.0]))
    assert died.tolist() == [
        [1, 0, 0],
        [1, 0, 0],
        [0, 0, 1],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]
    assert alive.tolist() == [
        [0, 0, 0],
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 0],
        [1, 1, 1],
        [0, 0, 0],
    ]


def test_survival_loss_and_curve_by_hand():
    head = Head("survival", 2, (0.0, 0.0), times=(1.0, 2.0))
    t = target("survival", np.array([0.5, 1.5, 3.0]), event=np.array([True, True, False]))
    logits = [[0.0, 0.0], [-1.0, 1.0], [2.0, -2.0]]
    hazard = 1 / (1 + np.exp(-np.array(logits)))
    by_hand = [
        -np.log(hazard[0, 0]),
        -np.log(1 - hazard[1, 0]) - np.log(hazard[1, 1]),
        -np.log(1 - hazard[2, 0]) - np.log(1 - hazard[2, 1]),
    ]
    np.testing.assert_allclose(loss(head, logits, t), by_hand, rtol=1e-5)
    answer = head.answer(np.array(logits))
    np.testing.assert_allclose(answer.value, np.cumprod(1 - hazard, axis=1), rtol=1e-12)
    assert answer.times.tolist() == [1.0, 2.0]


def test_the_starting_hazards_are_those_of_the_training_rows(rng):
    durations, event = rng.exponential(5.0, 4000), rng.random(4000) < 0.7
    t = target("survival", durations, event=event, horizon=4.321)
    head = head_of(t, "none", 0.0, 15)
    assert 4.321 in head.times
    curve = head.answer(np.array([head.bias]))
    order = np.argsort(durations)
    at_time = np.cumprod(1 - event[order] / np.arange(4000, 0, -1))
    kaplan_meier = at_time[np.searchsorted(durations[order], head.times, side="right") - 1]
    np.testing.assert_allclose(curve.value[0][:-1], kaplan_meier[:-1], atol=0.03)


def test_survival_without_any_event_still_has_a_head():
    head = head_of(target("survival", np.array([1.0, 2.0]), event=np.array([False, False])), "none", 0.0, 10)
    assert head.n_outputs == 1
    assert head.answer(np.array([head.bias])).value[0, 0] > 0.8


def test_class_loss_and_shares_by_hand():
    t = target("multiclass", np.array([0, 0, 0, 1, 1, 2]))
    head = head_of(t, "none", 0.0, 1)
    np.testing.assert_allclose(head.answer(np.array([head.bias])).value[0], np.array([3.5, 2.5, 1.5]) / 7.5)
    logits = [[0.0, 1.0, 2.0]] * 6
    softmax = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    np.testing.assert_allclose(loss(head, logits, t), -np.log(softmax[t.y]), rtol=1e-6)


def test_balanced_classes_weigh_the_same_and_probabilities_come_back_to_the_training_shares():
    t = target("binary", np.array([0] * 90 + [1] * 10))
    head = head_of(t, "balanced", 0.0, 1)
    weights = loss(head, [[0.0, 0.0]] * 100, t) / np.log(2)
    assert weights[0] * 90.5 == pytest.approx(weights[-1] * 10.5, rel=1e-5)
    assert head.answer(np.array([head.bias])).value[0, 1] == pytest.approx(10.5 / 101)


def test_labels_that_were_not_assessed_count_for_nothing():
    y = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, np.nan]])
    head = Head("multilabel", 2, (0.0, 0.0))
    by_hand = [np.log1p(np.exp(-2.0)) / 2, (np.log1p(np.exp(2.0)) + np.log1p(np.exp(-3.0))) / 2, 0.0]
    np.testing.assert_allclose(loss(head, [[2.0, 3.0]] * 3, target("multilabel", y)), by_hand, rtol=1e-5)
    np.testing.assert_allclose(head.answer(np.array([[0.0, np.log(3.0)]])).value, [[0.5, 0.75]])


def test_balanced_labels_come_back_to_their_shares():
    y = np.array([[1.0, 0.0]] * 30 + [[0.0, 0.0]] * 70 + [[np.nan, 1.0]] * 5)
    for class_weight in ("none", "balanced"):
        head = head_of(target("multilabel", y), class_weight, 0.0, 1)
        shares = head.answer(np.array([head.bias])).value[0]
        np.testing.assert_allclose(shares, [30.5 / 101, 5.5 / 106], rtol=1e-9)


def test_regression_is_in_the_units_of_the_target_and_huber_turns_linear():
    t = target("regression", np.array([10.0, 20.0, 30.0]))
    head = head_of(t, "none", 0.0, 1)
    assert (head.center, head.spread) == (20.0, pytest.approx(np.sqrt(200 / 3)))
    np.testing.assert_allclose(head.answer(np.array([[0.0], [1.0]])).value[:, 0], [20.0, 20.0 + np.sqrt(200 / 3)])
    np.testing.assert_allclose(loss(head, [[0.0]] * 3, t), [1.5, 0.0, 1.5], rtol=1e-6)
    huber = head_of(t, "none", 1.0, 1)
    np.testing.assert_allclose(loss(huber, [[0.0]] * 3, t), [np.sqrt(1.5) - 0.5, 0.0, np.sqrt(1.5) - 0.5], rtol=1e-6)


def test_case_weights_scale_the_loss_and_move_the_start():
    t = target("binary", np.array([0, 1]), weight=np.array([1.0, 3.0]))
    head = head_of(t, "none", 0.0, 1)
    np.testing.assert_allclose(loss(head, [[0.0, 0.0]] * 2, t), np.log(2) * np.array([0.5, 1.5]), rtol=1e-6)
    assert head.answer(np.array([head.bias])).value[0, 1] == pytest.approx(3.5 / 5)


def test_a_head_survives_json_and_an_unknown_weighting_is_refused(rng):
    head = head_of(target("survival", rng.exponential(1.0, 50), event=np.ones(50, dtype=bool)), "none", 0.0, 5)
    assert Head.from_json(head.to_json()) == head
    with pytest.raises(OptionError, match="class_weight"):
        head_of(target("binary", np.array([0, 1])), "heavy", 0.0, 1)
