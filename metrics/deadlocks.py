"""Trying again where two postings waited for each other and the database gave one of them up.

A posting touches rows in one order, but a transaction that posts several times (to two feeds, or usage and then its
cost) cannot. What was given up has left nothing, so that it is simply done again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 0.2

T = TypeVar("T")
P = ParamSpec("P")


def done_again(work: Callable[[], T]) -> T:
    """Return what `work` returns, calling it again after a deadlock. It SHALL be a transaction as a whole."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except OperationalError as error:
            if attempt == ATTEMPTS or connection.in_atomic_block or not isinstance(error.__cause__, DeadlockDetected):
                raise
            time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))  # noqa: S311 - so that they do not meet again
    raise AssertionError("the last attempt returns or raises")


def one_transaction(action: Callable[P, T]) -> Callable[P, T]:
    """One transaction, done again after a deadlock. What is given to the action SHALL be left as it is by it.

    Within a transaction it is a part of that one, which has to be done again as a whole.
    """

    @wraps(action)
    def act(*args: P.args, **kwargs: P.kwargs) -> T:
        def work() -> T:
            with transaction.atomic():
                return action(*args, **kwargs)

        return done_again(work)

    return act
