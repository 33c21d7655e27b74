"""Other libraries' tables as polars tables, workbooks, arrays on disk and a search over options."""

from __future__ import annotations

import datetime as dt
import stat

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.adapters import excel, frames, optuna_search, tensors
from osler.errors import PredictorError, ReadError

pd = pytest.importorskip("pandas")


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (pd.Series([1, 2]), pl.Int64, [1, 2]),
        (pd.Series([1.5, None]), pl.Float64, [1.5, None]),
        (pd.Series([True, False]), pl.Boolean, [True, False]),
        (pd.Series([True, None], dtype=object), pl.Boolean, [True, None]),
        (pd.Series([1, None], dtype="Int64"), pl.Int64, [1, None]),
        (pd.Series([True, None], dtype="boolean"), pl.Boolean, [True, None]),
        (pd.Series(["a", None], dtype="string"), pl.String, ["a", None]),
        (pd.Series(["a", None], dtype="category"), pl.String, ["a", None]),
        (pd.Series([1, "a"], dtype=object), pl.String, ["1", "a"]),
        (pd.Series([1, 2.5], dtype=object), pl.Float64, [1.0, 2.5]),
        (pd.Series([np.int64(1), None], dtype=object), pl.Int64, [1, None]),
        (pd.Series([np.float32(0.5), np.int8(1), None], dtype=object), pl.Float64, [0.5, 1.0, None]),
        (pd.Series([np.bool_(True), None], dtype=object), pl.Boolean, [True, None]),
        (pd.Series([None, None], dtype=object), pl.String, [None, None]),
        (pd.Series(pd.to_datetime(["2020-01-02", None])), pl.Datetime("us"), [dt.datetime(2020, 1, 2), None]),
        (
            pd.Series(pd.to_datetime(["2020-01-02 12:00"]).tz_localize("Europe/Berlin")),
            pl.Datetime("us"),
            [dt.datetime(2020, 1, 2, 12)],
        ),
        (pd.Series([dt.date(2020, 1, 2), None], dtype=object), pl.Date, [dt.date(2020, 1, 2), None]),
        (pd.Series([2**70, 1], dtype=object), pl.Float64, [2.0**70, 1.0]),
    ],
)
def test_types_of_pandas_columns(values, kind: pl.DataType, found: list) -> None:
    table = frames.to_polars(pd.DataFrame({"x": values}))
    assert table.schema["x"] == kind
    assert table["x"].to_list() == found


def test_an_index_with_a_name_is_a_column_and_one_without_is_not() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="patient"))
    assert frames.to_polars(frame).columns == ["patient", "x"]
    assert frames.to_polars(frame.rename_axis(None)).columns == ["x"]


def test_doubled_pandas_columns_are_refused() -> None:
    with pytest.raises(ReadError) as error:
        frames.to_polars(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert error.value.code == "read-header"


@pytest.mark.parametrize("thing", [3, "text", [1, 2], None, object()])
def test_what_is_no_table_is_refused(thing: object) -> None:
    with pytest.raises(ReadError, match=type(thing).__name__):
        frames.to_polars(thing)


def test_mappings_and_arrow_tables() -> None:
    arrow = pl.DataFrame({"x": [1, 2], "y": ["a", None]})
    assert frames.to_polars({"x": [1, 2], "y": ["a", None]}).equals(arrow)
    assert frames.to_polars(arrow).equals(arrow)


# -- workbooks -----------------------------------------------------------------------------------------------


def workbook(path, *sheets: list[list]) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(path) as book:
        for rows in sheets:
            sheet = book.add_worksheet()
            for r, row in enumerate(rows):
                sheet.write_row(r, 0, row)


def test_the_first_sheet_that_holds_anything(tmp_path) -> None:
    workbook(tmp_path / "a.xlsx", [], [["id", "name"], [1, "x"], [2, "y"]])
    table, sheet = excel.read_sheet(tmp_path / "a.xlsx")
    assert table.to_dict(as_series=False) == {"id": [1.0, 2.0], "name": ["x", "y"]}
    assert sheet == "Sheet2"


@pytest.mark.parametrize("sheets", [[[]], [[], []]])
def test_a_workbook_without_a_table_is_refused(tmp_path, sheets: list) -> None:
    workbook(tmp_path / "a.xlsx", *sheets)
    with pytest.raises(ReadError) as error:
        excel.read_sheet(tmp_path / "a.xlsx")
    assert error.value.code == "read-empty"


@pytest.mark.parametrize("header", [["a", "a"], ["a", ""]])
def test_a_sheet_with_a_bad_header_is_refused(tmp_path, header: list[str]) -> None:
    workbook(tmp_path / "a.xlsx", [header, [1, 2]])
    with pytest.raises(ReadError) as error:
        excel.read_sheet(tmp_path / "a.xlsx")
    assert error.value.code == "read-header"


def test_a_sheet_of_a_header_only(tmp_path) -> None:
    workbook(tmp_path / "a.xlsx", [["a", "b"]])
    assert excel.read_sheet(tmp_path / "a.xlsx")[0].shape == (0, 2)


# -- arrays --------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.lists(st.floats(width=32), max_size=6), st.integers(-(2**40), 2**40), st.text(max_size=5))
def test_arrays_come_back_bit_for_bit(values: list[float], number: int, text: str) -> None:
    import tempfile

    arrays = {
        "a": np.array(values), "b": np.array([[number]]), "c": np.zeros((0, 3), dtype=np.float32),
        "d": np.arange(6).reshape(2, 3).T, "e": np.array([True, False]),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = tensors.write(f"{folder}/a.safetensors", arrays, {"text": text, "n": number})
        found, meta = tensors.read(path)
    assert meta == {"text": text, "n": number}
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_written_arrays_are_private_and_whole(tmp_path) -> None:
    path = tensors.write(tmp_path / "a.safetensors", {"a": np.ones(3)}, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    tensors.write(path, {"b": np.zeros(2)}, {})
    assert list(tensors.read(path)[0]) == ["b"]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:4], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_damaged_file_is_refused(tmp_path, damage) -> None:
    path = tensors.write(tmp_path / "a.safetensors", {"a": np.ones(3)}, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PredictorError, match=r"'a\.safetensors'") as error:
        tensors.read(path)
    assert error.value.code == "predictor-format"


# -- search --------------------------------------------------------------------------------------------------


def test_search_tries_the_first_options_and_finds_the_valley() -> None:
    pytest.importorskip("optuna")
    tried: list[dict] = []

    def loss(options: dict) -> float:
        tried.append(options)
        return (np.log10(options["rate"]) + 2) ** 2 + (options["depth"] - 3) ** 2 + (options["kind"] != "b")

    space = {"rate": ("log", 1e-4, 1.0), "depth": ("int", 1, 6), "kind": ("choice", "a", "b")}
    first = {"rate": 5.0, "depth": 2, "kind": "b"}
    best = optuna_search.search(space, loss, first, 25, 0)
    assert tried[0] == {"rate": 1.0, "depth": 2, "kind": "b"}
    assert len(tried) == 25
    assert loss(best) == min(loss(t) for t in tried[:25]) < loss(tried[0])
    assert all(1e-4 <= t["rate"] <= 1 and 1 <= t["depth"] <= 6 for t in tried)
    assert optuna_search.search(space, loss, first, 25, 0) == best


def test_search_of_one_trial_gives_the_first_options() -> None:
    pytest.importorskip("optuna")
    assert optuna_search.search({"x": ("float", 0.0, 1.0)}, lambda o: o["x"], {"x": 0.25}, 1, 3) == {"x": 0.25}
