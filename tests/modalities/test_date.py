"""Dates: formats, years since 2000, season."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from osler.cohort.column import Column
from osler.modalities.date import Date

date = Date()
COLUMN = Column("seen", "date")


def encoded(values, column=COLUMN):
    """Values fitted and encoded."""
    series = pl.Series("seen", values)
    return date.encode(series, date.fit(series, column))


def test_years_since_2000_by_hand():
    block = encoded(["2000-01-01", "2004-01-01", "1999-12-31", None])
    assert block.names == ("seen (years since 2000)", "seen (season, sine)", "seen (season, cosine)")
    assert block.values[:3, 0] == pytest.approx([0.0, 1461 / 365.2425, -1 / 365.2425])
    assert np.isnan(block.values[3]).all()


def test_season_turns_once_a_year():
    block = encoded(["2021-01-01", "2021-07-02", "2023-01-01"])
    assert block.values[0, 2] > 0.99
    assert block.values[1, 2] < -0.99
    assert block.values[0, 1:] == pytest.approx(block.values[2, 1:])
    assert (block.values[:, 1] ** 2 + block.values[:, 2] ** 2) == pytest.approx([1, 1, 1])


def test_season_can_be_left_out():
    block = encoded(["2021-01-01", "2021-07-02"], Column("seen", "date", options={"season": False}))
    assert block.names == ("seen (years since 2000)",)


@pytest.mark.parametrize(
    "values",
    [
        ["2021-03-04", "2021-12-31"],
        ["2021-03-04 00:00:00", "2021-12-31 00:00:00"],
        ["04.03.2021", "31.12.2021"],
        ["04/03/2021", "31/12/2021"],
        ["03/04/2021", "12/31/2021"],
        ["04-Mar-2021", "31-Dec-2021"],
        ["2021/03/04", "2021/12/31"],
        [dt.date(2021, 3, 4), dt.date(2021, 12, 31)],
        [dt.datetime(2021, 3, 4), dt.datetime(2021, 12, 31)],
    ],
)
def test_every_way_to_write_a_date(values):
    assert np.array_equal(encoded(values).values, encoded([dt.date(2021, 3, 4), dt.date(2021, 12, 31)]).values)


def test_eight_digits():
    column = Column("seen", "date", options={"formats": ["%Y%m%d"]})
    series = pl.Series("seen", [20210304, 20211399, None])
    block = date.encode(series, date.fit(series, column))
    assert block.present.tolist() == [True, False, False]
    assert date.check(series, column).to_list() == [False, True, False]


def test_new_rows_are_read_by_the_training_format():
    train = pl.Series(["25/03/2021", "01/02/2021"])
    state = date.fit(train, COLUMN)
    assert state["formats"] == ["%d/%m/%Y"]
    new = date.encode(pl.Series(["05/06/2021"]), state)
    assert new.values[0, 0] == pytest.approx((dt.date(2021, 6, 5) - dt.date(2000, 1, 1)).days / 365.2425)


def test_state_and_summary_hold_whole_years_only():
    values = pl.Series([f"2021-{m:02d}-17" for m in range(1, 13)])
    state = date.fit(values, COLUMN)
    assert (state["first_year"], state["last_year"]) == (2021, 2021)
    assert date.summarise(values, COLUMN) == {"n": 12, "missing": 0, "first_year": 2021, "last_year": 2021}
    assert "-17" not in str(state)
