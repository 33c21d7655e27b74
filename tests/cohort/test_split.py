"""Splits: what stays together, how even they are, and what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.cohort.grouping import texts_of
from osler.cohort.instants import instant, instants
from osler.cohort.split import (
    Split,
    by_site,
    codes_of,
    components,
    cross_validation,
    groups_of,
    hold_out,
    join_codes,
    pseudonym,
    read_spec,
    refuse_shared,
    site_names,
    stratified_group_folds,
)  # fmt: skip
from osler.errors import OptionError, TargetError, ViolationError


def cohort(table: dict, **roles: str) -> Cohort:
    """A cohort with roles by keyword; everything else is an input."""
    frame = pl.DataFrame(table)
    kinds = {pl.Date: "date", pl.String: "category", pl.Boolean: "boolean"}
    return Cohort(
        frame, tuple(Column(c, kinds.get(t, "number"), roles.get(c, "input")) for c, t in frame.schema.items())
    )


def test_groups_are_connected_components_of_all_unit_columns():
    people = cohort(
        {"patient": ["a", "b", "a", "c", None, None], "family": [1, 1, 2, 3, 3, None]}, patient="unit", family="unit"
    )
    # rows 0-1 share a family, 0-2 a patient; 3-4 a family; 5 has neither
    assert groups_of(people).tolist() == [0, 0, 0, 1, 1, 2]


def test_without_a_unit_every_row_is_one():
    assert groups_of(cohort({"x": [1.0, 1.0, 1.0]})).tolist() == [0, 1, 2]


def test_codes_ignore_outer_blanks_and_mark_missing():
    codes = codes_of(pl.Series(["p1", " p1", "p2", None, ""]))
    assert codes[0] == codes[1] != codes[2]
    assert codes[3] == codes[4] == -1
    assert codes_of(pl.Series([1.0, float("nan"), 1.0])).tolist() == [0, -1, 0]
    assert codes_of(pl.Series([True, False, None])).tolist() == [1, 0, -1]


def test_texts_and_codes_of_numbers():
    assert texts_of(pl.Series([1.0, 2.0, None])).to_list() == ["1", "2", None]
    assert texts_of(pl.Series([1.5, 2.0])).to_list() == ["1.5", "2.0"]
    big = pl.Series([2**60, 2**60 + 1, None])
    assert codes_of(big).tolist() == [0, 1, -1], "record numbers keep all their digits"


def test_join_codes_chains_and_minus_one_joins_nothing():
    assert join_codes(4, [np.array([0, 0, -1, -1]), np.array([-1, 5, 5, -1])]).tolist() == [0, 0, 0, 1]
    assert components(3, np.array([[2], [1]])).tolist() == [0, 1, 1]


def test_folds_of_single_rows_are_even_to_one():
    y = np.array([0] * 70 + [1] * 30)
    fold = stratified_group_folds(np.arange(100), y, 5, np.random.default_rng(0))
    assert np.bincount(fold).tolist() == [20] * 5
    assert np.bincount(fold, weights=y).tolist() == [6.0] * 5


def test_folds_keep_large_groups_whole_and_balanced():
    groups = np.repeat(np.arange(7), [10, 10, 10, 5, 5, 5, 5])
    fold = stratified_group_folds(groups, np.zeros(50, dtype=int), 2, np.random.default_rng(0))
    assert all(len(np.unique(fold[groups == g])) == 1 for g in range(7))
    assert np.bincount(fold).tolist() == [25, 25]


def test_a_rare_class_is_spread_over_the_folds():
    y = np.zeros(1000, dtype=int)
    y[:5] = 1
    fold = stratified_group_folds(np.arange(1000) // 2, y, 3, np.random.default_rng(4))
    assert sorted(np.bincount(fold[y == 1])) == [1, 2, 2] or sorted(np.bincount(fold[y == 1], minlength=3)) == [1, 2, 2]


def test_same_generator_same_folds_and_another_seed_another_deal():
    y = np.arange(60) % 2
    deal = [stratified_group_folds(np.arange(60), y, 4, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert np.array_equal(deal[0], deal[1])
    assert not np.array_equal(deal[0], deal[2])


def test_cross_validation_tests_every_row_once_per_repeat():
    splits = cross_validation(np.arange(40) // 2, np.arange(40) % 2, 4, 3, np.random.default_rng(0))
    assert [s.key for s in splits[:5]] == ["cv/0/0", "cv/0/1", "cv/0/2", "cv/0/3", "cv/1/0"]
    for repeat in range(3):
        tested = np.concatenate([s.test for s in splits if s.repeat == repeat])
        assert sorted(tested) == list(range(40))
    assert all(s.train.dtype == np.int64 and (np.diff(s.train) > 0).all() for s in splits)


def test_fewer_units_than_folds_is_refused_with_the_counts():
    with pytest.raises(TargetError, match=r"number of units \(3\), was 5") as caught:
        cross_validation(np.repeat([0, 1, 2], 10), np.zeros(30, dtype=int), 5, 1, np.random.default_rng(0))
    assert caught.value.code == "target-rows"


def test_a_class_in_fewer_units_than_folds_is_refused_by_name_and_count():
    y = np.array([0] * 40 + [1] * 9)
    groups = np.concatenate([np.arange(40), np.repeat([40, 41, 42], 3)])
    with pytest.raises(TargetError, match=r"folds \(5\), class 'ill' is in 3 \(9 rows\)") as caught:
        cross_validation(groups, y, 5, 1, np.random.default_rng(0), classes=("well", "ill"))
    assert caught.value.code == "target-class"
    assert len(cross_validation(groups, y, 5, 1, np.random.default_rng(0), classes=None)) == 5


def test_one_fold_is_refused():
    with pytest.raises(OptionError, match="folds must be at least 2"):
        stratified_group_folds(np.arange(9), np.zeros(9, dtype=int), 1, np.random.default_rng(0))


def test_by_site_leaves_out_rows_of_shared_units_and_unknown_sites():
    table = cohort({"p": ["a", "b", "c", "a", "d", "e"], "s": ["X", "X", "Y", "Y", None, "Z"]}, p="unit", s="site")
    splits = {s.part: s for s in by_site(table, groups_of(table))}
    assert list(splits) == ["site=X", "site=Y", "site=Z"]
    assert splits["site=X"].test.tolist() == [0, 1]
    assert splits["site=X"].train.tolist() == [2, 5], "row 3 is of patient a, who was also at X; row 4 has no site"
    assert splits["site=Z"].key == "site=Z/0/0"
    assert by_site(cohort({"s": ["X", "X"]}, s="site"), np.arange(2)) == []
    assert site_names(cohort({"s": ["X", "Y"], "w": ["1", None]}, s="site", w="site")) == ["X + 1", None]


def dated() -> Cohort:
    """Five visits of three patients."""
    days = [dt.date(2020, 1, 1), dt.date(2020, 6, 1), dt.date(2021, 1, 1), dt.date(2021, 6, 1), None]
    return cohort({"p": ["a", "b", "a", "c", "d"], "d": days, "y": [0, 1, 0, 1, 0]}, p="unit", d="time", y="target")


def test_later_hold_out_keeps_the_future_and_drops_the_past_of_its_patients():
    table = dated()
    split = hold_out(table, "d>=2021-01-01", groups_of(table), np.random.default_rng(0))
    assert (split.part, split.by) == ("holdout", "time:d")
    assert split.test.tolist() == [2, 3]
    assert split.train.tolist() == [1], "row 0 is an earlier visit of patient a; row 4 has no date"


def test_hold_out_of_a_number_and_of_a_year():
    table = cohort({"year": [2019, 2020, 2021, 2021], "x": [1.0, 2.0, 3.0, 4.0]}, year="time")
    assert hold_out(table, "year>=2021", np.arange(4), np.random.default_rng(0)).test.tolist() == [2, 3]
    assert hold_out(table, "year=2020", np.arange(4), np.random.default_rng(0)).test.tolist() == [1]


def test_hold_out_of_a_site_and_of_a_column_with_a_sign_in_its_name():
    table = cohort({"s": ["A", "B", "B"], "a=b": ["u", "v", "u"]}, s="site")
    assert hold_out(table, "s=B", np.arange(3), np.random.default_rng(0)).by == "site"
    assert read_spec(table, "a=b=u") == ("a=b", "=", "u")
    assert hold_out(table, "a=b=u", np.arange(3), np.random.default_rng(0)).test.tolist() == [0, 2]


def test_share_hold_out_keeps_units_whole_and_the_target_balanced():
    y = (np.arange(400) // 2 % 4 == 0).astype(int)
    table = cohort({"p": np.arange(400) // 2, "y": y}, p="unit", y="target")
    split = hold_out(table, "0.3", groups_of(table), np.random.default_rng(0))
    assert len(split.test) == 120
    assert y[split.test].sum() == 30
    assert not set(split.test // 2) & set(split.train // 2)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("1.5", "between 0 and 1"), ("yr>=2020", "did you mean 'year'"), ("year>=spring", "compare dates or numbers"),
        ("year=1900", "leaves no held-out rows"), ("year>=1900", "leaves no training rows"), ("year=x", "must be a number"),
    ],
)  # fmt: skip
def test_a_bad_hold_out_is_refused_in_one_sentence(spec, what):
    table = cohort({"year": [2019, 2020, 2021], "x": [1.0, 2.0, 3.0]}, year="time")
    with pytest.raises(OptionError, match=what):
        hold_out(table, spec, np.arange(3), np.random.default_rng(0))


def test_a_split_that_divides_a_unit_is_refused():
    table = cohort({"p": ["a", "a", "b", "c"], "part": ["test", "train", "train", "test"]}, p="unit", part="split")
    with pytest.raises(ViolationError, match=r"1 unit has rows on both: \(rows 1, 2\)") as caught:
        hold_out(table, "part=test", groups_of(table), np.random.default_rng(0))
    assert (caught.value.code, caught.value.exit_code) == ("leak", 1)
    refuse_shared(table, groups_of(table), np.array([0, 1]), np.array([2, 3]), "a good split")


def test_at_moves_a_split_into_a_larger_table():
    inner = Split("cv", 0, 1, np.array([0, 2]), np.array([1]))
    outer = inner.at(np.array([10, 20, 30]))
    assert (outer.train.tolist(), outer.test.tolist(), outer.key) == ([10, 30], [20], "cv/0/1")


def test_pseudonyms_depend_on_the_key_and_hide_the_text():
    assert pseudonym(b"k", "patient 7") == pseudonym(b"k", "patient 7") != pseudonym(b"l", "patient 7")
    assert len(pseudonym(b"k", "patient 7")) == 16


def test_instants_of_dates_texts_and_numbers():
    assert instants(pl.Series([dt.date(1970, 1, 3), None]))[0] == 2.0
    assert instants(pl.Series([dt.datetime(1970, 1, 2, 12)])).tolist() == [1.5]
    assert instants(pl.Series(["1970-01-02", "x"]))[0] == 1.0
    assert instants(pl.Series(["31/01/1970", "02/01/1970"])).tolist() == [30.0, 1.0], "day first: 31 is no month"
    assert instants(pl.Series(["12", "7"])).tolist() == [12.0, 7.0]
    assert instant("2021") == 2021.0
    assert np.isnan(instant("spring"))
    assert np.isnan(instants(pl.Series([[1], [2]]))).all()
