"""A statement that every request asks is planned once in a connection, not with each request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from psycopg.errors import FeatureNotSupported


def ask(sql: str, params: Sequence[Any]) -> Sequence[Any] | None:
    """The first row that the statement answers; None where there is none. Raises Django's database errors.

    For what is always the same text: each one is kept in each connection of the database.
    """
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    if connection.queries_logged:
        connection.queries_log.append({"sql": sql, "time": "0"})
    with connection.wrap_database_errors:
        session = connection.connection
        try:
            row: Sequence[Any] | None = session.cursor().execute(sql, params, prepare=True).fetchone()
        except FeatureNotSupported:
            # A migration has changed a column's type since it was planned.
            if connection.in_atomic_block:
                raise
            row = session.cursor().execute(sql, params, prepare=False).fetchone()
        return row
