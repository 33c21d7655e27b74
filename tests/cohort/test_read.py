"""Bad input: each kind gets one sentence with row and column and exit code 2, or is read with an account of every
cell.
"""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import osler
from osler.cli import main
from osler.cohort.check import check
from osler.cohort.column import ROW
from osler.errors import InputError, ReadError


def refused(tmp_path: Path, data: bytes, name: str = "t.csv") -> tuple[str, str]:
    """Code and message of the refusal of a file, which must be one sentence."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        osler.read(tmp_path / name)
    message = caught.value.message
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return caught.value.code, message


def taken(tmp_path: Path, text: str | bytes, **options: object) -> osler.Cohort:
    """A cohort from CSV text, after checking that every row is used or refused."""
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    cohort = osler.read(tmp_path / "t.csv", **options)
    rows = cohort.refusals.filter(pl.col("action") == "row refused")["row"].n_unique()
    step = cohort.lineage[0]
    assert step.rows_before == len(cohort) + rows
    assert step.rows_after == len(cohort)
    return cohort


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "read-empty", "is empty"), (b"\n\n", "read-empty", "is empty"), (b"   \n", "read-empty", "is empty"),
        (b"a,b\n", "read-empty", "at least one row"), (b"a,b", "read-empty", "at least one row"),
        (b"a,b,a\n1,2,3\n", "read-header", "columns 1 and 3 have the same in row 1"),
        (b"a,,c\n1,2,3\n", "read-header", "column 2 has none in row 1"), (b"a,b,\n1,2,3\n", "read-header", "column 3 has none"),
        (b"1,2,2\n4,5,6\n", "read-header", "mostly numbers"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "read-truncated", "ends too early"),
        (b"\x1f\x8b\x08\x00garbage", "read-truncated", "damaged"),
        (b"PK\x03\x04 no zip", "read-truncated", "damaged"), (b"\x28\xb5\x2f\xfdxx", "read-format", "zstd"),
        (b"a,b\n1,\x81\x8d\n", "read-encoding", "line 2"), (b"a,b\n1,2\n3,\x9d\n", "read-encoding", "line 3"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", "read-encoding", "bytes that are not"),
        (bytes(range(256)) * 40, "read-format", "binary"), (b"a,b\n" + b"\0" * 4000, "read-format", "binary"),
        (b"a,b\n1,2,3\n4,5,6\n", "read-format", "3 cells where the header has 2 (row 1)"),
        (b"SQLite format 3\0" + b"x" * 99, "read-database", "sqlite:///"), (b"PAR1 but no more", "read-format", "Parquet"),
        (b"ARROW1\0\0 but no more", "read-format", "Arrow"), (b"\xd0\xcf\x11\xe0 old Excel, not", "read-format", "workbook"),
    ],
)  # fmt: skip
def test_files_that_are_refused(tmp_path: Path, data: bytes, code: str, words: str):
    found, message = refused(tmp_path, data)
    assert found == code
    assert words in message


def test_a_path_that_is_not_there(tmp_path: Path):
    (tmp_path / "patients.csv").write_text("a\n1\n")
    with pytest.raises(ReadError, match=r"did you mean 'patients\.csv'"):
        osler.read(tmp_path / "patient.csv")
    with pytest.raises(ReadError, match="device"):
        osler.read("/dev/null")
    with pytest.raises(ReadError, match="NUL"):
        osler.read("a\0b")


def test_the_command_line_says_it_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("age,died\n1,0\n")
    assert main(["look", "t.csv", "--target", "dead"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'died'" in error
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_two_rows_are_a_table(tmp_path: Path):
    cohort = taken(tmp_path, "a,b\n1,x\n2,y\n")
    assert cohort.table["a"].to_list() == [1, 2]


def test_ragged_rows_are_refused_by_number_and_the_others_kept(tmp_path: Path):
    cohort = taken(tmp_path, 'a,b\n1,x\n2\n\n3,y,z\n4,"w\nw"\n5,v')
    assert cohort.rows.tolist() == [1, 4, 5]
    assert cohort.table["b"].to_list() == ["x", "w\nw", "v"]
    assert cohort.refusals.rows() == [
        (2, "", "the row has 1 cell where the header has 2", "row refused"),
        (3, "", "the row has 3 cells where the header has 2", "row refused"),
    ]


@pytest.mark.parametrize(
    ("text", "rows", "values"),
    [
        ('a,b\n1,5" tall\n2,"x"\n', [1, 2], ['5" tall', "x"]), ('a,b\n1,"never closed\n2,x\n3,y\n', [2, 3], ["x", "y"]),
        ('a,b\n1,"a""b"\n2,"c"d\n3,y\n', [1, 3], ['a"b', "y"]), ('a,b\n1,"x,y\nz"\n2,""\n', [1, 2], ["x,y\nz", None]),
        ("a,b\r\n1,x\r\n\r\n2,y\r\n", [1, 2], ["x", "y"]), ("a,b\r1,x\r2,y\r", [1, 2], ["x", "y"]),
    ],
)  # fmt: skip
def test_quotes_and_line_ends(tmp_path: Path, text: str, rows: list[int], values: list[str | None]):
    cohort = taken(tmp_path, text)
    assert cohort.rows.tolist() == rows
    assert cohort.table["b"].to_list() == values


def test_a_single_column_keeps_its_empty_cells(tmp_path: Path):
    cohort = taken(tmp_path, "glucose\n90\n\n110\n")
    assert cohort.table["glucose"].to_list() == [90, None, 110]


def test_western_text_is_read_and_said(tmp_path: Path):
    cohort = taken(tmp_path, "name,dose\nJosé,5 µg\nMüller,6 µg\n".encode("cp1252"))
    assert cohort.table["name"].to_list() == ["José", "Müller"]
    assert cohort.lineage[0].detail["encoding"] == "cp1252"
    assert "encoding" not in taken(tmp_path, "name\nJosé\n").lineage[0].detail


def test_few_wrong_cells_of_a_number_column_are_emptied_and_listed(tmp_path: Path):
    lines = [str(60 + i) for i in range(40)]
    lines[3], lines[7], lines[9], lines[11] = "haemolysed", "<5", "inf", "NA"
    cohort = taken(tmp_path, "glucose\n" + "\n".join(lines) + "\n")
    assert cohort.table["glucose"].dtype == pl.Int64
    assert cohort.table["glucose"].null_count() == 4
    assert sorted(cohort.refusals.rows()) == [
        (4, "glucose", "not a number, in a column of numbers", "set missing"),
        (8, "glucose", "a limit of measurement (such as '<5'), not a number", "set missing"),
        (10, "glucose", "not a finite number", "set missing"),
    ]
    assert {"mixed-types", "below-limit", "infinite-value"} <= {f.code for f in check(cohort)}


def test_a_column_of_too_many_wrong_cells_stays_text(tmp_path: Path):
    cohort = taken(tmp_path, "x\n" + "7.5\n" * 8 + "high\n" * 2)
    assert cohort.table["x"].dtype == pl.String
    assert cohort.refusals.height == 0
    declared = taken(tmp_path, "x\n" + "7.5\n" * 8 + "high\n" * 2, columns={"x": "number"})
    assert declared.table["x"].to_list() == [7.5] * 8 + [None] * 2
    assert declared.refusals["row"].to_list() == [9, 10]


def test_codes_stay_as_they_are_written(tmp_path: Path):
    cohort = taken(
        tmp_path, "zip,icd9,plain,big\n01234,250.00,1,12345678901234567890\n99999,401.10,2,12345678901234567891\n"
    )
    assert cohort.table["zip"].to_list() == ["01234", "99999"]
    assert cohort.table["icd9"].to_list() == ["250.00", "401.10"]
    assert cohort.table["plain"].to_list() == [1, 2]
    assert cohort.table["big"].to_list() == ["12345678901234567890", "12345678901234567891"]
    assert taken(tmp_path, "plain,b\n1,1\n2,2\n", columns={"plain": "category"}).table["plain"].to_list() == ["1", "2"]


def test_decimal_commas_and_thousands(tmp_path: Path):
    cohort = taken(tmp_path, 'a;b;c\n1,5;"1,234,567.5";1,234\n22,75;"1,000";2,345\n')
    assert cohort.table["a"].to_list() == [1.5, 22.75]
    assert cohort.table["b"].to_list() == [1234567.5, 1000.0]
    assert cohort.table["c"].to_list() == ["1,234", "2,345"]
    assert "decimal comma" in cohort.column("a").reason


def test_dates(tmp_path: Path):
    text = "iso,moment,german,us,unclear,mixed\n"
    days = [(2020, 3, 14), (2021, 7, 30), (2019, 1, 5)]
    for i, (y, m, d) in enumerate(days):
        mixed = f"{y}-{m:02}-{d:02}" if i else f"{d:02}.{m:02}.{y}"
        text += (
            f"{y}-{m:02}-{d:02},{y}-{m:02}-{d:02}T10:30:00,{d:02}.{m:02}.{y},{m:02}/{d:02}/{y},05/0{m}/2020,{mixed}\n"
        )
    cohort = taken(tmp_path, text)
    assert cohort.table["iso"].to_list() == [date(*d) for d in days]
    assert cohort.table["moment"].dtype == pl.Datetime("us")
    assert {c.name: c.modality for c in cohort.columns} == dict.fromkeys(
        ["iso", "moment", "german", "us", "unclear", "mixed"], "date"
    )
    assert cohort.column("us").options["formats"] == ["%m/%d/%Y"]
    codes = {(f.code, f.column) for f in check(cohort)}
    assert ("date-ambiguous", "unclear") in codes
    assert ("date-ambiguous", "us") not in codes
    assert ("date-formats", "mixed") in codes


def test_a_wrong_date_is_emptied_and_listed(tmp_path: Path):
    lines = [f"2020-01-{d:02}" for d in range(1, 31)]
    lines[4] = "2020-02-31"
    cohort = taken(tmp_path, "seen,b\n" + "\n".join(f"{x},1" for x in lines))
    assert cohort.table["seen"].null_count() == 1
    assert cohort.refusals.rows() == [(5, "seen", "not a date, in a column of dates", "set missing")]


def test_formulas_are_text_and_noted(tmp_path: Path):
    cells = ["=1+1", "=cmd|' /C calc'!A0", "+A1", "@SUM(A1)", "plain", "other"]
    cohort = taken(tmp_path, "note,x\n" + "\n".join(f'"{c}",-1.5' for c in cells) + "\n")
    assert cohort.table["note"].to_list() == cells
    assert cohort.table["x"].to_list() == [-1.5] * 6
    assert [(f.column, f.n) for f in check(cohort) if f.code == "formula-cell"] == [("note", 4)]


def test_nul_and_huge_cells_are_emptied_and_listed(tmp_path: Path):
    cohort = taken(tmp_path, b"a,b\n1,x\0y\n2," + b"z" * (1 << 20) + b"z\n3,ok\n4,ok\n")
    assert cohort.table["b"].to_list() == [None, None, "ok", "ok"]
    assert cohort.refusals["row"].to_list() == [1, 2]
    cohort = taken(tmp_path, b"a,b\n1,x\n2," + b"z" * (5 << 20) + b"\n3,ok\n")
    assert cohort.rows.tolist() == [1, 3]


def test_missing_words_need_no_ledger(tmp_path: Path):
    cohort = taken(tmp_path, "a,b\n1,x\nNA,?\n?,\n2,y\n")
    assert cohort.table["a"].to_list() == [1, None, None, 2]
    assert cohort.refusals.height == 0


def test_rows_are_numbered_as_in_the_file(tmp_path: Path):
    assert taken(tmp_path, "a\n5\n6\n").table[ROW].to_list() == [1, 2]


def test_reads_real_tables(mirror: Path):
    cohort = osler.read(mirror / "clinical" / "diabetes130.csv.gz")
    assert len(cohort) == 101_766
    assert cohort.column("patient_nbr").role == "unit"
    heart = osler.read(mirror / "clinical" / "heart_cleveland.csv.gz", target="num")
    assert (len(heart), heart.refusals.height) == (303, 0)
    assert heart.table["ca"].null_count() == 4
