"""SQLite, PostgreSQL and every other database that SQLAlchemy speaks to, in a read-only transaction."""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from typing import Any

import polars as pl

from osler.adapters.sql_address import Address, by_rows
from osler.errors import MissingExtraError, ReadError
from osler.registry import optional

#: Drivers that are used when an address names none.
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def read_query(address: str) -> tuple[pl.DataFrame, str]:
    """The table or query that an address such as `sqlite:///clinic.db?table=visits` names, and what to call it.

    Raises:
        ReadError: the database, table or query cannot be read (codes `read-missing`, `read-database`). Neither the
            password nor the database's own message, which may quote values, is in the sentence.
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
    """
    alchemy = optional("sqlalchemy", "clinical")
    where = Address.parse(address)
    try:
        engine = _engine(alchemy, where)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this address needs the driver '{error.name}', which is not installed: pip install {error.name}"
        ) from None
    except alchemy.exc.SQLAlchemyError as error:
        raise ReadError(
            f"database address must be one that SQLAlchemy reads, its scheme was '{where.scheme}': see the manual",
            "read-database",
        ) from error
    try:
        with engine.connect() as connection:
            _read_only(alchemy, connection, engine.dialect.name)
            statement = alchemy.text(where.sql(_known(alchemy, engine)).replace(":", r"\:"))
            result = connection.execution_options(stream_results=True).execute(statement)
            return by_rows(
                list(result.keys()), lambda: [tuple(r) for r in result.fetchmany(10_000)], where.name
            ), where.name
    except alchemy.exc.SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise ReadError(
            f"{where.what} must be readable at '{where.shown}', it is not ({kind}): check address, name and rights",
            "read-database",
        ) from None
    finally:
        engine.dispose()


def _engine(alchemy: Any, where: Address) -> Any:
    if where.scheme.split("+")[0] == "sqlite":
        path = where.file()
        name = f"file:{urllib.parse.quote(os.fspath(path))}?mode=ro"
        return alchemy.create_engine("sqlite://", creator=lambda: sqlite3.connect(name, uri=True))
    return alchemy.create_engine(
        _DRIVERS.get(where.scheme, where.scheme) + "://" + where.rest, connect_args=_timeouts(where)
    )


def _timeouts(where: Address) -> dict[str, Any]:
    return {"connect_timeout": 10} if where.scheme.startswith("postgres") else {}


def _read_only(alchemy: Any, connection: Any, dialect: str) -> None:
    if dialect == "postgresql":
        connection.execute(alchemy.text("SET TRANSACTION READ ONLY"))
    elif dialect == "sqlite":
        connection.execute(alchemy.text("PRAGMA query_only = ON"))


def _known(alchemy: Any, engine: Any) -> list[str]:
    inspector = alchemy.inspect(engine)
    default = inspector.default_schema_name
    names = []
    for schema in [None] if default is None or engine.dialect.name == "sqlite" else inspector.get_schema_names():
        prefix = "" if schema in (None, default) else f"{schema}."
        if schema in ("information_schema", "pg_catalog"):
            continue
        names += [prefix + n for n in (*inspector.get_table_names(schema), *inspector.get_view_names(schema))]
    return names
