"""Statements that go to the database together: one round trip for all of them, planned once in a connection.

    with together() as send:
        ids = send("SELECT ...", [...])     # answered when the block ends
        send("INSERT ...", [...])
    ids.fetchone()

A push is a dozen small statements; waiting for each of them, and planning each anew, took longer than they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, connection, transaction
from psycopg import Cursor
from psycopg.errors import RaiseException

Send = Callable[..., "Cursor[Any]"]


class _Open(threading.local):
    """The block that this thread is in."""

    send: Send | None = None
    checks: list[Callable[[], None]]


_open = _Open()


@contextmanager
def together() -> Iterator[Send]:
    """Yields `send(sql, params)`. Inside another block the statements join it.

    What a statement answers may be read after the outermost block; look at it in a function given to `afterwards`.
    Raises what the first statement that failed raises, as Django's errors, when the outermost block ends.
    """
    if _open.send is not None:
        yield _open.send
        return
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    raw = connection.connection

    def send(sql: str, params: Sequence[Any] = ()) -> Cursor[Any]:
        if connection.queries_logged:
            connection.queries_log.append({"sql": sql, "time": "0"})
        cursor: Cursor[Any] = raw.cursor()
        return cursor.execute(sql, params, prepare=True)

    _open.send, _open.checks = send, []
    try:
        with connection.wrap_database_errors, raw.pipeline():
            yield send
        checks = _open.checks
    finally:
        _open.send, _open.checks = None, []
    for check in checks:
        check()


def afterwards(check: Callable[[], None]) -> None:
    """Calls `check` when the outermost block has ended; at once outside any."""
    if _open.send is None:
        check()
    else:
        _open.checks.append(check)


class AtOnceError(Exception):
    """What `at_once` was to write has a condition that does not hold. Nothing was written."""


@contextmanager
def at_once() -> Iterator[Send]:
    """As `together`, and a transaction of its own: no round trip begins it and none commits it.

    It ends with the first statement that fails, or with what the block raises; nothing is written then. Conditions
    SHALL be in the statements, for what `afterwards` is given is called when all is committed. Raises AtOnceError where
    a statement raised, and Django's errors otherwise. Inside a transaction it is a part of that one.
    """
    try:
        # Outside a transaction what goes in one pipeline is one, up to its end.
        if connection.in_atomic_block:
            with transaction.atomic(), together() as send:
                yield send
        else:
            with together() as send, _all_or_nothing():
                yield send
    except DatabaseError as error:
        if isinstance(error.__cause__, RaiseException):
            raise AtOnceError from error
        raise


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """What the block raises takes back what was sent before it, which the end of the pipeline would commit."""
    try:
        yield
    except BaseException:
        # A connection that is gone has taken it back already.
        with suppress(Exception):
            connection.connection.execute("ROLLBACK", prepare=False)
        raise
