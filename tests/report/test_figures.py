"""Every picture: the numbers that were given lie where the axes say, and what is not given is not drawn.

Expected coordinates are worked out by hand from the frame of each picture: x runs from 56 (or what is said) to its
right end, y from the bottom up to 12.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from osler.report import figures
from tests.report.hand import circles, lines, material, nothing, paths, texts
from tests.report.runs import KINDS, Dom, classes, dangers, estimate, members, regression, survival


def part(kind: str, key: str, of: str = "cv") -> Any:
    """One curve of the runs written by hand."""
    return KINDS[kind](members())["curves"]["parts"][of][key]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("binary", ["roc-cv", "calibration-cv", "decision-cv"]),
        ("multiclass", ["roc-by-class-cv", "calibration-by-class-cv"]),
        ("regression", ["observed-cv"]),
        ("survival", ["calibration-cv", "survival-cv"]),
    ],
)
def test_a_task_has_its_own_pictures(kind: str, expected: list[str]):
    made = figures.of_part(material(KINDS[kind](members())), "cv")
    assert [f.name for f in made] == expected
    for figure in made:
        assert dangers(Dom(figure.html())) == []
        assert "nan" not in figure.body.lower()
        assert figure.title
        assert figure.description.endswith(".")


def test_a_run_without_curves_has_no_pictures():
    empty = nothing()
    assert figures.of_part(empty, "cv") == []
    for make in (figures.sites, figures.subgroups, figures.importance, figures.learning):
        assert make(empty) is None


@pytest.mark.parametrize("odd", [None, {}, [], "x", 3, {"curve": None, "bins": []}])
def test_odd_curves_are_left_out(odd: Any):
    m = material()
    made = [figures.roc, figures.roc_by_class, figures.decision, figures.residuals, figures.survival]
    for make in made:
        if not (isinstance(odd, dict) and odd and make in (figures.roc, figures.roc_by_class)):
            assert make(m, "cv", odd) is None
    assert figures.calibration(m, "cv", odd, None) is None
    assert figures.calibration_by_class(m, "cv", odd) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cv", "cross-validation"), ("holdout", "hold-out"), ("training", "on the rows it was fitted to"),
        ("site=St. Mary", "at St. Mary, left out of training"), ("else", "else"),
    ],
)  # fmt: skip
def test_a_part_in_words(name: str, said: str):
    assert figures.where(name) == said


def test_the_roc_curve_goes_through_its_points():
    figure = figures.roc(material(), "cv", part("binary", "roc"))
    assert figure is not None
    # (1 - 0.8, 0.9) lies at x = 56 + 0.2 * 310 = 118 and y = 310 - 0.9 * 298 = 41.8
    assert paths(figure.body, "s1", "line") == ["M56 310L118 41.8L366 12"]
    assert paths(figure.body, "s2", "line") == ["M56 310L118 41.8L366 12"]
    assert lines(figure.body, "ideal") == [(56, 310, 366, 12)]
    assert "logistic 0.900 (0.850 to 0.940); news2 0.700 (0.600 to 0.800)" in figure.description
    assert [t for t in texts(figure.body) if t in ("0%", "20%", "100%")].count("20%") == 2


def test_the_chosen_model_lies_on_top_and_five_are_drawn():
    data = {f"m{i}": {"specificity": [1.0, 0.0], "sensitivity": [0.0, 1.0]} for i in range(7)}
    figure = figures.roc(nothing(), "cv", data)
    assert figure is not None
    drawn = [a["class"] for a in Dom(figure.body).named("path") if not (a["d"] or "").endswith("h26")]
    assert drawn == [f"line s{k} d{k}" for k in (5, 4, 3, 2, 1)]
    assert "m5" not in figure.body


def test_the_roc_of_classes_says_which_are_left_out():
    curve = {"specificity": [1.0, 0.5, 0.0], "sensitivity": [0.0, 0.6, 1.0]}
    m = material(classes(members()))
    figure = figures.roc_by_class(m, "holdout", {f"k{i}": curve for i in range(6)})
    assert figure is not None
    assert paths(figure.body, "line") == ["M56 310L211 131.2L366 12"] * 5
    assert figure.title == "Discrimination of each class against all others"
    assert "The first 5 of 6 are drawn." in str(figure.caption)
    m.members["facts"]["task"] = "multilabel"
    again = figures.roc_by_class(m, "holdout", {"k": curve})
    assert again is not None
    assert again.title == "Discrimination of each label"
    assert "first 5" not in str(again.caption)


def test_calibration_draws_curve_band_points_and_whiskers():
    figure = figures.calibration(material(), "cv", part("binary", "calibration"), None)
    assert figure is not None
    assert figure.height == 360
    # x = 56 + 408 p, y = 262 - 250 share
    assert paths(figure.body, "line") == ["M96.8 232L423.2 42"]
    assert paths(figure.body, "band") == ["M96.8 212L423.2 24.5L423.2 62L96.8 249.5Z"]
    assert circles(figure.body) == [(178.4, 184.5)]
    assert lines(figure.body, "whisker") == [(178.4, 212, 178.4, 162)]
    assert "Slope 1.02 (0.80 to 1.30); observed / expected 1.00 (0.90 to 1.10)." in figure.description
    assert "points are tenths" in str(figure.caption)


@pytest.mark.parametrize("lost", [None, math.nan, "x"])
def test_a_bin_without_limits_is_a_point_and_one_without_a_value_is_nothing(lost: Any):
    bins = [
        {"predicted": 0.5, "observed": 0.4, "low": lost, "high": lost},
        {"predicted": 0.7, "observed": lost, "low": 0.1, "high": 0.2},
    ]
    figure = figures.calibration(material(), "cv", {"bins": bins}, None)
    assert figure is not None
    assert circles(figure.body) == [(260, 162)]
    assert lines(figure.body, "whisker") == [(260, 162, 260, 162)]
    assert paths(figure.body, "line") == []
    assert "groups of cases of similar risk" in str(figure.caption)


def test_the_histogram_hides_small_bars():
    figure = figures.calibration(material(), "cv", part("binary", "calibration"), part("binary", "histogram"))
    assert figure is not None
    assert figure.height == 402
    bars = [tuple(float(a[k] or 0) for k in ("x", "y", "width", "height")) for a in Dom(figure.body).named("rect")]
    # three bins of 136 each; the highest bar, 60 cases, is 38 high; 3 cases are not drawn on either side
    assert bars == [
        pytest.approx(b, abs=1e-3)
        for b in [
            (57, 350, 134, 38),
            (193, 350 - 38 * 40 / 60, 134, 38 * 40 / 60),
            (193, 350, 134, 38 * 37 / 60),
            (329, 350 - 36.1, 134, 36.1),
        ]
    ]
    assert "bars of fewer than 10 cases are left out" in str(figure.caption)


def test_many_small_bars_are_put_together_in_pairs():
    histogram = {"positive": [1, 9, 0, 20], "negative": [2, 8, 3, 3]}
    figure = figures.calibration(material(), "cv", part("binary", "calibration"), histogram)
    assert figure is not None
    bars = [(a["x"], a["height"], a["class"]) for a in Dom(figure.body).named("rect")]
    assert bars == [("57", "19", "f1"), ("57", "19", "f2"), ("261", "38", "f1")]


def test_calibration_at_a_horizon_names_it():
    figure = figures.calibration(material(survival(members())), "cv", part("survival", "calibration"), None)
    assert figure is not None
    assert "Observed share: event by 5" in texts(figure.body)
    assert circles(figure.body) == [(round(56 + 0.3 * 408, 1), 262 - 0.35 * 250)]


def test_the_decision_curve_has_its_values_and_says_where_it_helps():
    figure = figures.decision(material(), "cv", part("binary", "decision_curve"))
    assert figure is not None
    # y runs from -0.075 to 0.54: 0.5 lies at 310 - 298 * 0.575 / 0.615
    assert paths(figure.body, "s1", "line") == ["M87 31.4L149 128.3L211 225.2"]
    assert paths(figure.body, "axis", "line") == ["M87 55.6L149 128.3L211 273.7"]
    assert lines(figure.body, "ideal") == [(56, 273.7, 366, 273.7)]
    assert "at thresholds of 10% to 50%." in figure.description
    assert {"treat all", "treat none", "logistic"} <= set(texts(figure.body))


@pytest.mark.parametrize(
    ("useful", "said"),
    [
        ([], "no threshold"), ([[0.2, 0.2]], "20%"), ([[0.1, 0.11], [0.2, 0.4]], "20% to 40%"),
        ([[0.1, 0.3], [0.5, 0.6]], "10% to 30% and 50% to 60%"),
    ],
)  # fmt: skip
def test_where_a_model_helps_in_words(useful: list[list[float]], said: str):
    data = part("binary", "decision_curve")
    data["models"]["logistic"]["useful"] = useful
    figure = figures.decision(material(), "cv", data)
    assert figure is not None
    assert figure.description.endswith(f"at thresholds of {said}.")


def test_benefit_far_below_zero_or_unknown_is_not_drawn():
    data = part("binary", "decision_curve")
    data["models"]["logistic"]["net_benefit"] = [0.5, math.nan, -3.0]
    data["all"] = [0.5, -0.5, -9.0]
    figure = figures.decision(material(), "cv", data)
    assert figure is not None
    assert paths(figure.body, "s1", "line") == ["M87 31.4"]
    assert paths(figure.body, "axis", "line") == ["M87 31.4"]


def test_observed_against_predicted():
    held = regression(members())
    figure = figures.residuals(material(held), "holdout", held["curves"]["parts"]["holdout"]["residuals"])
    assert figure is not None
    # both axes run from 68 (98 - 30) to 238 (205 + 33)
    assert circles(figure.body) == [(132.8, 257.4), (372.8, 69.8)]
    assert lines(figure.body, "whisker")[1] == (372.8, 127.7, 372.8, 12)
    assert "R² 0.480 (0.400 to 0.550); mean absolute error 44.1 (40.2 to 48.3)." in figure.description
    assert "a group of 20 or more cases" in str(figure.caption)


def test_residuals_of_small_groups_only_are_no_picture():
    few = [
        {"n": 9, "predicted": 1.0, "observed": 2.0, "sd": 0.5},
        {"n": 30, "predicted": 1.0, "observed": None, "sd": 0.5},
    ]
    assert figures.residuals(material(regression(members())), "cv", few) is None


def test_survival_curves_are_steps_with_a_band_and_numbers_at_risk():
    figure = figures.survival(material(survival(members())), "cv", part("survival", "risk_groups"))
    assert figure is not None
    assert figure.height == 353
    # x = 96 + 180 t, y = 250 - 238 S
    assert paths(figure.body, "s1", "line")[0] == "M96 12L276 12L276 35.8L456 35.8L456 59.6"
    assert paths(figure.body, "band") == ["M276 12L456 35.8L456 83.4L276 59.6Z"]
    below = [a for a in Dom(figure.body).named("text") if a.get("class") == "small mid"]
    assert [float(a["x"] or 0) for a in below] == [96, 276, 456]
    assert texts(figure.body)[-3:] == ["100", "40", "<10"]
    assert "low risk: 100 cases" in figure.description


def test_survival_without_limits_has_no_band():
    data = part("survival", "risk_groups")
    data["groups"][0] |= {"low": [], "high": []}
    figure = figures.survival(material(survival(members())), "cv", data)
    assert figure is not None
    assert paths(figure.body, "band") == []


def test_the_leading_measure_follows_the_task():
    m = material()
    assert figures.lead_metric(m, {"brier": {}, "auroc": {}}) == "auroc"
    assert figures.lead_metric(m, {"brier": {}, "auroc": None}) == "brier"
    assert figures.lead_metric(m, {"f1": {}}) == ""
    assert figures.lead_metric(nothing(), {"auroc": {}}) == ""


def test_sites_stand_under_one_another_with_their_range():
    figure = figures.sites(material())
    assert figure is not None
    assert (figure.width, figure.height, figure.wide) == (720, 30 + 24 * 3 + 48, True)
    # x = 262 + 290 * (v - 0.478) / 0.484, the range 0.5 to 0.94 with a twentieth of room on either side
    assert [x for x, _ in circles(figure.body)] == pytest.approx([454.9, 395.0, 514.9], abs=0.06)
    assert [y for _, y in circles(figure.body)] == [28, 52, 76]
    assert figure.description == "AUROC at 2 sites, from 0.70 to 0.80."
    assert {"120 cases", "80 cases", "200 cases", "all, cross-validation", "0.900 (0.850 to 0.940)"} <= set(
        texts(figure.body)
    )


def test_a_site_without_a_score_is_named_and_not_drawn():
    held = members()
    for site in ("site=north", "site=south"):
        held["scores"]["parts"][site]["logistic"]["auroc"] = {"value": math.nan, "low": None, "high": None, "n": 5}
    figure = figures.sites(material(held))
    assert figure is not None
    assert len(circles(figure.body)) == 1
    assert "not estimable" in figure.description
    assert "<10 cases" in texts(figure.body)


def test_subgroups_name_those_that_are_hidden():
    figure = figures.subgroups(material())
    assert figure is not None
    assert figure.height == 30 + 24 * 4 + 48
    assert len(circles(figure.body)) == 2
    told = texts(figure.body)
    assert {"small, hidden", "120 cases", "0.880 (0.800 to 0.950)", "0.900 (0.850 to 0.940)"} <= set(told)
    assert figure.description == "AUROC in subgroups by sex, cross-validation."


def test_subgroups_of_which_none_was_scored_are_no_picture():
    held = members()
    held["curves"]["subgroups"] = {"sex": [{"group": "f", "hidden": "few"}], "odd": "x"}
    assert figures.subgroups(material(held)) is None


def test_importance_is_bars_from_zero():
    figure = figures.importance(material())
    assert figure is not None
    bars = [(float(a["x"] or 0), float(a["width"] or 0)) for a in Dom(figure.body).named("rect")]
    # x = 262 + 290 * (v + 0.014) / 0.088: the range -0.01 to 0.07 with a twentieth of room
    zero = 262 + 290 * 0.014 / 0.088
    assert bars == [
        pytest.approx((zero, 290 * 0.05 / 0.088), abs=0.11),
        pytest.approx((zero, 290 * 0.01 / 0.088), abs=0.11),
    ]
    assert "0.0500 (0.0300 to 0.0700)" in figure.body
    assert "0.0100 (−0.0100 to 0.0300)" in figure.body
    assert "the strongest is age" in figure.description


def test_only_the_strongest_columns_are_drawn():
    held = {"importance": {f"c{i}": estimate(30 - i, 29 - i, 31 - i) for i in range(25)}}
    figure = figures.importance(nothing(explanation=held), most=20)
    assert figure is not None
    assert "The 5 weakest are not drawn." in str(figure.caption)
    assert "c19" in figure.body
    assert "c20" not in figure.body
    assert "30.0 (29.0 to 31.0)" in figure.body


def test_the_learning_curve_lies_where_it_should():
    figure = figures.learning(material(regression(members())))
    assert figure is not None
    # x = 56 + 408 * units / 200; y from 42.1 to 52.9
    assert paths(figure.body, "line") == ["M158 92L260 202.4L464 257.6"]
    assert figure.caption == "More cases would help."
    assert figure.description == "Mean absolute error against the number of training units."


@pytest.mark.parametrize(
    "data", [{"units": [10], "mean": [1.0]}, {"units": [10, 20], "mean": [1.0, math.nan]}, {"units": [], "mean": []}]
)
def test_a_learning_curve_of_one_point_or_with_holes_is_none(data: dict[str, Any]):
    assert figures.learning(nothing(curves={"learning_curve": data})) is None


def test_names_of_the_table_are_escaped_in_every_picture():
    evil = "<script>alert('x')</script>&"
    held = members()
    held["scores"]["chosen"] = evil
    held["study"]["target"] = held["facts"]["card"]["target"] = [evil]
    cv = held["scores"]["parts"]["cv"]
    cv[evil] = cv.pop("logistic")
    held["scores"]["parts"] = {"cv": cv}
    held["scores"]["parts"]["site=" + evil] = {evil: {"auroc": estimate(0.8, 0.7, 0.9)}}
    curves = held["curves"]["parts"]["cv"]
    curves["roc"] = {evil: curves["roc"]["logistic"]}
    curves["decision_curve"]["models"] = {evil: curves["decision_curve"]["models"]["logistic"]}
    held["curves"]["subgroups"] = {evil: [{"group": evil, "n": 50, "scores": {"auroc": estimate(0.8, 0.7, 0.9)}}]}
    held["explanation"]["importance"] = {evil: estimate(1, 0.5, 1.5)}
    m = material(held)
    made = [*figures.of_part(m, "cv"), figures.sites(m), figures.subgroups(m), figures.importance(m)]
    assert len(made) == 6
    for figure in made:
        assert figure is not None
        assert "<script" not in figure.html()
        assert dangers(Dom(figure.html())) == []
