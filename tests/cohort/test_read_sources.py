"""Reading tables from every source: the same table, whatever it came from."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import socket
import sqlite3
import subprocess
import time
import zipfile
from datetime import date
from glob import glob
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.cohort.column import ROW
from osler.errors import ColumnError, ReadError

TEXT = 'patient_id,age,crp,sex,seen,note\nP01,34,1.5,f,2020-01-31,"well, today"\nP02,71,,m,2020-02-28,"two\nlines"\nP03,58,12.25,f,2021-12-01,=1+1\n'
FRAME = pl.DataFrame({
    "patient_id": ["P01", "P02", "P03"], "age": [34, 71, 58], "crp": [1.5, None, 12.25], "sex": ["f", "m", "f"],
    "seen": [date(2020, 1, 31), date(2020, 2, 28), date(2021, 12, 1)], "note": ["well, today", "two\nlines", "=1+1"],
})  # fmt: skip


def same(cohort: osler.Cohort) -> bool:
    """Whether a cohort holds the table above, cell by cell, as rows 1, 2, 3."""
    assert cohort.refusals.height == 0
    assert cohort.rows.tolist() == [1, 2, 3]
    assert cohort.table.drop(ROW).equals(FRAME)
    return True


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", TEXT.encode()), ("t.csv", b"\xef\xbb\xbf" + TEXT.encode()), ("t.csv", TEXT.replace("\n", "\r\n").replace("two\r\n", "two\n").encode()),
        ("t.txt", TEXT.replace(", ", "\1").replace(",", ";").replace("\1", ", ").encode()),
        ("t.tsv", TEXT.replace(", ", "\1").replace(",", "\t").replace("\1", ", ").encode()),
        ("t.csv", TEXT.replace(", ", "\1").replace(",", "|").replace("\1", ", ").encode()),
        ("t.csv.gz", gzip.compress(TEXT.encode(), mtime=0)), ("t.csv.bz2", bz2.compress(TEXT.encode())), ("t.csv.xz", lzma.compress(TEXT.encode())),
        ("misnamed.csv", gzip.compress(TEXT.encode(), mtime=0)), ("t.csv", TEXT.encode("utf-16")), ("t.csv", TEXT.encode("utf-16-le")),
    ],
)  # fmt: skip
def test_text_in_every_packing_and_encoding(tmp_path: Path, name: str, data: bytes):
    (tmp_path / name).write_bytes(data)
    assert same(osler.read(tmp_path / name))


def test_zip_of_one_table(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("inner.csv", TEXT)
    assert same(osler.read(tmp_path / "t.zip"))
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as out:
        out.writestr("other.csv", TEXT)
    with pytest.raises(ReadError, match="holds 2 files"):
        osler.read(tmp_path / "t.zip")


def test_binary_formats(tmp_path: Path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    FRAME.write_ipc(tmp_path / "t.arrow")
    FRAME.write_ipc_stream(tmp_path / "stream.arrow")
    shutil.copy(tmp_path / "t.parquet", tmp_path / "misnamed.csv")
    for name in ("t.parquet", "t.arrow", "stream.arrow", "misnamed.csv"):
        assert same(osler.read(tmp_path / name))


def test_json_lines_and_lists(tmp_path: Path):
    lines = FRAME.write_ndjson()
    (tmp_path / "t.jsonl").write_text(lines)
    (tmp_path / "t.json").write_text("[" + ",".join(lines.splitlines()) + "]")
    assert same(osler.read(tmp_path / "t.jsonl"))
    assert same(osler.read(tmp_path / "t.json"))


def test_json_lines_keep_what_is_odd(tmp_path: Path):
    (tmp_path / "t.jsonl").write_text(
        '{"a": 1, "b": {"c": [1]}}\nnot json\n{"a": 1, "a": 2}\n[1]\n\n{"a": NaN, "d": "x"}\n'
    )
    cohort = osler.read(tmp_path / "t.jsonl")
    assert cohort.rows.tolist() == [1, 5]
    assert cohort.refusals["row"].to_list() == [2, 3, 4]
    assert json.loads(cohort.table["b"][0]) == {"c": [1]}
    assert cohort.table["a"].to_list() == [1.0, None]


def test_excel(tmp_path: Path):
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(str(tmp_path / "t.xlsx"))
    book.add_worksheet("empty")
    sheet, day = book.add_worksheet("visits"), book.add_format({"num_format": "yyyy-mm-dd"})
    for column, name in enumerate(FRAME.columns):
        sheet.write_string(0, column, name)
        for row, value in enumerate(FRAME[name].to_list(), start=1):
            if isinstance(value, date):
                sheet.write_datetime(row, column, value, day)
            elif isinstance(value, str):
                sheet.write_string(row, column, value)
            elif value is not None:
                sheet.write_number(row, column, value)
    book.close()
    cohort = osler.read(tmp_path / "t.xlsx")
    assert cohort.lineage[0].detail["sheet"] == "visits"
    read = cohort.table.drop(ROW).with_columns(pl.col("age").cast(pl.Int64), pl.col("seen").cast(pl.Date))
    assert read.equals(FRAME)


def test_frames():
    pandas = pytest.importorskip("pandas")
    columns = {n: FRAME[n].to_list() for n in FRAME.columns} | {"seen": pandas.to_datetime(FRAME["seen"].to_list())}
    read = osler.read(pandas.DataFrame(columns))
    assert read.table.drop(ROW).with_columns(pl.col("seen").cast(pl.Date)).equals(FRAME)
    assert same(osler.read(FRAME))
    assert same(osler.read(FRAME.lazy()))
    with pytest.raises(ReadError, match="was list"):
        osler.read([1, 2, 3])


def test_pandas_missing_and_categories():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({
        "a": pandas.array([1, None, 3], dtype="Int64"), "b": pandas.Categorical(["x", None, "y"]), "c": [True, None, False], "d": [1.0, np.nan, np.inf],
    }, index=pandas.Index([7, 8, 9], name="key"))  # fmt: skip
    cohort = osler.read(frame)
    assert cohort.table.drop(ROW).to_dict(as_series=False) == {
        "key": [7, 8, 9], "a": [1, None, 3], "b": ["x", None, "y"], "c": [True, None, False], "d": [1.0, None, None],
    }  # fmt: skip
    assert cohort.refusals.rows() == [(3, "d", "not a finite number", "set missing")]


def test_own_folder_comes_back_with_its_ledger(tmp_path: Path):
    (tmp_path / "t.csv").write_text(TEXT + "P04,1\n")
    cohort = osler.read(tmp_path / "t.csv", unit="patient_id", target="sex")
    again = osler.read(cohort.write(tmp_path / "kept"))
    assert again.table.equals(cohort.table)
    assert again.columns == cohort.columns
    assert again.refusals.equals(cohort.refusals)
    assert again.refusals.height == 1
    with pytest.raises(ReadError, match=r"must hold pictures, scans or a saved cohort"):
        osler.read(tmp_path)


def fill(connection: sqlite3.Connection) -> None:
    """The table above in a database."""
    connection.execute("CREATE TABLE visits (patient_id TEXT, age INTEGER, crp REAL, sex TEXT, seen DATE, note TEXT)")
    connection.executemany(
        "INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)",
        [tuple(str(v) if isinstance(v, date) else v for v in r) for r in FRAME.rows()],
    )
    connection.commit()


def test_sqlite(tmp_path: Path):
    pytest.importorskip("sqlalchemy")
    with sqlite3.connect(tmp_path / "clinic.db") as connection:
        fill(connection)
    address = f"sqlite:///{tmp_path}/clinic.db"
    assert same(osler.read(f"{address}?table=visits"))
    assert same(osler.read(f"{address}#visits"))
    assert osler.read(f"{address}?query=SELECT age, sex FROM visits WHERE age > 50 ORDER BY age").table[
        "age"
    ].to_list() == [58, 71]
    with pytest.raises(ReadError, match="did you mean 'visits'"):
        osler.read(f"{address}?table=visit")
    for query in (
        "DELETE FROM visits",
        "SELECT 1; DROP TABLE visits",
        "WITH x AS (SELECT 1) DELETE FROM visits",
        "SELECT nothing",
    ):
        with pytest.raises(ReadError) as caught:
            osler.read(f"{address}?query={query}")
        assert caught.value.code == "read-database"
    with pytest.raises(ReadError, match=r"there is no 'absent\.db'"):
        osler.read(f"sqlite:///{tmp_path}/absent.db?table=visits")
    with pytest.raises(ReadError, match="one table or one query"):
        osler.read(address)
    assert same(osler.read(f"{address}?table=visits"))


def test_duckdb(tmp_path: Path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as connection:
        fill(connection)
    address = f"duckdb:///{tmp_path}/clinic.duckdb"
    assert same(osler.read(f"{address}?table=visits"))
    assert len(osler.read(f"{address}?query=SELECT * FROM visits WHERE sex = 'f'")) == 2
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for query in (f"SELECT * FROM '{tmp_path}/secret.csv'", "SELECT * FROM nothing"):
        with pytest.raises(ReadError, match="must be readable"):
            osler.read(f"{address}?query={query}")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory):
    """The address of a real PostgreSQL server on loopback, started for this module."""
    found = sorted(glob("/usr/lib/postgresql/*/bin"))
    if not found:
        pytest.skip("no PostgreSQL server is installed")
    pytest.importorskip("psycopg")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    folder = Path("/tmp") / f"osler-postgres-{os.getpid()}"
    folder.mkdir(mode=0o700)
    before = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        before = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Path(found[-1])
    subprocess.run(
        [*before, programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "osler", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    server = subprocess.Popen(
        [*before, programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        yield _wait(f"postgresql://osler:hidden@127.0.0.1:{port}/postgres")
    finally:
        subprocess.run(
            [*before, programs / "pg_ctl", "stop", "-D", folder / "data", "-m", "immediate"],
            capture_output=True,
            cwd="/",
        )
        server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(address: str) -> str:
    import psycopg

    for _ in range(100):
        try:
            with psycopg.connect(address) as connection:
                connection.execute("CREATE SCHEMA study")
                for name in ("visits", "study.visits"):
                    connection.execute(
                        f"CREATE TABLE {name} (patient_id TEXT, age INT, crp NUMERIC, sex TEXT, seen DATE, note TEXT)"
                    )
                    with connection.cursor() as cursor:
                        cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s, %s, %s, %s, %s)", FRAME.rows())
            return address
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start")


@pytest.mark.server
def test_postgresql(postgres: str):
    assert same(osler.read(f"{postgres}?table=visits"))
    assert same(osler.read(f"{postgres}?table=study.visits"))
    assert osler.read(f"{postgres}?query=SELECT sex, avg(age) AS age FROM visits GROUP BY sex ORDER BY sex").table[
        "age"
    ].to_list() == [46.0, 71.0]
    for ending in (
        "?table=visit",
        "?query=WITH x AS (DELETE FROM visits RETURNING 1) SELECT * FROM x",
        "?query=SELECT 1/0 AS x",
    ):
        with pytest.raises(ReadError) as caught:
            osler.read(postgres + ending)
        assert caught.value.code == "read-database"
        assert "hidden" not in str(caught.value)
    assert same(osler.read(f"{postgres}?table=visits"))


@pytest.mark.server
def test_postgresql_that_is_not_there():
    pytest.importorskip("psycopg")
    with pytest.raises(ReadError, match=r"127\.0\.0\.1:9") as caught:
        osler.read("postgresql://name:hidden@127.0.0.1:9/none?table=t")
    assert "hidden" not in str(caught.value)


def test_labels_are_joined_on_the_shared_column(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("patient_id,died\nP03,1\nP01,0\nP09,1\n")
    cohort = osler.read(FRAME, labels=tmp_path / "labels.csv", target="died")
    assert cohort.table["died"].to_list() == [0, None, 1]
    assert cohort.column("died").role == "target"
    detail = cohort.lineage[-1].detail
    assert (detail["rows_without_label"], detail["labels_without_row"]) == (1, 1)
    with pytest.raises(ColumnError, match="exactly one column name"):
        osler.read(FRAME, labels=pl.DataFrame({"patient_id": ["P01"], "sex": ["f"]}))
    with pytest.raises(ColumnError, match="must be unique"):
        osler.read(FRAME, labels=pl.DataFrame({"patient_id": ["P01", "P01"], "x": [1, 2]}))
    with pytest.raises(ColumnError, match="did you mean 'patient_id'"):
        osler.read(FRAME, labels=pl.DataFrame({"patient_id": ["P01"], "x": [1]}), on="patientid")
    with pytest.raises(ColumnError, match="written alike"):
        osler.read(FRAME, labels=pl.DataFrame({"patient_id": [1, 2], "x": [1, 2]}))


def test_roles_and_modalities_are_declared():
    cohort = osler.read(FRAME, unit="patient_id", target="sex", time="seen", inputs=["age"], columns={"note": "text"})
    assert {c.name: c.role for c in cohort.columns} == {
        "patient_id": "unit", "age": "input", "crp": "ignore", "sex": "target", "seen": "time", "note": "ignore",
    }  # fmt: skip
    assert cohort.column("note").modality == "text"
    with pytest.raises(ColumnError, match="did you mean 'patient_id'"):
        osler.read(FRAME, unit="patientid")
    with pytest.raises(ColumnError, match="did you mean 'number'"):
        osler.read(FRAME, columns={"age": "numbr"})
    with pytest.raises(ColumnError, match="did you mean 'age'"):
        osler.read(FRAME, columns={"Age": "number"})


def test_row_numbers_of_a_table_that_brings_its_own(tmp_path: Path):
    kept = FRAME.with_columns(pl.Series(ROW, [7, 9, 11]))
    out = io.StringIO()
    kept.write_csv(out)
    (tmp_path / "t.csv").write_text(out.getvalue())
    kept.write_parquet(tmp_path / "t.parquet")
    assert osler.read(tmp_path / "t.csv").rows.tolist() == [7, 9, 11]
    assert osler.read(tmp_path / "t.parquet").rows.tolist() == [7, 9, 11]
    kept.with_columns(pl.lit(1).alias(ROW)).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ReadError, match="reserved"):
        osler.read(tmp_path / "t.parquet")
