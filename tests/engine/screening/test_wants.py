"""Conditions and aims: what typed texts mean, by hand, and what is refused."""

from __future__ import annotations

import math

import pytest

from osler.engine.screening import wants
from osler.errors import ColumnError, OptionError

ROW = {"a_pred": 2.0, "label": "1", "a_in_domain": True, "gap": None, "hole": math.nan}


@pytest.mark.parametrize(("text", "holds"), [
    ("a_pred<2", False), ("a_pred <= 2", True), ("a_pred>=2.0", True), ("a_pred = 2", True), ("a_pred>3", False), ("label=1", True),
    ("label==0", False), ("a_in_domain=true", True), ("a_in_domain=no", False), ("gap<5", False), ("hole>-5", False), ("hole<5", False),
])  # fmt: skip
def test_conditions(text: str, holds: bool):
    assert wants.limits_of([text])[0].holds(ROW) is holds


def test_one_aim_is_its_value_and_several_a_geometric_mean():
    assert wants.score(wants.aims_of(["a"], []), {"a": 3.0}) == 3.0
    assert wants.score(wants.aims_of([], ["a"]), {"a": 3.0}) == -3.0
    both = wants.aims_of(["a:0:10"], ["b:8:4"])
    assert wants.score(both, {"a": 4.0, "b": 4.5}) == pytest.approx(math.sqrt(0.4 * 0.875))
    assert wants.score(both, {"a": 99.0, "b": 9.0}) == 0.0
    assert wants.score(both, {"a": 99.0, "b": 1.0}) == 1.0
    assert math.isnan(wants.score(both, {"a": None, "b": 1.0}))


@pytest.mark.parametrize(("maximise", "minimise"), [
    (["a", "b"], []), (["a:1:0"], []), ([], ["a:0:1"]), (["a:0"], []), (["a:x:y"], []), (["a:0:1"], ["b"]),
])  # fmt: skip
def test_aims_that_make_no_score_are_refused(maximise: list[str], minimise: list[str]):
    with pytest.raises(OptionError):
        wants.aims_of(maximise, minimise)


@pytest.mark.parametrize("text", ["herg", "herg<", "<3", "a ! 3"])
def test_texts_that_are_no_condition_are_refused(text: str):
    with pytest.raises(OptionError, match="want"):
        wants.limits_of([text])


def test_everything_wanted_must_fit_the_columns():
    wants.check(wants.limits_of(["a_pred<3", "label=1"]), wants.aims_of(["a_pred"], []), ROW)
    with pytest.raises(ColumnError, match="a_pred"):
        wants.check(wants.limits_of(["a_perd<3"]), (), ROW)
    for limit in ("a_pred<high", "label<3", "a_in_domain>0"):
        with pytest.raises(OptionError):
            wants.check(wants.limits_of([limit]), (), ROW)
    with pytest.raises(OptionError, match="words"):
        wants.check((), wants.aims_of(["label"], []), ROW)
