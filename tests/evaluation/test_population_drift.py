"""Drift: the distances by hand and against peers, planted shifts found, none invented."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from osler.cohort import Cohort, Column
from osler.evaluation import drift as dr


def people(
    rng: np.random.Generator, n: int, shift: float = 0.0, gone: float = 0.1, city: float = 0.5
) -> Cohort:
    """Two numbers and a category; one number may be shifted, have more gaps, or the category other shares."""
    age = rng.normal(60 + 10 * shift, 10, n)
    frame = pl.DataFrame(
        {
            "age": np.where(rng.random(n) < gone, np.nan, age),
            "height": rng.normal(170, 8, n),
            "home": np.where(rng.random(n) < city, "city", "country"),
        }
    )
    kinds = {"age": "number", "height": "number", "home": "category"}
    return Cohort(frame, tuple(Column(k, m) for k, m in kinds.items()))


def test_psi_by_hand():
    e, a = np.array([49.5, 49.5]), np.array([24.5, 74.5])
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert dr.psi(e, a) == pytest.approx(expected)
    assert dr.psi(e, e) == 0
    assert np.isfinite(dr.psi(np.array([10, 0]), np.array([0, 10])))


def test_jensen_shannon_agrees_with_scipy():
    e, a = np.array([5, 3, 2]), np.array([1, 1, 8])
    assert dr.jensen_shannon(e, a) == pytest.approx(jensenshannon(e, a, base=2) ** 2)
    assert dr.jensen_shannon(np.array([4, 0]), np.array([0, 4])) == pytest.approx(1)


def test_verdicts():
    assert [dr.verdict(v) for v in (0.05, 0.2, 0.3)] == ["stable", "moderate", "large"]


def test_no_shift_is_no_drift(rng):
    found = dr.drift(people(rng, 800), people(rng, 800), rng)
    assert all(c["verdict"] == "stable" for c in found["columns"].values())
    assert found["domain_auroc"]["low"] < 0.5 < found["domain_auroc"]["high"] + 0.02
    json.dumps(found, allow_nan=False)


def test_a_shifted_number_is_found_and_the_others_left_alone(rng):
    found = dr.drift(people(rng, 500), people(rng, 400, shift=1.0), rng)
    assert found["columns"]["age"]["verdict"] == "large"
    assert found["columns"]["age"]["ks_p"] < 1e-6
    assert found["columns"]["height"]["verdict"] == "stable"
    assert found["columns"]["home"]["verdict"] == "stable"
    assert found["domain_auroc"]["low"] > 0.65
    assert found["domain_auroc"]["n"] == 900


def test_a_changed_category_is_found(rng):
    found = dr.drift(people(rng, 500), people(rng, 500, city=0.9), rng)["columns"]["home"]
    assert found["verdict"] == "large"
    assert found["chi2_p"] < 1e-6
    assert found["new_levels"] == 0


def test_a_change_in_missingness_is_found(rng):
    found = dr.drift(people(rng, 500, gone=0.02), people(rng, 500, gone=0.5), rng)
    age = found["columns"]["age"]
    assert age["missing_before"] < 0.05 < 0.4 < age["missing_after"]
    assert age["missing_p"] < 1e-6
    assert age["verdict"] == "large"
    assert found["domain_auroc"]["low"] > 0.6


def test_ks_and_chi2_are_those_of_scipy(rng):
    before, after = people(rng, 200), people(rng, 150, shift=0.3)
    found = dr.drift(before, after, rng)["columns"]
    a, b = (c.values("height").to_numpy() for c in (before, after))
    assert found["height"]["ks"] == pytest.approx(stats.ks_2samp(a, b).statistic)
    table = [[(c.values("home") == v).sum() for v in ("city", "country")] for c in (before, after)]
    assert found["home"]["chi2"] == pytest.approx(stats.chi2_contingency(table)[0])


def test_a_level_never_seen_before_is_counted():
    found = dr.level_drift(pl.Series(["a", "b"] * 20), pl.Series(["a", "z"] * 20))
    assert found["new_levels"] == 1
    assert found["js"] == pytest.approx(0.5)


def test_a_column_that_is_empty_at_one_place_is_said():
    found = dr.number_drift(pl.Series([1.0, 2.0, 3.0]), pl.Series([None, None, None], dtype=pl.Float64))
    assert found["psi"] is None
    assert found["verdict"] == "not measured in one of the tables"
    assert found["missing_after"] == 1


def test_columns_that_are_not_shared_are_named(rng):
    before, after = people(rng, 50), people(rng, 50).select(["age", "home"])
    found = dr.drift(before, after, rng)
    assert found["only_before"] == ["height"]
    assert found["only_after"] == []
    assert set(found["columns"]) == {"age", "home"}


def test_groups_are_kept_together_in_the_domain_classifier(rng):
    # each unit has its own height: a row split could memorise it, a unit split cannot
    def repeated(n: int) -> Cohort:
        height = np.repeat(rng.normal(170, 8, n), 10)
        return Cohort(pl.DataFrame({"height": height}), (Column("height", "number"),))

    before, after = repeated(30), repeated(30)
    codes = np.repeat(np.arange(30), 10)
    found = dr.drift(before, after, rng, groups=(codes, codes))["domain_auroc"]
    assert found["high"] - found["low"] > 0.15


def test_too_few_rows_have_no_domain_auroc(rng):
    found = dr.drift(people(rng, 30), people(rng, 5), rng)
    assert found["domain_auroc"] == {"value": None, "low": None, "high": None, "n": 35}
