"""Thresholds, curves, intervals and prediction sets: values by hand, refusals, and relations that must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import OptionError
from osler.evaluation import calibration, conformal, confusion, curves, decision_curve, intervals

Y = np.array([0, 0, 1, 0, 1, 1])
P = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])


# -- thresholds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "value", "threshold"),
    [
        ("sensitivity", 1.0, 0.3),
        ("sensitivity", 0.6, 0.8),
        ("sensitivity", 0.1, 0.9),
        ("specificity", 1.0, 0.8),
        ("specificity", 0.6, 0.3),
        ("specificity", 0.01, 0.2),
        ("cost", 1.0, 0.5),
        ("cost", 9.0, 0.1),
        ("prevalence", None, 0.5),
    ],
)
def test_threshold_of_each_rule(rule: str, value: float | None, threshold: float) -> None:
    assert confusion.threshold_for(Y, P, rule, value) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("rule", "value"),
    [("best", None), ("sensitivity", None), ("specificity", None), ("cost", None), ("sensitivity", 0.0), ("sensitivity", 1.1),
     ("specificity", -1.0), ("cost", 0.0), ("cost", -2.0), ("cost", float("nan"))],
)  # fmt: skip
def test_rules_that_cannot_be(rule: str, value: float | None) -> None:
    with pytest.raises(OptionError) as error:
        confusion.threshold_for(Y, P, rule, value)
    assert error.value.code == "option"


@pytest.mark.parametrize("rule", ["sensitivity", "specificity", "youden"])
@pytest.mark.parametrize("y", [np.zeros(6), np.ones(6)])
def test_one_class_has_no_threshold(rule: str, y: np.ndarray) -> None:
    with pytest.raises(OptionError, match="both classes"):
        confusion.threshold_for(y, P, rule, 0.9)
    with pytest.raises(OptionError, match="both classes"):
        confusion.threshold_for(Y, P, rule, 0.9, (y[0] == Y).astype(float))


@given(st.integers(0, 1000), st.floats(0.05, 1.0))
def test_thresholds_reach_what_was_wanted(seed: int, wanted: float) -> None:
    rng = np.random.default_rng(seed)
    y, p = np.append(rng.integers(0, 2, 20), [0, 1]), np.round(rng.random(22), 1)
    at = confusion.threshold_for(y, p, "sensitivity", wanted)
    assert ((p >= at) & (y == 1)).sum() >= wanted * y.sum() - 1e-9
    above = confusion.threshold_for(y, p, "specificity", wanted)
    assert ((p < above) & (y == 0)).sum() >= wanted * (1 - y).sum() - 1e-9


def test_confusion_by_hand() -> None:
    table = confusion.confusion(Y, P, 0.3)
    assert [table[k] for k in ("tp", "fp", "fn", "tn")] == [3, 1, 0, 2]
    assert table["sensitivity"]["value"] == 1.0
    assert table["specificity"]["value"] == pytest.approx(2 / 3)
    assert table["ppv"]["value"] == 0.75
    assert table["npv"]["value"] == 1.0
    assert table["called"]["value"] == pytest.approx(4 / 6)
    assert table["lr_positive"] == pytest.approx(3.0)
    assert table["lr_negative"] == 0.0
    assert [table[k]["n"] for k in ("sensitivity", "specificity", "ppv", "npv", "accuracy")] == [3, 3, 4, 2, 6]


@pytest.mark.parametrize(("threshold", "name"), [(0.0, "lr_negative"), (2.0, "lr_negative"), (0.8, "lr_positive")])
def test_ratios_without_an_answer_are_none(threshold: float, name: str) -> None:
    table = confusion.confusion(Y, P, threshold)
    assert table[name] is None or np.isfinite(table[name])
    assert confusion.confusion(Y, P, 0.0)["npv"] == {"value": None, "low": None, "high": None, "n": 0}


def test_most_probable_class_by_true_class() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]])
    assert confusion.confusion_matrix(np.array([0, 1, 2]), p).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


# -- curves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_curves_go_from_corner_to_corner(n: int) -> None:
    rng = np.random.default_rng(n)
    y, p = np.append(rng.integers(0, 2, n - 2), [0, 1]), rng.random(n)
    roc = curves.roc_curve(y, p)
    assert (roc["false_positive_rate"][0], roc["sensitivity"][0]) == (0.0, 0.0)
    assert (roc["false_positive_rate"][-1], roc["sensitivity"][-1]) == pytest.approx((1.0, 1.0))
    assert len(roc["threshold"]) <= 200
    assert np.isfinite(roc["threshold"]).all()
    for name in ("false_positive_rate", "sensitivity"):
        assert (np.diff(roc[name]) >= -1e-12).all()
    pr = curves.precision_recall_curve(y, p)
    assert pr["recall"][-1] == pytest.approx(1.0)
    assert pr["precision"][-1] == pytest.approx(y.mean())
    assert len(pr["recall"]) == len(pr["precision"]) == len(pr["threshold"])


def test_the_band_of_a_curve_holds_the_curve() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    p = 0.3 * y + rng.random(200)
    roc = curves.roc_curve(y, p, None, rng, 60)
    value = np.interp(roc["at"], roc["false_positive_rate"], roc["sensitivity"])
    inside = (np.array(roc["low"]) - 0.05 <= value) & (value <= np.array(roc["high"]) + 0.05)
    assert inside.mean() > 0.95


@pytest.mark.parametrize("threshold", [0.05, 0.25, 0.35, 0.85])
def test_net_benefit_by_hand(threshold: float) -> None:
    called = threshold <= P
    odds = threshold / (1 - threshold)
    by_hand = (called & (Y == 1)).mean() - (called & (Y == 0)).mean() * odds
    assert decision_curve.net_benefit(Y, P, np.array([threshold]))[0] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("mask", "runs"),
    [([0, 0, 0], []), ([1, 1, 1], [[0.1, 0.3]]), ([1, 0, 1], [[0.1, 0.1], [0.3, 0.3]]), ([0, 1, 1], [[0.2, 0.3]])],
)
def test_runs_of_useful_thresholds(mask: list[int], runs: list) -> None:
    assert decision_curve.ranges(np.array([0.1, 0.2, 0.3]), np.array(mask, dtype=bool)) == runs


# -- intervals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 200)])
def test_wilson_beside_scipy(hits: int, n: int) -> None:
    from scipy.stats import binomtest

    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert intervals.wilson(hits / n, n) == pytest.approx((theirs.low, theirs.high))
    low, high = intervals.wilson(1 - hits / n, n)
    assert (1 - high, 1 - low) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("count", [0, 1, 5, 50])
def test_poisson_limits_leave_out_a_fortieth(count: int) -> None:
    from scipy.stats import poisson

    low, high = intervals.poisson(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(0.025)
    else:
        assert low == 0.0


@given(st.floats(0.0, 1.0), st.integers(1, 50), st.integers(1, 50))
def test_limits_of_an_auroc_hold_it_and_are_symmetric(value: float, m: int, n: int) -> None:
    low, high = intervals.auroc_limit(value, m, n)
    assert 0 <= low <= value <= high <= 1
    other = intervals.auroc_limit(1 - value, m, n)
    assert (1 - other[1], 1 - other[0]) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("share", "n"), [(0.5, 0), (float("nan"), 10)])
def test_no_interval_of_nothing(share: float, n: int) -> None:
    assert all(np.isnan(intervals.wilson(share, n)))
    assert all(np.isnan(intervals.auroc_limit(0.5, 0, 3)))
    assert all(np.isnan(intervals.percentile(float("nan"), np.ones(9))))
    assert all(np.isnan(intervals.centred(0.1, np.full(9, np.nan))))


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1, 2, 2, 2])])
def test_resampled_units_stay_whole(groups: np.ndarray | None) -> None:
    codes = intervals.codes(groups, 6)
    for block in intervals.bootstrap_weights(groups, 6, 50, np.random.default_rng(0)):
        for weights in block:
            per_unit = [set(weights[codes == c]) for c in np.unique(codes)]
            assert all(len(s) == 1 for s in per_unit)
            assert sum(s.pop() for s in per_unit) == codes.max() + 1
    left = np.concatenate(list(intervals.jackknife_weights(groups, 6)))
    assert left.shape == (codes.max() + 1, 6)
    assert ((1 - left).sum(axis=1) == np.bincount(codes)).all()


@pytest.mark.parametrize(
    ("n", "n_boot", "expected"),
    [(10, 1000, 1000), (10_000, 1000, 1000), (50_000, 1000, 200), (10**7, 1000, 200), (10**7, 50, 50)],
)
def test_replicates_fall_with_rows(n: int, n_boot: int, expected: int) -> None:
    assert intervals.replicates_for(n, n_boot) == expected


def test_bca_of_a_mean_is_near_the_normal_interval() -> None:
    x = np.random.default_rng(1).normal(10, 2, 200)
    mean = lambda w: (w @ x) / w.sum(axis=-1)  # noqa: E731
    drawn = intervals.many(mean, intervals.bootstrap_weights(None, 200, 2000, np.random.default_rng(2)))
    left = intervals.many(mean, intervals.jackknife_weights(None, 200))
    low, high = intervals.bca(x.mean(), drawn, left)
    half = 1.96 * x.std(ddof=1) / np.sqrt(200)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.06)


# -- recalibration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", calibration.RECALIBRATIONS)
def test_recalibration_is_monotone_and_survives_json(kind: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    y = (rng.random(300) < p**2).astype(float)
    fixed = calibration.recalibrate(y, p, kind)
    again = calibration.Recalibration.from_json(fixed.to_json())
    at = np.linspace(0.01, 0.99, 50)
    assert (np.diff(fixed(at)) >= 0).all()
    np.testing.assert_array_equal(fixed(at), again(at))
    if kind != "none":
        assert fixed(p).mean() == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("kind", "y"), [("plat", Y), ("intercept", np.zeros(6)), ("platt", np.ones(6)), ("platt", (P > 0.5).astype(float))]
)
def test_recalibration_that_rows_do_not_determine(kind: str, y: np.ndarray) -> None:
    with pytest.raises(OptionError):
        calibration.recalibrate(y, P, kind)


def test_bins_of_a_calibration_curve_by_hand() -> None:
    bins = calibration.binned(Y.astype(float), P, None, 2)
    assert [b["n"] for b in bins] == [3, 3]
    assert [b["predicted"] for b in bins] == pytest.approx([0.2, 0.7])
    assert [b["observed"] for b in bins] == pytest.approx([1 / 3, 2 / 3])


# -- prediction sets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (8, 0.9, None), (1, 0.5, 1), (0, 0.9, None), (99, 0.95, 95)],
)
def test_the_conformal_quantile_is_a_rank(n: int, level: float, rank: int | None) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1, n + 1)).astype(float)
    assert conformal.quantile(scores, level) == (np.inf if rank is None else rank)


@given(st.integers(0, 100), st.sampled_from(["", "group", "class"]))
def test_prediction_sets_survive_json_and_grow_with_the_level(seed: int, by: str) -> None:
    rng = np.random.default_rng(seed)
    p, y, groups = rng.dirichlet(np.ones(3), 60), rng.integers(0, 3, 60), rng.integers(0, 2, 60)
    small, large = (conformal.fit_classes(p, y, level, by=by, groups=groups) for level in (0.5, 0.9))
    assert (small.sets(p, groups) <= large.sets(p, groups)).all()
    again = conformal.Conformal.from_json(large.to_json())
    np.testing.assert_array_equal(again.sets(p, groups), large.sets(p, groups))
    if not by:
        assert large.sets(p)[np.arange(60), y].mean() >= 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda: conformal.fit_classes(np.eye(2), np.array([0, 1]), 1.0),
        lambda: conformal.fit_classes(np.eye(2), np.array([0, 1]), 0.9, method="raps"),
        lambda: conformal.fit_classes(np.eye(2), np.array([0, 1]), 0.9, by="site"),
        lambda: conformal.fit_classes(np.eye(2), np.array([0, 1]), 0.9, by="group"),
        lambda: conformal.fit_classes(np.eye(2), np.array([0, 1]), 0.9, method="aps"),
        lambda: conformal.fit_number(P, Y, 0.9, by="class"),
        lambda: conformal.fit_number(P, Y, 0.0),
        lambda: conformal.Conformal("number", "residual", 0.9, "group", {"a": 1.0}).interval(P),
        lambda: conformal.Conformal("classes", "aps", 0.9, "", {"": 1.0}).sets(np.eye(2)),
    ],
)
def test_conformal_options_that_cannot_be(make) -> None:
    with pytest.raises(OptionError):
        make()


def test_an_unknown_group_gets_no_false_promise() -> None:
    fitted = conformal.fit_number(P, Y.astype(float), 0.5, by="group", groups=np.array(["a"] * 6))
    low, high = fitted.interval(np.zeros(2), np.array(["a", "b"]))
    assert np.isfinite([low[0], high[0]]).all()
    assert (low[1], high[1]) == (-np.inf, np.inf)


def test_intervals_scale_with_their_scale() -> None:
    fitted = conformal.fit_number(P, Y.astype(float), 0.5, scale=np.full(6, 2.0))
    low, high = fitted.interval(np.zeros(2), scale=np.array([1.0, 3.0]))
    assert fitted.method == "normalised"
    assert (high - low)[1] == pytest.approx(3 * (high - low)[0])


@pytest.mark.parametrize("shift", [-5.0, 0.0, 100.0])
def test_cv_plus_moves_with_the_predictions(shift: float) -> None:
    rng = np.random.default_rng(0)
    residual, fold, new = rng.exponential(1, 40), np.arange(40) % 4, rng.normal(size=(3, 4))
    low, high = conformal.cv_plus_interval(residual, fold, new, 0.8)
    moved = conformal.cv_plus_interval(residual, fold, new + shift, 0.8)
    np.testing.assert_allclose(moved, (low + shift, high + shift))
    assert (low < high).all()
    assert np.isinf(conformal.cv_plus_interval(residual[:3], fold[:3], new, 0.9)).all()
