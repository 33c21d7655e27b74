"""Numbers, dates and headers as they are written: small tables of what each text means."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort import dates
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.finding import FINDINGS, Finding, count
from osler.cohort.headers import checked
from osler.cohort.instants import instant, instants, is_time
from osler.cohort.names import unit_of, words
from osler.cohort.numbers import floats
from osler.errors import LimitError, ReadError

NAN = float("nan")
INF = float("inf")


# -- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "decimal", "found"),
    [
        (pl.Series([1, None]), ".", [1.0, NAN]),
        (pl.Series([True, False, None]), ".", [1.0, 0.0, NAN]),
        (pl.Series(["1.5", " 2 ", "x", None, ""]), ".", [1.5, 2.0, NAN, NAN, NAN]),
        (pl.Series(["1,5", "1.234,5", "2"]), ",", [1.5, 1234.5, 2.0]),
        (pl.Series(["1,5"]), ".", [NAN]),
        (pl.Series(["1e3", "-2E-1", "+4"]), ".", [1000.0, -0.2, 4.0]),
        (pl.Series(["inf", "-inf"]), ".", [INF, -INF]),
        (pl.Series([INF, NAN]), ".", [INF, NAN]),
        (pl.Series([dt.date(2020, 1, 1)]), ".", [NAN]),
        (pl.Series([[1.0], None]), ".", [NAN, NAN]),
        (pl.Series([], dtype=pl.String), ".", []),
    ],
)
def test_floats(values: pl.Series, decimal: str, found: list[float]) -> None:
    np.testing.assert_array_equal(floats(values, decimal), np.array(found))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=20))
def test_numbers_written_and_read_again_are_the_same(numbers: list[float]) -> None:
    read = floats(pl.Series([repr(x) for x in numbers], dtype=pl.String))
    np.testing.assert_array_equal(read, np.array(numbers, dtype=np.float64))


# -- dates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "when"),
    [
        ("2021-03-04", "%Y-%m-%d", dt.datetime(2021, 3, 4)),
        ("2021-03-04 05:06:07", "%Y-%m-%d %H:%M:%S", dt.datetime(2021, 3, 4, 5, 6, 7)),
        ("2021-03-04T05:06", "%Y-%m-%dT%H:%M", dt.datetime(2021, 3, 4, 5, 6)),
        ("31/12/2020", "%d/%m/%Y", dt.datetime(2020, 12, 31)),
        ("12/31/2020", "%m/%d/%Y", dt.datetime(2020, 12, 31)),
        ("31.12.2020", "%d.%m.%Y", dt.datetime(2020, 12, 31)),
        ("31-12-2020", "%d-%m-%Y", dt.datetime(2020, 12, 31)),
        ("12-31-2020", "%m-%d-%Y", dt.datetime(2020, 12, 31)),
        ("5 Mar 2019", "%d %b %Y", dt.datetime(2019, 3, 5)),
        ("5-Mar-2019", "%d-%b-%Y", dt.datetime(2019, 3, 5)),
        ("March 5, 2019", "%B %d, %Y", dt.datetime(2019, 3, 5)),
        ("2019/03/05", "%Y/%m/%d", dt.datetime(2019, 3, 5)),
    ],
)
def test_each_format_is_recognised_and_read(text: str, form: str, when: dt.datetime) -> None:
    values = pl.Series([text, None])
    assert dates.formats_of(values) == ([form], False)
    assert dates.parse(values, [form]).to_list() == [when, None]


@pytest.mark.parametrize(
    ("texts", "forms", "unclear"),
    [
        (["01/02/2020", "03/04/2020"], ["%d/%m/%Y"], True),
        (["01/02/2020", "13/04/2020"], ["%d/%m/%Y"], False),
        (["01/02/2020", "04/13/2020"], ["%m/%d/%Y"], False),
        (["2020-01-02", "2020-01-03", "03.04.2020"], ["%Y-%m-%d", "%d.%m.%Y"], False),
        (["hello", "there"], [], False),
        ([], [], False),
    ],
)
def test_which_formats_a_column_uses(texts: list[str], forms: list[str], unclear: bool) -> None:
    assert dates.formats_of(pl.Series(texts, dtype=pl.String)) == (forms, unclear)


@pytest.mark.parametrize(
    ("values", "forms", "found"),
    [
        (pl.Series(["1799-12-31", "1800-01-01", "2300-12-31", "2301-01-01"]), ["%Y-%m-%d"], [False, True, True, False]),
        (pl.Series(["2021-02-29", "2020-02-29"]), ["%Y-%m-%d"], [False, True]),
        (pl.Series(["2020-01-01"]), [], [False]),
        (pl.Series([20200131, 20201301]), ["%Y%m%d"], [True, False]),
        (pl.Series([1.5, 2.5]), ["%Y-%m-%d"], [False, False]),
        (pl.Series([dt.date(2020, 1, 1), None]), [], [True, False]),
        (pl.Series([" 2020-01-01 "]), ["%Y-%m-%d"], [True]),
    ],
)
def test_what_reads_as_a_date(values: pl.Series, forms: list[str], found: list[bool]) -> None:
    read = dates.parse(values, forms)
    assert read.is_not_null().to_list() == found
    assert read.dtype == pl.Datetime("us")


@given(
    st.lists(st.dates(dt.date(1800, 1, 1), dt.date(2300, 12, 31)), min_size=1, max_size=8),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d"]),
)
def test_dates_written_and_read_again_are_the_same(days: list[dt.date], form: str) -> None:
    texts = pl.Series(
        [
            f"{d.year:04}" + d.strftime(form.replace("%Y", "")) if form.startswith("%Y") else d.strftime(form)
            for d in days
        ]
    )
    forms, _ = dates.formats_of(texts)
    assert dates.parse(texts, forms).dt.date().to_list() == days


# -- points in time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pl.Series([dt.date(1970, 1, 2), None]), [1.0, NAN]),
        (pl.Series([dt.datetime(1970, 1, 1, 12), None]), [0.5, NAN]),
        (pl.Series([5, None, 7]), [5.0, NAN, 7.0]),
        (pl.Series([True, False]), [1.0, 0.0]),
        (pl.Series(["1970-01-03", None, "x"]), [2.0, NAN, NAN]),
        (pl.Series(["1970-01-03 23:59:00"]), [2.0]),
        (pl.Series(["13/01/1970", "02/01/1970"]), [12.0, 1.0]),
        (pl.Series(["01/13/1970", "01/02/1970"]), [12.0, 1.0]),
        (pl.Series(["2019", "2020"]), [2019.0, 2020.0]),
        (pl.Series(["1970-02"]), [31.0]),
        (pl.Series(["19700102"]), [1.0]),
        (pl.Series([None, None], dtype=pl.String), [NAN, NAN]),
        (pl.Series(["x", "y"]), [NAN, NAN]),
        (pl.Series([dt.time(1, 2)]), [NAN]),
        (pl.Series([], dtype=pl.String), []),
    ],
)
def test_instants(values: pl.Series, found: list[float]) -> None:
    np.testing.assert_array_equal(instants(values), np.array(found))


@pytest.mark.parametrize(("text", "value"), [("2021", 2021.0), ("1970-01-11", 10.0), ("365", 365.0), ("1.5", 1.5)])
def test_a_typed_instant(text: str, value: float) -> None:
    assert instant(text) == value


def test_nonsense_is_no_instant() -> None:
    assert np.isnan(instant("soon"))


@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), min_size=2, max_size=10))
def test_order_of_dates_is_order_of_instants(days: list[dt.date]) -> None:
    as_dates, as_texts = instants(pl.Series(days)), instants(pl.Series([d.isoformat() for d in days]))
    np.testing.assert_array_equal(as_dates, as_texts)
    assert np.argsort(as_dates, kind="stable").tolist() == sorted(range(len(days)), key=lambda i: days[i])


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (Column("a", "date"), pl.Series("a", ["x"]), True),
        (Column("a", "number", "time"), pl.Series("a", [1]), True),
        (Column("a", "number"), pl.Series("a", [dt.date(2020, 1, 1)]), True),
        (Column("a", "number"), pl.Series("a", [1]), False),
    ],
)
def test_which_columns_hold_time(column: Column, values: pl.Series, expected: bool) -> None:
    assert is_time(Cohort(pl.DataFrame([values]), (column,)), "a") is expected


# -- headers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("patientId", ("patient", "id")),
        ("BL.Diab.Type", ("bl", "diab", "type")),
        ("HDL cholesterol (mg/dL)", ("hdl", "cholesterol", "mg", "d", "l")),
        ("age_years", ("age", "years")),
        ("", ()),
        ("__", ()),
        ("AGE", ("age",)),
        ("%fat", ("%fat",)),
    ],
)
def test_words_of_a_header(header: str, found: tuple[str, ...]) -> None:
    got = words(header)
    assert got == found or "".join(got) == "".join(found)
    assert all(w == w.lower() and w for w in got)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Hb [g/dL]", ("Hb", "g/dL")),
        ("chol_mg_dl", ("chol", "mg/dL")),
        ("age_y", ("age_y", "")),
        ("age (y)", ("age", "years")),
        ("vitamin_c", ("vitamin_c", "")),
        ("temp (C)", ("temp", "°C")),
        ("temp_celsius", ("temp", "°C")),
        ("creatinine (μmol/L)", ("creatinine", "µmol/L")),
        ("creatinine (µmol/L)", ("creatinine", "µmol/L")),
        ("weight.kg", ("weight", "kg")),
        ("egfr (ml/min/1.73m2)", ("egfr", "mL/min/1.73 m²")),
        ("kg", ("kg", "")),
        ("(kg)", ("(kg)", "")),
        ("bp (resting)", ("bp (resting)", "")),
        ("wbc (10^9/L)", ("wbc", "10⁹/L")),
        ("crp mg/l", ("crp", "mg/L")),
    ],
)
def test_unit_in_a_header(header: str, found: tuple[str, str]) -> None:
    assert unit_of(header) == found


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["a", ""], "column 2"),
        (["", "b", " "], "column 1 and 1 more"),
        (["a", "b", "a"], "columns 1 and 3"),
        (["x", " x "], "columns 1 and 2"),
    ],
)
def test_headers_that_are_refused_say_where(names: list[str], place: str) -> None:
    with pytest.raises(ReadError, match=place) as error:
        checked(names, "t.csv")
    assert error.value.code == "read-header"


def test_a_first_row_of_numbers_is_no_header() -> None:
    with pytest.raises(ReadError, match="mostly numbers") as error:
        checked(["1.5", "2.5", "1.5", "name"], "t.csv")
    assert "1.5" not in error.value.message


def test_too_many_columns_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osler.cohort.limits.MAX_COLUMNS", 3)
    assert checked(["a", "b", "c"], "t.csv") == ["a", "b", "c"]
    with pytest.raises(LimitError, match="at most 3 columns, it has 4"):
        checked(list("abcd"), "t.csv")


# -- findings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "words_", "text"),
    [
        (1, ("row",), "1 row"),
        (0, ("row",), "0 rows"),
        (1200, ("row",), "1,200 rows"),
        (2, ("category", "categories"), "2 categories"),
    ],
)
def test_counted_nouns(n: int, words_: tuple[str, ...], text: str) -> None:
    assert count(n, *words_) == text


@pytest.mark.parametrize(("code", "severity"), [("no-such-code", "note"), ("constant", "fatal")])
def test_a_finding_of_unknown_kind_is_a_fault(code: str, severity: str) -> None:
    with pytest.raises(AssertionError):
        Finding(code, severity, "x", 1, "text")


def test_findings_have_texts_and_json() -> None:
    assert all((text and text[0].islower()) or text[0].isupper() for text in FINDINGS.values())
    found = Finding("constant", "note", "x", 3, "one value")
    assert found.to_json() == {
        "code": "constant",
        "severity": "note",
        "column": "x",
        "n": 3,
        "message": "one value",
        "advice": "",
    }
