"""Splits divide no unit, records hold no value, limits stop at the byte: tables of cases and relations."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort import limits
from osler.cohort.check import check, clean
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.grouping import groups_of
from osler.cohort.record import content, rows_hash, split_table, splits_of, table_hash, unit_codes
from osler.cohort.split import Split, by_site, cross_validation, hold_out, read_spec, site_names, stratified_group_folds
from osler.errors import LimitError, OptionError, OslerError, ReadError, TargetError, ViolationError

KEY = b"k" * 32


def cohort(n: int = 24, seed: int = 0) -> Cohort:
    rng = np.random.default_rng(seed)
    table = pl.DataFrame({
        "patient": [f"p{i // 2}" for i in range(n)], "site": [f"s{i // 2 % 3}" for i in range(n)],
        "day": [dt.date(2020, 1, 1) + dt.timedelta(days=i // 2) for i in range(n)], "age": rng.normal(60, 10, n),
        "arm": (["a", "b"] * n)[:n], "ill": [i // 2 % 2 for i in range(n)],
    })  # fmt: skip
    roles = {"patient": "unit", "site": "site", "day": "time", "ill": "target"}
    kinds = {"day": "date", "age": "number", "ill": "boolean"}
    return Cohort(table, tuple(Column(c, kinds.get(c, "category"), roles.get(c, "input")) for c in table.columns))


# -- dealing units out ---------------------------------------------------------------------------------------


@given(st.integers(2, 5), st.integers(0, 1000), st.integers(10, 60))
def test_folds_are_whole_units_and_even(k: int, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    groups, strata = rng.integers(0, max(k, n // 3), n), rng.integers(0, 2, n)
    if len(np.unique(groups)) < k:
        with pytest.raises(TargetError):
            stratified_group_folds(groups, strata, k, rng)
        return
    folds = stratified_group_folds(groups, strata, k, rng)
    assert set(folds) == set(range(k))
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1
    sizes, largest = np.bincount(folds, minlength=k), np.bincount(groups).max()
    assert sizes.max() - sizes.min() <= 2 * largest + 1


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_single_rows_are_dealt_as_evenly_as_can_be(k: int) -> None:
    strata = np.repeat([0, 1, 2], [50, 30, 20])
    folds = stratified_group_folds(np.arange(100), strata, k, np.random.default_rng(0))
    for code in range(3):
        counts = np.bincount(folds[strata == code], minlength=k)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("k", "error"), [(1, OptionError), (0, OptionError), (13, TargetError)])
def test_folds_that_cannot_be(k: int, error: type) -> None:
    with pytest.raises(error):
        stratified_group_folds(np.repeat(np.arange(12), 2), np.zeros(24), k, np.random.default_rng(0))


@pytest.mark.parametrize("repeats", [1, 3])
def test_every_row_is_tested_once_per_repeat(repeats: int) -> None:
    c = cohort()
    groups = groups_of(c)
    splits = cross_validation(groups, c.values("ill").to_numpy(), 3, repeats, np.random.default_rng(0))
    assert [s.key for s in splits] == [f"cv/{r}/{f}" for r in range(repeats) for f in range(3)]
    for repeat in range(repeats):
        mine = [s for s in splits if s.repeat == repeat]
        assert sorted(np.concatenate([s.test for s in mine])) == list(range(24))
    for s in splits:
        assert not set(groups[s.train]) & set(groups[s.test])
        assert sorted([*s.train, *s.test]) == list(range(24))


def test_a_class_in_too_few_units_is_refused_by_name() -> None:
    strata = np.array([0] * 18 + [1] * 4)
    with pytest.raises(TargetError, match="'yes' is in 2") as error:
        cross_validation(np.repeat(np.arange(11), 2), strata, 5, 1, np.random.default_rng(0), classes=("no", "yes"))
    assert error.value.code == "target-class"
    assert len(cross_validation(np.repeat(np.arange(11), 2), strata, 5, 1, np.random.default_rng(0), classes=None)) == 5


def test_one_seed_one_deal() -> None:
    deal = lambda seed: stratified_group_folds(np.arange(40), np.arange(40) % 2, 4, np.random.default_rng(seed))  # noqa: E731
    assert (deal(1) == deal(1)).all()
    assert (deal(1) != deal(2)).any()


# -- sites and hold-outs -------------------------------------------------------------------------------------


def test_each_site_once_without_its_people_elsewhere() -> None:
    c = cohort().with_column(
        pl.Series(["moved"] * 4 + [f"p{i}" for i in range(20)]), Column("patient", "category", "unit")
    )
    groups = groups_of(c)
    splits = by_site(c, groups)
    assert [s.part for s in splits] == ["site=s0", "site=s1", "site=s2"]
    for s in splits:
        assert not set(groups[s.train]) & set(groups[s.test])
    assert len(splits[2].train) == 16
    assert len(splits[0].train) == 24 - 8 - 2
    assert by_site(c.declare(columns={"site": {"role": "ignore"}}), groups) == []


def test_two_site_columns_are_one_name() -> None:
    c = cohort().declare(columns={"arm": {"role": "site"}})
    assert site_names(c)[:3] == ["s0 + a", "s0 + b", "s1 + a"]
    assert site_names(cohort().select(["age"])) == [None] * 24


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("site=s1", ("site", "=", "s1")),
        ("day>=2020-01-05", ("day", ">=", "2020-01-05")),
        (" age >= 60 ", ("age", ">=", "60")),
        ("0.3", ("", "", "0.3")),
    ],
)
def test_what_a_hold_out_asks_for(spec: str, found: tuple) -> None:
    assert read_spec(cohort(), spec) == found


@pytest.mark.parametrize(
    ("spec", "n_test", "n_train", "by"),
    [
        ("site=s1", 8, 16, "site"),
        ("day>=2020-01-05", 16, 8, "time:day"),
        ("day=2020-01-05", 2, 22, "value:day"),
        ("ill=1", 12, 12, "value:ill"),
        ("0.25", 6, 18, "share"),
    ],
)
def test_hold_outs(spec: str, n_test: int, n_train: int, by: str) -> None:
    c = cohort()
    groups = groups_of(c)
    split = hold_out(c, spec, groups, np.random.default_rng(0))
    assert (split.part, split.by, len(split.test), len(split.train)) == ("holdout", by, n_test, n_train)
    assert not set(groups[split.train]) & set(groups[split.test])


@pytest.mark.parametrize(
    "spec",
    ["sit=s1", "1.5", "0", "site=nowhere", "age>=sixty", "age=sixty", "nonsense", "day>=2031-01-01", "age>=-1000"],
)
def test_hold_outs_that_cannot_be(spec: str) -> None:
    c = cohort()
    with pytest.raises(OptionError) as error:
        hold_out(c, spec, groups_of(c), np.random.default_rng(0))
    assert error.value.code == "option"


@pytest.mark.parametrize(("show_ids", "key"), [(False, b""), (False, KEY), (True, KEY)])
def test_a_hold_out_that_divides_people_is_a_leak(show_ids: bool, key: bytes) -> None:
    c = cohort()
    with pytest.raises(ViolationError) as error:
        hold_out(c, "arm=a", groups_of(c), np.random.default_rng(0), key=key, show_ids=show_ids)
    assert error.value.code == "leak"
    assert "12 units" in error.value.message
    assert ("p0" in error.value.message) is show_ids


@given(st.permutations(range(24)))
def test_a_split_of_a_part_lies_in_the_whole(order: list[int]) -> None:
    at = np.array(order[:10])
    split = Split("cv", 0, 0, np.array([0, 3]), np.array([5, 9])).at(at)
    assert split.train.tolist() == sorted([order[0], order[3]])
    assert split.test.tolist() == sorted([order[5], order[9]])


# -- records -------------------------------------------------------------------------------------------------


def recorded(c: Cohort, key: bytes = KEY) -> tuple[pl.DataFrame, list[Split]]:
    splits = cross_validation(groups_of(c), c.values("ill").to_numpy(), 3, 2, np.random.default_rng(0))
    return split_table(c, splits, key), splits


def test_a_record_gives_splits_and_units_back_and_no_value() -> None:
    c = cohort()
    table, splits = recorded(c)
    for one, other in zip(splits, splits_of(table), strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)
    np.testing.assert_array_equal(unit_codes(table), groups_of(c))
    text = table.write_csv()
    assert not any(word in text for word in ("p0", "s1,", "2020-01", f"{c.values('age')[0]}"))


def test_pseudonyms_need_the_key() -> None:
    one, other = recorded(cohort())[0], recorded(cohort(), b"x" * 32)[0]
    assert not set(one["unit:patient"]) & set(other["unit:patient"])
    assert not set(one["content"]) & set(other["content"])
    assert one["time"].to_list() == [i // 2 for i in range(24)]


@pytest.mark.parametrize("change", ["age", "ill", "patient", "site"])
def test_one_changed_cell_changes_the_record(change: str) -> None:
    c = cohort()
    values = c.values(change).to_list()
    values[3] = {"age": 1.0, "ill": 7, "patient": "new", "site": "new"}[change]
    other = c.with_column(pl.Series(values), c.column(change))
    _, splits = recorded(c)
    assert table_hash(split_table(c, splits, KEY), KEY) != table_hash(split_table(other, splits, KEY), KEY)


def test_content_is_what_predicts_and_what_is_asked() -> None:
    c = cohort()
    again = c.with_column(pl.Series(["x"] * 24), c.column("patient"))
    assert content(again) == content(c)
    assert content(c.take(np.array([5, 1]))) == [content(c)[5], content(c)[1]]
    assert len(set(content(c))) == 24
    assert content(c.select(["patient"])) == [f"row {i}" for i in range(1, 25)]


@given(st.lists(st.integers(1, 10**6), unique=True, min_size=1), st.randoms())
def test_a_set_of_rows_has_one_name(rows: list[int], random) -> None:
    mixed = rows.copy()
    random.shuffle(mixed)
    assert rows_hash(np.array(rows), KEY) == rows_hash(np.array(mixed), KEY)
    assert rows_hash(np.array(rows), KEY) != rows_hash(np.array([*rows, 0]), KEY)
    assert rows_hash(np.array(rows), KEY) != rows_hash(np.array(rows), b"other")


# -- cleaning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kept", "n"),
    [
        ({}, [0.0, 500.0, 60.0, -9.0], 0),
        ({"missing_codes": [-9]}, [0.0, 500.0, 60.0, None], 1),
        ({"possible": (0, 120)}, [0.0, None, 60.0, None], 2),
        ({"possible": (0, 120), "missing_codes": [-9, 0]}, [None, None, 60.0, None], 3),
        ({"possible": (0, 120), "impossible": "keep"}, [0.0, 500.0, 60.0, -9.0], 0),
    ],
)
def test_impossible_values_are_emptied_and_listed(options: dict, kept: list, n: int) -> None:
    table = pl.DataFrame({"age": [0.0, 500.0, 60.0, -9.0]})
    c = clean(Cohort(table, (Column("age", "number", options=options),)))
    assert c.values("age").to_list() == kept
    assert c.refusals.height == n
    assert sorted(c.refusals["row"].to_list()) == [i + 1 for i, v in enumerate(kept) if v is None]
    assert clean(c).table.equals(c.table)
    assert clean(c).refusals.height == n


def test_findings_are_sorted_and_quote_no_person() -> None:
    c = cohort(60).with_column(pl.Series([f"Ann Smith {i}" for i in range(60)]), Column("surname", "category"))
    found = check(c)
    grave = [["note", "warning", "stop"].index(f.severity) for f in found]
    assert grave == sorted(grave, reverse=True)
    assert not any("Ann" in f.message + f.advice for f in found)
    assert len({(f.code, f.column, f.message) for f in found}) == len(found)


# -- limits --------------------------------------------------------------------------------------------------

TEXT = b"a,b\n1,2\n" * 500


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return out.getvalue()


PACKED = {
    "": TEXT,
    "gzip": gzip.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zip": zipped("a.csv", "__MACOSX/a", "folder/"),
}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_unpack_to_their_text(kind: str, tmp_path) -> None:
    path = tmp_path / "t"
    data = zipped("a.csv", "__MACOSX/a") if kind == "zip" else PACKED[kind]
    path.write_bytes(data)
    assert limits.packing(data[:8]) == kind
    assert b"".join(limits.unpack(path)) == TEXT
    with pytest.raises(LimitError) as error:
        list(limits.unpack(path, len(TEXT) - 1))
    assert error.value.code == "limit-size"


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip"])
@pytest.mark.parametrize("left", [0.5, 0.9])
def test_files_that_end_too_early_are_refused(kind: str, left: float, tmp_path) -> None:
    path = tmp_path / "t"
    path.write_bytes(PACKED[kind][: max(int(len(PACKED[kind]) * left), 8)])
    with pytest.raises(ReadError) as error:
        list(limits.unpack(path))
    assert error.value.code == "read-truncated"


def test_bombs_zstd_and_several_members_are_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 16)
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(LimitError) as error:
        list(limits.unpack(path))
    assert error.value.code == "limit-ratio"
    for data in (b"\x28\xb5\x2f\xfd1234", zipped("a", "b"), zipped("folder/")):
        path.write_bytes(data)
        with pytest.raises(OslerError):
            list(limits.unpack(path))


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("{}", 1),
        ("1", 0),
        ("[[[]]]", 3),
        ('{"a": "[[[["}', 1),
        ('{"a\\"[": [1]}', 2),
        (b"[[]", 2),
        ("[" * 64 + "]" * 64, 64),
    ],
)
def test_depth_of_json(text: str | bytes, depth: int) -> None:
    assert limits.json_depth(text) == depth


@pytest.mark.parametrize(
    "name", ["../a", "", "A", "con", "nul.csv", "a/b", "a" * 65, ".a", "a..b", "com1.txt", "ä", "a\n"]
)
def test_names_that_become_no_file(name: str) -> None:
    with pytest.raises(ReadError) as error:
        limits.safe_name(name)
    assert error.value.code == "read-outside"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\0b", "link/x"])
def test_paths_that_lead_outside(path: str, tmp_path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ReadError) as error:
        limits.inside(root, path)
    assert error.value.code == "read-outside"
    assert limits.inside(root, "a/../b") == (root / "b").resolve()
    with pytest.raises(LimitError):
        limits.json_depth("[" * 65)
