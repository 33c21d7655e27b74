"""Survival through the engine: the event named on the command line, refusals by row, one horizon for all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.engine.prepare import prepare
from osler.engine.study import Study
from osler.errors import TargetError


def registry(n: int = 60) -> Cohort:
    """Sixty people with a status of 0, 1 and 2; rows 5 and 9 have no usable duration."""
    rng = np.random.default_rng(4)
    days = rng.exponential(100, n).round(1) + 1
    days[4], days[8] = 0.0, -2.0
    frame = pl.DataFrame({"age": rng.normal(60, 8, n).round(1), "days": days, "status": np.arange(n) % 3})
    columns = (Column("age", "number"), Column("days", "number"), Column("status", "number"))
    return Cohort(frame, columns)


def test_competing_codes_are_refused_until_one_is_named():
    with pytest.raises(TargetError) as caught:
        prepare(Study(duration="days", event="status"), registry())
    assert caught.value.code == "target-competing"
    prepared = prepare(Study(duration="days", event="status==2"), registry())
    assert prepared.target.names == ("days", "status")
    assert prepared.target.event.sum() == np.isin(np.arange(60) % 3, 2).sum() - 1  # row 9 (position 8) held one
    assert prepared.study.task == "survival"


def test_rows_without_a_positive_duration_are_in_the_ledger():
    prepared = prepare(Study(duration="days", event="status=1"), registry())
    refused = prepared.cohort.refusals.filter(pl.col("action") == "row refused")
    assert sorted(refused["row"].to_list()) == [5, 9]
    assert len(prepared.cohort) + 2 == 60
    assert prepared.target.horizon > 0
    assert prepare(Study(duration="days", event="status=1", horizon=50.0), registry()).target.horizon == 50.0
