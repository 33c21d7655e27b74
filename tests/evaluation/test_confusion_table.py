"""Confusion tables, operating points, and thresholds for a wanted sensitivity, specificity or cost."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as peer

from osler.errors import OptionError
from osler.evaluation import confusion as con
from osler.evaluation import curves, intervals

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0])
P = np.array([0.9, 0.7, 0.4, 0.8, 0.4, 0.3, 0.2, 0.1])


def test_the_table_by_hand():
    found = con.confusion(Y, P, 0.4)
    assert (found["tp"], found["fp"], found["fn"], found["tn"]) == (3, 2, 0, 3)
    assert found["sensitivity"]["value"] == 1
    assert found["specificity"]["value"] == pytest.approx(0.6)
    assert found["ppv"]["value"] == pytest.approx(0.6)
    assert found["npv"]["value"] == 1
    assert found["called"]["value"] == pytest.approx(5 / 8)
    assert found["f1"] == pytest.approx(0.75)
    assert found["lr_positive"] == pytest.approx(2.5)
    assert found["lr_negative"] == 0
    assert found["sensitivity"]["n"] == 3
    assert (found["specificity"]["low"], found["specificity"]["high"]) == pytest.approx(
        intervals.wilson(0.6, 5)
    )


def test_nothing_called_leaves_shares_undefined():
    found = con.confusion(Y, P, 2.0)
    assert found["ppv"] == {"value": None, "low": None, "high": None, "n": 0}
    assert found["lr_positive"] is None
    assert found["npv"]["value"] == pytest.approx(5 / 8)


def test_a_share_over_clusters_is_wider():
    hit = np.repeat([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], 10)
    alone = con.share(hit, np.arange(100))
    grouped = con.share(hit, np.repeat(np.arange(10), 10))
    assert grouped["value"] == alone["value"] == pytest.approx(0.7)
    assert (alone["low"], alone["high"]) == pytest.approx(intervals.wilson(0.7, 100))
    # all rows of a unit agree: the 100 rows are worth 9 of 10 units by the linearised variance
    assert (grouped["low"], grouped["high"]) == pytest.approx(intervals.wilson(0.7, 9))


def test_a_certain_share_over_clusters_counts_units():
    found = con.share(np.ones(60), np.repeat(np.arange(6), 10))
    assert (found["low"], found["high"]) == pytest.approx(intervals.wilson(1.0, 6))


def test_weights_change_the_table():
    found = con.confusion(Y, P, 0.4, weights=np.array([2, 1, 1, 1, 1, 1, 1, 1.0]))
    assert found["tp"] == 4
    assert found["ppv"]["value"] == pytest.approx(4 / 6)


def test_matrix_of_classes_agrees_with_scikit_learn(rng):
    p = rng.dirichlet([1, 1, 1, 1], 100)
    y = rng.integers(0, 4, 100)
    expected = peer.confusion_matrix(y, p.argmax(axis=1), labels=range(4))
    np.testing.assert_array_equal(con.confusion_matrix(y, p), expected)


def test_operating_points_agree_with_scikit_learn(rng):
    p = np.round(rng.random(100), 1)
    y = rng.integers(0, 2, 100)
    thresholds, sensitivity, specificity = con.operating_points(y, p)
    fpr, tpr, expected = peer.roc_curve(y, p, drop_intermediate=False)
    assert sensitivity == pytest.approx(tpr)
    assert 1 - specificity == pytest.approx(fpr)
    assert thresholds[1:] == pytest.approx(expected[1:])


@pytest.mark.parametrize(
    ("rule", "value", "threshold"),
    [
        ("sensitivity", 1.0, 0.4),
        ("sensitivity", 0.6, 0.7),
        ("specificity", 0.8, 0.7),
        ("specificity", 0.5, 0.4),
        ("youden", None, 0.4),
        ("cost", 9.0, 0.1),
        ("prevalence", None, 0.375),
    ],
)
def test_the_threshold_of_each_rule_by_hand(rule, value, threshold):
    assert con.threshold_for(Y, P, rule, value) == pytest.approx(threshold)


def test_full_specificity_calls_no_negative():
    threshold = con.threshold_for(Y, np.array([0.5] * 8), "specificity", 1.0)
    assert threshold > 0.5
    assert con.confusion(Y, np.array([0.5] * 8), threshold)["fp"] == 0


def test_wanted_values_are_reached(rng):
    p = rng.random(300)
    y = (rng.random(300) < p).astype(int)
    for wanted in (0.5, 0.8, 0.95):
        found = con.confusion(y, p, con.threshold_for(y, p, "sensitivity", wanted))
        assert found["sensitivity"]["value"] >= wanted
        found = con.confusion(y, p, con.threshold_for(y, p, "specificity", wanted))
        assert found["specificity"]["value"] >= wanted


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        ("best", None, "must be one of"),
        ("sensitivity", None, "needs a value"),
        ("sensitivity", 1.2, "at most 1"),
        ("cost", 0.0, "above 0"),
    ],
)
def test_impossible_rules_are_refused(rule, value, words):
    with pytest.raises(OptionError, match=words):
        con.threshold_for(Y, P, rule, value)


def test_the_report_gives_the_threshold_an_interval(rng):
    p = rng.random(300)
    y = (rng.random(300) < p).astype(int)
    found = con.threshold_report(y, p, "sensitivity", 0.9, None, rng, 100)
    assert found["low"] <= found["threshold"] <= found["high"]
    assert found["high"] - found["low"] > 0
    assert found["wanted"] == 0.9


def test_roc_curve_is_thin_and_its_band_holds_the_curve(rng):
    p = rng.random(2000)
    y = (rng.random(2000) < p).astype(int)
    found = curves.roc_curve(y, p, None, rng, 50)
    assert len(found["sensitivity"]) <= 200
    assert found["sensitivity"][0] == 0
    assert found["sensitivity"][-1] == 1
    area = np.trapezoid(found["sensitivity"], found["false_positive_rate"])
    assert area == pytest.approx(peer.roc_auc_score(y, p), abs=0.005)
    middle = np.interp(found["at"], found["false_positive_rate"], found["sensitivity"])
    assert (
        np.mean((np.array(found["low"]) <= middle + 0.01) & (middle <= np.array(found["high"]) + 0.01)) > 0.95
    )


def test_roc_curve_without_a_generator_has_no_band():
    assert set(curves.roc_curve(Y, P)) == {"false_positive_rate", "sensitivity", "threshold"}


def test_precision_recall_by_hand():
    found = curves.precision_recall_curve(Y, P)
    assert found["recall"][:3] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert found["precision"][:3] == pytest.approx([1.0, 0.5, 2 / 3])
    assert found["recall"][-1] == 1
    assert found["precision"][-1] == pytest.approx(3 / 8)
