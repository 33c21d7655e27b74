"""Database addresses, what may be asked of them, and real SQLite and DuckDB files that are only ever read."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import urllib.parse
import uuid

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.adapters import sql_alchemy, sql_duckdb
from osler.adapters.sql_address import Address, by_rows
from osler.errors import LimitError, ReadError


@pytest.mark.parametrize(
    ("address", "scheme", "rest", "table", "query"),
    [
        ("duckdb:///a.db?table=visits", "duckdb", "/a.db", "visits", ""),
        ("SQLITE:////full/a.db#visits", "sqlite", "//full/a.db", "visits", ""),
        ("duckdb:///a.db?query=SELECT 1", "duckdb", "/a.db", "", "SELECT 1"),
        ("duckdb:///a.db?query=SELECT 1; ", "duckdb", "/a.db", "", "SELECT 1"),
        ("duckdb:///a.db?query=SELECT%20%27%231%27", "duckdb", "/a.db", "", "SELECT '#1'"),
        ("duckdb:///a.db?query=SELECT '#1'", "duckdb", "/a.db", "", "SELECT '#1'"),
        ("duckdb:///a.db?mode=ro&query=SELECT '#1'", "duckdb", "/a.db?mode=ro", "", "SELECT '#1'"),
        ("postgresql://u:p@h:5/db?sslmode=require&table=s.t", "postgresql", "u:p@h:5/db?sslmode=require", "s.t", ""),
        ("duckdb:///a.db?query=SELECT a=1 AND b=2 FROM t", "duckdb", "/a.db", "", "SELECT a=1 AND b=2 FROM t"),
    ],
)
def test_parts_of_an_address(address: str, scheme: str, rest: str, table: str, query: str) -> None:
    found = Address.parse(address)
    assert (found.scheme, found.rest, found.table, found.query) == (scheme, rest, table, query)
    assert found.name == (table or "the query")


@pytest.mark.parametrize(
    ("written", "query"),
    [
        ("SELECT x FROM t WHERE x LIKE '%ab%'", "SELECT x FROM t WHERE x LIKE '%ab%'"),
        ("SELECT x FROM t WHERE x LIKE '%20%'", "SELECT x FROM t WHERE x LIKE '%20%'"),
        ("SELECT a+b FROM t;", "SELECT a+b FROM t"),
        ("SELECT x FROM t -- 100%25 #", "SELECT x FROM t -- 100%25 #"),
        ("SELECT\nx\nFROM t WHERE x LIKE '5%'", "SELECT\nx\nFROM t WHERE x LIKE '5%'"),
        ("SELECT%20a+b%20FROM%20t", "SELECT a+b FROM t"),
        ("SELECT+a%2Bb+FROM+t%3B", "SELECT a+b FROM t"),
        ("SELECT 1?x&y#", "SELECT 1?x&y#"),
    ],
)
def test_a_typed_query_keeps_its_signs_and_an_encoded_one_is_decoded(written: str, query: str) -> None:
    assert Address.parse(f"duckdb:///a.db?query={written}").query == query


@pytest.mark.parametrize("encode", [urllib.parse.quote, urllib.parse.quote_plus])
@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_every_encoded_query_and_table_comes_back(encode, text: str) -> None:
    query = f"SELECT '{text}' FROM t"
    assert Address.parse(f"duckdb:///a.db?query={encode(query)}").query == query
    assert Address.parse(f"duckdb:///a.db?table=t{encode(text)}").table == f"t{text}"
    assert Address.parse(f"duckdb:///a.db#t{urllib.parse.quote(text)}").table == f"t{text}"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20))
def test_user_password_and_database_may_hold_every_sign(text: str) -> None:
    alchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    part = urllib.parse.quote(text, safe="")
    where = Address.parse(f"postgresql://{part}:{part}@host:5/{part}?application_name={part}&table=t")
    url = sql_alchemy._engine(alchemy, where).url
    assert (url.username, url.password, url.database, url.host, url.port) == (text, text, text, "host", 5)
    assert dict(url.query) == {"application_name": text}
    assert where.shown == f"postgresql://host:5/{part}"


@pytest.mark.parametrize(
    "address",
    ["duckdb:///a.db", "duckdb:///a.db?table=", "duckdb:///a.db?table=t&query=SELECT 1", "duckdb:///a.db?query="],
)
def test_an_address_names_one_table_or_one_query(address: str) -> None:
    with pytest.raises(ReadError, match="one table or one query") as error:
        Address.parse(address)
    assert error.value.code == "read-database"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://user:secret@host/db?table=t", "postgresql://host/db"),
        ("postgresql://user:se@cret@host/db?password=other&table=t", "postgresql://host/db"),
        ("postgresql://host/db?table=t", "postgresql://host/db"),
    ],
)
def test_passwords_are_never_shown(address: str, shown: str) -> None:
    found = Address.parse(address)
    assert found.shown == shown
    assert "secret" not in found.shown + found.what


@pytest.mark.parametrize(
    ("table", "query", "sql"),
    [
        ("visits", "", 'SELECT * FROM "visits"'),
        ("study.visits", "", 'SELECT * FROM "study"."visits"'),
        ('odd"name', "", 'SELECT * FROM "odd""name"'),
        ("", "SELECT 1", "SELECT 1"),
        ("", "with a as (select 1) select * from a", "with a as (select 1) select * from a"),
    ],
)
def test_statements_that_are_run(table: str, query: str, sql: str) -> None:
    assert Address("duckdb", "/a.db", table, query).sql(["visits", "study.visits", 'odd"name']) == sql


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM visits",
        "drop table visits",
        "SELECT 1; DROP TABLE visits",
        "PRAGMA x",
        "   ",
        "INSERT INTO t VALUES (1)",
    ],
)
def test_anything_but_one_select_is_refused(query: str) -> None:
    with pytest.raises(ReadError, match="one SELECT") as error:
        Address("duckdb", "/a.db", "", query).sql([])
    assert error.value.code == "read-database"


def test_an_unknown_table_is_refused_with_the_nearest() -> None:
    with pytest.raises(ReadError, match="did you mean 'visits'"):
        Address("duckdb", "/a.db", "visit", "").sql(["visits", "labs"])


# -- rows to columns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1, None, 3], pl.Int64, [1, None, 3]),
        ([1, 2.5, None], pl.Float64, [1.0, 2.5, None]),
        ([decimal.Decimal("1.25"), 2], pl.Float64, [1.25, 2.0]),
        ([True, None], pl.Boolean, [True, None]),
        ([None, None], pl.String, [None, None]),
        (["a", None], pl.String, ["a", None]),
        ([b"\x01", memoryview(b"\xff")], pl.String, ["01", "ff"]),
        ([uuid.UUID(int=1)], pl.String, ["0" * 31 + "1"]),
        ([1, "a"], pl.String, ["1", "a"]),
        ([2**63, 1], pl.Float64, [2.0**63, 1.0]),
        ([dt.date(2020, 1, 2), None], pl.Date, [dt.date(2020, 1, 2), None]),
        ([dt.datetime(2020, 1, 2, tzinfo=dt.UTC)], pl.Datetime("us"), [dt.datetime(2020, 1, 2)]),
    ],
)
def test_types_of_fetched_columns(values: list, kind: pl.DataType, found: list) -> None:
    left = [[(v,) for v in values], []]
    table = by_rows(["x"], lambda: left.pop(0), "t")
    assert table.schema["x"] == kind
    assert table["x"].to_list() == found


def test_no_rows_are_a_table_too() -> None:
    assert by_rows(["a", "b"], lambda: [], "t").shape == (0, 2)


def test_too_many_cells_and_doubled_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osler.adapters.sql_address.MAX_CELLS", 5)
    with pytest.raises(LimitError):
        by_rows(["a", "b"], lambda: [(1, 2)], "t")
    with pytest.raises(ReadError):
        by_rows(["a", "a"], lambda: [], "t")


# -- real files ----------------------------------------------------------------------------------------------

ROWS = [(1, "Ann", 50.5), (2, "Bob", None)]


@pytest.fixture(params=["plain.db", "with space.db", "100%25.db", "a#b.db", "what?.db"])
def sqlite_file(request: pytest.FixtureRequest, tmp_path):
    path = tmp_path / request.param
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (id INTEGER, name TEXT, age REAL)")
        connection.executemany("INSERT INTO visits VALUES (?, ?, ?)", ROWS)
        connection.execute("CREATE VIEW old AS SELECT * FROM visits WHERE age > 50")
    return path


def quoted(path) -> str:
    return str(path).replace("%", "%25").replace("#", "%23").replace("?", "%3F")


def test_sqlite_table_view_and_query(sqlite_file) -> None:
    pytest.importorskip("sqlalchemy")
    address = f"sqlite:///{quoted(sqlite_file)}"
    table, name = sql_alchemy.read_query(f"{address}?table=visits")
    assert (table.rows(), name) == (ROWS, "visits")
    assert sql_alchemy.read_query(f"{address}?table=old")[0].rows() == ROWS[:1]
    assert sql_alchemy.read_query(f"{address}?query=SELECT name FROM visits WHERE name LIKE '%nn%'")[0].rows() == [
        ("Ann",)
    ]
    assert sql_alchemy.read_query(f"{address}?query=SELECT name, ':x' AS t FROM visits")[0].rows() == [
        ("Ann", ":x"),
        ("Bob", ":x"),
    ]


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ("?table=visit", "read-database"),
        ("?query=SELECT nothing FROM visits", "read-database"),
        ("?query=WITH a AS (SELECT 1) DELETE FROM visits", "read-database"),
        ("?query=SELECT 1; DROP TABLE visits", "read-database"),
    ],
)
def test_sqlite_is_only_read_and_errors_quote_nothing(tmp_path, tail: str, code: str) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (id INTEGER, name TEXT)")
        connection.execute("INSERT INTO visits VALUES (1, 'Ann')")
    with pytest.raises(ReadError) as error:
        sql_alchemy.read_query(f"sqlite:///{path}{tail}")
    assert error.value.code == code
    assert "Ann" not in error.value.message
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (1,)


@pytest.mark.parametrize("read", [sql_alchemy.read_query, sql_duckdb.read_query])
def test_a_file_that_is_not_there(read, tmp_path) -> None:
    scheme = "sqlite" if read is sql_alchemy.read_query else "duckdb"
    with pytest.raises(ReadError, match=r"no 'none\.db'") as error:
        read(f"{scheme}:///{tmp_path}/none.db?table=t")
    assert error.value.code == "read-missing"


def test_a_scheme_that_nobody_speaks() -> None:
    pytest.importorskip("sqlalchemy")
    with pytest.raises(ReadError, match="'nosuchsql'") as error:
        sql_alchemy.read_query("nosuchsql://host/db?table=t")
    assert error.value.code == "read-database"


def test_duckdb_reads_its_own_file_and_no_other(tmp_path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path, other = tmp_path / "a.duckdb", tmp_path / "other.csv"
    other.write_text("secret\n1\n")
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE visits AS SELECT 1 AS id, 'Ann' AS name")
        connection.execute("CREATE SCHEMA study; CREATE TABLE study.labs AS SELECT 2.5 AS crp")
    assert sql_duckdb.read_query(f"duckdb:///{path}?table=visits")[0].rows() == [(1, "Ann")]
    assert sql_duckdb.read_query(f"duckdb:///{path}?table=study.labs")[0]["crp"].to_list() == [2.5]
    assert sql_duckdb.read_query(f"duckdb:///{path}?query=FROM visits SELECT id")[0].columns == ["id"]
    for tail in (f"?query=SELECT * FROM read_csv('{other}')", "?query=SELECT nothing FROM visits", "?table=study"):
        with pytest.raises(ReadError) as error:
            sql_duckdb.read_query(f"duckdb:///{path}{tail}")
        assert error.value.code == "read-database"
        assert "secret" not in error.value.message
