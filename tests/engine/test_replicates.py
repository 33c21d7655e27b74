"""What repeats of one thing say of the noise, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler import modalities
from osler.cohort.grouping import replicates_of
from osler.cohort.read import read
from osler.engine import replicates
from osler.tasks.base import Target


@pytest.fixture(autouse=True)
def letters(monkeypatch):
    monkeypatch.setitem(modalities.INDEX, "letters", "tests.engine.sameness_modality:Letters")


def cohort(words, **more):
    table = pl.DataFrame({"word": words, **more})
    return read(table, columns={"word": "letters"}, target="y")


def regression(y):
    return Target("regression", ("y",), np.array(y, dtype=float))


def test_rows_repeat_only_where_every_input_does():
    c = cohort(["ab", "ba", "ab", None, None, "cd"], z=[1.5, 1.5, 2.5, 1.5, 1.5, 1.5], y=[1.0, 2, 3, 4, 5, 6])
    codes = replicates_of(c)
    assert codes[0] == codes[1]
    assert len({codes[0], codes[2], codes[5]}) == 3
    assert (codes[3:5] == -1).all()
    plain = read(pl.DataFrame({"z": [1.5, 1.5], "y": [1.0, 2.0]}), target="y")
    assert (replicates_of(plain) == -1).all()


def test_the_spread_within_things_by_hand():
    y = [1.0, 3.0, 5.0, 5.0, 2.0, 4.0, 9.0]  # pairs differ by 2, 0 and 2: squares 2 + 0 + 2, three degrees of freedom
    words = ["ab", "ba", "cd", "dc", "ef", "fe", "gh"]
    facts = replicates.noise(cohort(words, y=y), regression(y))
    assert facts == {}, "three repeats are too few to state a spread"
    facts = replicates.noise(cohort(words * 2, y=y * 2), regression(y * 2))
    # things: ab 1 3 1 3 (squares 4), cd 5 x 4 (0), ef 2 4 2 4 (4), gh 9 9 (0): 8 over 3 + 3 + 3 + 1 = 10
    assert facts["freedom"] == 10
    assert facts["things"] == 4
    assert facts["rows"] == 14
    assert facts["sd"] == pytest.approx(np.sqrt(0.8))
    assert facts["low"] == pytest.approx(np.sqrt(8 / 20.483), abs=1e-4)  # chi-square quantiles of 10, from tables
    assert facts["high"] == pytest.approx(np.sqrt(8 / 3.247), abs=1e-3)
    told = replicates.finding(facts, regression(y))[0]
    assert told.code == "replicates"
    assert "no model can beat that RMSE" in told.message
    assert "0.894" in told.message


def test_classes_that_disagree():
    words, y = ["ab"] * 4 + ["cd"] * 4, np.array([0, 0, 0, 1, 1, 1, 1, 1])
    target = Target("binary", ("y",), y, classes=("no", "yes"))
    facts = replicates.noise(cohort(words, y=y.astype(str).tolist()), target)
    assert facts["disagree"] == pytest.approx(1 / 8)
    assert "12.5%" in replicates.finding(facts, target)[0].message


def test_merging_keeps_the_weighted_mean_and_every_single_row():
    c = cohort(["ab", "cd", "ba", None], y=[1.0, 5.0, 4.0, 7.0])
    target = Target("regression", ("y",), np.array([1.0, 5.0, 4.0, 7.0]), weight=np.array([2.0, 1.0, 1.0, 3.0]))
    rows, merged = replicates.merged(c, target)
    assert rows.tolist() == [0, 1, 3]
    assert merged.y.tolist() == [2.0, 5.0, 7.0]
    assert merged.weight.tolist() == [3.0, 1.0, 3.0]
    binary = Target("binary", ("y",), np.array([0, 1, 0, 1]), classes=("a", "b"))
    assert replicates.merged(c, binary)[0].tolist() == [0, 1, 2, 3]
