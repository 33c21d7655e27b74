"""DuckDB database files, read-only and without access to other files."""

from __future__ import annotations

from typing import Any

import polars as pl

from osler.adapters.sql_address import Address, by_rows
from osler.errors import ReadError
from osler.registry import optional


def read_query(address: str) -> tuple[pl.DataFrame, str]:
    """The table or query that `duckdb:///FILE?table=NAME` or `?query=SELECT ...` names, and what to call it.

    Raises:
        ReadError: the file, table or query cannot be read (codes `read-missing`, `read-database`).
        MissingExtraError: duckdb is not installed.
    """
    duckdb = optional("duckdb", "clinical")
    where = Address.parse(address)
    path = where.file()
    try:
        with duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"}) as connection:
            connection.execute("SET enable_progress_bar = false")
            result = connection.execute(where.sql(_known(connection)))
            names = [d[0] for d in result.description or []]
            return by_rows(names, lambda: result.fetchmany(10_000), where.name), where.name
    except duckdb.Error as error:
        raise ReadError(
            f"{where.what} of '{path.name}' must be readable by DuckDB, it is not ({type(error).__name__}): check it",
            "read-database",
        ) from None


def _known(connection: Any) -> list[str]:
    found = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
    ).fetchall()
    return [name if schema == "main" else f"{schema}.{name}" for schema, name in found]
