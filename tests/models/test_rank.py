"""Columns that cannot be told apart: three people whose height and age rise together."""

from __future__ import annotations

import numpy as np
import pytest

from osler.blocks import dense
from osler.models.base import Encoded
from osler.models.linear import Linear, LinearOptions, linear_width
from osler.models.rank import SCALINGS, prediction_width, rank_report, scaled_answers
from osler.tasks.base import Target

PEOPLE = np.array([[170.0, 25.0], [175.0, 30.0], [180.0, 35.0]])
WEIGHT = np.array([60.0, 65.0, 70.0])
NEW = np.array([[185.0, 28.0]])


def people(rows):
    return {"height_cm": dense(rows[:, :1], ["height_cm"]), "age_years": dense(rows[:, 1:], ["age_years"])}


def test_height_and_age_are_named():
    report = rank_report(PEOPLE, ["height", "age"])
    assert (report.rank, report.p, report.is_full) == (1, 2, False)
    assert report.directions == ({"height": 1.0, "age": -1.0},)
    assert report.unclear == ("height", "age")
    assert "height − age" in report.sentences()[0]


def test_the_three_least_squares_answers_are_reproduced():
    # weight = 60 + a (height - 170) + (1 - a) (age - 25) fits for every a; at (185, 28) it says 63 + 12 a.
    width, every = prediction_width(PEOPLE, WEIGHT, NEW)
    answers = dict(zip(SCALINGS, every[0], strict=True))
    assert answers["raw, constant as a column"] == pytest.approx(63 + 12 * 5076 / 21027)  # 65.9
    assert answers["raw, centred"] == pytest.approx(69.0)  # a = 1/2
    assert answers["divided by largest"] == pytest.approx(63 + 12 * 35**2 / (35**2 + 180**2))  # 63.4
    rounded = {round(a, 1) for a in answers.values()}
    assert {65.9, 69.0, 63.4} <= rounded
    assert width[0, 0] <= 63.44
    assert width[0, 1] >= 69.0 - 1e-9


def test_every_answer_fits_the_rows_exactly():
    for coef in scaled_answers(PEOPLE, WEIGHT):
        assert PEOPLE @ coef[:-1] + coef[-1] == pytest.approx(WEIGHT)


def test_full_rank_has_one_answer(rng):
    X = rng.normal(size=(30, 4)) * [1, 100, 0.01, 3]
    y = rng.normal(size=30)
    assert rank_report(X, list("abcd")).is_full
    width, _ = prediction_width(X, y, X)
    assert np.ptp(width, axis=1).max() < 1e-8


def test_a_sum_of_three_columns_is_found_with_its_weights(rng):
    X = rng.normal(size=(40, 4)) * [1, 10, 100, 5]
    X = np.column_stack([X, 2 * X[:, 0] - 0.5 * X[:, 2] + 7])
    report = rank_report(X, ["a", "b", "c", "d", "total"])
    assert report.rank == 4
    (direction,) = report.directions
    assert set(direction) == {"a", "c", "total"}
    assert direction["c"] / direction["total"] == pytest.approx(0.5)
    assert direction["a"] / direction["total"] == pytest.approx(-2.0)


def test_the_linear_model_keeps_the_report_and_the_width(rng):
    data = Encoded(people(PEOPLE), Target("regression", ("weight",), WEIGHT), np.arange(3))
    params = Linear(LinearOptions(penalty=0.0)).fit(data, rng)
    assert params.meta["rank"]["unclear"] == ["height_cm", "age_years"]
    ((low, high),) = linear_width(params, people(NEW))
    assert low == pytest.approx(63.3426, abs=1e-3)
    assert high == pytest.approx(69.0)
    assert low <= Linear().predict(params, people(NEW)).value[0, 0] <= high + 1e-9


def test_width_is_the_prediction_where_the_rank_is_full(rng):
    X = rng.normal(size=(40, 2))
    data = Encoded(people(X), Target("regression", ("y",), X[:, 0] + rng.normal(size=40)), np.arange(40))
    params = Linear().fit(data, rng)
    assert params.meta["rank"]["directions"] == []
    width = linear_width(params, people(X))
    assert np.array_equal(width[:, 0], width[:, 1])
    assert np.array_equal(width[:, :1], Linear().predict(params, people(X)).value)


def test_a_category_alone_is_not_called_deficient(rng):
    site = rng.integers(0, 3, 60).astype(float)
    block = dense(site[:, None], ["site"], kinds=["categorical"], levels=[("a", "b", "c")])
    data = Encoded({"site": block}, Target("regression", ("y",), site + rng.normal(size=60)), np.arange(60))
    assert Linear().fit(data, rng).meta["rank"]["directions"] == []
