"""From written cells to typed columns: what each column becomes, and that every emptied cell is in the ledger."""

from __future__ import annotations

import datetime as dt
import decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort import cells
from osler.cohort.column import ROW

TWENTY = [str(i) for i in range(1, 21)]


def typed(values: pl.Series, modality: str = "") -> tuple[pl.Series, pl.DataFrame, cells.Ledger]:
    name = values.name or "x"
    table = pl.DataFrame([pl.Series(ROW, range(1, len(values) + 1), dtype=pl.Int64), values.alias(name)])
    out, ledger = cells.typed(table, {name: modality} if modality else {})
    assert out[ROW].to_list() == list(range(1, len(values) + 1))
    return out[name], ledger.table(), ledger


@pytest.mark.parametrize(
    ("texts", "kind", "found"),
    [
        (["1", "2", None], pl.Int64, [1, 2, None]),
        (["1.5", " 2 ", ""], pl.Float64, [1.5, 2.0, None]),
        (["1", "NA", "3"], pl.Int64, [1, None, 3]),
        (["007", "042", "100"], pl.String, ["007", "042", "100"]),
        (["a", "b", "?"], pl.String, ["a", "b", "?"]),
        (["", " ", None], pl.String, [None, None, None]),
        (["1e3", "2.5"], pl.Float64, [1000.0, 2.5]),
        (["2020-01-02", "2021-03-04"], pl.Date, [dt.date(2020, 1, 2), dt.date(2021, 3, 4)]),
        (
            ["2020-01-02 03:04:05", "2021-03-04 00:00:00"],
            pl.Datetime("us"),
            [dt.datetime(2020, 1, 2, 3, 4, 5), dt.datetime(2021, 3, 4)],
        ),
        (["02.01.2020", "04.03.2021"], pl.String, ["02.01.2020", "04.03.2021"]),
        (["1,5", "2,5", "3,0"], pl.Float64, [1.5, 2.5, 3.0]),
        (["1,234,567", "12", "3"], pl.Int64, [1234567, 12, 3]),
        (["9223372036854775808", "1"], pl.String, ["9223372036854775808", "1"]),
        (["yes", "no"], pl.String, ["yes", "no"]),
    ],
)
def test_what_a_column_of_text_becomes(texts: list, kind: pl.DataType, found: list) -> None:
    values, ledger, _ = typed(pl.Series(texts, dtype=pl.String))
    assert values.dtype == kind
    assert values.to_list() == found
    assert ledger.height == 0


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (pl.Series([1, 2], dtype=pl.Int8), pl.Int64, [1, 2]),
        (pl.Series([1, 2**64 - 1], dtype=pl.UInt64), pl.Float64, [1.0, 2.0**64]),
        (pl.Series([1, 2], dtype=pl.UInt64), pl.Int64, [1, 2]),
        (pl.Series([1.5, 2.0], dtype=pl.Float32), pl.Float64, [1.5, 2.0]),
        (pl.Series([decimal.Decimal("1.25")]), pl.Float64, [1.25]),
        (pl.Series(["a", None], dtype=pl.Categorical), pl.String, ["a", None]),
        (pl.Series(["a"], dtype=pl.Enum(["a", "b"])), pl.String, ["a"]),
        (pl.Series([None, None], dtype=pl.Null), pl.String, [None, None]),
        (pl.Series([b"\x01\xff"]), pl.String, ["01ff"]),
        (pl.Series([True, None]), pl.Boolean, [True, None]),
        (pl.Series([dt.time(1, 2)]), pl.Time, [dt.time(1, 2)]),
        (pl.Series([float("nan"), 1.0]), pl.Float64, [None, 1.0]),
        (
            pl.Series([dt.datetime(2020, 1, 1, 12)]).dt.replace_time_zone("Europe/Berlin"),
            pl.Datetime("us"),
            [dt.datetime(2020, 1, 1, 12)],
        ),
        (pl.Series([[1, 2]]), pl.List(pl.Int64), [[1, 2]]),
    ],
)
def test_what_other_types_become(values: pl.Series, kind: pl.DataType, found: list) -> None:
    got, ledger, _ = typed(values)
    assert got.dtype == kind
    assert got.to_list() == found
    assert ledger.height == 0


@pytest.mark.parametrize(
    ("texts", "row", "reason", "code"),
    [
        ([*TWENTY, "high"], 21, "not a number, in a column of numbers", "mixed-types"),
        ([*TWENTY, "<5"], 21, "a limit of measurement (such as '<5'), not a number", "below-limit"),
        (["≥ 90", *TWENTY], 1, "a limit of measurement (such as '<5'), not a number", "below-limit"),
        ([*TWENTY, "inf"], 21, "not a finite number", "infinite-value"),
        ([*TWENTY, "-Infinity"], 21, "not a finite number", "infinite-value"),
        ([*(f"2020-01-{d:02}" for d in range(1, 31)), "soon"], 31, "not a date, in a column of dates", "mixed-types"),
        (["a", "b\0c", "d"], 2, "holds a NUL character", "mixed-types"),
    ],
)
def test_each_emptied_cell_is_listed_with_its_reason(texts: list[str], row: int, reason: str, code: str) -> None:
    values, ledger, _ = typed(pl.Series(texts))
    assert values[row - 1] is None
    assert values.null_count() == 1
    assert ledger.rows() == [(row, "x", reason, "set missing")]
    assert list(cells.findings_of(ledger)) == [(code, "x", 1, reason)]


def test_infinite_floats_are_listed() -> None:
    values, ledger, _ = typed(pl.Series([1.0, float("inf"), float("-inf")]))
    assert values.to_list() == [1.0, None, None]
    assert ledger["row"].to_list() == [2, 3]


def test_a_cell_that_is_too_long_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osler.cohort.limits.MAX_CELL", 5)
    values, ledger, _ = typed(pl.Series(["abc", "abcdef", "abcde"]))
    assert values.to_list() == ["abc", None, "abcde"]
    assert ledger["reason"].to_list() == ["longer than a cell may be"]


@pytest.mark.parametrize(
    ("texts", "modality", "kind"),
    [
        (["1", "2"], "category", pl.String),
        (["1", "2"], "text", pl.String),
        (["007", "042"], "number", pl.Int64),
        (["a", "1", "b"], "number", pl.Int64),
        (["20 Jan 2020", "x", "y"], "date", pl.String),
        (["2020-01-01", "x", "y"], "date", pl.Date),
        (["a", "b"], "number", pl.String),
    ],
)
def test_a_declared_column_is_read_as_declared(texts: list[str], modality: str, kind: pl.DataType) -> None:
    assert typed(pl.Series(texts), modality)[0].dtype == kind


@pytest.mark.parametrize(("bad", "is_number"), [(0, True), (1, True), (2, True), (3, False), (8, False)])
def test_a_tenth_of_words_is_the_limit_of_a_column_of_numbers(bad: int, is_number: bool) -> None:
    values = typed(pl.Series([str(i) for i in range(20 - bad)] + ["word"] * bad))[0]
    assert (values.dtype != pl.String) == is_number


@pytest.mark.parametrize(("header", "expected"), [("icd_code", True), ("zip", True), ("age", False), ("decode", False)])
def test_headers_that_name_codes(header: str, expected: bool) -> None:
    assert cells.is_code(header) is expected
    assert (typed(pl.Series(header, ["12", "13"]))[0].dtype == pl.String) is expected


def test_how_numbers_were_read_is_noted() -> None:
    assert typed(pl.Series(["1,5", "2,5"]))[2].notes == {"x": "numbers with a decimal comma"}
    assert typed(pl.Series(["1,234,567.5", "2.5"]))[2].notes == {"x": "numbers with commas between thousands"}
    assert typed(pl.Series(["1.5", "2.5"]))[2].notes == {}


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("<5", "number", "a limit of measurement (such as '<5'), not a number"),
        ("inf", "number", "not a finite number"),
        ("-Infinity", "number", "not a finite number"),
        ("x", "number", "not a number, in a column of numbers"),
        ("x", "date", "not a date, in a column of dates"),
        ("<5", "date", "not a date, in a column of dates"),
    ],
)
def test_reason_of_one_cell(text: str, kind: str, reason: str) -> None:
    assert cells.reason_of(text, kind) == reason
    assert reason in cells.REASONS


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=20))
def test_whole_numbers_come_back_exactly(numbers: list[int | None]) -> None:
    values, ledger, _ = typed(pl.Series([None if n is None else str(n) for n in numbers], dtype=pl.String))
    if any(n is not None for n in numbers):
        assert values.to_list() == numbers
        assert values.dtype == pl.Int64
    assert ledger.height == 0


@given(st.lists(st.sampled_from(["1", "2.5", "x", "<3", "inf", "", "NA", "2020-01-01"]), min_size=1, max_size=40))
def test_no_cell_is_lost_in_silence(texts: list[str]) -> None:
    """Cells that hold something are kept, or they are in the ledger, once."""
    values, ledger, _ = typed(pl.Series(texts))
    held = {i + 1 for i, t in enumerate(texts) if t and not (t == "NA" and values.dtype != pl.String)}
    kept = {i + 1 for i, v in enumerate(values.to_list()) if v is not None}
    assert held - kept == set(ledger["row"].to_list())
    assert ledger["row"].n_unique() == ledger.height


@given(st.permutations(range(12)))
def test_order_of_rows_changes_no_type(order: list[int]) -> None:
    texts = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "<3"]
    plain, mixed = typed(pl.Series(texts))[0], typed(pl.Series([texts[i] for i in order]))[0]
    assert mixed.dtype == plain.dtype
    assert mixed.to_list() == [plain[i] for i in order]
