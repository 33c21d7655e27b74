"""Database addresses: `SCHEME://...?table=NAME` or `SCHEME://...?query=SELECT ...`; and rows of a database as a
table.
"""

from __future__ import annotations

import datetime
import decimal
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from osler.cohort.headers import checked
from osler.cohort.limits import MAX_CELLS
from osler.errors import LimitError, ReadError, nearest


@dataclass(frozen=True)
class Address:
    """A database address in its parts.

    Attributes:
        scheme: "duckdb", "sqlite", "postgresql", "postgresql+psycopg", ...
        rest: what follows "://", without `table` and `query`, still percent-encoded.
        table: a table or view, with its schema if it is not the default one ("study.visits"); "" if a query is given.
        query: one SELECT; "" if a table is given.
    """

    scheme: str
    rest: str
    table: str
    query: str

    @classmethod
    def parse(cls, address: str) -> Address:
        """Read an address. Its parts are percent-encoded as in every address (RFC 3986), so that a user name, password
        or path may hold `@ : / ? # %`; a query is taken as it stands if it holds a blank, else it is decoded too.

        Raises:
            ReadError: it names neither a table nor a query, or both (code `read-database`).
        """
        scheme, _, rest = address.partition("://")
        base, mark, tail = rest.partition("?")
        options, _, query = tail.partition("query=") if tail.startswith("query=") else tail.partition("&query=")
        place, _, fragment = (base + mark + options).partition("#")
        base, _, options = place.partition("?")
        pairs = urllib.parse.parse_qsl(options, keep_blank_values=True)
        table = dict(pairs).get("table", "") or urllib.parse.unquote(fragment)
        kept = urllib.parse.urlencode([(k, v) for k, v in pairs if k != "table"])
        query = _statement(query)
        if bool(table) == bool(query):
            raise ReadError(
                "a database address must name one table or one query: end it "
                "with ?table=NAME or with ?query=SELECT ...",
                "read-database",
            )
        return cls(scheme.lower(), base + (f"?{kept}" if kept else ""), table, query)

    @property
    def name(self) -> str:
        """What to call the source: the table, or "the query"."""
        return self.table or "the query"

    @property
    def what(self) -> str:
        """The table or query in words, for messages."""
        return f"table '{self.table}'" if self.table else "the query"

    @property
    def shown(self) -> str:
        """The address without user, password and options."""
        return f"{self.scheme}://{self.rest.rpartition('@')[2].partition('?')[0]}"

    def file(self) -> Path:
        """The file of a database that is one (`duckdb:///relative.db`, `sqlite:////absolute/path.db`).

        Raises:
            ReadError: it does not exist (code `read-missing`).
        """
        path = Path(urllib.parse.unquote(self.rest.partition("?")[0]).removeprefix("/"))
        if not path.is_file():
            raise ReadError(
                f"database file must exist, there is no '{path.name}': three slashes "
                f"are for a relative path, four for a full one",
                "read-missing",
            )
        return path

    def sql(self, known: Sequence[str]) -> str:
        """The statement to run.

        Args:
            known: tables and views of the database.

        Raises:
            ReadError: there is no such table (the nearest is suggested), or the query is no single SELECT (code
                `read-database`).
        """
        if self.table:
            if self.table not in known:
                raise ReadError(
                    f"table must be in the database, was '{self.table}': {nearest(self.table, known)}", "read-database"
                )
            parts = [self.table] if "." not in self.table else self.table.split(".", 1)
            return "SELECT * FROM " + ".".join('"' + p.replace('"', '""') + '"' for p in parts)
        first = (self.query.split(None, 1) or [""])[0].lower()
        if first not in ("select", "with", "values", "from") or ";" in self.query:
            raise ReadError(
                "the query must be one SELECT without ';', it is not: tables are only ever read", "read-database"
            )
        return self.query


def _statement(query: str) -> str:
    """The query of an address: as it stands if somebody typed it (no encoded text holds a blank, and a `%` in a LIKE is
    no code), else decoded, with `+` for a blank where no blank is written `%20`."""
    typed = query.strip().rstrip(";").rstrip()
    if any(c.isspace() for c in typed):
        return typed
    decode = urllib.parse.unquote if "%20" in typed else urllib.parse.unquote_plus
    return decode(typed).strip().rstrip(";").rstrip()


def by_rows(names: list[str], fetch: Callable[[], list[tuple[Any, ...]]], source: str) -> pl.DataFrame:
    """All rows that `fetch` gives, some at a time until it gives none, as a table.

    Raises:
        ReadError: columns have no or doubled names.
        LimitError: there are more cells than `MAX_CELLS`.
    """
    names = checked(names, source)
    parts: list[list[tuple[Any, ...]]] = []
    cells = 0
    while rows := fetch():
        parts.append(rows)
        cells += len(rows) * len(names)
        if cells > MAX_CELLS:
            raise LimitError(
                f"'{source}' must hold at most {MAX_CELLS:,} cells to be read at "
                f"once, it holds more: select in the query"
            )
    columns = list(zip(*(row for part in parts for row in part))) or [()] * len(names)
    return pl.DataFrame([_column(n, list(values)) for n, values in zip(names, columns)])


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {bool}:
        return pl.Series(name, values, dtype=pl.Boolean if kinds else pl.String)
    if kinds == {int} and all(v is None or abs(v) < 2**63 for v in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float, decimal.Decimal}:
        return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)
    if kinds == {datetime.datetime}:
        return pl.Series(name, [None if v is None else v.replace(tzinfo=None) for v in values], dtype=pl.Datetime("us"))
    if kinds in ({datetime.date}, {datetime.time}, {datetime.timedelta}):
        return pl.Series(name, values)
    return pl.Series(name, [_text(v) for v in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return str(value) if not isinstance(value, uuid.UUID) else value.hex
