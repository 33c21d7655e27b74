"""The one door: names, counts, undefined values, weights, clusters, determinism and speed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from sklearn import metrics as peer

from osler import tasks
from osler.evaluation import intervals
from osler.evaluation.scores import score, score_outputs, tables, value_only
from osler.tasks.base import Prediction, Target

DESIGN = {
    "auroc", "auprc", "accuracy", "precision", "recall", "specificity", "f1", "brier", "log_loss", "ece",
    "calibration_slope", "calibration_intercept", "observed_expected",
}  # fmt: skip


def binary(y, p, **more) -> tuple[Target, Prediction]:
    """A binary target and its prediction."""
    p = np.asarray(p, dtype=float)
    target = Target("binary", ("t",), np.asarray(y, dtype=np.int64), classes=("n", "p"), **more)
    return target, Prediction(np.column_stack([1 - p, p]))


@pytest.fixture
def rows(rng):
    """500 calibrated rows."""
    p = rng.random(500)
    return (rng.random(500) < p).astype(int), p


def test_every_name_of_the_design_is_there_in_the_order_of_the_task(rows, rng):
    scored = score(*binary(*rows), None, rng, 50)
    assert set(scored) >= DESIGN
    assert tuple(scored) == tasks.get("binary").metrics
    for entry in scored.values():
        assert set(entry) == {"value", "low", "high", "n"}


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
def test_the_other_tasks_score_what_they_promise(kind, rng):
    if kind == "regression":
        target, prediction = Target(kind, ("t",), rng.normal(size=60)), Prediction(rng.normal(size=(60, 1)))
    elif kind == "multiclass":
        target = Target(kind, ("t",), rng.integers(0, 3, 60), classes=("a", "b", "c"))
        prediction = Prediction(rng.dirichlet([1, 1, 1], 60))
    else:
        y = rng.integers(0, 2, (60, 3)).astype(float)
        y[rng.random((60, 3)) < 0.2] = np.nan
        target = Target(kind, ("a", "b", "c"), y, classes=("a", "b", "c"))
        prediction = Prediction(rng.random((60, 3)))
    scored = score(target, prediction, None, rng, 50)
    assert tuple(scored) == tasks.get(kind).metrics
    json.dumps(scored, allow_nan=False)
    values = value_only(target, prediction)
    assert {k: s["value"] for k, s in scored.items()} == pytest.approx(values)
    for name, s in scored.items():
        assert s["low"] <= s["value"] <= s["high"], name


def test_values_are_those_of_scikit_learn(rows, rng):
    y, p = rows
    scored = score(*binary(y, p), None, rng, 50)
    assert scored["auroc"]["value"] == pytest.approx(peer.roc_auc_score(y, p))
    assert scored["f1"]["value"] == pytest.approx(peer.f1_score(y, p >= 0.5))
    assert scored["auroc"]["n"] == 500
    assert scored["recall"]["n"] == int(y.sum())
    assert scored["precision"]["n"] == int((p >= 0.5).sum())


def test_shares_of_independent_rows_have_wilsons_interval(rows, rng):
    y, p = rows
    entry = score(*binary(y, p), None, rng, 50)["recall"]
    assert (entry["low"], entry["high"]) == pytest.approx(intervals.wilson(entry["value"], y.sum()))


def test_the_threshold_moves_the_table(rows, rng):
    y, p = rows
    at = score(*binary(y, p), None, rng, 20, threshold=0.2)
    assert at["recall"]["value"] == pytest.approx(np.mean(p[y == 1] >= 0.2))


def test_one_class_only_gives_none_and_not_a_number(rng):
    scored = score(*binary([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4]), None, rng, 50)
    assert scored["auroc"] == {"value": None, "low": None, "high": None, "n": 4}
    assert scored["recall"]["value"] is None
    assert scored["brier"]["value"] == pytest.approx(0.075)
    assert scored["observed_expected"]["value"] == 0
    assert scored["observed_expected"]["high"] == pytest.approx(3.6889, abs=1e-3)
    json.dumps(scored, allow_nan=False)


def test_a_perfect_model_is_not_certain(rng):
    y = np.array([0, 1] * 10)
    scored = score(*binary(y, 0.1 + 0.8 * y), None, rng, 100)
    for name in ("auroc", "auprc", "accuracy", "recall", "specificity", "f1", "balanced_accuracy"):
        assert scored[name]["value"] == 1, name
        assert 0.6 < scored[name]["low"] < 0.99, name


def test_a_constant_prediction_has_auroc_one_half_exactly(rng):
    entry = score(*binary([0, 1] * 20, np.full(40, 0.5)), None, rng, 100)["auroc"]
    assert (entry["value"], entry["low"], entry["high"]) == (0.5, 0.5, 0.5)


def test_ten_copies_of_each_row_change_nothing_when_grouped(rows):
    y, p = rows[0][:60], rows[1][:60]
    once = score(*binary(y, p), np.arange(60), np.random.default_rng(1), 300)
    groups = np.repeat(np.arange(60), 10)
    often = score(*binary(np.repeat(y, 10), np.repeat(p, 10)), groups, np.random.default_rng(1), 300)
    alone = score(*binary(np.repeat(y, 10), np.repeat(p, 10)), None, np.random.default_rng(1), 300)
    for name in ("auroc", "brier", "calibration_slope"):
        assert often[name]["low"] == pytest.approx(once[name]["low"], abs=1e-6), name
        assert often[name]["high"] == pytest.approx(once[name]["high"], abs=1e-6), name
        assert alone[name]["high"] - alone[name]["low"] < 0.6 * (once[name]["high"] - once[name]["low"]), name
    wide, narrow = often["accuracy"], alone["accuracy"]
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_whole_case_weights_are_repeated_rows(rows):
    y, p = rows
    weight = np.random.default_rng(2).integers(1, 4, len(y))
    weighted = value_only(*binary(y, p, weight=weight.astype(float)))
    repeated = value_only(*binary(np.repeat(y, weight), np.repeat(p, weight)))
    for name in set(weighted) - {"ece"}:
        assert weighted[name] == pytest.approx(repeated[name], abs=1e-8), name


def test_weighted_intervals_widen_as_the_effective_size_shrinks(rows):
    y, p = rows
    weight = np.where(np.arange(len(y)) < 50, 20.0, 0.1)
    plain = score(*binary(y, p), None, np.random.default_rng(1), 200)["accuracy"]
    uneven = score(*binary(y, p, weight=weight), None, np.random.default_rng(1), 200)["accuracy"]
    assert uneven["high"] - uneven["low"] > 1.5 * (plain["high"] - plain["low"])


def test_the_same_seed_gives_the_same_bytes(rows):
    first = score(*binary(*rows), None, np.random.default_rng(9), 200)
    second = score(*binary(*rows), None, np.random.default_rng(9), 200)
    assert json.dumps(first) == json.dumps(second)


def test_one_thousand_bootstraps_of_one_thousand_rows_are_quick(rng):
    p = rng.random(1000)
    y = (rng.random(1000) < p).astype(int)
    start = time.process_time()
    score(*binary(y, p), None, rng, 1000)
    assert time.process_time() - start < 5


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # scores of positives N(1, 1), of negatives N(0, 1): the true AUROC is Phi(1 / sqrt 2) = 0.7602
    rng, hits = np.random.default_rng(11), 0
    for _ in range(200):
        y = np.repeat([0, 1], 40)
        x = rng.normal(size=80) + y
        entry = score(*binary(y, x), None, rng, 200, names=("auroc",))["auroc"]
        hits += entry["low"] <= 0.7602 <= entry["high"]
    assert 0.89 <= hits / 200 <= 0.99


def test_wrong_lengths_and_missing_predictions_are_refused(rng):
    target, prediction = binary([0, 1, 0], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="must have 2 rows"):
        score(target.take(np.array([0, 1])), prediction, None, rng)
    with pytest.raises(ValueError, match="in 1 of 3 rows"):
        score(target, Prediction(np.array([[0.5, 0.5], [np.nan, 0.5], [0.1, 0.9]])), None, rng)


def test_an_empty_part_has_no_values(rng):
    scored = score(*binary([], []), None, rng, 10, names=("brier", "accuracy"))
    assert scored["brier"] == {"value": None, "low": None, "high": None, "n": 0}


def test_only_the_asked_metrics_are_worked_out(rows, rng):
    assert list(score(*binary(*rows), None, rng, 20, names=("brier",))) == ["brier"]


def test_each_class_is_scored_against_the_rest(rng):
    p = rng.dirichlet([1, 1, 1], 200)
    y = np.array([rng.choice(3, p=row) for row in p])
    target = Target("multiclass", ("t",), y, classes=("a", "b", "c"))
    each = score_outputs(target, Prediction(p), None, rng, 50)
    assert list(each) == ["a", "b", "c"]
    assert each["b"]["auroc"]["value"] == pytest.approx(peer.roc_auc_score(y == 1, p[:, 1]))
    mean = np.mean([each[c]["auroc"]["value"] for c in "abc"])
    assert value_only(target, Prediction(p))["auroc"] == pytest.approx(mean)


def test_each_label_is_scored_where_it_was_assessed(rng):
    y = rng.integers(0, 2, (100, 2)).astype(float)
    y[:40, 1] = np.nan
    target = Target("multilabel", ("a", "b"), y, classes=("a", "b"))
    each = score_outputs(target, Prediction(rng.random((100, 2))), np.arange(100), rng, 50)
    assert each["a"]["auroc"]["n"] == 100
    assert each["b"]["auroc"]["n"] == 60


def test_tables_are_functions_of_weights(rows):
    of = tables(*binary(*rows))
    w = np.ones((3, len(rows[0])))
    assert of["auroc"](w).shape == (3,)
    assert float(of["auroc"](None)) == pytest.approx(of["auroc"](w)[0])
